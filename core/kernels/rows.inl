// Neuron-major weights: a neuron is a row of `stride` floats or bfloat16.

// As many w[index] as a vector has.
template <class V, class Stored>
HASHGRAD_INLINE V gather_all(const Stored* w, const uint32_t* index) {
  if constexpr (kIsPair<V>) {
    return {gather_all<typename V::Part>(w, index), gather_all<typename V::Part>(w, index + kLength<V> / 2)};
  } else {
    V x{};
    for (uint32_t e = 0; e < kLength<V>; e++) x[e] = load_one(w, index[e]);
    return x;
  }
}
// w[index[0..n)], n <= 16, zeros beyond.
template <class Stored>
HASHGRAD_INLINE Block gather_one_by_one(const Stored* w, const uint32_t* index, uint32_t n) {
  if (n == 16) return gather_all<Block>(w, index);
  float x[16] = {};
  for (uint32_t e = 0; e < n; e++) x[e] = load_one(w, index[e]);
  return load(x);
}
HASHGRAD_INLINE Block gather(const float* w, const uint32_t* index, uint32_t n) {
#ifdef __AVX512F__
  const auto some = static_cast<__mmask16>(n < 16 ? (1u << n) - 1 : 0xffff);
  const __m512i at = _mm512_maskz_loadu_epi32(some, index);
  return reinterpret_cast<Block>(_mm512_mask_i32gather_ps(_mm512_setzero_ps(), some, at, w, 4));
#else
  return gather_one_by_one(w, index, n);
#endif
}
HASHGRAD_INLINE Block gather(const uint16_t* w, const uint32_t* index, uint32_t n) {
  return gather_one_by_one(w, index, n);
}
HASHGRAD_INLINE Block load_some(const float* p, uint32_t n) {  // zeros beyond n <= 16
  if (n == 16) return load(p);
  float x[16] = {};
  __builtin_memcpy(x, p, n * sizeof(float));
  return load(x);
}

template <int kRows>
inline void sum_all(const Block* s, float* out) {
  if constexpr (kRows == 4)
    sum_four(s, out);
  else
    for (int r = 0; r < kRows; r++) out[r] = sum(s[r]);
}

template <int kRows, class Stored>  // rows' sums come out the same, whether alone or among others
inline void dot_gathered(const Stored* const* w, const Row& x, float* out) {
  Block s[kRows] = {};
  for (uint32_t e = 0; e < x.n; e += 16) {
    const uint32_t n = x.n - e < 16 ? x.n - e : 16;
    const Block v = load_some(x.value + e, n);
    for (int r = 0; r < kRows; r++) s[r] += v * gather(w[r], x.index + e, n);
  }
  sum_all<kRows>(s, out);
}

template <int kRows, class Stored>
inline void dot_blocks(const Stored* const* w, const Row& x, float* out) {
  Block s[kRows] = {};
  for (uint32_t b = 0; b < x.n_blocks; b++) {
    const size_t at = size_t{x.block[b]} * 16;
    const Block v = load(x.dense + at);
    for (int r = 0; r < kRows; r++) s[r] += v * load_block(w[r] + at);
  }
  sum_all<kRows>(s, out);
}

// Four rows share what is read of x and hide each other's latency.
template <class Stored>
void dot_rows(const Stored* w, size_t stride, const uint32_t* rows, uint32_t n, const Row& x, float* out) {
  const auto row = [&](uint32_t r) { return w + stride * (rows ? rows[r] : r); };
  // Rows that follow each other are read four at a time, which processors do not foresee.
  constexpr size_t kSoon = 4096 / sizeof(Stored), kLineOf = 64 / sizeof(Stored);
  uint32_t r = 0;
  for (; r + 4 <= n; r += 4) {
    if (!rows && x.dense && stride <= kSoon)  // sparse inputs and long rows are read otherwise
      for (size_t j = 0; j < 4 * stride; j += kLineOf) __builtin_prefetch(row(r) + kSoon + j);
    const Stored* four[4] = {row(r), row(r + 1), row(r + 2), row(r + 3)};
    x.dense ? dot_blocks<4>(four, x, out + r) : dot_gathered<4>(four, x, out + r);
  }
  for (; r < n; r++) {
    const Stored* one[1] = {row(r)};
    x.dense ? dot_blocks<1>(one, x, out + r) : dot_gathered<1>(one, x, out + r);
  }
}

void add_rows(const float* w, size_t stride, const uint32_t* rows, const float* a, uint32_t n, const Row& x, float* g) {
  for (uint32_t r = 0; r < n; r++) {
    const float* row = w + stride * rows[r];
    const float scale = a[r];
    if (x.dense) {
      for (uint32_t b = 0; b < x.n_blocks; b++) {
        const size_t at = size_t{x.block[b]} * 16;
        store(g + at, load(g + at) + scale * load(row + at));
      }
    } else {
      const uint32_t* __restrict index = x.index;
#pragma omp simd
      for (uint32_t e = 0; e < x.n; e++) g[e] += scale * row[index[e]];
    }
  }
}

template <int kWidth>  // kWidth blocks of the sum stay in registers over all rows
inline void sum_strip(const float* const* row, const float* a, uint32_t n, size_t at, float* out) {
  Block s[kWidth] = {};
  for (uint32_t r = 0; r < n; r++)
    for (int k = 0; k < kWidth; k++) s[k] += a[r] * load(row[r] + at + 16 * static_cast<size_t>(k));
  for (int k = 0; k < kWidth; k++) store(out + at + 16 * static_cast<size_t>(k), s[k]);
}

void sum_rows(const float* const* row, const float* a, uint32_t n, size_t n_columns, float* out) {
  in_strips(n_columns, [&]<int kWidth>(size_t at) { sum_strip<kWidth>(row, a, n, at, out); });
}
