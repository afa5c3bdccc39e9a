// AArch64: NEON is part of its base, so the plain flags already use it.
#if defined(__ARM_NEON)
#include <arm_neon.h>

#include <type_traits>

#include "kernels/kernels.h"

#define HASHGRAD_LEVEL "neon"
namespace hashgrad::neon {
#include "kernels/body.inl"
extern const Kernels kernels = kTable;
}  // namespace hashgrad::neon
#endif
