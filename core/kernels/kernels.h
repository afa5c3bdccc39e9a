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

// How Adam's moments are kept: a float each, a bfloat16 each, the first so and the second one number a row, or a byte
// each.
enum class State : int { kFloat32, kBfloat16, kRow, kBytes };

// The place of an optimiser's kernel in `update`.
inline size_t rule_of(Optimizer optimizer, State state) {
  const bool floats = state == State::kFloat32 || state == State::kBytes;  // which a row is widened to
  return floats ? static_cast<size_t>(optimizer) : 4 + static_cast<size_t>(state);
}

// What one optimiser step needs beside the weights; rates with bias corrections already folded in.
struct Step {
  float rate = 0.f;
  float momentum = 0.f;
  float beta1 = 0.f;
  float beta2 = 0.f;
  float new1 = 0.f;  // what a gradient is weighed with in the first moment, and its square in the second
  float new2 = 0.f;
  float epsilon = 0.f;
  float l2 = 0.f;
  uint32_t bias_column = 0;  // not decayed by l2
  uint32_t key = 0;          // of the random bits that round a row's state
};

// The k-th largest of some numbers: its value, how many are greater, how many equal. `known` is false where a
// number was not finite.
struct Cut {
  float value;
  uint32_t above, equal;
  bool known;
};

// A query's product with a neuron's signs is about unit * (the sum of its entries for them) + least.
struct SignUnit {
  float unit, least;
};

// Non-zeros, and blocks of 16 that hold some.
struct Found {
  uint32_t n, n_blocks;
};

// Codes of neurons are bytes, 1 .. 255, of which 128 stands for zero: that adds the same to all neurons' products with
// a query, and ranks none before another. Codes of queries are -63 .. 63, so that two products fit 16 bits on
// processors without an instruction for four.
constexpr int kCodeMiddle = 128;
constexpr float kCodeMost = 127.f, kQueryMost = 63.f;

// A member's parts of a layer: where each begins among an example's active neurons, and the end.
struct Parts {
  const uint32_t* cut;  // n + 1
  uint32_t n;
  size_t width;  // between the parts of `towards`
};

// What makes numbers of sums of products of codes: (sum - middle) * unit * units[i] + bias[i].
struct Scale {
  int32_t middle;      // kCodeMiddle times the sum of the input's codes
  float unit;          // of the input's codes
  const float* units;  // of each neuron's, where weights lie by neuron
  const float* bias;
};

// What the bytes of a row's moments stand for.
struct Units {
  float m = 0.f, v = 0.f;
};

// A matrix as a product reads it: entry (i, k) is data[row * (rows ? rows[i] : i) + step * k].
struct Factor {
  const float* data;
  size_t row, step = 1;
  const uint32_t* rows = nullptr;
};

// The same of numbers in bfloat16, two steps of a product's sum in one word, the first in its lower half: entry (i, k)
// has steps 2k and 2k + 1.
struct Pairs {
  const uint32_t* data;
  size_t row, step = 1;
};

// Products in bfloat16, whose sums are floats: null where the processor has no instructions for them.
struct Bfloat16 {
  // c (m rows of n, c_row floats apart) += a (m x 2k) times b (2k x n, its step 1); n a multiple of 16. Each sum runs
  // over k in order, whatever m and n are.
  void (*multiply)(const Pairs& a, uint32_t m, const Pairs& b, uint32_t k, uint32_t n, float* c, size_t c_row);
  // out[i] = the pair a[i], b[i]; b null: zeros. n a multiple of 16.
  void (*pair_rows)(const float* a, const float* b, uint32_t n, uint32_t* out);
  // out[i] = the pair x[2i], x[2i + 1] for i < n / 2; n a multiple of 16.
  void (*pair_columns)(const float* x, uint32_t n, uint32_t* out);
};

struct Kernels {
  const char* name;

  // y[0..n) += a * x[0..n)
  void (*axpy)(float* y, float a, const float* x, size_t n);
  float (*dot)(const float* a, const float* b, size_t n);
  // The non-zeros of x[0..n), in order, and the blocks of 16 that hold some; and x itself. Index and value have room
  // for n + 16, the others for n.
  Found (*nonzeros)(const float* x, uint32_t n, uint32_t* index, float* value, uint32_t* block, float* copy);
  // Of n neurons those whose z is above zero or NaN, in place; returns how many.
  uint32_t (*positives)(uint32_t* id, float* z, uint32_t n);

