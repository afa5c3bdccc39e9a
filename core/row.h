// One layer's input for one example, as the kernels read it.
#pragma once

#include <cstdint>

#include "memory.h"

namespace hashgrad {

// The non-zero entries of [x; 1], in ascending order: the bias is a weight like any other, the last column of its
// row, and its input is 1. Where the cache lines that hold a non-zero are more than a quarter full (`dense` set), rows
// of neuron-major weights are read by whole blocks of 16 columns, contiguous; otherwise entry by entry. A line costs
// the same to fetch either way, and then one instruction instead of one for each entry.
struct Row {
  const uint32_t* index = nullptr;  // n, the last one n_columns - 1 (the bias)
  const float* value = nullptr;     // n
  uint32_t n = 0;
  const float* dense = nullptr;     // all columns, padded with zeros to whole blocks; or null
  const uint32_t* block = nullptr;  // n_blocks ascending: blocks that hold a non-zero
  uint32_t n_blocks = 0;

  // Multiplications of the product with a neuron-major row, zeros included.
  uint64_t cost() const { return dense ? uint64_t{n_blocks} * kBlock : n; }
};

}  // namespace hashgrad
