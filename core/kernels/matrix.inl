// Products of small matrices whose rows lie where they lie: rows of weights that a list names, and what a batch makes
// of them.

// What one register holds, and the rows and registers' columns of the result that are summed at once: as many as there
// are registers.
#if defined(__AVX512F__)
constexpr uint32_t kLane = 16, kTileRows = 6, kTileLanes = 4;
#elif defined(__AVX2__)
constexpr uint32_t kLane = 8, kTileRows = 6, kTileLanes = 2;
#else
constexpr uint32_t kLane = 4, kTileRows = 3, kTileLanes = 4;
#endif
using Lane = Vector<float, kLane>;
constexpr uint32_t kTileSteps = 256;  // of the sum, so that what is read of b stays in the nearest caches

template <uint32_t kRows, uint32_t kLanes>
HASHGRAD_INLINE void tile(const float* const* a, size_t a_step, const float* b, size_t b_row, const uint32_t* b_rows,
                          uint32_t steps, float* c, size_t c_row) {
  Lane s[kRows][kLanes];
  for (uint32_t r = 0; r < kRows; r++)
    for (uint32_t n = 0; n < kLanes; n++) s[r][n] = load_as<Lane>(c + r * c_row + kLane * n);
  for (uint32_t k = 0; k < steps; k++) {
    const float* from = b + b_row * (b_rows ? b_rows[k] : k);
    Lane x[kLanes];
    for (uint32_t n = 0; n < kLanes; n++) x[n] = load_as<Lane>(from + kLane * n);
    for (uint32_t r = 0; r < kRows; r++)
      for (uint32_t n = 0; n < kLanes; n++) s[r][n] += a[r][k * a_step] * x[n];
  }
  for (uint32_t r = 0; r < kRows; r++)
    for (uint32_t n = 0; n < kLanes; n++) store_as(c + r * c_row + kLane * n, s[r][n]);
}

// m rows: as many as a tile has, again and again, and the rest at once.
template <uint32_t kRows = kTileRows, class Rows>
inline void in_rows(uint32_t m, const Rows& rows, uint32_t i = 0) {
  for (; i + kRows <= m; i += kRows) rows.template operator()<kRows>(i);
  if constexpr (kRows > 1) in_rows<kRows - 1>(m, rows, i);
}

// Columns of the result, so many lanes of them, from step `from` of the sum on.
template <uint32_t kLanes>
inline void tiles(const Factor& a, uint32_t from, uint32_t m, const float* b, size_t b_row, const uint32_t* b_rows,
                  uint32_t steps, float* c, size_t c_row) {
  const auto row = [&](uint32_t i) { return a.data + a.row * (a.rows ? a.rows[i] : i) + from * a.step; };
  in_rows(m, [&]<uint32_t kRows>(uint32_t i) {
    const float* rows[kRows];
    for (uint32_t r = 0; r < kRows; r++) {
      rows[r] = row(i + r);
      if (a.rows && i + kRows + r < m)  // scattered rows that come next
        for (uint32_t k = 0; k < steps; k += 16) __builtin_prefetch(row(i + kRows + r) + k);
    }
    tile<kRows, kLanes>(rows, a.step, b, b_row, b_rows, steps, c + i * c_row, c_row);
  });
}

void multiply(const Factor& a, uint32_t m, const Factor& b, uint32_t k, uint32_t n, float* c, size_t c_row) {
  constexpr uint32_t kWide = kLane * kTileLanes;
  for (uint32_t from = 0; from < k; from += kTileSteps) {
    const uint32_t steps = k - from < kTileSteps ? k - from : kTileSteps;
    const uint32_t* b_rows = b.rows ? b.rows + from : nullptr;
    const float* b_from = b.rows ? b.data : b.data + b.row * from;
    uint32_t j = 0;
    for (; j + kWide <= n; j += kWide) tiles<kTileLanes>(a, from, m, b_from + j, b.row, b_rows, steps, c + j, c_row);
    for (; j < n; j += kLane) tiles<1>(a, from, m, b_from + j, b.row, b_rows, steps, c + j, c_row);
  }
}

#ifdef __AVX512F__
// The same of pairs of bfloat16, two steps of the sum at once. Not all processors of this level can: see dispatch.cpp.
#define HASHGRAD_BFLOAT16 __attribute__((target("avx512bf16")))

template <uint32_t kRows, uint32_t kLanes>
HASHGRAD_BFLOAT16 inline void tile_of_pairs(const uint32_t* a, size_t a_row, size_t a_step, const uint32_t* b,
                                            size_t b_row, uint32_t steps, float* c, size_t c_row) {
  __m512 s[kRows][kLanes];
  for (uint32_t r = 0; r < kRows; r++)
    for (uint32_t n = 0; n < kLanes; n++) s[r][n] = _mm512_loadu_ps(c + r * c_row + kLane * n);
  for (uint32_t k = 0; k < steps; k++) {
    __m512i x[kLanes];
    for (uint32_t n = 0; n < kLanes; n++) x[n] = _mm512_loadu_si512(b + k * b_row + kLane * n);
    for (uint32_t r = 0; r < kRows; r++) {
      const __m512i pair = _mm512_set1_epi32(static_cast<int>(a[r * a_row + k * a_step]));
      for (uint32_t n = 0; n < kLanes; n++)
        s[r][n] = _mm512_dpbf16_ps(s[r][n], reinterpret_cast<__m512bh>(x[n]), reinterpret_cast<__m512bh>(pair));
    }
  }
  for (uint32_t r = 0; r < kRows; r++)
    for (uint32_t n = 0; n < kLanes; n++) _mm512_storeu_ps(c + r * c_row + kLane * n, s[r][n]);
}

