// What this machine can do at best: the floors that the other kernels are measured against.

float stream(const float* x, size_t n) {
  Block s[kHeld] = {};
  size_t i = 0;
  for (; i + 16 * kHeld <= n; i += 16 * kHeld)
    for (size_t k = 0; k < kHeld; k++) s[k] += load(x + i + 16 * k);
  for (size_t k = 1; k < kHeld; k++) s[0] += s[k];
  return sum(s[0]);
}

float products(const float* x, size_t rounds) {
  constexpr int kChains = kHeld + 1;  // a sum waits four or five cycles for its last addition, and two start in each
  Block s[kChains] = {};
  const Block a = load(x), b = load(x + 16);
  for (size_t round = 0; round < rounds; round++)
    for (int k = 0; k < kChains; k++) s[k] = s[k] * a + b;
  for (int k = 1; k < kChains; k++) s[0] += s[k];
  return sum(s[0]);
}
