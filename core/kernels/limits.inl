// What this machine can do at best: the floors that the other kernels are measured against.

float stream(const float* x, size_t n) {
  Block s[8] = {};
  size_t i = 0;
  for (; i + 128 <= n; i += 128)
    for (size_t k = 0; k < 8; k++) s[k] += load(x + i + 16 * k);
  return sum(((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])));
}

float products(const float* x, size_t rounds) {
  constexpr int kChains = 10;  // a sum waits four or five cycles for its last addition, and two start in each
  Block s[kChains] = {};
  const Block a = load(x), b = load(x + 16);
  for (size_t round = 0; round < rounds; round++)
    for (int k = 0; k < kChains; k++) s[k] = s[k] * a + b;
  for (int k = 1; k < kChains; k++) s[0] += s[k];
  return sum(s[0]);
}
