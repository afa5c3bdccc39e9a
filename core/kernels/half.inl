// How weights and an optimiser's numbers are stored: as floats, or as bfloat16, the upper halves of floats, rounded up
// or down at random, each as often as keeps the mean. The nearest would not do: Adam's second moment moves by a
// thousandth a step, and numbers of eight bits lie four thousandths apart or more, so that it would stand still; so
// would weights, when steps get small.

using Word = Vector<uint32_t, 16>;

// Random bits of a column, or of sixteen: multiples of an odd number, shifted by the row's key (a Weyl sequence after
// Cranley and Patterson 1976). A key is new in each update, so that those of a weight are independent from step to
// step; those of neighbours are spread evenly. Nothing is drawn in turn: threads and lanes do not matter. The halves of
// kSpread are the fractions of the golden ratio and of the root of two.
constexpr uint32_t kSpread = 0x9e376a09u;

inline uint32_t random_bits(size_t column, uint32_t key) { return static_cast<uint32_t>(column) * kSpread + key; }
HASHGRAD_INLINE Word random_block(size_t first, uint32_t key) {
  static constexpr uint32_t kLanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load_as<Word>(kLanes) * kSpread + random_bits(first, key);
}

// A float's bits plus sixteen random ones, of which the upper half is stored: what carries over rounds up. Infinity
// stays, and NaN as arithmetic makes it, whose lower half is zero.
inline float load_one(const float* p, size_t j) { return p[j]; }
inline float load_one(const uint16_t* p, size_t j) { return __builtin_bit_cast(float, uint32_t{p[j]} << 16); }
inline void store_one(float* p, size_t j, float x, uint32_t) { p[j] = x; }
inline void store_one(uint16_t* p, size_t j, float x, uint32_t random) {
  p[j] = static_cast<uint16_t>((__builtin_bit_cast(uint32_t, x) + random) >> 16);
}

HASHGRAD_INLINE Block load_block(const float* p) { return load(p); }
HASHGRAD_INLINE Block load_block(const uint16_t* p) {
#ifdef __AVX512F__
  const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return reinterpret_cast<Block>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
#else
  return bits_as<Block>(load_as<Word>(p) << 16);
#endif
}
HASHGRAD_INLINE void store_block(Lanes lanes, float* p, const Block& b, const Block& old, const Word&) {
  store_where(lanes, p, b, old);
}
HASHGRAD_INLINE void store_block(Lanes lanes, uint16_t* p, const Block& b, const Block& old, const Word& random) {
  store_as(p, choose(lanes, bits_as<Word>(b) + random, bits_as<Word>(old)) >> 16);
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

// Moments in bytes: small floats, in a unit of their row, the power of two above its largest. m: a sign, four bits of
// exponent and three of mantissa, and below 2^-14 of the unit steps of 2^-17 down to zero. v: five bits of exponent and
// three of mantissa, down to about 2^-31, and nothing is rounded to zero, for m is divided by v's root. (Numbers that
// are evenly spaced would not do for m: a weight whose gradients are a thousandth of its row's largest would step by
// nothing or by eight times what it should.) What lies between two is rounded at random; what no step has moved comes
// back as it was while the unit stays, and where units change, as powers of two, if it is not near the least.
using Whole = Vector<int32_t, 16>;
constexpr uint32_t kByteShift = 20;  // of a float's bits: eight of exponent and three of mantissa are left
constexpr uint32_t kFirstM = 112u << 3, kFirstV = 96u << 3;
constexpr float kEvenM = 0x1p-14f, kStepM = 0x1p-17f;
constexpr float kUnitLeast = 1e-30f, kUnitMost = 1e30f;  // so that inverses are numbers

inline float largest_of(const Block& x) {
  float each[16], most = 0.f;
  store(each, x);
  for (const float v : each) most = v > most ? v : most;
  return most;
}
inline float unit_of(float most) {
  if (!(most > kUnitLeast)) return 0.f;
  if (most > kUnitMost) return __builtin_inff();  // overflown, which what is made of it will show
  return 2.f * __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, most) & 0x7f800000u);
}

void widen_moments(const int8_t* __restrict m, const uint8_t* __restrict v, Units units, uint32_t n,
                   float* __restrict to_m, float* __restrict to_v) {
  // Masks in place of conditions, and loops in place of vectors' conversions: so compilers make vectors of all of it.
#pragma omp simd
  for (uint32_t j = 0; j < n; j++) {
    const int32_t code = m[j], sign = code >> 31, size = (code ^ sign) - sign;
    const auto even = __builtin_bit_cast(uint32_t, static_cast<float>(size) * kStepM);
    const uint32_t normal = (static_cast<uint32_t>(size) + kFirstM) << kByteShift;
    const auto small = static_cast<uint32_t>((size - 8) >> 31);
    const uint32_t bits = (even & small) | (normal & ~small) | (static_cast<uint32_t>(sign) & 0x80000000u);
    to_m[j] = units.m * __builtin_bit_cast(float, bits);
  }
#pragma omp simd
  for (uint32_t j = 0; j < n; j++) {
    const uint32_t code = v[j], bits = code == 0 ? 0u : (code + kFirstV) << kByteShift;
    to_v[j] = units.v * __builtin_bit_cast(float, bits);
  }
}
Units narrow_moments(const float* m, const float* v, uint32_t n, uint32_t key, int8_t* to_m, uint8_t* to_v) {
  const Block none = {};
  Block largest_m = none, largest_v = none;
  for (uint32_t j = 0; j < n; j += 16) {
    const Block x = load(m + j), size = choose(x < none, -x, x), y = load(v + j);
    largest_m = choose(size > largest_m, size, largest_m);
    largest_v = choose(y > largest_v, y, largest_v);
  }
  const Units units{unit_of(largest_of(largest_m)), unit_of(largest_of(largest_v))};
  const float inverse_m = units.m > 0.f ? 1.f / units.m : 0.f, inverse_v = units.v > 0.f ? 1.f / units.v : 0.f;
  for (uint32_t j = 0; j < n; j += 16) {
    const Word random = random_block(j, key), low = random & 0xffffu;
    const Block x = load(m + j) * inverse_m, size = choose(x < none, -x, x);
    const Block up = convert<Block>(low) * 0x1p-16f;
    const Word normal = ((bits_as<Word>(size) + (low << 4)) >> kByteShift) - kFirstM;
    const Block even = choose(size < kEvenM, size * (1.f / kStepM) + up, none);
    const Word steps = bits_as<Word>(convert<Whole>(even));
    const Whole code = bits_as<Whole>(choose(size < kEvenM, steps, normal));
    store_as(to_m + j, choose(x < none, -code, code));
    const Block y = load(v + j) * inverse_v;
    const Word bits = (bits_as<Word>(y) + (random >> 16 << 4)) >> kByteShift, least = Word() + kFirstV + 1;
    const Word some = choose(bits > least, bits, least) - kFirstV;
    store_as(to_v + j, choose(y > none, some, Word()));
  }
  return units;
}
