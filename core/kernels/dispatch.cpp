#include <array>
#include <cstdlib>
#include <stdexcept>

#include "kernels/kernels.h"

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

const Kernels* current = &plain::kernels;

// Best first.
std::vector<const Kernels*> available() {
  std::vector<const Kernels*> levels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vpopcntdq") &&
      __builtin_cpu_supports("avx512vnni"))
    levels.push_back(&avx512::kernels);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    levels.push_back(&avx2::kernels);
#elif defined(__aarch64__)
  levels.push_back(&neon::kernels);
#endif
  levels.push_back(&plain::kernels);
  return levels;
}

}  // namespace

const Kernels& active() { return *current; }

std::string simd_level() { return current->name; }

std::vector<std::string> simd_levels() {
  std::vector<std::string> names;
  for (const Kernels* level : available()) names.emplace_back(level->name);
  return names;
}

void set_simd_level(const std::string& name) {
  for (const Kernels* level : available())
    if (name == level->name) {
      current = level;
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
    current = available().front();
}

uint64_t update_cost(Optimizer optimizer, bool l2) {
  // Multiplications, divisions and square roots per weight in body.inl's rules; a * x is the first.
  constexpr std::array<uint64_t, 5> cost = {1, 3, 6, 9, 1};
  return cost[static_cast<size_t>(optimizer)] + (l2 ? 1 : 0);  // l2 * w
}

}  // namespace hashgrad
