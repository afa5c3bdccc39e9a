// Read-only views of a caller's examples: inputs (dense or CSR) and targets. Checked once, on
// entry.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace hashgrad {

// n_rows x n_columns, dense (x[i*n_columns + j]) or CSR (row i: entries indptr[i] .. indptr[i+1]).
struct Batch {
  uint64_t n_rows = 0;
  uint32_t n_columns = 0;
  const float* dense = nullptr;
  const int64_t* indptr = nullptr;
  const int32_t* indices = nullptr;
  const float* values = nullptr;

  // Row i will be read soon.
  void prefetch(uint64_t i) const {
    const char* from = reinterpret_cast<const char*>(dense ? dense + i * n_columns : values + indptr[i]);
    const size_t n = (dense ? n_columns : static_cast<size_t>(indptr[i + 1] - indptr[i])) * sizeof(float);
    for (size_t at = 0; at < std::min<size_t>(n, 1 << 14); at += 64) __builtin_prefetch(from + at);
    if (!dense) __builtin_prefetch(indices + indptr[i]);
  }

  // Throws std::invalid_argument that names the first offending row. n_entries: length of indices
  // and values.
  void check(uint64_t n_entries) const {
    for (uint64_t i = 0; i < n_rows; i++) {
      if (dense) {
        check_finite(i, dense + i * n_columns, n_columns);
        continue;
      }
      const int64_t from = indptr[i], to = indptr[i + 1];
      if (from < 0 || to < from || static_cast<uint64_t>(to) > n_entries)
        fail(i, "indptr must rise from 0 to the number of entries, got " + std::to_string(from) + ".." +
                    std::to_string(to) + " of " + std::to_string(n_entries));
      for (int64_t e = from; e < to; e++) {
        if (indices[e] < 0 || static_cast<uint32_t>(indices[e]) >= n_columns)
          fail(i, "column must be in [0, " + std::to_string(n_columns) + "), got " + std::to_string(indices[e]));
        if (e > from && indices[e] <= indices[e - 1])
          fail(i, "columns must be sorted and unique, got " + std::to_string(indices[e - 1]) + " before " +
                      std::to_string(indices[e]));
      }
      check_finite(i, values + from, static_cast<size_t>(to - from));
    }
  }

 private:
  [[noreturn]] static void fail(uint64_t row, const std::string& rule) {
    throw std::invalid_argument("X: row " + std::to_string(row) + ": " + rule);
  }
  static void check_finite(uint64_t row, const float* x, size_t n) {
    float zero = 0.f;  // or NaN
#pragma omp simd reduction(+ : zero)
    for (size_t j = 0; j < n; j++) zero += x[j] * 0.f;
    if (zero == 0.f) return;
    for (size_t j = 0; j < n; j++)
      if (!std::isfinite(x[j])) fail(row, "values must be finite, got " + std::to_string(x[j]));
  }
};

// What each row should give: label lists (CSR; without indptr exactly one label a row) or real
// values.
struct Targets {
  uint64_t n_rows = 0;
  uint32_t n_outputs = 0;
  const int64_t* indptr = nullptr;
  const int32_t* label = nullptr;
  const float* value = nullptr;  // n_rows x n_outputs

  std::span<const int32_t> labels(uint64_t row) const {
    if (!label) return {};
    if (!indptr) return {label + row, 1};
    return {label + indptr[row], static_cast<size_t>(indptr[row + 1] - indptr[row])};
  }
  const float* values(uint64_t row) const { return value + row * n_outputs; }

  void check(uint64_t n_entries) const {
    const auto fail = [](uint64_t row, const std::string& rule) {
      throw std::invalid_argument("y: row " + std::to_string(row) + ": " + rule);
    };
    for (uint64_t i = 0; i < n_rows; i++) {
      if (value) {
        for (uint32_t j = 0; j < n_outputs; j++)
          if (!std::isfinite(values(i)[j])) fail(i, "values must be finite, got " + std::to_string(values(i)[j]));
        continue;
      }
      if (indptr && (indptr[i] < 0 || indptr[i + 1] < indptr[i] || static_cast<uint64_t>(indptr[i + 1]) > n_entries))
        fail(i, "indptr must rise from 0 to the number of labels");
      const auto list = labels(i);
      for (size_t k = 1; k < list.size(); k++)
        if (std::find(list.begin(), list.begin() + static_cast<long>(k), list[k]) !=
            list.begin() + static_cast<long>(k))
          fail(i, "labels must be unique, got " + std::to_string(list[k]) + " twice");
      for (const int32_t y : list)
        if (y < 0 || static_cast<uint32_t>(y) >= n_outputs)
          fail(i, "label must be in [0, " + std::to_string(n_outputs) + "), got " + std::to_string(y));
    }
  }
};

}  // namespace hashgrad
