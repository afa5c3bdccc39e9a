// The kernels' one body. Included by level_*.cpp inside a namespace of its own per instruction set,
// so that the linker can never hand one level's code to another. A block is 16 floats: one AVX-512
// register, two of AVX2, four of NEON; the compiler lowers it.
//
// Hogwild threads read and write the same weights without locks (Niu et al. 2011): a float may be a
// moment old, and an update may be lost when two threads meet on it, which sparse active sets make
// rare.

using Block = float __attribute__((vector_size(64)));
using BlockBits = int32_t __attribute__((vector_size(64)));

inline __attribute__((always_inline)) Block load(const float* p) {
  Block b;
  __builtin_memcpy(&b, p, sizeof b);
  return b;
}
inline __attribute__((always_inline)) void store(float* p, const Block& b) { __builtin_memcpy(p, &b, sizeof b); }

inline float sum(const Block& b) {
  float s[16];
  store(s, b);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) s[i] += s[i + width];
  return s[0];
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

inline float dot_entries(const float* w, const Row& x) {
  const uint32_t* __restrict index = x.index;
  const float* __restrict value = x.value;
  float s = 0.f;
#pragma omp simd reduction(+ : s)
  for (uint32_t e = 0; e < x.n; e++) s += w[index[e]] * value[e];
  return s;
}

inline void dot_entries_of_four(const float* w0, const float* w1, const float* w2, const float* w3, const Row& x,
                                float* out) {
  const uint32_t* __restrict index = x.index;
  const float* __restrict value = x.value;
  float s0 = 0.f, s1 = 0.f, s2 = 0.f, s3 = 0.f;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
  for (uint32_t e = 0; e < x.n; e++) {
    const uint32_t j = index[e];
    const float v = value[e];
    s0 += w0[j] * v;
    s1 += w1[j] * v;
    s2 += w2[j] * v;
    s3 += w3[j] * v;
  }
  out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3;
}

