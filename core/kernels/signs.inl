// Signs, packed to signatures, and a query's product with them. With q the query's numbers and s = +-1 a neuron's
// signs, q.s tells their angle better than the signs of both do (Dong et al. 2008). Four signs have 16 products with
// four numbers: as bytes these are looked up by permuting a register, and only added (André et al. 2015).

void signs(const float* x, size_t bits, uint64_t* words) {
  for (size_t word = 0; word < bits / 64; word++) {
    uint64_t w = 0;
    for (size_t j = 0; j < 64; j++) w |= static_cast<uint64_t>(x[word * 64 + j] >= 0.f) << j;
    words[word] = w;
  }
}

// All ones where bit j of 0 .. 15 is right for a number that is negative, or not.
struct RightSigns {
  int32_t all[2][4][16];
  constexpr RightSigns() : all{} {
    for (int right = 0; right < 2; right++)
      for (int j = 0; j < 4; j++)
        for (int k = 0; k < 16; k++) all[right][j][k] = (k >> j & 1) == right ? -1 : 0;
  }
};
constexpr RightSigns kRightSigns;
constexpr float kMostEntry = 31.f;  // so that eight fit a byte

SignUnit tabulate_signs(const float* x, size_t n, uint8_t* entry) {
  float most = 0.f, total = 0.f;
  bool odd = false;
  for (size_t g = 0; g < n; g += 4) {
    float size = 0.f;
    for (size_t j = g; j < g + 4; j++) size += __builtin_fabsf(x[j]);
    odd = odd || !(size <= 1e35f);  // NaN, too
    most = size > most ? size : most;
    total += size;
  }
  const bool none = odd || most < 1e-30f;
  const float scale = none ? 0.f : kMostEntry / most;
  using Mask = Vector<int32_t, 16>;
  for (size_t g = 0; g < n; g += 4) {
    Block sum{};
    for (size_t j = 0; j < 4 && !none; j++) {
      const float v = x[g + j];
      const Mask right = load_as<Mask>(kRightSigns.all[v >= 0.f][j]);
      sum += bits_as<Block>(bits_as<Mask>(Block{} + scale * __builtin_fabsf(v)) & right);
    }
    float whole[16];
    store(whole, sum);
    uint8_t* to = entry + 4 * g;
#pragma omp simd
    for (int k = 0; k < 16; k++) to[k] = static_cast<uint8_t>(nearest_bits(whole[k]));
  }
  return odd ? SignUnit{__builtin_nanf(""), 0.f} : none ? SignUnit{0.f, 0.f} : SignUnit{2.f / scale, -total};
}

// Where signatures lie: one after the other, or anywhere.
template <size_t kWords>
struct InOrder {
  const uint64_t* first;
  size_t words;
  HASHGRAD_INLINE const uint64_t* operator()(uint32_t j) const { return first + (kWords ? kWords : words) * j; }
};
struct Scattered {
  const uint64_t* const* place;
  HASHGRAD_INLINE const uint64_t* operator()(uint32_t j) const { return place[j]; }
};

#if defined(__AVX2__) || defined(__ARM_NEON)
using Bytes = Vector<uint8_t, kRegister>;
using Shorts = Vector<uint16_t, kRegister / 2>;
constexpr uint32_t kGroup = kRegister;  // neurons whose sums are taken at once: lane l has 16 l to 16 l + 15

#if !defined(__ARM_NEON)
template <size_t kBytes>
HASHGRAD_INLINE __m128i lane_at(const uint64_t* p) {
  const auto* q = reinterpret_cast<const __m128i*>(p);
  return kBytes == 16 ? _mm_loadu_si128(q) : _mm_loadl_epi64(q);
}
template <size_t kBytes, class At>
HASHGRAD_INLINE __m256i two_lanes(const At& at, uint32_t l) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(lane_at<kBytes>(at(l))), lane_at<kBytes>(at(l + 1)), 1);
}
#endif

#if defined(__AVX512F__)
template <size_t kBytes, class At>
HASHGRAD_INLINE Bytes lanes_of(const At& at) {
  return bits_as<Bytes>(
      _mm512_inserti64x4(_mm512_castsi256_si512(two_lanes<kBytes>(at, 0)), two_lanes<kBytes>(at, 2), 1));
}
HASHGRAD_INLINE Bytes look_up(const uint8_t* table, Bytes at) {
  const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return bits_as<Bytes>(_mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), bits_as<__m512i>(at)));
}
HASHGRAD_INLINE Bytes mixed(Bytes a, Bytes b, bool upper) {
  const __m512i x = bits_as<__m512i>(a), y = bits_as<__m512i>(b);
  return bits_as<Bytes>(upper ? _mm512_unpackhi_epi8(x, y) : _mm512_unpacklo_epi8(x, y));
}
#elif defined(__AVX2__)
template <size_t kBytes, class At>
HASHGRAD_INLINE Bytes lanes_of(const At& at) {
  return bits_as<Bytes>(two_lanes<kBytes>(at, 0));
}
HASHGRAD_INLINE Bytes look_up(const uint8_t* table, Bytes at) {
  const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return bits_as<Bytes>(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), bits_as<__m256i>(at)));
}
HASHGRAD_INLINE Bytes mixed(Bytes a, Bytes b, bool upper) {
  const __m256i x = bits_as<__m256i>(a), y = bits_as<__m256i>(b);
  return bits_as<Bytes>(upper ? _mm256_unpackhi_epi8(x, y) : _mm256_unpacklo_epi8(x, y));
}
#else
template <size_t kBytes, class At>
HASHGRAD_INLINE Bytes lanes_of(const At& at) {
  const auto* p = reinterpret_cast<const uint8_t*>(at(0));
  return bits_as<Bytes>(kBytes == 16 ? vld1q_u8(p) : vcombine_u8(vld1_u8(p), vdup_n_u8(0)));
}
HASHGRAD_INLINE Bytes look_up(const uint8_t* table, Bytes at) {
  return bits_as<Bytes>(vqtbl1q_u8(vld1q_u8(table), bits_as<uint8x16_t>(at)));
}
HASHGRAD_INLINE Bytes mixed(Bytes a, Bytes b, bool upper) {
  const uint8x16_t x = bits_as<uint8x16_t>(a), y = bits_as<uint8x16_t>(b);
  return bits_as<Bytes>(upper ? vzip2q_u8(x, y) : vzip1q_u8(x, y));
}
#endif

