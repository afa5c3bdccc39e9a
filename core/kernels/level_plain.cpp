// Plain C++: what every target of the compiler can run.
#include <type_traits>

#include "kernels/kernels.h"

#define HASHGRAD_LEVEL "plain"
namespace hashgrad::plain {
#include "kernels/body.inl"
extern const Kernels kernels = kTable;
}  // namespace hashgrad::plain