void dot_rows(const float* w, size_t stride, const uint32_t* rows, uint32_t n, const Row& x, float* out) {
  const auto row = [&](uint32_t r) { return w + stride * (rows ? rows[r] : r); };
  uint32_t r = 0;
  if (!x.dense) {
    for (; r + 4 <= n; r += 4) dot_entries_of_four(row(r), row(r + 1), row(r + 2), row(r + 3), x, out + r);
    for (; r < n; r++) out[r] = dot_entries(row(r), x);
    return;
  }
  for (; r + 4 <= n; r += 4) {  // four rows share each block of x and hide each other's latency
    const float *w0 = row(r), *w1 = row(r + 1), *w2 = row(r + 2), *w3 = row(r + 3);
    Block s0{}, s1{}, s2{}, s3{};
    for (uint32_t b = 0; b < x.n_blocks; b++) {
      const size_t at = size_t{x.block[b]} * 16;
      const Block v = load(x.dense + at);
      s0 += v * load(w0 + at);
      s1 += v * load(w1 + at);
      s2 += v * load(w2 + at);
      s3 += v * load(w3 + at);
    }
    out[r] = sum(s0), out[r + 1] = sum(s1), out[r + 2] = sum(s2), out[r + 3] = sum(s3);
  }
  for (; r < n; r++) {
    const float* w0 = row(r);
    Block s{};
    for (uint32_t b = 0; b < x.n_blocks; b++) {
      const size_t at = size_t{x.block[b]} * 16;
      s += load(x.dense + at) * load(w0 + at);
    }
    out[r] = sum(s);
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

template <int kWidth>  // kWidth blocks of the sketch stay in registers over all entries of x
inline void project_strip(const float* p, size_t bits, const Row& x, float* out) {
  Block s[kWidth] = {};
  for (uint32_t e = 0; e < x.n; e++) {
    const float* row = p + size_t{x.index[e]} * bits;
    const float v = x.value[e];
    for (int k = 0; k < kWidth; k++) s[k] += v * load(row + 16 * k);
  }
  for (int k = 0; k < kWidth; k++) store(out + 16 * k, s[k]);
}

void project(const float* p, size_t bits, const Row& x, float* out) {
  size_t at = 0;
  for (; at + 128 <= bits; at += 128) project_strip<8>(p + at, bits, x, out + at);
  for (; at + 64 <= bits; at += 64) project_strip<4>(p + at, bits, x, out + at);
  for (; at < bits; at += 16) project_strip<1>(p + at, bits, x, out + at);
}

template <int kWords>  // the number of words known to the compiler: rows become straight-line code
inline void hamming_fixed(const uint64_t* __restrict signatures, uint32_t n, const uint64_t* __restrict query,
                          uint16_t* __restrict distance) {
  for (uint32_t r = 0; r < n; r++) {
    uint64_t d = 0;
    for (int k = 0; k < kWords; k++)
      d += static_cast<uint64_t>(__builtin_popcountll(signatures[size_t{r} * kWords + k] ^ query[k]));
    distance[r] = static_cast<uint16_t>(d);
  }
}

void hamming(const uint64_t* signatures, size_t words, uint32_t n, const uint64_t* query, uint16_t* distance) {
  switch (words) {
    case 1:
      return hamming_fixed<1>(signatures, n, query, distance);
    case 2:
      return hamming_fixed<2>(signatures, n, query, distance);
    case 4:
      return hamming_fixed<4>(signatures, n, query, distance);
    case 5:
      return hamming_fixed<5>(signatures, n, query, distance);
    case 8:
      return hamming_fixed<8>(signatures, n, query, distance);
  }
  for (uint32_t r = 0; r < n; r++) {
    const uint64_t* row = signatures + r * words;
    uint64_t d = 0;
    for (size_t k = 0; k < words; k++) d += static_cast<uint64_t>(__builtin_popcountll(row[k] ^ query[k]));
    distance[r] = static_cast<uint16_t>(d);
  }
}

void rank(const float* cosine, const float* norm, uint32_t n, uint32_t levels, uint16_t* distance) {
  const float middle = 0.5f * static_cast<float>(levels), top = static_cast<float>(levels);
#pragma omp simd
  for (uint32_t r = 0; r < n; r++) {
    float d = middle - norm[r] * cosine[distance[r]];
    d = d < 0.f ? 0.f : d;
    d = d > top ? top : d;
    distance[r] = static_cast<uint16_t>(static_cast<int32_t>(d));
  }
}

void signs(const float* x, size_t bits, uint64_t* words) {
  for (size_t word = 0; word < bits / 64; word++) {
    uint64_t w = 0;
    for (size_t j = 0; j < 64; j++) w |= static_cast<uint64_t>(x[word * 64 + j] >= 0.f) << j;
    words[word] = w;
  }
}

// Optimiser rules, for one weight with gradient g (never called where the input is zero).
struct Sgd {  // row-wise Adagrad too: the caller folds the rate into the gradient's factor and into
              // l2
  static void step(float& w, float&, float&, float g, const Step&) { w -= g; }
};
struct Momentum {
  static void step(float& w, float& m, float&, float g, const Step& s) {
    m = s.momentum * m + g;
    w -= s.rate * m;
  }
};
struct Adagrad {  // with momentum on the scaled step, as in the paper
  static void step(float& w, float& m, float& v, float g, const Step& s) {
    v += g * g;
    m = s.momentum * m + g / (__builtin_sqrtf(v) + s.epsilon);
    w -= s.rate * m;
  }
};
struct Adam {  // the caller folds both bias corrections into rate and epsilon
  static void step(float& w, float& m, float& v, float g, const Step& s) {
    m = s.beta1 * m + (1.f - s.beta1) * g;
    v = s.beta2 * v + (1.f - s.beta2) * g * g;
    w -= s.rate * m / (__builtin_sqrtf(v) + s.epsilon);
  }
};

template <class Rule, bool kDecay>
void update(float* w, float* m, float* v, float a, const Row& x, const Step& s) {
  constexpr bool kHasM = !std::is_same_v<Rule, Sgd>;
  constexpr bool kHasV = kHasM && !std::is_same_v<Rule, Momentum>;
  const auto one = [&](size_t j, float xj) __attribute__((always_inline)) {
    float wj = w[j], mj = kHasM ? m[j] : 0.f, vj = kHasV ? v[j] : 0.f, g = a * xj;
    if constexpr (kDecay) g += (j < s.bias_column ? s.l2 : 0.f) * wj;
    Rule::step(wj, mj, vj, g, s);
    w[j] = wj;
    if constexpr (kHasM) m[j] = mj;
    if constexpr (kHasV) v[j] = vj;
  };
  // A weight whose input is zero is left alone, neither read nor written, whatever its optimiser state.
  if (x.dense) {
    for (uint32_t b = 0; b < x.n_blocks; b++) {
      const size_t at = size_t{x.block[b]} * 16;
#pragma omp simd
      for (size_t k = 0; k < 16; k++)
        if (x.dense[at + k] != 0.f) one(at + k, x.dense[at + k]);
    }
  } else {
    const uint32_t* __restrict index = x.index;
    const float* __restrict value = x.value;
#pragma omp simd
    for (uint32_t e = 0; e < x.n; e++)
      if (value[e] != 0.f) one(index[e], value[e]);
  }
}

constexpr Kernels kTable = {
    HASHGRAD_LEVEL,
    dot_rows,
    add_rows,
    project,
    axpy,
    dot,
    hamming,
    rank,
    signs,
    {{update<Sgd, false>, update<Momentum, false>, update<Adagrad, false>, update<Adam, false>, update<Sgd, false>},
     {update<Sgd, true>, update<Momentum, true>, update<Adagrad, true>, update<Adam, true>, update<Sgd, true>}}};