  // Neuron-major weights.
  // out[r] = w[rows[r]] . x for r < n; rows null means 0 .. n-1. w: rows of `stride` floats.
  void (*dot_rows)(const float* w, size_t stride, const uint32_t* rows, uint32_t n, const Row& x, float* out);
  // The same of rows in bfloat16.
  void (*dot_half_rows)(const uint16_t* w, size_t stride, const uint32_t* rows, uint32_t n, const Row& x, float* out);
  // g += sum_r a[r] * w[rows[r]], at x's entries (g[e] for entry e) or, if x.dense, at x's blocks
  // (g[column]).
  void (*add_rows)(const float* w, size_t stride, const uint32_t* rows, const float* a, uint32_t n, const Row& x,
                   float* g);
  // out[0..n_columns) = sum_r a[r] * row[r][0..n_columns), in the rows' order; n_columns a multiple of 16
  void (*sum_rows)(const float* const* row, const float* a, uint32_t n, size_t n_columns, float* out);

  // Input-major weights.
  // z[0..n) = sum_e x.value[e] * w[x.index[e] * stride ..]; n a multiple of 16.
  void (*add_columns)(const float* w, size_t stride, const Row& x, uint32_t n, float* z);
  // n <= 4 rows, one for each of an example's inputs, and its neurons `index` with their deltas `value` (index null:
  // all neurons, value[neuron] in whole blocks): per part and row, towards[r][part * width] = sum of row[r][i] * value,
  // and then row[r][i] -= step[r] * value. Either is left out where `towards` or `step` is null. row[4..8): the rows
  // that come next.
  void (*learn_columns)(float* const* row, const float* step, uint32_t n, const Parts& parts, const uint32_t* index,
                        const float* value, float* const* towards);

  // One optimiser step on one row of weights: gradient a * x at x's non-zeros, state m and v (floats, or bfloat16 in 16
  // bits) beside the weights. By l2 or not, and rule_of.
  void (*update[2][7])(float* w, void* m, void* v, float a, const Row& x, const Step& step);
  // The mean square of the gradients that such a step takes at x's non-zeros; 0 without any. By l2 or not.
  float (*mean_square[2])(const float* w, float a, const Row& x, const Step& step);
  // A row of bfloat16 as floats, and floats as bfloat16, rounded up or down at random; n a multiple of 16.
  void (*widen)(const uint16_t* from, uint32_t n, float* to);
  void (*narrow)(const float* from, uint32_t n, uint32_t key, uint16_t* to);
  // The same of an optimiser's moments, m and v, in bytes and units of the row's own.
  void (*widen_moments)(const int8_t* m, const uint8_t* v, Units units, uint32_t n, float* to_m, float* to_v);
  Units (*narrow_moments)(const float* m, const float* v, uint32_t n, uint32_t key, int8_t* to_m, uint8_t* to_v);

  // The k-th largest of z[0..n), 1 <= k < n, and the positions of all that are not smaller, in order. `position` has
  // room for n + 16 and, where n is at least 2^16, `value` for n / 4.
  Cut (*largest)(const float* z, uint32_t n, uint32_t k, uint32_t* position, float* value);

  // The positions of all z[0..n) above `from`, in order, and their values; returns how many. Both have room for n + 16.
  // `odd` becomes true if any z is NaN or infinite.
  uint32_t (*above)(const float* z, uint32_t n, float from, uint32_t* position, float* value, bool& odd);

  // Where the first of the smallest of x[0..n) is; n >= 1.
  uint32_t (*lowest)(const float* x, uint32_t n);

