// Optimiser rules, for one weight or sixteen, with gradient g (never called where the input is zero).
struct Sgd {  // row-wise Adagrad too: the caller folds the rate into the gradient's factor and into
              // l2
  template <class T>
  static void step(T& w, T&, T&, T g, const Step&) {
    w -= g;
  }
};
struct Momentum {
  template <class T>
  static void step(T& w, T& m, T&, T g, const Step& s) {
    m = s.momentum * m + g;
    w -= s.rate * m;
  }
};
struct Adagrad {  // with momentum on the scaled step, as in the paper
  template <class T>
  static void step(T& w, T& m, T& v, T g, const Step& s) {
    v += g * g;
    m = s.momentum * m + g / (root(v) + s.epsilon);
    w -= s.rate * m;
  }
};
struct Adam {  // the caller folds both bias corrections into rate and epsilon
  template <class T>
  static void step(T& w, T& m, T& v, T g, const Step& s) {
    m = s.beta1 * m + (1.f - s.beta1) * g;
    v = s.beta2 * v + (1.f - s.beta2) * g * g;
    w -= s.rate * m / (root(v) + s.epsilon);
  }
};

// Sixteen weights at once: those without gradient are computed too, and left alone (without AVX-512, written back as
// they were: another thread that trains without locks may lose a step of a weight there).
template <class Rule, bool kDecay>
inline __attribute__((always_inline)) void step_block(float* w, float* m, float* v, float a, const float* x,
                                                      size_t first, const Step& s) {
  constexpr bool kHasM = !std::is_same_v<Rule, Sgd>;
  constexpr bool kHasV = kHasM && !std::is_same_v<Rule, Momentum>;
  const Block input = load(x), none = {};
  const auto moves = input != none;
  const Block old_w = load(w), old_m = kHasM ? load(m) : none, old_v = kHasV ? load(v) : none;
  Block new_w = old_w, new_m = old_m, new_v = old_v, g = a * input;
  if constexpr (kDecay) {
    Block decay = s.l2 * old_w;
    if (first <= s.bias_column && s.bias_column < first + 16) decay[s.bias_column - first] = 0.f;
    g += decay;
  }
  Rule::step(new_w, new_m, new_v, g, s);
  store_where(moves, w, new_w, old_w);
  if constexpr (kHasM) store_where(moves, m, new_m, old_m);
  if constexpr (kHasV) store_where(moves, v, new_v, old_v);
}

template <class Rule, bool kDecay>
void update(float* w, float* m, float* v, float a, const Row& x, const Step& s) {
  constexpr bool kHasM = !std::is_same_v<Rule, Sgd>;
  constexpr bool kHasV = kHasM && !std::is_same_v<Rule, Momentum>;
  const Step step = s;  // nothing else points to it
  const auto one = [&](size_t j, float xj) __attribute__((always_inline)) {
    float wj = w[j], mj = kHasM ? m[j] : 0.f, vj = kHasV ? v[j] : 0.f, g = a * xj;
    if constexpr (kDecay) g += (j < step.bias_column ? step.l2 : 0.f) * wj;
    Rule::step(wj, mj, vj, g, step);
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
      step_block<Rule, kDecay>(w + at, kHasM ? m + at : nullptr, kHasV ? v + at : nullptr, a, x.dense + at, at, step);
    }
  } else {
    const uint32_t* __restrict index = x.index;
    const float* __restrict value = x.value;
#pragma omp simd
    for (uint32_t e = 0; e < x.n; e++)
      if (value[e] != 0.f) one(index[e], value[e]);
  }
}
