// How weights and an optimiser's numbers are stored: as floats, or as bfloat16, the upper halves of floats, rounded up
// or down at random, each as often as keeps the mean. The nearest would not do: Adam's second moment moves by a
// thousandth a step, and numbers of eight bits lie four thousandths apart or more, so that it would stand still; so
// would weights, when steps get small.

using Word = uint32_t __attribute__((vector_size(64)));
using Half = uint16_t __attribute__((vector_size(32)));

// Random bits of a column, or of sixteen: multiples of an odd number, shifted by the row's key (a Weyl sequence after
// Cranley and Patterson 1976). A key is new in each update, so that those of a weight are independent from step to
// step; those of neighbours are spread evenly. Nothing is drawn in turn: threads and lanes do not matter. The halves of
// kSpread are the fractions of the golden ratio and of the root of two.
constexpr uint32_t kSpread = 0x9e376a09u;

inline uint32_t random_bits(size_t column, uint32_t key) { return static_cast<uint32_t>(column) * kSpread + key; }
inline __attribute__((always_inline)) Word random_block(size_t first, uint32_t key) {
  constexpr Word kLane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return kLane * kSpread + random_bits(first, key);
}

// A float's bits plus sixteen random ones, of which the upper half is stored: what carries over rounds up. Infinity
// stays, and NaN as arithmetic makes it, whose lower half is zero.
inline float load_one(const float* p, size_t j) { return p[j]; }
inline float load_one(const uint16_t* p, size_t j) { return __builtin_bit_cast(float, uint32_t{p[j]} << 16); }
inline void store_one(float* p, size_t j, float x, uint32_t) { p[j] = x; }
inline void store_one(uint16_t* p, size_t j, float x, uint32_t random) {
  p[j] = static_cast<uint16_t>((__builtin_bit_cast(uint32_t, x) + random) >> 16);
}

inline __attribute__((always_inline)) Block load_block(const float* p) { return load(p); }
inline __attribute__((always_inline)) Block load_block(const uint16_t* p) {
#ifdef __AVX512F__
  const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return reinterpret_cast<Block>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
#else
  Half h;
  __builtin_memcpy(&h, p, sizeof h);
  return reinterpret_cast<Block>(__builtin_convertvector(h, Word) << 16);
#endif
}
inline __attribute__((always_inline)) void store_block(Lanes lanes, float* p, const Block& b, const Block& old,
                                                       const Word&) {
  store_where(lanes, p, b, old);
}
inline __attribute__((always_inline)) void store_block(Lanes lanes, uint16_t* p, const Block& b, const Block& old,
                                                       const Word& random) {
  const Word bits = lanes ? reinterpret_cast<Word>(b) + random : reinterpret_cast<Word>(old);
  const Half h = __builtin_convertvector(bits >> 16, Half);
  __builtin_memcpy(p, &h, sizeof h);
}

// A row of bfloat16 as floats, and back; n a multiple of 16. What no step has moved comes back as it was: its lower
// half is zero, and nothing carries over.
void widen(const uint16_t* from, uint32_t n, float* to) {
  for (uint32_t j = 0; j < n; j += 16) store(to + j, load_block(from + j));
}
void narrow(const float* from, uint32_t n, uint32_t key, uint16_t* to) {
  const Block none = {};
  for (uint32_t j = 0; j < n; j += 16)
    store_block(none == none, to + j, load(from + j), none, random_block(j, key) & 0xffffu);
}
