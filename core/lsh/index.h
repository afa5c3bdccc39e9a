// The index over one layer's neurons: hashes them, finds candidates for an input, and follows the
// weights as they move.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "choose.h"
#include "kernels/kernels.h"
#include "lsh/family.h"
#include "lsh/tables.h"
#include "threads.h"

namespace hashgrad {

constexpr uint32_t kVeryMany = 1 << 16;  // neurons, whose scores no near cache holds
constexpr size_t kCodeStep = 256;        // bytes from sixteen of a neuron's code to the next sixteen

// Neurons' weights: n_rows rows of `stride` floats. Of n_columns, the bias's counted in, it is the last of a row,
// unless biases lie elsewhere: then rows have one column less.
struct Weights {
  const float* data;
  size_t stride;
  uint32_t n_rows;
  uint32_t n_columns;
  const float* biases = nullptr;     // n_rows
  const uint16_t* halves = nullptr;  // instead of floats: bfloat16, rows in whole blocks, biases elsewhere
  const float* row(uint32_t i) const { return data + stride * i; }  // not of halves
  const float* row(uint32_t i, std::vector<float>& buffer) const {
    if (!halves) return row(i);
    const auto n = static_cast<uint32_t>(round_up(n_columns - 1, kBlock));
    buffer.resize(n);
    active().widen(halves + stride * i, n, buffer.data());
    return buffer.data();
  }
  float bias(uint32_t i) const { return biases ? biases[i] : row(i)[n_columns - 1]; }
};

// What a look-up needs beside the query; one per thread.
struct LookupScratch {
  std::vector<uint16_t> distance;    // per neuron, or per candidate, where differing codes tell
  std::vector<uint16_t> collisions;  // per neuron, zero between look-ups
  std::vector<uint32_t> found;
  std::vector<float> near;    // scores of those found
  std::vector<float> all;     // of all neurons
  std::vector<uint64_t> met;  // a bit per neuron, likewise
  std::vector<float> score;   // per candidate
  std::vector<float> encode;  // width
  std::vector<float> sketch;  // width
  std::vector<float> coordinate;
  std::vector<float> row;  // of weights
  Bins bins;
  std::vector<const int8_t*> query;
  ChooseScratch choose;
};

class LshIndex {
 public:
  // spec: resolved
  LshIndex(uint32_t n_neurons, uint32_t n_columns, const LshSpec& spec, bool incremental, uint64_t seed,
           uint64_t layer);

  // Everything anew: mean and subspace from the sample, sketches and signatures from the weights.
  // Returns its cost. `generation` names the draw of a subspace; without `redraw` the first one
  // stays.
  uint64_t rebuild(std::span<const Row> sample, const Weights& w, uint64_t generation, Team& team);
  bool scans() const { return !tables_; }
  // Scan: how near each neuron from .. to (multiples of 16, or the last) is to each query, into score[query][neuron];
  // each row of scores has room for whole blocks of 16. Then, per query, the `wanted` nearest, ascending.
  void scan(uint32_t from, uint32_t to, std::span<const Query* const> queries, float* const* score,
            LookupScratch& scratch) const;
  void nearest(const Query& q, const float* score, uint32_t wanted, LookupScratch& scratch,
               std::vector<uint32_t>& out) const;
  // Both for one query alone.
  void compare_all(const Query& q, uint32_t wanted, LookupScratch& scratch, std::vector<uint32_t>& out) const;
  // The same of very many neurons (`scans_alone`), whose scores are not kept unless the sample misleads that tells
  // which could be among the nearest. Returns the multiplications that it took beyond lookup_cost.
  bool scans_alone() const { return n_neurons_ >= kVeryMany && !family_.bytes(); }
  uint64_t find(const Query& q, uint32_t wanted, LookupScratch& scratch, std::vector<uint32_t>& out) const;
  // Tables: of the neurons in the buckets probed, the `wanted` whose signatures are nearest to the query's (or that
  // collide with it most), ascending.
  void look_up(const Query& q, uint32_t wanted, LookupScratch& scratch, std::vector<uint32_t>& out) const;

  // After [w_i; b_i] -= step * [x; 1] for the query's input x, with which w_i had the product wx:
  // move its sketch and bits. Returns the multiplications it took.
  uint64_t follow(uint32_t neuron, float step, float wx, const Query& q, LookupScratch& scratch);
  // The same for the sum of several such steps, taken at once, after which the row is w
  // (batch-synchronous); tables are left to move_in_tables.
  uint64_t follow(uint32_t neuron, std::span<const std::pair<float, const Query*>> steps, const float* w,
                  LookupScratch& scratch);
  void move_in_tables(int table, std::span<const uint32_t> neurons);

  void mark(uint32_t neuron) { dirty_[neuron] = 1; }
  bool marked(uint32_t neuron) const { return dirty_[neuron] != 0; }
  uint64_t rehash_marked(const Weights& w, Team& team);

  // Of signs that tell angles, what scores are made of: |v| and what is added, as they were rounded.
  std::vector<float> lengths() const { return halves(16); }
  std::vector<float> tails() const { return halves(0); }

