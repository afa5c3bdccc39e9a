#include "lsh/subspace.h"

#include <cmath>
#include <vector>

#include "kernels/kernels.h"

namespace hashgrad {

namespace {

constexpr int kIterations = 4;

// One pass: q = q R^-1, where R'R = q'q.
void cholesky_qr(float* q, uint32_t n, uint32_t width, uint32_t rank) {
  std::vector<double> gram(size_t{rank} * rank, 0.0), row(rank);
  for (uint32_t j = 0; j < n; j++) {
    const float* x = q + size_t{j} * width;
    for (uint32_t k = 0; k < rank; k++) row[k] = x[k];
    for (uint32_t c = 0; c < rank; c++) {
      double* g = &gram[size_t{c} * rank];
      for (uint32_t k = c; k < rank; k++) g[k] += row[c] * row[k];
    }
  }
  std::vector<double> inverse(rank);     // of R's diagonal; 0 for a column that depends on others
  for (uint32_t c = 0; c < rank; c++) {  // gram's upper triangle becomes R
    double* r = &gram[size_t{c} * rank];
    const double before = r[c];
    for (uint32_t p = 0; p < c; p++) {
      const double* above = &gram[size_t{p} * rank];
      for (uint32_t k = c; k < rank; k++) r[k] -= above[c] * above[k];
    }
    // rounding of q itself, in float, may leave up to n * 2^-48 of a column
    const bool depends = !(r[c] > 1e-10 * before && r[c] > 0);
    inverse[c] = depends ? 0.0 : 1.0 / std::sqrt(r[c]);
    for (uint32_t k = c; k < rank; k++) r[k] *= inverse[c];
  }
  for (uint32_t j = 0; j < n; j++) {
    float* x = q + size_t{j} * width;
    for (uint32_t k = 0; k < rank; k++) row[k] = x[k];
    for (uint32_t c = 0; c < rank; c++) {
      row[c] *= inverse[c];
      const double* r = &gram[size_t{c} * rank];
      for (uint32_t k = c + 1; k < rank; k++) row[k] -= row[c] * r[k];
      x[c] = static_cast<float>(row[c]);
    }
  }
}

}  // namespace

uint64_t orthonormalise(float* q, uint32_t n, uint32_t width, uint32_t rank) {
  for (int pass = 0; pass < 2; pass++) cholesky_qr(q, n, width, rank);
  return 2 * (uint64_t{n} * rank * (rank + 1) + uint64_t{rank} * rank * rank / 6);
}

void principal_subspace(std::span<const Row> sample, const Array<float>& mean, uint32_t n_columns, uint32_t rank,
                        uint32_t width, bool warm, Random& random, Array<float>& basis, uint64_t& cost) {
  const Kernels& k = active();
  const uint32_t n = n_columns - 1;
  Array<float> next(basis.size());
  std::vector<float> image(width), offset(width), total(width);
  for (uint32_t c = 0; c < rank; c++) {
    bool empty = true;  // a direction that an earlier sample did not have
    for (uint32_t j = 0; warm && empty && j < n; j++) empty = basis[size_t{j} * width + c] == 0.f;
    for (uint32_t j = 0; empty && j < n; j++) basis[size_t{j} * width + c] = random.normal();
  }
  if (!warm) cost += orthonormalise(basis.data(), n, width, rank);
  for (int iteration = 0; iteration < (warm ? 1 : kIterations); iteration++) {
    // next = sum_i (x_i - mean)' (x_i - mean) basis, the mean taken out without touching the zeros of x_i
    next.fill(0.f);
    std::fill(total.begin(), total.end(), 0.f);
    k.project(basis.data(), width, nullptr, mean.data(), n, offset.data());
    for (const Row& x : sample) {
      k.project(basis.data(), width, x.index, x.value, x.n - 1, image.data());  // without the bias
      for (uint32_t c = 0; c < width; c++) image[c] -= offset[c], total[c] += image[c];
      for (uint32_t e = 0; e + 1 < x.n; e++) k.axpy(&next[size_t{x.index[e]} * width], x.value[e], image.data(), width);
      cost += 2 * uint64_t{x.n} * width;
    }
    for (uint32_t j = 0; j < n; j++) k.axpy(&next[size_t{j} * width], -mean[j], total.data(), width);
    cost += 2 * uint64_t{n} * width;
    std::swap(basis, next);
    cost += orthonormalise(basis.data(), n, width, rank);
  }
}

}  // namespace hashgrad
