// Hashing: projections of inputs, and scans of all neurons' hashes.

template <int kWidth>  // kWidth blocks of the sketch stay in registers over all entries of x
inline void project_strip(const float* p, size_t width, const uint32_t* index, const float* value, uint32_t n,
                          float* out) {
  Block s[kWidth] = {};
  for (uint32_t e = 0; e < n; e++) {
    const float* row = p + size_t{index ? index[e] : e} * width;
    const float v = value[e];
    for (int k = 0; k < kWidth; k++) s[k] += v * load(row + 16 * k);
  }
  for (int k = 0; k < kWidth; k++) store(out + 16 * k, s[k]);
}

void project(const float* p, size_t width, const uint32_t* index, const float* value, uint32_t n, float* out) {
  in_strips(width, [&]<int kWidth>(size_t at) { project_strip<kWidth>(p + at, width, index, value, n, out + at); });
}

// Each code's differing bits gather in its lowest.
template <int kBits>
void differing_codes(const uint64_t* signatures, size_t words, const uint32_t* rows, uint32_t n, const uint64_t* query,
                     uint16_t* distance) {
  constexpr uint64_t kLowest = kBits == 8   ? 0x0101010101010101ull
                               : kBits == 4 ? 0x1111111111111111ull
                               : kBits == 2 ? 0x5555555555555555ull
                                            : ~0ull;
  for (uint32_t r = 0; r < n; r++) {
    const uint64_t* row = signatures + size_t{rows ? rows[r] : r} * words;
    uint64_t d = 0;
    for (size_t k = 0; k < words; k++) {
      uint64_t x = row[k] ^ query[k];
      for (int shift = 1; shift < kBits; shift *= 2) x |= x >> shift;
      d += static_cast<uint64_t>(__builtin_popcountll(x & kLowest));
    }
    distance[r] = static_cast<uint16_t>(d);
  }
}

void differing(const uint64_t* signatures, size_t words, const uint32_t* rows, uint32_t n, const uint64_t* query,
               int code_bits, uint16_t* distance) {
  switch (code_bits) {
    case 1:
      return differing_codes<1>(signatures, words, rows, n, query, distance);
    case 2:
      return differing_codes<2>(signatures, words, rows, n, query, distance);
    case 4:
      return differing_codes<4>(signatures, words, rows, n, query, distance);
    default:
      return differing_codes<8>(signatures, words, rows, n, query, distance);
  }
}

// 1.5 * 2^23 (bits 0x4b400000) plus a small float has the float's nearest integer in its last bits.
inline uint32_t nearest_bits(float x) {
  const float shifted = x + 12582912.f;
  uint32_t bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  return bits;
}

void quantize(const float* x, uint32_t width, float scale, float most, int32_t middle, uint8_t* out, size_t step) {
  for (uint32_t at = 0; at < width; at += 16) {
    uint8_t byte[16];
#ifdef __AVX512F__
    __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x + at), _mm512_set1_ps(scale));
    v = _mm512_max_ps(_mm512_min_ps(v, _mm512_set1_ps(most)), _mm512_set1_ps(-most));
    const __m512i nearest = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(middle));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(byte), _mm512_cvtepi32_epi8(nearest));
#else
    for (int j = 0; j < 16; j++) {
      float v = x[at + static_cast<uint32_t>(j)] * scale;
      v = v > most ? most : v;
      v = v < -most ? -most : v;
      byte[j] = static_cast<uint8_t>(nearest_bits(v) + static_cast<uint32_t>(middle));
    }
#endif
    __builtin_memcpy(out + at / 16 * step, byte, 16);
  }
}

// Sixteen neurons against kQueries queries: each register of codes is loaded once for all of them. A line of 64 bytes
// holds 16 bytes each of four neurons (q, q + 4, q + 8 and q + 12 of the sixteen, for line q), so that a neuron that
// moves writes few lines; four sums of four neurons are then turned into sixteen sums.
#if defined(__AVX512VNNI__)
template <int kQueries>
inline void scan_group(const uint8_t* code, uint32_t width, const int8_t* const* query, uint32_t at,
                       float* const* score) {
  __m512i s[kQueries][4] = {};
  for (uint32_t r = 0; r < width; r += 16)
    for (int q = 0; q < 4; q++) {
      const __m512i c = _mm512_load_si512(code + 16 * size_t{r} + 64 * q);
      for (int k = 0; k < kQueries; k++) {
        const __m512i u = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query[k] + r)));
        s[k][q] = _mm512_dpbusd_epi32(s[k][q], c, u);
      }
    }
  for (int k = 0; k < kQueries; k++) {
    const auto pair = [](__m512i x, __m512i y) {
      return _mm512_add_epi32(_mm512_unpacklo_epi32(x, y), _mm512_unpackhi_epi32(x, y));
    };
    const __m512i xy = pair(s[k][0], s[k][1]), zw = pair(s[k][2], s[k][3]);
    const __m512i sums = _mm512_add_epi32(_mm512_unpacklo_epi64(xy, zw), _mm512_unpackhi_epi64(xy, zw));
    _mm512_storeu_ps(score[k] + at, _mm512_cvtepi32_ps(sums));
  }
}
#elif defined(__AVX2__)
template <int kQueries>
inline void scan_group(const uint8_t* code, uint32_t width, const int8_t* const* query, uint32_t at,
                       float* const* score) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (int k = 0; k < kQueries; k++)
    for (int half = 0; half < 2; half++) {  // of each line: two neurons
      __m256i s[4] = {};
      for (uint32_t r = 0; r < width; r += 16) {
        const __m256i u = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query[k] + r)));
        for (int q = 0; q < 4; q++) {
          const auto* c = reinterpret_cast<const __m256i*>(code + 16 * size_t{r} + 64 * q + 32 * half);
          // queries are 63 at most: two products fit 16 bits
          s[q] = _mm256_add_epi32(s[q], _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_load_si256(c), u), ones));
        }
      }
      const __m256i xy = _mm256_hadd_epi32(s[0], s[1]), zw = _mm256_hadd_epi32(s[2], s[3]);
      _mm256_storeu_ps(score[k] + at + 8 * half, _mm256_cvtepi32_ps(_mm256_hadd_epi32(xy, zw)));
    }
}
#else
template <int kQueries>
inline void scan_group(const uint8_t* code, uint32_t width, const int8_t* const* query, uint32_t at,
                       float* const* score) {
  for (int k = 0; k < kQueries; k++)
    for (uint32_t i = 0; i < 16; i++) {
      int32_t s = 0;
      for (uint32_t r = 0; r < width; r += 16) {
        const uint8_t* c = code + 16 * size_t{r} + 64 * (i % 4) + 16 * (i / 4);
        for (int j = 0; j < 16; j++) s += c[j] * query[k][r + static_cast<uint32_t>(j)];
      }
      score[k][at + i] = static_cast<float>(s);
    }
}
#endif

void scan(const uint8_t* code, uint32_t width, uint32_t from, uint32_t to, const int8_t* const* query,
          uint32_t n_queries, float* const* score) {
  uint32_t q = 0;
  for (; q + 4 <= n_queries; q += 4)
    for (uint32_t i = from; i < to; i += 16) scan_group<4>(code + size_t{i} * width, width, query + q, i, score + q);
  for (; q < n_queries; q++)
    for (uint32_t i = from; i < to; i += 16) scan_group<1>(code + size_t{i} * width, width, query + q, i, score + q);
}
