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
    m = s.beta1 * m + s.new1 * g;
    v = s.beta2 * v + s.new2 * g * g;
    w -= s.rate * m / (root(v) + s.epsilon);
  }
};

struct RowAdam {  // the second moment is the row's; the caller folds its root into the rate
  template <class T>
  static void step(T& w, T& m, T&, T g, const Step& s) {
    m = s.beta1 * m + s.new1 * g;
    w -= s.rate * m;
  }
};

template <class Rule>
constexpr bool kHasM = !std::is_same_v<Rule, Sgd>;
template <class Rule>
constexpr bool kHasV = std::is_same_v<Rule, Adagrad> || std::is_same_v<Rule, Adam>;

// a * x of a block of inputs and, of the weights that decay, their share.
template <bool kDecay>
HASHGRAD_INLINE Block gradient_of(const Block& w, float a, const Block& x, size_t first, const Step& s) {
  Block g = a * x;
  if constexpr (kDecay) {
    Block decay = s.l2 * w;
    if (first <= s.bias_column && s.bias_column < first + 16) {
      float each[16];
      store(each, decay);
      each[s.bias_column - first] = 0.f;
      decay = load(each);
    }
    g += decay;
  }
  return g;
}

// Sixteen weights at once: those without gradient are computed too, and left alone (without AVX-512, or where the state
// is bfloat16, written back as they were: another thread that trains without locks may lose a step of a weight there).
template <class Rule, bool kDecay, class Stored>
HASHGRAD_INLINE void step_block(float* w, Stored* m, Stored* v, float a, const float* x, size_t first, const Step& s) {
  const Block input = load(x), none = {};
  const auto moves = input != none;
  const Block old_w = load(w), old_m = kHasM<Rule> ? load_block(m) : none, old_v = kHasV<Rule> ? load_block(v) : none;
  Block new_w = old_w, new_m = old_m, new_v = old_v;
  Rule::step(new_w, new_m, new_v, gradient_of<kDecay>(old_w, a, input, first, s), s);
  const Word random = std::is_same_v<Stored, float> ? Word() : random_block(first, s.key);
  store_where(moves, w, new_w, old_w);
  if constexpr (kHasM<Rule>) store_block(moves, m, new_m, old_m, random & 0xffffu);
  if constexpr (kHasV<Rule>) store_block(moves, v, new_v, old_v, random >> 16);
}

template <class Rule, bool kDecay, class Stored = float>
void update(float* w, void* moment1, void* moment2, float a, const Row& x, const Step& s) {
  Stored *m = static_cast<Stored*>(moment1), *v = static_cast<Stored*>(moment2);
  const Step step = s;  // nothing else points to it
  const auto one = [&](size_t j, float xj) __attribute__((always_inline)) {
    float wj = w[j], mj = kHasM<Rule> ? load_one(m, j) : 0.f, vj = kHasV<Rule> ? load_one(v, j) : 0.f, g = a * xj;
    if constexpr (kDecay) g += (j < step.bias_column ? step.l2 : 0.f) * wj;
    Rule::step(wj, mj, vj, g, step);
    const uint32_t random = std::is_same_v<Stored, float> ? 0 : random_bits(j, step.key);
    w[j] = wj;
    if constexpr (kHasM<Rule>) store_one(m, j, mj, random & 0xffffu);
    if constexpr (kHasV<Rule>) store_one(v, j, vj, random >> 16);
  };
  // A weight whose input is zero is left alone, whatever its optimiser state.
  if (x.dense && !kHasM<Rule> && !kDecay) {
    for (uint32_t b = 0; b < x.n_blocks; b++) {
      const size_t at = size_t{x.block[b]} * 16;
      store(w + at, load(w + at) - a * load(x.dense + at));
    }
  } else if (x.dense) {
    for (uint32_t b = 0; b < x.n_blocks; b++) {
      const size_t at = size_t{x.block[b]} * 16;
      step_block<Rule, kDecay>(w + at, kHasM<Rule> ? m + at : nullptr, kHasV<Rule> ? v + at : nullptr, a, x.dense + at,
                               at, step);
    }
  } else {
    const uint32_t* __restrict index = x.index;
    const float* __restrict value = x.value;
#pragma omp simd
    for (uint32_t e = 0; e < x.n; e++)
      if (value[e] != 0.f) one(index[e], value[e]);
  }
}

template <bool kDecay>
float mean_square(const float* w, float a, const Row& x, const Step& s) {
  Block squares{};
  float total = 0.f;
  uint32_t n = 0;
  if (x.dense) {
    const Block none = {};
    Lanes moved = {};
    for (uint32_t b = 0; b < x.n_blocks; b++) {
      const size_t at = size_t{x.block[b]} * 16;
      const Block input = load(x.dense + at), g = gradient_of<kDecay>(kDecay ? load(w + at) : none, a, input, at, s);
      const Lanes moves = input != none;
      squares += choose(moves, g * g, none);
      moved -= moves;  // true is -1
    }
    total = sum(squares);
    for (uint32_t k = 0; k < 16; k++) n += static_cast<uint32_t>(moved[k]);
  } else {
    for (uint32_t e = 0; e < x.n; e++) {
      if (x.value[e] == 0.f) continue;
      const float decay = kDecay && x.index[e] < s.bias_column ? s.l2 * w[x.index[e]] : 0.f;
      const float g = a * x.value[e] + decay;
      total += g * g;
      n++;
    }
  }
  return n == 0 ? 0.f : total / static_cast<float>(n);
}