  // out[0..width) = sum_e value[e] * p[index[e] * width ..]; width a multiple of 16; index null: 0 .. n-1.
  void (*project)(const float* p, size_t width, const uint32_t* index, const float* value, uint32_t n, float* out);
  // words[j / 64] bit j % 64 = (x[j] >= 0), bits a multiple of 64
  void (*signs)(const float* x, size_t bits, uint64_t* words);
  // How many codes of `code_bits` bits (1, 2, 4 or 8) of signature rows[r], of `words` 64-bit words, differ from the
  // query's; rows null: 0 .. n-1.
  void (*differing)(const uint64_t* signatures, size_t words, const uint32_t* rows, uint32_t n, const uint64_t* query,
                    int code_bits, uint16_t* distance);
  // What signs add to the product with x[0..n), n a multiple of 64: entry[4 j + s] for the four signs of numbers j ..
  // j + 3, j a multiple of 4, whose bits are s. NaN, and no entries, where four numbers add up to more than 1e35 or one
  // is none.
  SignUnit (*tabulate_signs)(const float* x, size_t n, uint8_t* entry);
  // score[r] = norm * (unit * sum + least) + tail for neuron rows[r], the sum of what `entry` has for its signature;
  // norm and tail are bfloat16s, the lower and the upper half of reach[rows[r]]. rows null: 0 .. n-1. At most 128
  // words.
  void (*match_signs)(const uint64_t* signatures, size_t words, const uint32_t* reach, const uint32_t* rows, uint32_t n,
                      const uint8_t* entry, SignUnit unit, float* score);
  // out = x * scale, held within -most .. most, to the nearest integer, plus `middle`: sixteen bytes, then sixteen more
  // `step` bytes on, and so forth; width a multiple of 16.
  void (*quantize)(const float* x, uint32_t width, float scale, float most, int32_t middle, uint8_t* out, size_t step);
  // score[q][i] = sum_r query[q][r] * (neuron i's code[r]) for neurons from .. to (multiples of 16). Codes lie in
  // groups of 16 neurons, as lines of 64 bytes [width / 16][4][4][16]: line q of four has neurons q, q + 4, q + 8, q
  // + 12.
  void (*scan)(const uint8_t* code, uint32_t width, uint32_t from, uint32_t to, const int8_t* const* query,
               uint32_t n_queries, float* const* score);

  // Compact weights, codes of neurons (above) by neuron or by input; inputs as codes of queries.
  // out[r] = the product with row rows[r] over the n_blocks blocks of 64 columns; rows null: 0 .. n-1.
  void (*dot_codes)(const uint8_t* w, size_t stride, const uint32_t* rows, uint32_t n, const int8_t* x,
                    const uint32_t* block, uint32_t n_blocks, const Scale& scale, float* out);
  // out[i] = the product with all inputs of an example for neuron i < n_neurons, a multiple of 64.
  void (*add_codes)(const uint8_t* w, size_t stride, const uint32_t* index, const int8_t* value, uint32_t n,
                    uint32_t n_neurons, const Scale& scale, float* out);

  // c (m rows of n, c_row floats apart) += a (m x k) times b (k x n, its step 1); n a multiple of 16. Each sum runs
  // over k in order, whatever m and n are.
  void (*multiply)(const Factor& a, uint32_t m, const Factor& b, uint32_t k, uint32_t n, float* c, size_t c_row);
  Bfloat16 bfloat16;
  // Of sixteen examples side by side, z[i * row + 0..16) for neurons i < n, n >= 1: probabilities, in place. The
  // largest z, and the sum of e^(z - largest); or the sum of log(1 + e^z). What is no number stays none.
  void (*softmax)(float* z, size_t row, uint32_t n, float* top, float* total);
  void (*logistic)(float* z, size_t row, uint32_t n, float* total);
  void (*shift)(float* z, size_t row, uint32_t n, const float* by);  // minus one number a neuron
  // Times one number a neuron, where `weight` is not null, and one an example.
  void (*weigh)(float* z, size_t row, uint32_t n, const float* weight, const float* factor);

  // Limits of the machine. The sum of x[0..n), n a multiple of 128: nothing but reading in order.
  float (*stream)(const float* x, size_t n);
  // 160 multiplications and additions a round: nothing but these. x: 32 numbers.
  float (*products)(const float* x, size_t rounds);
};

// Multiplications that an optimiser spends on one weight (a gradient's outer product included).
uint64_t update_cost(Optimizer optimizer, State state, bool l2);
// And on a number of a row whose moments are bytes, moved or not: their units, the inverses of these, steps and random
// bits.
constexpr uint64_t kBytesCost = 8;
constexpr uint64_t kPowersCost = 40;  // two powers of floats, and what a row's step makes of them

const Kernels& active();
inline bool has_bfloat16() { return active().bfloat16.multiply != nullptr; }
std::string simd_level();
std::vector<std::string> simd_levels();        // those that this build has and this CPU can run
void set_simd_level(const std::string& name);  // std::invalid_argument if unknown or not available
void choose_simd_level();                      // best one, or what HASHGRAD_SIMD says

}  // namespace hashgrad