  void freeze() { sketch_ = {}, coordinate_ = {}; }  // neurons will not move any more: only their codes are needed

  void refill_tables(Team& team);  // from signatures
  void derive(Team& team);         // what follows from what was loaded
  double staleness(const Weights& w,
                   uint64_t& cost) const;  // share of bits that would change if hashed anew, on a sample

  // Multiplications of a look-up: of bytes, one a byte; of bits, ranking takes two a neuron where its length counts
  // (those met in tables are fewer; this is the bound), ordering the probes a few a bit.
  uint64_t lookup_cost(bool scans) const {
    const LshSpec& spec = family_.spec();
    if (family_.bytes()) return uint64_t{n_neurons_} * family_.width();
    if (family_.densified()) return 0;
    const uint64_t met = scans || !spec.pooled ? n_neurons_ : uint64_t{spec.bucket} * spec.tables * spec.probes;
    const uint64_t probing = !scans && spec.probes > 1 ? static_cast<uint64_t>(spec.bits * spec.tables) : 0;
    return std::min<uint64_t>(met, n_neurons_) * match_cost() +
           probing * (spec.transform == Transform::kL2Alsh ? 3 : 1);
  }
  bool incremental() const { return incremental_; }
  const HashFamily& family() const { return family_; }
  HashFamily& family() { return family_; }
  const Tables* tables() const { return tables_ ? &*tables_ : nullptr; }
  Array<float>& sketch() { return sketch_; }
  Array<float>& coordinate() { return coordinate_; }
  Array<float>& norm() { return norm_; }
  Array<float>& norm2() { return norm2_; }
  Array<float>& tail() { return tail_; }
  Array<float>& scale() { return scale_; }
  Array<uint64_t>& signatures() { return signature_; }
  Array<uint8_t>& codes() { return code_; }
  Array<uint8_t>& dirty() { return dirty_; }
  bool sketches() const { return sketches_; }
  size_t code_at(uint32_t i) const {  // where the first sixteen bytes of a neuron's code are, kCodeStep before the next
    const uint32_t lane = i % kBlock;
    return (i - lane) * size_t{family_.width()} + 64 * (lane % 4) + kBlock * (lane / 4);
  }
  size_t memory() const;

 private:
  uint64_t match_cost() const { return family_.matches_signs() ? 2 : 0; }  // of a signature's score
  uint64_t* signature(uint32_t i) { return &signature_[size_t{i} * family_.words()]; }
  uint8_t* code(uint32_t i) { return &code_[code_at(i)]; }
  const uint8_t* code(uint32_t i) const { return &code_[code_at(i)]; }
  uint32_t reach(uint32_t i) const;
  std::vector<float> halves(int shift) const;
  void quantize(const float* sketch, uint8_t* code, size_t step) const;
  void hash(uint32_t i, const Weights& w, LookupScratch& scratch);
  void encode(uint32_t i, LookupScratch& scratch) {
    encode(i, &sketch_[size_t{i} * family_.width()], norm2_.empty() ? 0.f : norm2_[i], scratch);
  }
  void encode(uint32_t i, const float* sketch, float norm2, LookupScratch& scratch);
  uint32_t collect(const Query& q, LookupScratch& scratch) const;
  void ask_for(uint32_t first, uint32_t n) const;
  float likely_least(const Query& q, uint32_t wanted, LookupScratch& scratch, uint64_t& cost) const;
  // What their signatures tell of the products of n neurons, these ids or from the first on, with a query: the angle
  // alone where a transform has made it order inner products; without one |v| times what the query's numbers have in
  // common with the signs of v.
  void score_signatures(uint32_t first, const uint32_t* ids, uint32_t n, const Query& q, LookupScratch& scratch,
                        float* score) const;

  HashFamily family_;
  uint32_t n_neurons_;
  bool incremental_;
  bool sketches_;  // whether the next four are kept; a pooled layer, which may be vast, needs the codes alone, and so
                   // do densified families
  Array<float> sketch_;      // n_neurons x width: P v
  Array<float> coordinate_;  // bits: n_neurons x n_coordinates: v in the subspace, if there is one
  Array<float> norm2_;       // bits: |v|^2 (in the subspace, if there is one)
  Array<float> tail_;        // bits: b + w.mean, the last coordinate of v, or what is added where tails are apart
  Array<float> norm_;        // bits: |v|
  Array<uint32_t> reach_;  // bits that tell angles: |v|, and above it what is added, as bfloat16: half as much to scan
  Array<float> scale_;  // one number, of the last rebuild: the largest |v|; of bytes, the largest entry of a sketch; of
                        // densified families, how many weights are a neuron's set
  Array<uint64_t> signature_;  // bits: n_neurons x words
  Array<uint8_t> code_;        // bytes: as Kernels::scan wants them
  Array<uint8_t> dirty_;       // a byte each: many threads may write
  std::optional<Tables> tables_;
};

}  // namespace hashgrad
