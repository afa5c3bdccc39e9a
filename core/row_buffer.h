// Where a Row is put together, entry by entry, and decides how it will be read. Reused: no
// allocation once warm.
#pragma once

#include <algorithm>
#include <vector>

#include "batch.h"
#include "kernels/kernels.h"
#include "row.h"

namespace hashgrad {

class RowBuffer {
 public:
  explicit RowBuffer(uint32_t n_columns)  // the bias included
      : n_columns_(n_columns) {}

  void clear() { n_ = 0; }
  void push(uint32_t index, float value) {  // in ascending order of index
    reserve(n_ + 1);
    index_[n_] = index;
    value_[n_] = value;
    n_++;
  }

  // Room for n entries, to be written from the start; then as many as `taken` says.
  uint32_t* indices(size_t n) { return reserve(n), index_.data(); }
  float* values() { return value_.data(); }
  void take(uint32_t n) { n_ = n; }

  // Row i of a batch; zeros are dropped.
  const Row& assign(const Batch& batch, uint64_t i) {
    clear();
    if (batch.dense) {
      reserve(batch.n_columns);
      need_dense();
      reserve_blocks(batch.n_columns / kBlock + 2);
      const Found found = active().nonzeros(batch.dense + i * batch.n_columns, batch.n_columns, index_.data(),
                                            value_.data(), block_.data(), dense_.data());
      n_ = found.n;
      n_blocks_ = found.n_blocks;
      const uint32_t last = n_columns_ - 1, block = last / static_cast<uint32_t>(kBlock);
      push(last, 1.f);  // the bias
      dense_[last] = 1.f;
      if (n_blocks_ == 0 || block_[n_blocks_ - 1] != block) block_[n_blocks_++] = block;
      return settle();
    }
    const int64_t from = batch.indptr[i], to = batch.indptr[i + 1];
    reserve(static_cast<size_t>(to - from));
    for (int64_t e = from; e < to; e++) {
      index_[n_] = static_cast<uint32_t>(batch.indices[e]);
      value_[n_] = batch.values[e];
      n_ += batch.values[e] != 0.f;
    }
    return finish();
  }

  // Adds the bias's 1 and settles how the row is read.
  const Row& finish() {
    push(n_columns_ - 1, 1.f);
    if (!dense_.empty())
      for (uint32_t b = 0; b < n_blocks_; b++)  // what the last row left
        std::fill_n(&dense_[size_t{block_[b]} * kBlock], kBlock, 0.f);
    reserve_blocks(n_ + 1);
    n_blocks_ = 0;
    uint32_t last = ~0u;
    for (uint32_t e = 0; e < n_; e++) {
      const uint32_t block = index_[e] / static_cast<uint32_t>(kBlock);
      block_[n_blocks_] = block;
      n_blocks_ += block != last;
      last = block;
    }
    if (by_blocks()) {
      need_dense();
      for (uint32_t e = 0; e < n_; e++) dense_[index_[e]] = value_[e];
    }
    return settle();
  }

  const Row& row() const { return row_; }
  void copy(const RowBuffer& other) {  // of the same width
    const Row& x = other.row();
    reserve(x.n);
    std::copy_n(x.index, x.n, index_.begin());
    std::copy_n(x.value, x.n, value_.begin());
    n_ = x.n - 1;  // finish adds the bias
    finish();
  }

 private:
  void reserve(size_t n) {  // and room for writers that go by whole blocks
    if (index_.size() < n + kBlock) index_.resize(2 * n + kBlock), value_.resize(2 * n + kBlock);
  }

  void reserve_blocks(size_t n) {
    if (block_.size() < n) block_.resize(2 * n);
  }
  void need_dense() {
    if (dense_.empty()) dense_ = Array<float>(round_up(n_columns_, kBlock));
  }
  bool by_blocks() const { return 4 * n_blocks_ < n_; }  // they are more than a quarter full
  const Row& settle() {
    row_ = {index_.data(), value_.data(), n_, nullptr, nullptr, 0};
    if (by_blocks()) row_.dense = dense_.data(), row_.block = block_.data(), row_.n_blocks = n_blocks_;
    return row_;
  }

  uint32_t n_columns_;
  uint32_t n_ = 0, n_blocks_ = 0;
  std::vector<uint32_t> index_;
  std::vector<float> value_;
  Array<float> dense_;           // empty, or zero but in those blocks
  std::vector<uint32_t> block_;  // the first n_blocks_ count
  Row row_;
};

}  // namespace hashgrad