// Adds the entries of kBytes bytes of kGroup signatures, byte b's from entry + 32 b: sums of bytes at even places, and
// at odd ones.
template <size_t kBytes, class At>
HASHGRAD_INLINE void add_entries(const At& at, size_t word, const uint8_t* entry, Shorts& even, Shorts& odd) {
  Bytes t[16];
  for (uint32_t i = 0; i < 16; i++) t[i] = lanes_of<kBytes>([&](uint32_t l) { return at(16 * l + i) + word; });
  for (int round = 0; round < 4; round++) {  // each turns the square of bytes a quarter of the way
    Bytes s[16];
    for (uint32_t i = 0; i < 8; i++)
      s[2 * i] = mixed(t[i], t[i + 8], false), s[2 * i + 1] = mixed(t[i], t[i + 8], true);
    for (uint32_t i = 0; i < 16; i++) t[i] = s[i];
  }
  for (uint32_t b = 0; b < kBytes; b += 4) {
    Bytes s{};
    for (uint32_t k = b; k < b + 4; k++)
      s += look_up(entry + 32 * k, t[k] & 15) + look_up(entry + 32 * k + 16, t[k] >> 4);
    even += bits_as<Shorts>(s) & 0xff;
    odd += bits_as<Shorts>(s) >> 8;
  }
}

template <size_t kWords, class At>
HASHGRAD_INLINE void sums_of_group(const At& at, size_t words, const uint8_t* entry, uint16_t* sum) {
  const size_t n = kWords ? kWords : words;
  Shorts even{}, odd{};
  size_t w = 0;
  for (; w + 2 <= n; w += 2) add_entries<16>(at, w, entry + 256 * w, even, odd);
  if (w < n) add_entries<8>(at, w, entry + 256 * w, even, odd);
  uint16_t e[kGroup / 2], o[kGroup / 2];
  __builtin_memcpy(e, &even, sizeof e), __builtin_memcpy(o, &odd, sizeof o);
  using Pairs = Vector<uint32_t, kRegister / 4>;
  for (uint32_t k = 0; k < kGroup / 2; k += kRegister / 4) {
    const Pairs both = load_as<Pairs>(e + k) + (load_as<Pairs>(o + k) << 16);
    __builtin_memcpy(sum + 2 * k, &both, sizeof both);
  }
}
#else
constexpr uint32_t kGroup = 16;
template <size_t kWords, class At>
HASHGRAD_INLINE void sums_of_group(const At& at, size_t words, const uint8_t* entry, uint16_t* sum) {
  for (uint32_t j = 0; j < kGroup; j++) {
    const uint64_t* word = at(j);
    uint32_t s = 0;
    for (size_t w = 0; w < words; w++)
      for (size_t b = 0; b < 16; b++) s += entry[256 * w + 16 * b + (word[w] >> 4 * b & 15)];
    sum[j] = static_cast<uint16_t>(s);
  }
}
#endif

template <size_t kWords>
inline void match_signs_fixed(const uint64_t* signatures, size_t words, const uint32_t* reach, const uint32_t* rows,
                              uint32_t n, const uint8_t* entry, SignUnit unit, float* score) {
  const size_t m = kWords ? kWords : words;
  uint16_t sum[kGroup];
  const auto finish = [&](const uint32_t* halves, float* out) {
    using Ints = Vector<int32_t, 16>;
    for (uint32_t j = 0; j < kGroup; j += 16) {
      const Ints both = load_as<Ints>(halves + j);
      const Block norm = bits_as<Block>(both << 16), tail = bits_as<Block>(both & ~0xffff);
      store(out + j, norm * (unit.unit * load_as<Block>(sum + j) + unit.least) + tail);
    }
  };
  uint32_t r = 0;
  for (; !rows && r + kGroup <= n; r += kGroup) {
    sums_of_group<kWords>(InOrder<kWords>{signatures + m * r, m}, m, entry, sum);
    finish(reach + r, score + r);
  }
  for (; r < n; r += kGroup) {
    const uint32_t some = n - r < kGroup ? n - r : kGroup;
    const uint64_t* place[kGroup];
    uint32_t halves[kGroup];
    float whole[kGroup];
    for (uint32_t j = 0; j < kGroup; j++) {
      const uint32_t k = r + (j < some ? j : some - 1), i = rows ? rows[k] : k;
      if (rows) __builtin_prefetch(signatures + m * rows[k + kGroup < n ? k + kGroup : n - 1]);
      place[j] = signatures + m * i, halves[j] = reach[i];
    }
    sums_of_group<kWords>(Scattered{place}, m, entry, sum);
    finish(halves, whole);
    for (uint32_t j = 0; j < some; j++) score[r + j] = whole[j];
  }
}

void match_signs(const uint64_t* signatures, size_t words, const uint32_t* reach, const uint32_t* rows, uint32_t n,
                 const uint8_t* entry, SignUnit unit, float* score) {
  if (words == 2) return match_signs_fixed<2>(signatures, words, reach, rows, n, entry, unit, score);
  match_signs_fixed<0>(signatures, words, reach, rows, n, entry, unit, score);
}
