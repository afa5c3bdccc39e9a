// A family of hash functions: K * L bits, or a number of bytes, of a neuron or of a layer's input.
//
// Neuron i is the augmented row [w; b], the input [x; 1]; its activation w.x + b is their inner
// product. With centring the same number is  v . u,  v = [w; b + w.mean],  u = [x - mean; 1]:
// inputs that all point one way are spread out. Where outputs are pooled, tails are apart: v = w and u = x - mean are
// hashed, and the tail b + w.mean, which outweighs the rest in many rows and is known exactly, is added to what the
// hashes tell. Each bit is a function of one random projection:
//   sign families:   1 if p.v >= 0                          (SimHash, Charikar 2002)
//   Euclidean:       parity of floor((p.v + offset) / r)    (p-stable, Datar et al. 2004, kept to one bit)
//   bytes:           p.v / r to the nearest integer, eight bits of it, for orthogonal p that span a subspace
// or, in densified families (densified.h), bits are codes from comparisons, without any projection.
// Projections are stored input-major, projection[column * width + bit]: hashing a sparse input is a
// few contiguous AXPYs. Subspace projections go in two steps: to coordinates in the principal
// subspace of the inputs (U, few columns), from there to bits (G). In between each coordinate is
// balanced: neurons' multiplied by d, queries' divided by it, which leaves inner products alone
// and, with d^4 = mean square of the queries / mean square of the neurons, makes their angles tell
// most.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/kernels.h"
#include "lsh/densified.h"
#include "lsh/transform.h"
#include "memory.h"
#include "row.h"
#include "spec.h"

namespace hashgrad {

// One input, hashed.
struct Query {
  std::vector<float> value;       // width: projections on the query side; their size is each bit's confidence
  std::vector<float> direction;   // width: how a neuron's sketch moves when w moves by one input: P [x; 1 + x.mean]
  std::vector<uint64_t> word;     // bits: width / 64
  std::vector<int8_t> byte;       // bytes: width
  std::vector<float> coordinate;  // subspace only: d U' [x; 1 + x.mean]
  std::vector<float> centered;    // subspace only: U' [x - mean; 1] / d
  float mean_dot = 0.f;           // x . mean
  float norm2 = 0.f;              // |[x; 1]|^2
  std::vector<uint8_t> entry;     // where signs are matched: their products with `value`, as match_signs wants them
  SignUnit unit;                  // likewise, for lengths of neurons: so that w.x follows
  Bins bins;                      // densified only
};

class HashFamily {
 public:
  HashFamily(uint32_t n_columns, const LshSpec& spec, uint64_t seed, uint64_t layer);

  // Takes the mean and, for subspace projections, the principal subspace from a sample of the layer's inputs; other
  // projections are drawn once and stay. `generation` names the draw. Returns the multiplications it took.
  uint64_t fit(std::span<const Row> sample, uint64_t generation);

  // `direction` and what else it takes to follow neurons only if they will move.
  void hash_query(const Row& x, bool moves, Query& q) const;
  uint64_t query_cost(const Row& x, bool moves) const;

  // The neuron with weights w (all columns but the bias's) and its bias, in two steps, between which a subspace may be
  // balanced anew.
  // First the tail b + w.mean, and P v into `coordinate` (n_coordinates, not yet balanced) or, without a subspace,
  // `sketch`.
  void project_neuron(const float* w, float bias, float* coordinate, float* sketch, float& tail) const;
  // Then norm2 = |v|^2 and, for a subspace (in which v is then taken), balanced coordinates, less the centre where
  // there is one, and sketch (width).
  void finish_neuron(const float* w, float tail, float* coordinate, float* sketch, float& norm2) const;
  uint64_t sketch_cost() const {
    if (densified()) return spec_.pooled ? n_columns_ - 1 : 0;  // a length; codes are comparisons
    const uint64_t n = n_coordinates_ ? n_coordinates_ : width_;
    return n_columns_ * (n + 2) + uint64_t{n_coordinates_} * (width_ + 1);
  }

