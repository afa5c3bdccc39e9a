// The k largest of n numbers. Counting how many lie above a guess is one pass of compares, with no memory written; a
// few guesses leave so few numbers between them that these can be ranked outright.

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

// How many numbers are above each of three guesses; returns whether any is NaN or infinite.
inline bool count_above_three(const float* z, uint32_t n, const float* guess, uint32_t* above) {
  uint32_t i = 0, odd = 0;
  above[0] = above[1] = above[2] = 0;
#ifdef __AVX512F__
  const __m512 g0 = _mm512_set1_ps(guess[0]), g1 = _mm512_set1_ps(guess[1]), g2 = _mm512_set1_ps(guess[2]);
  const __m512i one = _mm512_set1_epi32(1);
  __m512i c0{}, c1{}, c2{};
  __mmask16 bad = 0;
  for (; i + 16 <= n; i += 16) {
    const __m512 v = _mm512_loadu_ps(z + i);
    c0 = _mm512_mask_add_epi32(c0, _mm512_cmp_ps_mask(v, g0, _CMP_GT_OQ), c0, one);
    c1 = _mm512_mask_add_epi32(c1, _mm512_cmp_ps_mask(v, g1, _CMP_GT_OQ), c1, one);
    c2 = _mm512_mask_add_epi32(c2, _mm512_cmp_ps_mask(v, g2, _CMP_GT_OQ), c2, one);
    bad = _kor_mask16(bad, _mm512_fpclass_ps_mask(v, 0x99));
  }
  above[0] = static_cast<uint32_t>(_mm512_reduce_add_epi32(c0));
  above[1] = static_cast<uint32_t>(_mm512_reduce_add_epi32(c1));
  above[2] = static_cast<uint32_t>(_mm512_reduce_add_epi32(c2));
  odd = bad;
#endif
  uint32_t a0 = 0, a1 = 0, a2 = 0;
#pragma omp simd reduction(+ : a0, a1, a2, odd)
  for (uint32_t j = i; j < n; j++) {
    a0 += z[j] > guess[0] ? 1u : 0u;
    a1 += z[j] > guess[1] ? 1u : 0u;
    a2 += z[j] > guess[2] ? 1u : 0u;
    odd += z[j] - z[j] == 0.f ? 0u : 1u;
  }
  above[0] += a0, above[1] += a1, above[2] += a2;
  return odd != 0;
}

// Mean and standard deviation, of a sample where there are many numbers.
inline void estimate(const float* z, uint32_t n, float& mean, float& deviation) {
  constexpr uint32_t kSample = 512, kRun = 64;
  float total = 0.f, squares = 0.f;
  uint32_t seen = 0;
  const uint32_t step = n > kSample ? n / (kSample / kRun) : kRun;
  for (uint32_t from = 0; from < n; from += step) {
    const uint32_t m = from + kRun < n ? kRun : n - from;
    Block t[4] = {}, s[4] = {};
    uint32_t i = 0;
    for (; i + 16 <= m; i += 16) {
      const Block v = load(z + from + i);
      t[i / 16] += v;
      s[i / 16] += v * v;
    }
    total += sum((t[0] + t[1]) + (t[2] + t[3]));
    squares += sum((s[0] + s[1]) + (s[2] + s[3]));
    for (; i < m; i++) total += z[from + i], squares += z[from + i] * z[from + i];
    seen += m;
  }
  mean = total / static_cast<float>(seen);
  const float variance = squares / static_cast<float>(seen) - mean * mean;
  deviation = variance > 0.f ? __builtin_sqrtf(variance) : 0.f;
}

// The value that a share `p` of a normal distribution exceeds, in standard deviations (Hastings 1955).
inline float normal_quantile(float p) {
  const bool upper = p < 0.5f;
  const float s = __builtin_sqrtf(-2.f * __builtin_logf(upper ? p : 1.f - p));
  const float q =
      s - (2.515517f + s * (0.802853f + s * 0.010328f)) / (1.f + s * (1.432788f + s * (0.189269f + s * 0.001308f)));
  return upper ? q : -q;
}

