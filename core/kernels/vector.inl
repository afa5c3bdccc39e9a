// Vectors of any length. Those that fit a register are the compiler's own; longer ones are two halves, and so on: GCC
// keeps its own in memory where they fit none, and each operation would load and store them. What is written once for
// sixteen numbers (block.inl) is one register of AVX-512, two of AVX2, four of SSE2 or NEON.

#define HASHGRAD_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
constexpr uint32_t kRegister = 64, kHeld = 8;  // bytes; blocks of sixteen floats that sums may hold in registers
#elif defined(__AVX2__)
constexpr uint32_t kRegister = 32, kHeld = 4;
#elif defined(__ARM_NEON)
constexpr uint32_t kRegister = 16, kHeld = 4;
#else
constexpr uint32_t kRegister = 16, kHeld = 2;
#endif

template <class T, uint32_t kN>
struct Pair;
template <class T, uint32_t kN, bool kFits>
struct VectorOf {
  using Type __attribute__((vector_size(kN * sizeof(T)))) = T;
};
template <class T, uint32_t kN>
struct VectorOf<T, kN, false> {
  using Type = Pair<T, kN>;
};
template <class T, uint32_t kN>
using Vector = typename VectorOf<T, kN, kN * sizeof(T) <= kRegister>::Type;

template <class T, uint32_t kN>
struct Pair {
  using Part = Vector<T, kN / 2>;
  using Truth = Pair<int32_t, kN>;  // of a comparison: 0, or -1
  Part low, high;

  Pair() = default;
  HASHGRAD_INLINE Pair(const Part& l, const Part& h) : low(l), high(h) {}
  HASHGRAD_INLINE Pair(T x) : low(x - Part{}), high(x - Part{}) {}

  HASHGRAD_INLINE T operator[](uint32_t k) const {
    T all[kN];
    __builtin_memcpy(all, this, sizeof all);
    return all[k];
  }
  HASHGRAD_INLINE Pair operator-() const { return {-low, -high}; }
  HASHGRAD_INLINE Pair operator<<(int n) const { return {low << n, high << n}; }
  HASHGRAD_INLINE Pair operator>>(int n) const { return {low >> n, high >> n}; }
#define HASHGRAD_BOTH(Result, op) \
  friend HASHGRAD_INLINE Result operator op(const Pair& a, const Pair& b) { return {a.low op b.low, a.high op b.high}; }
  HASHGRAD_BOTH(Pair, +)
  HASHGRAD_BOTH(Pair, -)
  HASHGRAD_BOTH(Pair, *)
  HASHGRAD_BOTH(Pair, /)
  HASHGRAD_BOTH(Pair, &)
  HASHGRAD_BOTH(Truth, <)
  HASHGRAD_BOTH(Truth, >)
  HASHGRAD_BOTH(Truth, ==)
  HASHGRAD_BOTH(Truth, !=)
#undef HASHGRAD_BOTH
  HASHGRAD_INLINE Pair& operator+=(const Pair& b) { return *this = *this + b; }
  HASHGRAD_INLINE Pair& operator-=(const Pair& b) { return *this = *this - b; }
  HASHGRAD_INLINE Pair& operator*=(const Pair& b) { return *this = *this * b; }
};

template <class V>
constexpr bool kIsPair = false;
template <class T, uint32_t kN>
constexpr bool kIsPair<Pair<T, kN>> = true;

// Lane by lane: a where it holds, b elsewhere.
template <class Truth, class V>
HASHGRAD_INLINE V choose(const Truth& holds, const V& a, const V& b) {
  if constexpr (kIsPair<V>)
    return {choose(holds.low, a.low, b.low), choose(holds.high, a.high, b.high)};
  else
    return holds ? a : b;
}

template <class To, class From>  // the same bits
HASHGRAD_INLINE To bits_as(const From& x) {
  if constexpr (kIsPair<To>)
    return {bits_as<typename To::Part>(x.low), bits_as<typename To::Part>(x.high)};
  else
    return reinterpret_cast<To>(x);
}

template <class To, class From>  // the same numbers, in as many bytes
HASHGRAD_INLINE To convert(const From& x) {
  if constexpr (kIsPair<To>)
    return {convert<typename To::Part>(x.low), convert<typename To::Part>(x.high)};
  else
    return __builtin_convertvector(x, To);
}

// Numbers in memory, stored as others that may be narrower. Never more than a register is copied at once: what copies
// more goes by way of memory.
template <class V>
constexpr uint32_t kLength = sizeof(V) / sizeof(V{}[0]);

template <class V, class Stored>
HASHGRAD_INLINE V load_as(const Stored* p) {
  if constexpr (kIsPair<V>) {
    return {load_as<typename V::Part>(p), load_as<typename V::Part>(p + kLength<V> / 2)};
  } else {
    using Narrow __attribute__((vector_size(kLength<V> * sizeof(Stored)))) = Stored;
    Narrow x;
    __builtin_memcpy(&x, p, sizeof x);
    return __builtin_convertvector(x, V);
  }
}
template <class Stored, class V>
HASHGRAD_INLINE void store_as(Stored* p, const V& x) {
  if constexpr (kIsPair<V>) {
    store_as(p, x.low);
    store_as(p + kLength<V> / 2, x.high);
  } else {
    using Narrow __attribute__((vector_size(kLength<V> * sizeof(Stored)))) = Stored;
    const Narrow narrow = __builtin_convertvector(x, Narrow);
    __builtin_memcpy(p, &narrow, sizeof narrow);
  }
}
