// What differs between compilers and systems, in one place: memory on a boundary, a shared integer, a pause. The rest
// needs C++20 and what GCC and Clang know on every system (vectors, built-ins, attributes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef _WIN32
#include <malloc.h>
#endif

namespace hashgrad {

// `bytes` on a boundary, both multiples of it; nullptr where there is no room.
inline void* allocate_aligned(size_t boundary, size_t bytes) {
#ifdef _WIN32
  return _aligned_malloc(bytes, boundary);
#else
  return std::aligned_alloc(boundary, bytes);
#endif
}

inline void free_aligned(void* p) {
#ifdef _WIN32
  _aligned_free(p);
#else
  std::free(p);
#endif
}

inline void ask_for_huge_pages([[maybe_unused]] void* p, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(p, bytes, MADV_HUGEPAGE);
#endif
}

// One integer of an array that several threads read and write: std::atomic_ref, which Apple's library lacks.
class AtomicRef {
 public:
  explicit AtomicRef(uint32_t& x) : x_(&x) {}
  uint32_t load_relaxed() const { return __atomic_load_n(x_, __ATOMIC_RELAXED); }
  void add_relaxed(uint32_t value) { __atomic_fetch_add(x_, value, __ATOMIC_RELAXED); }
  void store(uint32_t value) { __atomic_store_n(x_, value, __ATOMIC_SEQ_CST); }
  uint32_t exchange(uint32_t value) { return __atomic_exchange_n(x_, value, __ATOMIC_SEQ_CST); }
  bool replace(uint32_t expected, uint32_t value) {  // only if it is what is expected
    return __atomic_compare_exchange_n(x_, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  }

 private:
  uint32_t* x_;
};

// A moment's rest within a loop that waits for another processor.
inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace hashgrad