  // Densified only: bits of a neuron. `scale` is what the last rebuild found, set_size's.
  void hash_neuron(const float* w, float scale, Bins& bins, uint64_t* word) const {
    const float most = static_cast<float>(n_columns_ - 1);  // a file may hold any number
    densified_->hash_neuron(w, static_cast<uint32_t>(std::clamp(scale, 1.f, most)), bins, word);
  }
  float set_size(std::span<const Row> sample) const { return static_cast<float>(densified_->set_size(sample)); }

  // Subspace only: balances for neurons with these coordinates (n x n_coordinates), and their centre where there is to
  // be one: then by their spread around it. Returns the multiplications it took.
  uint64_t rebalance(const Array<float>& coordinate, uint32_t n);

  // Bits of a neuron from its sketch and |v|^2; scale is the largest |v| of the layer (unused
  // without a transform). Not for bytes, for which Kernels::quantize does it.
  void encode_neuron(const float* sketch, float norm2, float scale, float* scratch, uint64_t* word) const;
  uint64_t encode_cost() const {
    if (bytes()) return width_;
    return terms_ ? uint64_t{width_} * (1 + terms_ + (spec_.transform == Transform::kL2Alsh)) : 0;
  }

  // A neuron's product with an input is about |v| times this much of that of its signs with the input's projections.
  float share_of_signs() const;
  float boundary_distance(float value) const;  // of a projection to where its bit flips
  void derive();                               // what follows from projection and mean, after they were loaded

  bool bytes() const { return spec_.code == Code::kBytes; }
  bool densified() const { return densified_.has_value(); }
  bool tells_angles() const { return spec_.transform == Transform::kNone && !densified(); }  // lengths then count, too
  bool signs_tell_angles() const { return !bytes() && tells_angles(); }
  bool matches_signs() const { return signs_tell_angles() && spec_.ranking == Ranking::kSignature; }
  bool tails_apart() const { return spec_.pooled && !bytes() && tells_angles(); }
  uint32_t width() const { return width_; }  // bits, padded to whole words; the padding's bits are constant; or bytes
  uint32_t words() const { return width_ / 64; }
  uint32_t n_coordinates() const { return n_coordinates_; }  // 0 unless subspace
  uint32_t n_columns() const { return n_columns_; }
  uint32_t rank() const { return rank_; }  // likewise
  const Array<float>& mean_projection() const { return mean_projection_; }
  const Array<float>& extra_query() const { return extra_query_; }
  const Array<float>& offset() const { return offset_; }
  size_t memory() const { return densified_ ? densified_->memory() : projection_.bytes() + mixing_.bytes(); }
  const LshSpec& spec() const { return spec_; }
  Array<float>& projection() { return projection_; }
  Array<float>& mixing() { return mixing_; }
  Array<float>& balance() { return balance_; }
  // Neurons of a pooled layer are hashed less their mean: that takes the same from all inner products with a query, and
  // ranks none before another, but their hashes no longer all say what the neurons have in common.
  Array<float>& centre() { return centre_; }
  Array<float>& mean() { return mean_; }

 private:
  void draw(std::span<const Row> sample, uint64_t generation, uint64_t& cost);
  void encode(const float* value, uint64_t* word) const;
  void neuron_coordinates(const float* w, float tail,
                          float* out) const;  // or the sketch, where there is no subspace
  void mix(const float* coordinate, float* out) const;

  LshSpec spec_;
  std::optional<Densified> densified_;
  uint32_t n_columns_, n_bits_, width_;
  uint32_t rank_ = 0,
           n_coordinates_ = 0;  // of the subspace, the bias counted in; padded to whole blocks
  int terms_;
  uint64_t seed_, layer_;
  bool drawn_ = false;
  Array<float> projection_;       // n_columns x width; of a subspace, its basis: n_columns x n_coordinates
  Array<float> mixing_;           // G of a subspace: n_coordinates x width
  Array<float> mean_;             // n_columns, the bias's 0
  Array<float> balance_;          // n_coordinates: d
  Array<float> centre_;           // n_coordinates, pooled only: the neurons' mean
  Array<float> query_square_;     // n_coordinates: mean square of the sample's coordinates
  Array<float> mean_projection_;  // P [mean; 0], width or n_coordinates
  Array<float> extra_;            // terms x width: projections of the transform's coordinates
  Array<float> extra_query_;      // width: what those coordinates add to a query
  Array<float> offset_;           // width, Euclidean family only
};

}  // namespace hashgrad
