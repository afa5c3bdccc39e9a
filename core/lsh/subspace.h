// The directions in which a layer's inputs vary.
#pragma once

#include <cstdint>
#include <span>

#include "memory.h"
#include "random.h"
#include "row.h"

namespace hashgrad {

// Orthonormal basis (n_columns x width, row-major; width a multiple of 16, columns beyond rank
// zero) of the principal subspace of `sample` less its `mean`, by block power iteration (Halko,
// Martinsson, Tropp 2011). The last column of a Row, the bias, never varies and gets zeros. Adds
// the multiplications it took to `cost`.
Array<float> principal_subspace(std::span<const Row> sample, const Array<float>& mean, uint32_t n_columns,
                                uint32_t rank, uint32_t width, Random& random, uint64_t& cost);

// Gram-Schmidt on the first `rank` columns of q (n rows of `width`), twice for accuracy; a column
// that vanishes is zero.
uint64_t orthonormalise(float* q, uint32_t n, uint32_t width, uint32_t rank);

}  // namespace hashgrad
