// Sixteen floats at a time.

using Block = Vector<float, 16>;
using Lanes = Vector<int32_t, 16>;  // of a comparison

HASHGRAD_INLINE Block load(const float* p) { return load_as<Block>(p); }
HASHGRAD_INLINE void store(float* p, const Block& b) { store_as(p, b); }

HASHGRAD_INLINE void store_where(const Lanes& lanes, float* p, const Block& b, const Block& old) {
#ifdef __AVX512F__
  (void)old;
  _mm512_mask_storeu_ps(p, _mm512_test_epi32_mask(reinterpret_cast<__m512i>(lanes), reinterpret_cast<__m512i>(lanes)),
                        reinterpret_cast<__m512>(b));
#else
  store(p, choose(lanes, b, old));
#endif
}
inline float root(float x) { return __builtin_sqrtf(x); }
template <class V>
HASHGRAD_INLINE V root(const V& x) {
  if constexpr (kIsPair<V>) {
    return {root(x.low), root(x.high)};
  } else {
#if defined(__AVX512F__)
    return reinterpret_cast<V>(_mm512_sqrt_ps(reinterpret_cast<__m512>(x)));
#elif defined(__AVX2__)
    return reinterpret_cast<V>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#elif defined(__aarch64__)
    return reinterpret_cast<V>(vsqrtq_f32(reinterpret_cast<float32x4_t>(x)));
#else
    V y = x;
    for (uint32_t k = 0; k < kLength<V>; k++) y[k] = __builtin_sqrtf(x[k]);
    return y;
#endif
  }
}

// The sum of a block, always in the same order: of each four (0 + 2) + (1 + 3), and so of the four fours. Four blocks
// at once come out the same as one at a time.
#if defined(__AVX2__) && !defined(__AVX512F__)
inline float sum(const Block& b) {
  const auto fours = [](__m256 x) __attribute__((always_inline)) {
    const __m256 two = _mm256_add_ps(x, _mm256_permute_ps(x, 0x4e));  // 0 + 2, 1 + 3
    return _mm256_add_ps(two, _mm256_permute_ps(two, 0xb1));
  };
  const __m256 half = _mm256_add_ps(fours(reinterpret_cast<__m256>(b.low)), fours(reinterpret_cast<__m256>(b.high)));
  return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}
#else
inline float sum(const Block& b) {
  float x[16], four[4];
  store(x, b);
  for (uint32_t q = 0; q < 4; q++) four[q] = (x[4 * q] + x[4 * q + 2]) + (x[4 * q + 1] + x[4 * q + 3]);
  return (four[0] + four[2]) + (four[1] + four[3]);
}
#endif
inline void sum_four(const Block* b, float* out) {
#if defined(__AVX512F__)
  const auto low = [](__m512 x, __m512 y) { return _mm512_unpacklo_ps(x, y); };
  const auto high = [](__m512 x, __m512 y) { return _mm512_unpackhi_ps(x, y); };
  const auto x = reinterpret_cast<__m512>(b[0]), y = reinterpret_cast<__m512>(b[1]);
  const auto z = reinterpret_cast<__m512>(b[2]), w = reinterpret_cast<__m512>(b[3]);
  const __m512 xy = _mm512_add_ps(low(x, y), high(x, y));  // x0 + x2, y0 + y2, x1 + x3, y1 + y3 of each four
  const __m512 zw = _mm512_add_ps(low(z, w), high(z, w));
  const __m512 s = _mm512_add_ps(_mm512_shuffle_ps(xy, zw, 0x44), _mm512_shuffle_ps(xy, zw, 0xee));  // x, y, z, w
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
#elif defined(__AVX2__)
  const auto fours = [](const auto& a, const auto& b, const auto& c, const auto& d) __attribute__((always_inline)) {
    const auto x = reinterpret_cast<__m256>(a), y = reinterpret_cast<__m256>(b);
    const auto z = reinterpret_cast<__m256>(c), w = reinterpret_cast<__m256>(d);
    const __m256 xy = _mm256_add_ps(_mm256_unpacklo_ps(x, y), _mm256_unpackhi_ps(x, y));
    const __m256 zw = _mm256_add_ps(_mm256_unpacklo_ps(z, w), _mm256_unpackhi_ps(z, w));
    return _mm256_add_ps(_mm256_shuffle_ps(xy, zw, 0x44), _mm256_shuffle_ps(xy, zw, 0xee));
  };
  const __m256 half =
      _mm256_add_ps(fours(b[0].low, b[1].low, b[2].low, b[3].low), fours(b[0].high, b[1].high, b[2].high, b[3].high));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
#else
  for (int r = 0; r < 4; r++) out[r] = sum(b[r]);
#endif
}