// Positions of all z > from, in order; returns how many. `position` has room for 16 more. `odd` becomes true if any is
// NaN or infinite. kRare: they are so few that lines without any are worth a branch.
template <bool kRare>
inline uint32_t collect(const float* z, uint32_t n, float from, uint32_t* position, bool& odd) {
  uint32_t kept = 0, i = 0, n_odd = 0;
#ifdef __AVX512F__
  const __m512 least = _mm512_set1_ps(from);
  __mmask16 bad = 0;
  for (; i + 16 <= n; i += 16) {
    const __m512 v = _mm512_loadu_ps(z + i);
    const __mmask16 some = _mm512_cmp_ps_mask(v, least, _CMP_GT_OQ);
    bad = _kor_mask16(bad, _mm512_fpclass_ps_mask(v, 0x99));
    if (kRare && !some) continue;
    _mm512_storeu_si512(position + kept, _mm512_maskz_compress_epi32(some, lanes_from(i)));
    kept += static_cast<uint32_t>(__builtin_popcount(some));
  }
  n_odd = bad;
#elif defined(__AVX2__)
  const __m256 least = _mm256_set1_ps(from), zero = _mm256_setzero_ps();
  __m256 bad[4] = {zero, zero, zero, zero};  // zeros, or NaN
  const auto above = [&](uint32_t at, __m256& odd_ones) {
    const __m256 v = _mm256_loadu_ps(z + at);
    odd_ones = _mm256_fmadd_ps(v, zero, odd_ones);
    return _mm256_cmp_ps(v, least, _CMP_GT_OQ);
  };
  const auto keep = [&](uint32_t at, __m256 those) {
    auto some = static_cast<uint32_t>(_mm256_movemask_ps(those));
    for (; some; some &= some - 1) position[kept++] = at + static_cast<uint32_t>(__builtin_ctz(some));
  };
  for (; kRare && i + 32 <= n; i += 32) {
    __m256 those[4];
    for (uint32_t k = 0; k < 4; k++) those[k] = above(i + 8 * k, bad[k]);
    if (_mm256_movemask_ps(_mm256_or_ps(_mm256_or_ps(those[0], those[1]), _mm256_or_ps(those[2], those[3]))))
      for (uint32_t k = 0; k < 4; k++) keep(i + 8 * k, those[k]);
  }
  for (; i + 8 <= n; i += 8) keep(i, above(i, bad[0]));
  const __m256 total = _mm256_add_ps(_mm256_add_ps(bad[0], bad[1]), _mm256_add_ps(bad[2], bad[3]));
  n_odd = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(total, zero, _CMP_NEQ_UQ)));
#endif
  for (; i < n; i++) {
    position[kept] = i;
    kept += z[i] > from;
    n_odd += z[i] - z[i] == 0.f ? 0u : 1u;
  }
  odd = odd || n_odd;
  return kept;
}

constexpr uint32_t kFew = 48;  // numbers to rank against each other

// Of kFew numbers: how many are greater than t.
inline uint32_t count_few_above(const float* few, float t) {
#ifdef __AVX512F__
  const __m512 least = _mm512_set1_ps(t);
  uint64_t mask = 0;
  for (uint32_t b = 0; b < kFew / 16; b++)
    mask |= uint64_t{_mm512_cmp_ps_mask(_mm512_loadu_ps(few + 16 * b), least, _CMP_GT_OQ)} << 16 * b;
  return static_cast<uint32_t>(__builtin_popcountll(mask));
#else
  return count_above(few, kFew, t);
#endif
}

