// The hot loops, as a table of functions. One body (body.inl) is compiled once per instruction set;
// active() is the table picked at start-up. A call takes a list of rows, so that the choice costs
// nothing per row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "row.h"

namespace hashgrad {

enum class Optimizer : int { kSgd, kMomentum, kAdagrad, kAdam, kRowAdagrad };

// What one optimiser step needs beside the weights; rates with bias corrections already folded in.
struct Step {
  float rate = 0.f;
  float momentum = 0.f;
  float beta1 = 0.f;
  float beta2 = 0.f;
  float epsilon = 0.f;
  float l2 = 0.f;
  uint32_t bias_column = 0;  // not decayed by l2
};

struct Kernels {
  const char* name;

  // out[r] = w[rows[r]] . x for r < n; rows null means 0 .. n-1. w: rows of `stride` floats.
  void (*dot_rows)(const float* w, size_t stride, const uint32_t* rows, uint32_t n, const Row& x, float* out);
  // g += sum_r a[r] * w[rows[r]], at x's entries (g[e] for entry e) or, if x.dense, at x's blocks
  // (g[column]).
  void (*add_rows)(const float* w, size_t stride, const uint32_t* rows, const float* a, uint32_t n, const Row& x,
                   float* g);
  // out[0..bits) = sum_e x.value[e] * p[x.index[e] * bits ..]; bits a multiple of 16.
  void (*project)(const float* p, size_t bits, const Row& x, float* out);
  // y[0..n) += a * x[0..n)
  void (*axpy)(float* y, float a, const float* x, size_t n);
  float (*dot)(const float* a, const float* b, size_t n);
  // distance[r] = popcount(signature[r] XOR query); signatures are n rows of `words` 64-bit words.
  void (*hamming)(const uint64_t* signatures, size_t words, uint32_t n, const uint64_t* query, uint16_t* distance);
  // distance[r] (a Hamming distance) becomes levels / 2 - norm[r] * cosine[distance[r]], held
  // within 0 .. levels
  void (*rank)(const float* cosine, const float* norm, uint32_t n, uint32_t levels, uint16_t* distance);
  // words[j / 64] bit j % 64 = (x[j] >= 0), bits a multiple of 64
  void (*signs)(const float* x, size_t bits, uint64_t* words);
  // One optimiser step on one row of weights: gradient a * x at x's non-zeros, state m and v beside
  // the weights.
  void (*update[2][5])(float* w, float* m, float* v, float a, const Row& x, const Step& step);
};

// Multiplications that an optimiser spends on one weight (a gradient's outer product included).
uint64_t update_cost(Optimizer optimizer, bool l2);

const Kernels& active();
std::string simd_level();
std::vector<std::string> simd_levels();        // those that this build has and this CPU can run
void set_simd_level(const std::string& name);  // std::invalid_argument if unknown or not available
void choose_simd_level();                      // best one, or what HASHGRAD_SIMD says

}  // namespace hashgrad
