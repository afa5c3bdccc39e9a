// The k-th largest of n numbers. Counting how many lie above a guess is one pass of compares, with no memory
// written; a few guesses leave so few numbers between them that these can be ranked outright.

inline uint32_t count_above(const float* z, uint32_t n, float t) {
  uint32_t count = 0, i = 0;
#ifdef __AVX512F__
  const __m512 least = _mm512_set1_ps(t);
  const __m512i one = _mm512_set1_epi32(1);
  __m512i c[4] = {};
  const auto add = [&](int l, uint32_t at) {
    c[l] = _mm512_mask_add_epi32(c[l], _mm512_cmp_ps_mask(_mm512_loadu_ps(z + at), least, _CMP_GT_OQ), c[l], one);
  };
  for (; i + 64 <= n; i += 64)
    for (int l = 0; l < 4; l++) add(l, i + 16 * static_cast<uint32_t>(l));
  for (; i + 16 <= n; i += 16) add(0, i);
  count = static_cast<uint32_t>(
      _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_add_epi32(c[0], c[1]), _mm512_add_epi32(c[2], c[3]))));
#endif
#pragma omp simd reduction(+ : count)
  for (uint32_t j = i; j < n; j++) count += z[j] > t ? 1u : 0u;
  return count;
}

// Sums, and largest and smallest numbers, four of each side by side: one would wait for its own last addition.
struct Spread {
  float total, squares, top, bottom;
};

inline Spread spread(const float* z, uint32_t n) {
  constexpr int kLanes = 4;
  Block total[kLanes] = {}, squares[kLanes] = {}, top[kLanes], bottom[kLanes];
  for (int l = 0; l < kLanes; l++) top[l] = bottom[l] = Block{} + z[0];
  uint32_t i = 0;
  for (; i + 16 * kLanes <= n; i += 16 * kLanes)
    for (int l = 0; l < kLanes; l++) {
      const Block v = load(z + i + 16 * l);
      total[l] += v;
      squares[l] += v * v;
      top[l] = v > top[l] ? v : top[l];
      bottom[l] = v < bottom[l] ? v : bottom[l];
    }
  for (int l = 1; l < kLanes; l++) {
    total[0] += total[l];
    squares[0] += squares[l];
    top[0] = top[l] > top[0] ? top[l] : top[0];
    bottom[0] = bottom[l] < bottom[0] ? bottom[l] : bottom[0];
  }
  float most[16], least[16];
  store(most, top[0]), store(least, bottom[0]);
  Spread s{sum(total[0]), sum(squares[0]), most[0], least[0]};
  for (int j = 1; j < 16; j++) {
    s.top = most[j] > s.top ? most[j] : s.top;
    s.bottom = least[j] < s.bottom ? least[j] : s.bottom;
  }
  for (; i < n; i++) {
    s.total += z[i];
    s.squares += z[i] * z[i];
    s.top = z[i] > s.top ? z[i] : s.top;
    s.bottom = z[i] < s.bottom ? z[i] : s.bottom;
  }
  return s;
}

// The value that a share `p` of a normal distribution exceeds, in standard deviations (Hastings 1955).
inline float normal_quantile(float p) {
  const bool upper = p < 0.5f;
  const float s = __builtin_sqrtf(-2.f * __builtin_logf(upper ? p : 1.f - p));
  const float q =
      s - (2.515517f + s * (0.802853f + s * 0.010328f)) / (1.f + s * (1.432788f + s * (0.189269f + s * 0.001308f)));
  return upper ? q : -q;
}

