// The hash index of a linear layer whose weights belong to the caller: they are handed in with every call, and nothing
// of them is kept but hashes. Look-ups go together; what changes hashes goes alone.
#pragma once

#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <vector>

#include "batch.h"
#include "ledger.h"
#include "lsh/index.h"
#include "pool.h"

namespace hashgrad {

class LinearIndex {
 public:
  // spec: resolved
  LinearIndex(uint32_t n_inputs, uint32_t n_outputs, const LshSpec& spec, uint64_t seed);

  uint32_t n_inputs() const { return n_inputs_; }
  uint32_t n_outputs() const { return n_outputs_; }
  // The caller's matrix (n_outputs x n_inputs) and biases; null: zeros.
  Weights weights(const float* data, const float* biases) const {
    return {data, n_inputs_, n_outputs_, n_inputs_ + 1, biases ? biases : zeros_.data()};
  }

  bool built() const;
  // Everything anew, with a sample of inputs.
  void rebuild(const Batch& sample, const Weights& w, Team& team);
  // Rows that will have moved when refresh is called next.
  void mark(std::span<const int64_t> rows);
  // Hashes anew what has been marked or, if `all`, every row whose bits are not those that were hashed. Returns how
  // many rows that was.
  uint32_t refresh(const Weights& w, bool all, Team& team);

  // Of each row of x the k outputs with the largest w.x + b that are found, ascending, and these numbers: n x k.
  // Without hashes yet, of all outputs.
  void select(const Batch& x, const Weights& w, uint32_t k, Team& team, int32_t* id, float* z) const;

  // Which outputs the examples of a batch are to be trained on: their labels, the `wrong` + 1 that each example's hash
  // finds nearest, and random ones up to `size`, which is at least as many. `own` (n x (wrong + 1)): the places in the
  // pool of what an example found, its label's where it found fewer; `place` (n): its label's.
  void pool(const Batch& x, std::span<const int64_t> labels, uint32_t wrong, uint32_t size, uint64_t step, Team& team,
            Pool& pool, std::vector<int64_t>& place, std::vector<int64_t>& own) const;

  // Share of bits (or bytes) that would differ if hashed now; 0 without hashes.
  double staleness(const Weights& w) const;

  void count(const Counts& counts) const;
  Counts counts() const;
  size_t memory() const;

 private:
  struct Desk;
  void candidates(const Batch& x, size_t e, bool training, uint32_t wanted, Desk& desk) const;
  void complete(uint32_t k, Desk& desk) const;
  uint64_t fingerprint(const Weights& w, uint32_t i) const;

  uint32_t n_inputs_, n_outputs_;
  uint64_t seed_;
  LshIndex index_;
  bool built_ = false;
  uint64_t rebuilds_ = 0;
  std::vector<float> zeros_;           // n_outputs
  std::vector<uint64_t> fingerprint_;  // n_outputs: of the bits that were hashed
  mutable std::shared_mutex mutex_;
  mutable std::mutex counting_;
  mutable Counts counts_;
};

}  // namespace hashgrad
