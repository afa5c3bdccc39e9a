#include "lsh/subspace.h"

#include <cmath>
#include <vector>

#include "kernels/kernels.h"

namespace hashgrad {

namespace {
constexpr int kIterations = 4;
}

uint64_t orthonormalise(float* q, uint32_t n, uint32_t width, uint32_t rank) {
  std::vector<double> overlap(rank);
  for (uint32_t c = 0; c < rank; c++) {
    double before = 0;
    for (uint32_t j = 0; j < n; j++) before += double{q[size_t{j} * width + c]} * q[size_t{j} * width + c];
    for (int pass = 0; pass < 2; pass++) {
      std::fill(overlap.begin(), overlap.begin() + c, 0.0);
      for (uint32_t j = 0; j < n; j++)
        for (uint32_t k = 0; k < c; k++) overlap[k] += double{q[size_t{j} * width + c]} * q[size_t{j} * width + k];
      for (uint32_t j = 0; j < n; j++) {
        double take = 0;
        for (uint32_t k = 0; k < c; k++) take += overlap[k] * q[size_t{j} * width + k];
        q[size_t{j} * width + c] -= static_cast<float>(take);
      }
    }
    double norm = 0;
    for (uint32_t j = 0; j < n; j++) norm += double{q[size_t{j} * width + c]} * q[size_t{j} * width + c];
    const float scale = norm > 1e-10 * before && norm > 0 ? static_cast<float>(1.0 / std::sqrt(norm)) : 0.f;
    for (uint32_t j = 0; j < n; j++) q[size_t{j} * width + c] *= scale;
  }
  return 2 * uint64_t{n} * rank * (rank - 1) + 3 * uint64_t{n} * rank;
}

Array<float> principal_subspace(std::span<const Row> sample, const Array<float>& mean, uint32_t n_columns,
                                uint32_t rank, uint32_t width, Random& random, uint64_t& cost) {
  const Kernels& k = active();
  const uint32_t n = n_columns - 1;
  Array<float> q(size_t{n_columns} * width), next(q.size());
  std::vector<float> image(width), offset(width), total(width);
  for (uint32_t j = 0; j < n; j++)
    for (uint32_t c = 0; c < rank; c++) q[size_t{j} * width + c] = random.normal();
  cost += orthonormalise(q.data(), n, width, rank);
  for (int iteration = 0; iteration < kIterations; iteration++) {
    // next = sum_i (x_i - mean)' (x_i - mean) q, the mean taken out without touching the zeros of
    // x_i
    next.fill(0.f);
    std::fill(offset.begin(), offset.end(), 0.f);
    std::fill(total.begin(), total.end(), 0.f);
    for (uint32_t j = 0; j < n; j++) k.axpy(offset.data(), mean[j], &q[size_t{j} * width], width);
    for (const Row& x : sample) {
      k.project(q.data(), width, x, image.data());  // the bias row of q is zero
      for (uint32_t c = 0; c < width; c++) image[c] -= offset[c], total[c] += image[c];
      for (uint32_t e = 0; e + 1 < x.n; e++) k.axpy(&next[size_t{x.index[e]} * width], x.value[e], image.data(), width);
      cost += 2 * uint64_t{x.n} * width;
    }
    for (uint32_t j = 0; j < n; j++) k.axpy(&next[size_t{j} * width], -mean[j], total.data(), width);
    cost += 2 * uint64_t{n} * width;
    std::swap(q, next);
    cost += orthonormalise(q.data(), n, width, rank);
  }
  return q;
}

}  // namespace hashgrad