Cut cut(const float* z, uint32_t n, uint32_t k) {
  constexpr uint32_t kFew = 48;  // numbers to rank against each other
  constexpr int kGuesses = 12;   // after which guesses halve the interval
  const Spread s = spread(z, n);
  if (!(s.squares <= 3e38f)) return {0.f, 0, 0, false};  // NaN, infinity, or too large to square
  const float mean = s.total / static_cast<float>(n);
  const float variance = s.squares / static_cast<float>(n) - mean * mean;
  const float place = static_cast<float>(k) - 0.5f, log_place = __builtin_logf(place);
  float guess =
      mean + normal_quantile(place / static_cast<float>(n)) * __builtin_sqrtf(variance > 0.f ? variance : 0.f);

  // The answer lies in (low, high]: fewer than k numbers are above high, at least k above low, or all n of them at or
  // above low as long as that is the bottom.
  float low = s.bottom, high = s.top;
  uint32_t above_low = n, above_high = 0;
  bool at_bottom = true;
  for (int round = 0; above_low - above_high > kFew; round++) {
    if (!(guess > low && guess < high)) guess = low + 0.5f * (high - low);
    if (!(guess > low && guess < high)) {  // no number between them: what is left is equal to one or the other
      if (at_bottom) above_low = count_above(z, n, low);
      if (above_low >= k) return {high, above_high, above_low - above_high, true};
      return {low, above_low, n - above_low, true};
    }
    const uint32_t above = count_above(z, n, guess);
    if (above >= k)
      low = guess, above_low = above, at_bottom = false;
    else
      high = guess, above_high = above;
    float lever = 0.5f;
    if (round < kGuesses) {  // counts fall off about exponentially in the tail of a distribution
      const float log_low = __builtin_logf(static_cast<float>(above_low));
      const float log_high = __builtin_logf(above_high ? static_cast<float>(above_high) : 0.5f);
      lever = (log_low - log_place) / (log_low - log_high);
      lever = lever < 0.05f ? 0.05f : lever > 0.95f ? 0.95f : lever;
    }
    guess = low + (high - low) * lever;
  }

  float few[kFew + 16];
  uint32_t m = 0, i = 0;
#ifdef __AVX512F__
  const __m512 least = _mm512_set1_ps(low), most = _mm512_set1_ps(high);
  for (; i + 16 <= n; i += 16) {
    const __m512 v = _mm512_loadu_ps(z + i);
    const __mmask16 over = at_bottom ? 0xffff : _mm512_cmp_ps_mask(v, least, _CMP_GT_OQ);
    const __mmask16 some = _mm512_mask_cmp_ps_mask(over, v, most, _CMP_LE_OQ);
    _mm512_storeu_ps(few + m, _mm512_maskz_compress_ps(some, v));
    m += static_cast<uint32_t>(__builtin_popcount(some));
  }
#endif
  for (; i < n; i++) {
    few[m] = z[i];
    m += (at_bottom || z[i] > low) && z[i] <= high;
  }
  for (i = m; i < kFew; i++) few[i] = -3.4e38f;  // so that counts run over whole blocks
  for (uint32_t a = 0; a < m; a++) {
    const uint32_t above = above_high + count_above(few, kFew, few[a]);
    if (above >= k) continue;
    uint32_t equal = 0;
    for (uint32_t b = 0; b < m; b++) equal += few[b] == few[a];
    if (above + equal >= k) return {few[a], above, equal, true};
  }
  return {0.f, 0, 0, false};  // not reached
}

uint32_t collect(const float* z, uint32_t n, float from, uint32_t* position) {
  uint32_t kept = 0, i = 0;
#ifdef __AVX512F__
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512 least = _mm512_set1_ps(from);
  for (; i + 16 <= n; i += 16) {
    const __mmask16 some = _mm512_cmp_ps_mask(_mm512_loadu_ps(z + i), least, _CMP_GE_OQ);
    _mm512_storeu_si512(position + kept, _mm512_maskz_compress_epi32(
                                             some, _mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(i)))));
    kept += static_cast<uint32_t>(__builtin_popcount(some));
  }
#endif
  for (; i < n; i++) {
    position[kept] = i;
    kept += z[i] >= from;
  }
  return kept;
}
