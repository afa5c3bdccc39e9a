// A family of hash functions: K * L bits of a neuron or of a layer's input.
//
// Neuron i is the augmented row [w; b], the input [x; 1]; its activation w.x + b is their inner product. With centring the
// same number is  v . u,  v = [w; b + w.mean],  u = [x - mean; 1]: inputs that all point one way are spread out.
// Each bit is a function of one random projection:
//   sign families:   1 if p.v >= 0                          (SimHash, Charikar 2002)
//   Euclidean:       parity of floor((p.v + offset) / r)    (p-stable, Datar et al. 2004, kept to one bit)
// Projections are stored input-major, projection[column * width + bit]: hashing a sparse input is a few contiguous AXPYs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lsh/transform.h"
#include "memory.h"
#include "row.h"
#include "spec.h"

namespace hashgrad {

// One input, hashed.
struct Query {
  std::vector<float> value;      // width: projections on the query side; their size is each bit's confidence
  std::vector<float> direction;  // width: how a neuron's sketch moves when w moves by one input: P [x; 1 + x.mean]
  std::vector<uint64_t> word;    // width / 64
  float mean_dot = 0.f;          // x . mean
  float norm2 = 0.f;             // |[x; 1]|^2
};

class HashFamily {
 public:
  HashFamily(uint32_t n_columns, const LshSpec& spec, uint64_t seed, uint64_t layer);

  // Takes the mean and, for subspace projections, the principal subspace from a sample of the layer's inputs.
  // `generation` names the draw. Returns the multiplications it took.
  uint64_t fit(std::span<const Row> sample, uint64_t generation, bool redraw);

  void hash_query(const Row& x, Query& q) const;
  uint64_t query_cost(const Row& x) const;

  // sketch (width) = P v for the neuron in row w (n_columns floats); tail = b + w.mean.
  void sketch_neuron(const float* w, float* sketch, float& tail) const;
  uint64_t sketch_cost() const { return uint64_t{n_columns_} * (width_ + 1) + width_; }

  // Bits of a neuron from its sketch and |v|^2; scale is the largest |v| of the layer (unused without a transform).
  void encode_neuron(const float* sketch, float norm2, float scale, float* scratch, uint64_t* word) const;
  uint64_t encode_cost() const { return terms_ ? uint64_t{width_} * (1 + terms_) : 0; }

  float boundary_distance(float value) const;  // of a projection to where its bit flips
  void derive();                               // what follows from projection and mean, after they were loaded

  uint32_t width() const { return width_; }  // bits, padded to whole words; the padding's bits are constant
  uint32_t words() const { return width_ / 64; }
  uint32_t n_columns() const { return n_columns_; }
  const LshSpec& spec() const { return spec_; }
  Array<float>& projection() { return projection_; }
  Array<float>& mean() { return mean_; }

 private:
  void draw(std::span<const Row> sample, uint64_t generation, uint64_t& cost);
  void encode(const float* value, uint64_t* word) const;

  LshSpec spec_;
  uint32_t n_columns_, n_bits_, width_;
  int terms_;
  uint64_t seed_, layer_;
  bool drawn_ = false;
  Array<float> projection_;       // n_columns x width
  Array<float> mean_;             // n_columns, the bias's 0
  Array<float> mean_projection_;  // width: P [mean; 0]
  Array<float> extra_;            // terms x width: projections of the transform's coordinates
  Array<float> extra_query_;      // width: what those coordinates add to a query
  Array<float> offset_;           // width, Euclidean family only
};

}  // namespace hashgrad
