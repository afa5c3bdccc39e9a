// Where a Row is put together, entry by entry, and decides how it will be read. Reused: no
// allocation once warm.
#pragma once

#include <algorithm>
#include <vector>

#include "batch.h"
#include "row.h"

namespace hashgrad {

class RowBuffer {
 public:
  explicit RowBuffer(uint32_t n_columns)  // the bias included
      : n_columns_(n_columns), dense_(round_up(n_columns, kBlock)), touched_(dense_.size() / kBlock) {}

  void clear() { n_ = 0; }
  void push(uint32_t index, float value) {
    reserve(n_ + 1);
    index_[n_] = index;
    value_[n_] = value;
    n_++;
  }

  // Row i of a batch; zeros are dropped.
  const Row& assign(const Batch& batch, uint64_t i) {
    clear();
    if (batch.dense) {
      reserve(batch.n_columns);
      const float* x = batch.dense + i * batch.n_columns;
      for (uint32_t j = 0; j < batch.n_columns; j++) keep_nonzero(j, x[j]);
    } else {
      const int64_t from = batch.indptr[i], to = batch.indptr[i + 1];
      reserve(static_cast<size_t>(to - from));
      for (int64_t e = from; e < to; e++) keep_nonzero(static_cast<uint32_t>(batch.indices[e]), batch.values[e]);
    }
    return finish();
  }

  // Adds the bias's 1 and settles how the row is read: by blocks if they are at least three quarters full.
  const Row& finish() {
    push(n_columns_ - 1, 1.f);
    for (const uint32_t b : block_) std::fill_n(&dense_[size_t{b} * kBlock], kBlock, 0.f);  // what the last row left
    block_.clear();
    for (uint32_t e = 0; e < n_; e++) {
      uint8_t& touched = touched_[index_[e] / kBlock];
      if (!touched) block_.push_back(index_[e] / static_cast<uint32_t>(kBlock));
      touched = 1;
    }
    for (const uint32_t b : block_) touched_[b] = 0;
    row_ = {index_.data(), value_.data(), n_, nullptr, nullptr, 0};
    if (3 * block_.size() * kBlock > 4 * size_t{n_}) {
      block_.clear();
    } else {
      std::sort(block_.begin(), block_.end());
      for (uint32_t e = 0; e < n_; e++) dense_[index_[e]] = value_[e];
      row_.dense = dense_.data();
      row_.block = block_.data();
      row_.n_blocks = static_cast<uint32_t>(block_.size());
    }
    return row_;
  }

  const Row& row() const { return row_; }

 private:
  void reserve(size_t n) {  // one more than asked for: keep_nonzero writes before it knows whether to keep
    if (index_.size() < n + 2) index_.resize(2 * n + 2), value_.resize(2 * n + 2);
  }
  void keep_nonzero(uint32_t index, float value) {
    index_[n_] = index;
    value_[n_] = value;
    n_ += value != 0.f;
  }

  uint32_t n_columns_;
  uint32_t n_ = 0;
  std::vector<uint32_t> index_;
  std::vector<float> value_;
  Array<float> dense_;
  Array<uint8_t> touched_;
  std::vector<uint32_t> block_;
  Row row_;
};

}  // namespace hashgrad