template <uint32_t kLanes>
HASHGRAD_BFLOAT16 inline void tiles_of_pairs(const Pairs& a, uint32_t from, uint32_t m, const uint32_t* b, size_t b_row,
                                             uint32_t steps, float* c, size_t c_row) {
  const uint32_t* rows = a.data + from * a.step;
  in_rows(m, [&]<uint32_t kRows>(uint32_t i) HASHGRAD_BFLOAT16 {
    tile_of_pairs<kRows, kLanes>(rows + i * a.row, a.row, a.step, b, b_row, steps, c + i * c_row, c_row);
  });
}

HASHGRAD_BFLOAT16 void multiply_pairs(const Pairs& a, uint32_t m, const Pairs& b, uint32_t k, uint32_t n, float* c,
                                      size_t c_row) {
  constexpr uint32_t kWide = kLane * kTileLanes;
  for (uint32_t from = 0; from < k; from += kTileSteps) {
    const uint32_t steps = k - from < kTileSteps ? k - from : kTileSteps;
    const uint32_t* b_from = b.data + b.row * from;
    uint32_t j = 0;
    for (; j + kWide <= n; j += kWide) tiles_of_pairs<kTileLanes>(a, from, m, b_from + j, b.row, steps, c + j, c_row);
    for (; j < n; j += kLane) tiles_of_pairs<1>(a, from, m, b_from + j, b.row, steps, c + j, c_row);
  }
}

HASHGRAD_BFLOAT16 inline __m256i to_bfloat16(const float* x) {  // sixteen
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(x)));
}
HASHGRAD_BFLOAT16 void pair_rows(const float* a, const float* b, uint32_t n, uint32_t* out) {
  for (uint32_t i = 0; i < n; i += 16) {
    const __m512i low = _mm512_cvtepu16_epi32(to_bfloat16(a + i));
    const __m512i high = b ? _mm512_cvtepu16_epi32(to_bfloat16(b + i)) : _mm512_setzero_si512();
    _mm512_storeu_si512(out + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}
HASHGRAD_BFLOAT16 void pair_columns(const float* x, uint32_t n, uint32_t* out) {
  for (uint32_t i = 0; i < n; i += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(out + i / 2), to_bfloat16(x + i));
}
#undef HASHGRAD_BFLOAT16
#endif

// e^x to a few units of the last digit: x = n log 2 + r, |r| <= log(2) / 2, and a polynomial in r. NaN stays NaN; below
// -87 it is the smallest normal number, or a few times it.
HASHGRAD_INLINE Block exponential(const Block& x) {
  Block y = choose(x < -87.f, Block{} - 87.f, x);
  y = choose(y > 88.f, Block{} + 88.f, y);
  const Block shifted = y * 1.44269504f + 12582912.f;  // 1.5 * 2^23: the nearest whole number, in the low bits
  const Block n = shifted - 12582912.f;
  const Block r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
  Block p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * r) * r + r + 1.f;
  return p * bits_as<Block>((bits_as<Vector<int32_t, 16>>(shifted) << 23) + 0x3f800000);
}

// Of sixteen examples side by side: a number taken from each neuron's z, or one multiplied with it and another with
// each example's.
void shift(float* z, size_t row, uint32_t n, const float* by) {
  for (uint32_t i = 0; i < n; i++) store(z + i * row, load(z + i * row) - by[i]);
}
void weigh(float* z, size_t row, uint32_t n, const float* weight, const float* factor) {
  const Block f = load(factor);
  for (uint32_t i = 0; i < n; i++) store(z + i * row, load(z + i * row) * (weight ? f * weight[i] : f));
}

// Sixteen examples side by side: z of one neuron after another, `row` floats apart, becomes its probability.
void softmax(float* z, size_t row, uint32_t n, float* top, float* total) {
  Block most = load(z);
  for (uint32_t i = 1; i < n; i++) {
    const Block x = load(z + i * row);
    most = choose(x > most, x, most);
  }
  Block sum{};
  for (uint32_t i = 0; i < n; i++) {
    const Block e = exponential(load(z + i * row) - most);
    store(z + i * row, e);
    sum += e;
  }
  const Block scale = 1.f / sum;
  for (uint32_t i = 0; i < n; i++) store(z + i * row, load(z + i * row) * scale);
  store(top, most);
  store(total, sum);
}

// The same with 1 / (1 + e^-z) of each; total: the sum of log(1 + e^z), its logarithms taken of products.
void logistic(float* z, size_t row, uint32_t n, float* total) {
  Block whole{}, product = Block{} + 1.f;
  for (uint32_t i = 0; i < n; i++) {
    const Block x = load(z + i * row);
    const Block e = exponential(choose(x > 0.f, -x, x));
    const Block part = 1.f / (1.f + e);
    store(z + i * row, choose(x > 0.f, part, e * part));
    whole += choose(x > 0.f, x, Block{});
    product *= 1.f + e;
    if (i % 64 == 63 || i + 1 == n) {  // at most 2^64 by now
      float each[16];
      store(each, product);
      for (float& x : each) x = __builtin_logf(x);
      whole += load(each);
      product = Block{} + 1.f;
    }
  }
  store(total, whole);
}
