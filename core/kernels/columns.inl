// Input-major weights: an input is a row of `stride` floats, one for each neuron. What a sparse input
// reads is contiguous.

template <int kWidth>  // kWidth blocks of z stay in registers over all entries of x
inline void add_strip(const float* w, size_t stride, const Row& x, float* z) {
  Block s[kWidth] = {};
  for (uint32_t e = 0; e < x.n; e++) {
    const float* row = w + size_t{x.index[e]} * stride;
    const float v = x.value[e];
    for (int k = 0; k < kWidth; k++) s[k] += v * load(row + 16 * k);
  }
  for (int k = 0; k < kWidth; k++) store(z + 16 * k, s[k]);
}

void add_columns(const float* w, size_t stride, const Row& x, uint32_t n, float* z) {
  in_strips(n, [&]<int kWidth>(size_t at) { add_strip<kWidth>(w + at, stride, x, z + at); });
}

// kRows input rows against one example's neurons, which all rows share: what each index and value costs to read is
// paid once, and the sums do not wait for each other. The four rows that come next are asked for in time, to be
// written: another thread's core may have them.
template <int kRows, bool kTowards, bool kMove>
inline void rows_by_entries(float* const* row, const float* step, const Parts& parts, const uint32_t* index,
                            const float* value, float* const* towards) {
  for (uint32_t p = 0; p < parts.n; p++) {
    float s[kRows] = {};
    for (uint32_t e = parts.cut[p]; e < parts.cut[p + 1]; e++) {
      const uint32_t i = index[e];
      const float v = value[e];
      for (int r = 0; r < kRows; r++) {
        const float w = row[r][i];
        if constexpr (kTowards) s[r] += w * v;
        if constexpr (kMove) row[r][i] = w - step[r] * v;
        if constexpr (kMove && kRows == 4) __builtin_prefetch(row[4 + r] + i, 1);
      }
    }
    if constexpr (kTowards)
      for (int r = 0; r < kRows; r++) towards[r][p * parts.width] = s[r];
  }
}

// The same where every neuron is active: cut holds neurons, value one for each, in whole blocks.
template <int kRows, bool kTowards, bool kMove>
inline void rows_by_blocks(float* const* row, const float* step, const Parts& parts, const uint32_t*,
                           const float* value, float* const* towards) {
  for (uint32_t p = 0; p < parts.n; p++) {
    Block s[kRows] = {};
    for (uint32_t i = parts.cut[p]; i < parts.cut[p + 1]; i += 16) {
      const Block v = load(value + i);
      for (int r = 0; r < kRows; r++) {
        const Block w = load(row[r] + i);
        if constexpr (kTowards) s[r] += w * v;
        if constexpr (kMove) store(row[r] + i, w - step[r] * v);
      }
    }
    if constexpr (kTowards)
      for (int r = 0; r < kRows; r++) towards[r][p * parts.width] = sum(s[r]);
  }
}

void learn_columns(float* const* row, const float* step, uint32_t n, const Parts& parts, const uint32_t* index,
                   const float* value, float* const* towards) {
  const auto run = [&]<bool kTowards, bool kMove>() {
    if (n == 4)
      index ? rows_by_entries<4, kTowards, kMove>(row, step, parts, index, value, towards)
            : rows_by_blocks<4, kTowards, kMove>(row, step, parts, index, value, towards);
    else
      for (uint32_t r = 0; r < n; r++)
        index ? rows_by_entries<1, kTowards, kMove>(row + r, step ? step + r : nullptr, parts, index, value,
                                                    towards ? towards + r : nullptr)
              : rows_by_blocks<1, kTowards, kMove>(row + r, step ? step + r : nullptr, parts, index, value,
                                                   towards ? towards + r : nullptr);
  };
  if (towards && step)
    run.template operator()<true, true>();
  else if (towards)
    run.template operator()<true, false>();
  else
    run.template operator()<false, true>();
}
