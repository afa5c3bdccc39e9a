// Compact weights: a byte each, 128 standing for zero, times codes of the input, -63 .. 63. A product of a weight's
// byte and an input's code stays below 2^14, so that two fit 16 bits on processors without an instruction for four.

#if defined(__AVX512VNNI__)
using Codes = __m512i;
constexpr uint32_t kCodes = 64;
inline Codes load_codes(const void* p) { return _mm512_loadu_si512(p); }
inline Codes add_products(Codes sum, Codes w, Codes x) { return _mm512_dpbusd_epi32(sum, w, x); }
inline Codes four_codes(int32_t four) { return _mm512_set1_epi32(four); }
inline int32_t total_of(Codes sum) { return _mm512_reduce_add_epi32(sum); }
#elif defined(__AVX2__)
using Codes = __m256i;
constexpr uint32_t kCodes = 32;
inline Codes load_codes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline Codes add_products(Codes sum, Codes w, Codes x) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}
inline Codes four_codes(int32_t four) { return _mm256_set1_epi32(four); }
inline int32_t total_of(Codes sum) {
  int32_t s[8];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(s), sum);
  return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}
#endif

void dot_codes(const uint8_t* w, size_t stride, const uint32_t* rows, uint32_t n, const int8_t* x,
               const uint32_t* block, uint32_t n_blocks, const Scale& scale, float* out) {
  const auto finish = [&](uint32_t r, int32_t sum) {
    const uint32_t i = rows ? rows[r] : r;
    out[r] = static_cast<float>(sum - scale.middle) * (scale.unit * scale.units[i]) + scale.bias[i];
  };
  const auto row = [&](uint32_t r) { return w + stride * (rows ? rows[r] : r); };
  uint32_t r = 0;
#if defined(__AVX2__)
  for (; r + 4 <= n; r += 4) {
    const uint8_t* four[4] = {row(r), row(r + 1), row(r + 2), row(r + 3)};
    Codes s[4] = {};
    for (uint32_t b = 0; b < n_blocks; b++)
      for (size_t at = size_t{block[b]} * 64; at < size_t{block[b]} * 64 + 64; at += kCodes) {
        const Codes v = load_codes(x + at);
        for (int k = 0; k < 4; k++) s[k] = add_products(s[k], load_codes(four[k] + at), v);
      }
    for (int k = 0; k < 4; k++) finish(r + static_cast<uint32_t>(k), total_of(s[k]));
  }
#endif
  for (; r < n; r++) {
    const uint8_t* one = row(r);
    int32_t s = 0;
    for (uint32_t b = 0; b < n_blocks; b++)
      for (size_t at = size_t{block[b]} * 64; at < size_t{block[b]} * 64 + 64; at++) s += one[at] * x[at];
    finish(r, s);
  }
}

#if defined(__AVX2__)
// Four rows of kCodes neurons, of which each byte is turned to lie beside the three others of its neuron: then one
// instruction multiplies and adds all four. `sum` has the neurons of each 16 in fours: fours 0 of all 16, fours 1, ...
HASHGRAD_INLINE void add_four_rows(const uint8_t* const* row, size_t at, Codes four, Codes* sum) {
#if defined(__AVX512VNNI__)
  const Codes a = load_codes(row[0] + at), b = load_codes(row[1] + at);
  const Codes c = load_codes(row[2] + at), d = load_codes(row[3] + at);
  const Codes ab = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
  const Codes cd = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
  sum[0] = add_products(sum[0], _mm512_unpacklo_epi16(ab, cd), four);
  sum[1] = add_products(sum[1], _mm512_unpackhi_epi16(ab, cd), four);
  sum[2] = add_products(sum[2], _mm512_unpacklo_epi16(ab_high, cd_high), four);
  sum[3] = add_products(sum[3], _mm512_unpackhi_epi16(ab_high, cd_high), four);
#else
  const Codes a = load_codes(row[0] + at), b = load_codes(row[1] + at);
  const Codes c = load_codes(row[2] + at), d = load_codes(row[3] + at);
  const Codes ab = _mm256_unpacklo_epi8(a, b), ab_high = _mm256_unpackhi_epi8(a, b);
  const Codes cd = _mm256_unpacklo_epi8(c, d), cd_high = _mm256_unpackhi_epi8(c, d);
  sum[0] = add_products(sum[0], _mm256_unpacklo_epi16(ab, cd), four);
  sum[1] = add_products(sum[1], _mm256_unpackhi_epi16(ab, cd), four);
  sum[2] = add_products(sum[2], _mm256_unpacklo_epi16(ab_high, cd_high), four);
  sum[3] = add_products(sum[3], _mm256_unpackhi_epi16(ab_high, cd_high), four);
#endif
}