inline Cut largest_by_counting(const float* z, uint32_t n, uint32_t k, uint32_t* position) {
  constexpr int kGuesses = 12;  // after which guesses halve the interval
  constexpr float kEnd = 3.40282347e38f;
  float mean, deviation;
  estimate(z, n, mean, deviation);
  if (!(mean - mean == 0.f) || !(deviation <= 1e30f)) return {0.f, 0, 0, false};
  const float place = static_cast<float>(k) - 0.5f, log_place = __builtin_logf(place);
  const float quantile = normal_quantile(place / static_cast<float>(n));
  // So far apart that about kFew numbers lie between the outer ones, and that the estimate's own error does not count.
  const float density = __builtin_expf(-0.5f * quantile * quantile) * 0.4f;
  const float reach = 0.4f * static_cast<float>(kFew) / (static_cast<float>(n) * density + 1e-6f);
  float step = deviation * (n > 512 && reach < 0.15f ? 0.15f : reach) + 1e-6f * __builtin_fabsf(mean) + 1e-30f;

  // The answer lies in (low, high]: fewer than k numbers are above high, at least k above low.
  float low = -kEnd, high = kEnd, guess = mean + quantile * deviation;
  uint32_t above_low = n, above_high = 0;
  const auto learn = [&](float t, uint32_t above) {
    if (above >= k) {
      if (t > low) low = t, above_low = above;
    } else if (t < high) {
      high = t, above_high = above;
    }
  };
  const float three[3] = {guess - step, guess, guess + step};
  uint32_t above[3];
  if (count_above_three(z, n, three, above)) return {0.f, 0, 0, false};
  for (int g = 0; g < 3; g++) learn(three[g], above[g]);

  for (int round = 0; above_low - above_high > kFew; round++) {
    if (low == -kEnd || high == kEnd) {  // nothing known on one side yet
      step *= 3.f;
      guess = low == -kEnd ? high - step : low + step;
    } else {  // counts fall off about exponentially in the tail of a distribution
      float lever = 0.5f;
      if (round < kGuesses) {
        const float log_low = __builtin_logf(static_cast<float>(above_low));
        const float log_high = __builtin_logf(above_high ? static_cast<float>(above_high) : 0.5f);
        lever = (log_low - log_place) / (log_low - log_high);
        lever = lever < 0.05f ? 0.05f : lever > 0.95f ? 0.95f : lever;
      }
      guess = low + (high - low) * lever;
    }
    if (!(guess > low && guess < high)) guess = low + 0.5f * (high - low);
    if (!(guess > low && guess < high)) guess = 0.5f * low + 0.5f * high;
    if (!(guess > low && guess < high)) break;  // no number between them: what is left equals high
    learn(guess, count_above(z, n, guess));
  }

  bool odd = false;  // none is, or the first count would have said so
  const uint32_t found = collect<false>(z, n, low, position, odd);
  Cut cut{high, above_high, found - above_high, true};
  if (found - above_high <= kFew) {
    float few[kFew + 16];
    uint32_t m = 0;
    for (uint32_t j = 0; j < found; j++) {
      const float v = z[position[j]];
      few[m] = v;
      m += v <= high;
    }
    for (uint32_t j = m; j < kFew; j++) few[j] = -kEnd;  // so that counts run over whole blocks
    for (uint32_t a = 0; a < m; a++) {
      cut.value = few[a];
      cut.above = above_high + count_few_above(few, few[a]);
      if (cut.above >= k) continue;
      cut.equal = 0;
      for (uint32_t b = 0; b < m; b++) cut.equal += few[b] == few[a];
      if (cut.above + cut.equal >= k) break;
    }
  }
  uint32_t kept = 0;
  for (uint32_t j = 0; j < found; j++) {
    const uint32_t i = position[j];
    position[kept] = i;
    kept += z[i] >= cut.value;
  }
  return cut;
}

constexpr uint32_t kMany = 1 << 16;  // numbers that no near cache holds

// Of very many, those above what a sample says are collected in one pass: more than k, by what chance may take away.
// Unknown if that was too few. `value` has room for a quarter of all.
inline Cut largest_by_sample(const float* z, uint32_t n, uint32_t k, uint32_t* position, float* value) {
  constexpr Cut kUnknown{0.f, 0, 0, false};
  constexpr uint32_t kLines = 1024, kSample = 16 * kLines;
  static_assert(kMany >= 4 * kSample);
  const float wanted = static_cast<float>(k) * (static_cast<float>(kSample) / static_cast<float>(n));
  if (!(wanted < kSample / 16)) return kUnknown;
  const auto rank = static_cast<uint32_t>(wanted + 4.f * __builtin_sqrtf(wanted) + 8.f);
  for (uint32_t l = 0; l < kLines; l++)
    store(value + 16 * l, load(z + static_cast<uint32_t>(uint64_t{l} * (n - 16) / (kLines - 1))));
  const Cut least = largest_by_counting(value, kSample, rank, position);
  if (!least.known) return kUnknown;
  bool odd = false;
  const uint32_t found = collect<true>(z, n, least.value, position, odd);
  if (odd || found <= k || found > n / 4) return kUnknown;
  uint32_t* among = position + found;
  for (uint32_t j = 0; j < found; j++) value[j] = z[position[j]];
  const Cut cut = largest_by_counting(value, found, k, among);
  for (uint32_t j = 0; cut.known && j < cut.above + cut.equal; j++) position[j] = position[among[j]];
  return cut;
}

Cut largest(const float* z, uint32_t n, uint32_t k, uint32_t* position, float* value) {
  if (n >= kMany)
    if (const Cut cut = largest_by_sample(z, n, k, position, value); cut.known) return cut;
  return largest_by_counting(z, n, k, position);
}

uint32_t above(const float* z, uint32_t n, float from, uint32_t* position, float* value, bool& odd) {
  const uint32_t found = collect<true>(z, n, from, position, odd);
  for (uint32_t j = 0; j < found; j++) value[j] = z[position[j]];
  return found;
}

uint32_t lowest(const float* x, uint32_t n) {
  float least = x[0];
#pragma omp simd reduction(min : least)
  for (uint32_t k = 1; k < n; k++) least = x[k] < least ? x[k] : least;
  uint32_t at = 0;
  while (at + 1 < n && x[at] != least) at++;
  return at;
}
