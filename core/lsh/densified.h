// Densified families: hashes that are codes of a few bits, taken from the non-zeros of a row by comparisons alone.
//
//   Winner-take-all: columns in random order, in bins of 2^c; the place of a bin's largest entry, c bits (Yagnik et al.
//   2011; densified: Chen and Shrivastava 2018).
//
//   MinHash: columns hashed into bins; the low c bits of the least hash in a bin (one permutation: Li, Owen and Zhang
//   2012; low bits: Li and Koenig 2010).
//
// An input is taken as it is, and its set is that of its non-zeros; a neuron's set is that of its largest weights, as
// many as inputs have non-zeros on average. The bias, which stands in no comparison with other columns, is not hashed.
//
// An empty bin takes the code of another: the first one that is not empty of a random sequence, which depends on the
// bin alone (optimal densification, Shrivastava 2017).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "row.h"
#include "spec.h"

namespace hashgrad {

struct Bins {                    // reused
  std::vector<uint64_t> winner;  // a bin's, or kEmpty
  std::vector<uint64_t> order;   // of a neuron's weights
};

class Densified {
 public:
  Densified(uint32_t n_inputs, const LshSpec& spec, uint64_t seed, uint64_t layer);

  void hash_input(const Row& x, Bins& bins, uint64_t* word) const;
  // set: how many of its weights are the neuron's set; MinHash only
  void hash_neuron(const float* w, uint32_t set, Bins& bins, uint64_t* word) const;

  uint32_t set_size(std::span<const Row> sample) const;
  uint32_t n_codes() const { return n_codes_; }
  size_t memory() const { return slot_.size() * sizeof(uint32_t); }

 private:
  // Winners are the largest of numbers whose lowest bits, inverted, are the code.
  static constexpr uint64_t kEmpty = 0;

  void offer(uint32_t column, float value, uint64_t* winner) const;
  uint32_t lender(uint32_t bin, const uint64_t* winner) const;
  void write_codes(const uint64_t* winner, uint64_t* word) const;

  Family family_;
  uint32_t n_inputs_, n_codes_, code_bits_, n_words_;
  uint32_t n_orders_ = 0;       // winner-take-all: of all columns, that it takes to fill the bins
  std::vector<uint32_t> slot_;  // n_inputs x n_orders: bin << code_bits | place in it, or kNoSlot
  uint64_t column_key_ = 0;     // MinHash: of the hash of columns
  uint64_t lender_key_;         // of the sequences
};

}  // namespace hashgrad
