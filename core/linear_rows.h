// Products of a linear layer whose weights belong to the caller, for the outputs that are active alone: n examples, k
// outputs each. Weights are read where they lie, in rows of n_inputs floats, biases beside them. What they return is
// how many multiplications it took.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "batch.h"
#include "lsh/index.h"
#include "row.h"
#include "threads.h"

namespace hashgrad {

// z[r] = w[id[r]] . x + bias, or of outputs 0 .. n - 1 where id is null.
uint64_t evaluate_rows(const Weights& w, const Row& x, const uint32_t* id, uint32_t n, float* z);

// The active outputs of each example: id and their numbers (z, or the gradient towards them), n x k.
struct ActiveRows {
  const int32_t* id;
  uint32_t k;
};

// z (n x k) of the active outputs.
uint64_t forward_rows(const Batch& x, const Weights& w, const ActiveRows& active, Team& team, float* z);

// towards (n x n_inputs, zero before) = the sum of delta * w[id] over an example's active outputs; only where its input
// is not 0, if `rectified`.
uint64_t backward_rows(const Batch& x, const Weights& w, const ActiveRows& active, const float* delta, bool rectified,
                       Team& team, float* towards);

// Which examples have an output active, and how much it is to move for each.
class RowGradients {
 public:
  RowGradients(const ActiveRows& active, const float* delta, uint64_t n_examples, uint32_t n_outputs);

  const std::vector<int64_t>& rows() const { return rows_; }  // outputs with a gradient, ascending
  // Of row rows()[r]: the sum of delta * x into weight (n_inputs from `at(r)`, zero before), of delta into bias[r].
  template <class At>
  uint64_t sum(const Batch& x, Team& team, const At& at) const;
  float bias(size_t r) const;

 private:
  struct Entry {
    uint32_t example;
    float delta;
  };
  std::span<const Entry> entries(size_t r) const { return {&entry_[begin_[r]], begin_[r + 1] - begin_[r]}; }
  uint64_t sum_row(const Batch& x, const std::vector<uint32_t>& index, const std::vector<float>& value,
                   const std::vector<size_t>& start, size_t r, float* out) const;
  void find_nonzeros(const Batch& x, std::vector<uint32_t>& index, std::vector<float>& value,
                     std::vector<size_t>& start) const;

  std::vector<int64_t> rows_;
  std::vector<size_t> begin_;  // of rows_[r]'s entries, and the end
  std::vector<Entry> entry_;   // in order of examples
};

template <class At>
uint64_t RowGradients::sum(const Batch& x, Team& team, const At& at) const {
  std::vector<uint32_t> index;
  std::vector<float> value;
  std::vector<size_t> start;
  find_nonzeros(x, index, value, start);
  std::vector<uint64_t> cost(static_cast<size_t>(team.size()));
  team.each(rows_.size(), 8, [&](int member, size_t r) {
    cost[static_cast<size_t>(member)] += sum_row(x, index, value, start, r, at(r));
  });
  uint64_t total = 0;
  for (const uint64_t c : cost) total += c;
  return total;
}

}  // namespace hashgrad