// n numbers, a multiple of sixteen, in strips of as many blocks as sums may hold in registers, and narrower ones.
template <int kWidth = kHeld, class Strip>
HASHGRAD_INLINE void in_strips(size_t n, const Strip& strip, size_t at = 0) {
  for (; at + 16 * kWidth <= n; at += 16 * kWidth) strip.template operator()<kWidth>(at);
  if constexpr (kWidth > 1) in_strips<kWidth / 2>(n, strip, at);
}

float dot(const float* a, const float* b, size_t n) {
  Block s0{}, s1{};
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s0 += load(a + i) * load(b + i);
    s1 += load(a + i + 16) * load(b + i + 16);
  }
  if (i + 16 <= n) {
    s0 += load(a + i) * load(b + i);
    i += 16;
  }
  float s = sum(s0 + s1);
  for (; i < n; i++) s += a[i] * b[i];
  return s;
}

void axpy(float* y, float a, const float* x, size_t n) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) store(y + i, load(y + i) + a * load(x + i));
  for (; i < n; i++) y[i] += a * x[i];
}

#ifdef __AVX512F__
inline __m512i lanes_from(uint32_t i) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(i)));
}
#endif

Found nonzeros(const float* x, uint32_t n, uint32_t* index, float* value, uint32_t* block, float* copy) {
  uint32_t kept = 0, blocks = 0;
  for (uint32_t j = 0; j < n; j += 16) {
    const uint32_t before = kept;
#ifdef __AVX512F__
    const auto inside = static_cast<__mmask16>(n - j < 16 ? (1u << (n - j)) - 1 : 0xffff);
    const __m512 v = _mm512_maskz_loadu_ps(inside, x + j);
    _mm512_mask_storeu_ps(copy + j, inside, v);
    const __mmask16 some = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    if (some) {
      _mm512_storeu_si512(index + kept, _mm512_maskz_compress_epi32(some, lanes_from(j)));
      _mm512_storeu_ps(value + kept, _mm512_maskz_compress_ps(some, v));
    }
    kept += static_cast<uint32_t>(__builtin_popcount(some));
#else
    for (uint32_t i = j; i < n && i < j + 16; i++) {  // written before it is known whether to keep it
      index[kept] = i;
      value[kept] = copy[i] = x[i];
      kept += x[i] != 0.f;
    }
#endif
    block[blocks] = j / 16;
    blocks += kept > before;
  }
  return {kept, blocks};
}

uint32_t positives(uint32_t* id, float* z, uint32_t n) {
  uint32_t kept = 0, k = 0;
#ifdef __AVX512F__
  for (; k + 16 <= n; k += 16) {
    const __m512 v = _mm512_loadu_ps(z + k);
    const __m512i i = _mm512_loadu_si512(id + k);
    const __mmask16 some = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NLE_UQ);
    _mm512_storeu_ps(z + kept, _mm512_maskz_compress_ps(some, v));
    _mm512_storeu_si512(id + kept, _mm512_maskz_compress_epi32(some, i));
    kept += static_cast<uint32_t>(__builtin_popcount(some));
  }
#endif
  for (; k < n; k++) {
    const float v = z[k];
    id[kept] = id[k];
    z[kept] = v;
    kept += !(v <= 0.f);
  }
  return kept;
}
