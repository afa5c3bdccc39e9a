// x86-64 with AVX-512 F, BW, DQ, VL, VPOPCNTDQ and VNNI.
#if defined(__AVX512VPOPCNTDQ__) && defined(__AVX512VNNI__)
#include <immintrin.h>
#if defined(_MSC_VER) && defined(__clang__)  // which leaves out there what the whole file is not compiled for
#include <avx512bf16intrin.h>
#endif

#include <type_traits>

#include "kernels/kernels.h"

#define HASHGRAD_LEVEL "avx512"
namespace hashgrad::avx512 {
#include "kernels/body.inl"
extern const Kernels kernels = kTable;
}  // namespace hashgrad::avx512
#endif
