// One seed -> independent streams. A stream is named by numbers (purpose, layer, step ...), never
// by the thread that draws from it, so that results do not depend on the number of threads.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace hashgrad {

// SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection of 64-bit words that mixes every
// bit.
inline uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

enum class Purpose : uint64_t {
  kWeights = 1,
  kProjection,
  kSubspace,
  kDropout,
  kCalibration,
  kWorkers,
  kPool,
  kRounding,
  kBucket
};

class Random {
 public:
  Random(uint64_t seed, Purpose purpose, uint64_t a = 0, uint64_t b = 0)
      : state_(mix(mix(mix(mix(seed) ^ static_cast<uint64_t>(purpose)) ^ a) ^ b)) {}

  uint64_t next() {
    const uint64_t out = mix(state_);
    state_ += 0x9e3779b97f4a7c15ull;
    return out;
  }
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24f; }  // [0, 1)
  uint32_t below(uint32_t n) {                                             // [0, n)
    return static_cast<uint32_t>(((next() >> 32) * static_cast<uint64_t>(n)) >> 32);
  }
  float normal() {  // Box-Muller, one of the pair
    const double u = (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53;
    const double v = static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v));
  }

 private:
  uint64_t state_;
};

}  // namespace hashgrad