// The sums of kCodes neurons from `at` on, in order again, as numbers.
HASHGRAD_INLINE void finish_codes(const Codes* sum, size_t at, const Scale& scale, float* out) {
#if defined(__AVX512VNNI__)
  const Codes low01 = _mm512_shuffle_i32x4(sum[0], sum[1], 0x44), high01 = _mm512_shuffle_i32x4(sum[0], sum[1], 0xee);
  const Codes low23 = _mm512_shuffle_i32x4(sum[2], sum[3], 0x44), high23 = _mm512_shuffle_i32x4(sum[2], sum[3], 0xee);
  const Codes sixteen[4] = {_mm512_shuffle_i32x4(low01, low23, 0x88), _mm512_shuffle_i32x4(low01, low23, 0xdd),
                            _mm512_shuffle_i32x4(high01, high23, 0x88), _mm512_shuffle_i32x4(high01, high23, 0xdd)};
  const __m512i middle = _mm512_set1_epi32(scale.middle);
  const __m512 unit = _mm512_set1_ps(scale.unit);
  for (size_t lane = 0; lane < 4; lane++)
    _mm512_storeu_ps(out + at + 16 * lane, _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sixteen[lane], middle)),
                                                           unit, _mm512_loadu_ps(scale.bias + at + 16 * lane)));
#else
  int32_t turned[4][kCodes / 4];
  for (int q = 0; q < 4; q++) __builtin_memcpy(turned[q], &sum[q], sizeof(Codes));
  for (size_t lane = 0; lane < kCodes / 16; lane++)
    for (size_t q = 0; q < 4; q++)
      for (size_t j = 0; j < 4; j++) {
        const size_t i = at + 16 * lane + 4 * q + j;
        out[i] = static_cast<float>(turned[q][4 * lane + j] - scale.middle) * scale.unit + scale.bias[i];
      }
#endif
}
#endif

#if defined(__AVX2__)
template <uint32_t kGroups>  // of kCodes neurons each, whose sums stay in registers over all entries of x
inline void add_codes_strip(const uint8_t* w, size_t stride, const uint32_t* index, const int8_t* value, uint32_t n,
                            size_t at, const Scale& scale, float* out) {
  Codes s[kGroups][4] = {};
  for (uint32_t e = 0; e < n; e += 4) {
    const uint8_t* row[4];
    uint32_t four = 0;
    for (uint32_t k = 0; k < 4; k++) {
      row[k] = w + stride * index[e + k < n ? e + k : e];
      if (e + k < n) four |= static_cast<uint32_t>(static_cast<uint8_t>(value[e + k])) << (8 * k);
    }
    const Codes v = four_codes(static_cast<int32_t>(four));
    for (uint32_t g = 0; g < kGroups; g++) add_four_rows(row, at + g * kCodes, v, s[g]);
  }
  for (uint32_t g = 0; g < kGroups; g++) finish_codes(s[g], at + g * kCodes, scale, out);
}
#endif

void add_codes(const uint8_t* w, size_t stride, const uint32_t* index, const int8_t* value, uint32_t n,
               uint32_t n_neurons, const Scale& scale, float* out) {
  uint32_t at = 0;
#if defined(__AVX2__)
  constexpr uint32_t kGroups = kHeld / 2;  // each has four sums
  for (; at + kGroups * kCodes <= n_neurons; at += kGroups * kCodes)
    add_codes_strip<kGroups>(w, stride, index, value, n, at, scale, out);
  for (; at < n_neurons; at += kCodes) add_codes_strip<1>(w, stride, index, value, n, at, scale, out);
#endif
  for (; at < n_neurons; at += 64) {
    int32_t sums[64] = {};
    for (uint32_t e = 0; e < n; e++) {
      const uint8_t* row = w + stride * index[e] + at;
      const int32_t v = value[e];
      for (int j = 0; j < 64; j++) sums[j] += row[j] * v;
    }
    for (uint32_t j = 0; j < 64; j++)
      out[at + j] = static_cast<float>(sums[j] - scale.middle) * scale.unit + scale.bias[at + j];
  }
}
