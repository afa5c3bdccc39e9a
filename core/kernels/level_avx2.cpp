// x86-64 with AVX2 and FMA.
#if defined(__AVX2__)
#include <immintrin.h>

#include <type_traits>

#include "kernels/kernels.h"

#define HASHGRAD_LEVEL "avx2"
namespace hashgrad::avx2 {
#include "kernels/body.inl"
extern const Kernels kernels = kTable;
}  // namespace hashgrad::avx2
#endif
