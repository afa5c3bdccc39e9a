// The directions in which a layer's inputs vary.
#pragma once

#include <cstdint>
#include <span>

#include "memory.h"
#include "random.h"
#include "row.h"

namespace hashgrad {

// Turns `basis` (n_columns x width, row-major; width a multiple of 16, columns beyond rank zero) into an orthonormal
// basis of the principal subspace of `sample` less its `mean`, by block power iteration (Halko, Martinsson, Tropp
// 2011): from random directions or, if `warm`, from what it holds, which then takes one iteration. The last column of a
// Row, the bias, never varies and gets zeros. Adds the multiplications it took to `cost`.
void principal_subspace(std::span<const Row> sample, const Array<float>& mean, uint32_t n_columns, uint32_t rank,
                        uint32_t width, bool warm, Random& random, Array<float>& basis, uint64_t& cost);

// Makes the first `rank` columns of q (n rows of `width`) orthonormal, twice for accuracy; a column that depends on
// those before it becomes zero. Cholesky QR (Fukaya et al. 2014), in double.
uint64_t orthonormalise(float* q, uint32_t n, uint32_t width, uint32_t rank);

}  // namespace hashgrad
