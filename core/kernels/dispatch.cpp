#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>
#include <stdexcept>

#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>  // last: its macros have the names of functions in Microsoft's headers
#endif

namespace hashgrad {

namespace plain {
extern const Kernels kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#elif defined(__aarch64__)
namespace neon {
extern const Kernels kernels;
}
#endif

namespace {

Kernels current = plain::kernels;  // chosen while nothing computes

#if defined(__x86_64__)
// What the processor can do, and the system keeps of its registers. The compilers' own __builtin_cpu_supports needs a
// library that is not there on Windows.
struct Processor {
  bool avx2 = false, avx512 = false, bfloat16 = false;

  Processor() {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    const bool fma = c >> 12 & 1, kept = c >> 27 & 1;
    if (!kept || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const auto all = [](uint32_t word, std::initializer_list<int> bits) {
      return std::all_of(bits.begin(), bits.end(), [&](int bit) { return word >> bit & 1; });
    };
    avx2 = all(low, {1, 2}) && fma && all(b, {5, 8});  // AVX2, BMI2
    // F, DQ, BW and VL; VNNI and VPOPCNTDQ
    avx512 = avx2 && all(low, {5, 6, 7}) && all(b, {16, 17, 30, 31}) && all(c, {11, 14});
    bfloat16 = avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 5 & 1;  // AVX512-BF16
  }
};
#endif

// Best first.
std::vector<const Kernels*> available() {
  std::vector<const Kernels*> levels;
#if defined(__x86_64__)
  const Processor processor;
  if (processor.avx512) levels.push_back(&avx512::kernels);
  if (processor.avx2) levels.push_back(&avx2::kernels);
#elif defined(__aarch64__)
  levels.push_back(&neon::kernels);
#endif
  levels.push_back(&plain::kernels);
  return levels;
}

void choose(const Kernels& level) {
  current = level;
#if defined(__x86_64__)
  if (!Processor().bfloat16) current.bfloat16 = {};
#endif
}

}  // namespace

const Kernels& active() { return current; }

std::string simd_level() { return current.name; }

std::vector<std::string> simd_levels() {
  std::vector<std::string> names;
  for (const Kernels* level : available()) names.emplace_back(level->name);
  return names;
}

void set_simd_level(const std::string& name) {
  for (const Kernels* level : available())
    if (name == level->name) {
      choose(*level);
      return;
    }
  std::string can;
  for (const std::string& level : simd_levels()) can += (can.empty() ? "" : ", ") + level;
  throw std::invalid_argument("HASHGRAD_SIMD must be a level that this CPU and build can run (" + can + "), got '" +
                              name + "'");
}

void choose_simd_level() {
  const char* wanted = std::getenv("HASHGRAD_SIMD");
  if (wanted && *wanted)
    set_simd_level(wanted);
  else
    choose(*available().front());
}

uint64_t update_cost(Optimizer optimizer, State state, bool l2) {
  // Multiplications, divisions and square roots per weight in update.inl's rules; a * x is the first, and random bits
  // take one. Where the second moment is a row's, its mean square takes two more, and l2 * w is computed there, too.
  constexpr std::array<uint64_t, 7> cost = {1, 3, 6, 9, 1, 10, 7};
  return cost[rule_of(optimizer, state)] + (l2 ? (state == State::kRow ? 2 : 1) : 0);
}

}  // namespace hashgrad
