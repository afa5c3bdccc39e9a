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
  // A sum waits four or five cycles for its last addition, and two start in each: as many sums as registers hold.
  constexpr int kProducts = 10, kChains = kHeld == 8 ? kProducts : kHeld == 4 ? kProducts / 2 : kProducts / 5;
  Block s[kChains] = {};
  const Block a = load(x), b = load(x + 16);
  for (size_t round = 0; round < rounds; round++)
    for (int again = 0; again < kProducts / kChains; again++)
      for (int k = 0; k < kChains; k++) s[k] = s[k] * a + b;
  for (int k = 1; k < kChains; k++) s[0] += s[k];
  return sum(s[0]);
}
