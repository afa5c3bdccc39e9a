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
  // A weight whose input is zero is left alone, whatever its optimiser state.
  if (x.dense && !kHasM && !kDecay) {
    for (uint32_t b = 0; b < x.n_blocks; b++) {
      const size_t at = size_t{x.block[b]} * 16;
      store(w + at, load(w + at) - a * load(x.dense + at));
    }
  } else if (x.dense) {
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
