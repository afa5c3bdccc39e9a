#include "lsh/family.h"

#include <algorithm>
#include <cmath>

#include "lsh/subspace.h"
#include "random.h"

namespace hashgrad {

namespace {

constexpr float kQuantum = 2.5f;      // r of the Euclidean family, as L2-ALSH recommends
constexpr uint32_t kSparsity = 3;     // sparse projections: +-sqrt(3) with probability 1/6 each (Achlioptas 2003)
constexpr uint64_t kFixedDraw = ~0ull;

}  // namespace

HashFamily::HashFamily(uint32_t n_columns, const LshSpec& spec, uint64_t seed, uint64_t layer)
    : spec_(spec),
      n_columns_(n_columns),
      n_bits_(static_cast<uint32_t>(spec.bits * spec.tables)),
      width_(static_cast<uint32_t>(round_up(n_bits_, 64))),
      terms_(transform_terms(spec.transform)),
      seed_(seed),
      layer_(layer),
      projection_(size_t{n_columns} * width_),
      mean_(n_columns),
      mean_projection_(width_),
      extra_(static_cast<size_t>(terms_) * width_),
      extra_query_(width_),
      offset_(width_) {
  Random random(seed_, Purpose::kProjection, layer_, kFixedDraw);
  for (int t = 0; t < terms_; t++)
    for (uint32_t j = 0; j < n_bits_; j++) {
      extra_[t * width_ + j] = random.normal();
      extra_query_[j] += transform_query(spec.transform) * extra_[t * width_ + j];
    }
  for (uint32_t j = 0; j < n_bits_; j++) offset_[j] = 2.f * kQuantum * random.uniform();
}

void HashFamily::draw(std::span<const Row> sample, uint64_t generation, uint64_t& cost) {
  Random random(seed_, Purpose::kProjection, layer_, generation);
  const uint32_t bias = n_columns_ - 1;
  projection_.fill(0.f);
  if (spec_.projection == Projection::kSubspace) {
    const uint32_t rank = std::min<uint32_t>(static_cast<uint32_t>(spec_.rank), bias);
    const uint32_t basis_width = static_cast<uint32_t>(round_up(rank, kBlock));
    Random start(seed_, Purpose::kSubspace, layer_, generation);
    const Array<float> basis = principal_subspace(sample, mean_, n_columns_, rank, start, cost);
    std::vector<float> g(width_, 0.f);
    for (uint32_t r = 0; r < rank; r++) {  // P = U G
      for (uint32_t j = 0; j < n_bits_; j++) g[j] = random.normal();
      for (uint32_t c = 0; c < bias; c++) active().axpy(&projection_[size_t{c} * width_], basis[c * basis_width + r], g.data(), width_);
    }
    cost += uint64_t{n_columns_} * rank * width_;
    for (uint32_t j = 0; j < n_bits_; j++) projection_[size_t{bias} * width_ + j] = random.normal();
    return;
  }
  for (uint32_t c = 0; c < n_columns_; c++)
    for (uint32_t j = 0; j < n_bits_; j++) {
      float& p = projection_[size_t{c} * width_ + j];
      if (spec_.projection == Projection::kGaussian) {
        p = random.normal();
      } else {
        const uint32_t side = random.below(2 * kSparsity);
        p = side == 0 ? std::sqrt(float{kSparsity}) : side == 1 ? -std::sqrt(float{kSparsity}) : 0.f;
      }
    }
}

uint64_t HashFamily::fit(std::span<const Row> sample, uint64_t generation, bool redraw) {
  uint64_t cost = 0;
  mean_.fill(0.f);
  if (spec_.center && !sample.empty()) {
    for (const Row& x : sample)
      for (uint32_t e = 0; e + 1 < x.n; e++) mean_[x.index[e]] += x.value[e];
    for (uint32_t c = 0; c < n_columns_; c++) mean_[c] /= static_cast<float>(sample.size());
    cost += n_columns_;
  }
  const bool moves = spec_.projection == Projection::kSubspace;
  if (!drawn_ || (redraw && moves)) draw(sample, moves ? generation : kFixedDraw - 1, cost);
  derive();
  return cost + uint64_t{n_columns_} * width_;
}

void HashFamily::derive() {
  drawn_ = true;
  mean_projection_.fill(0.f);
  for (uint32_t c = 0; c + 1 < n_columns_; c++)
    if (mean_[c] != 0.f) active().axpy(mean_projection_.data(), mean_[c], &projection_[size_t{c} * width_], width_);
}

void HashFamily::hash_query(const Row& x, Query& q) const {
  const Kernels& k = active();
  q.value.resize(width_);
  q.direction.resize(width_);
  q.word.resize(words());
  k.project(projection_.data(), width_, x, q.value.data());
  q.mean_dot = 0.f, q.norm2 = 0.f;
  for (uint32_t e = 0; e < x.n; e++) {
    q.mean_dot += mean_[x.index[e]] * x.value[e];
    q.norm2 += x.value[e] * x.value[e];
  }
  const float* bias = &projection_[size_t{n_columns_ - 1} * width_];
  for (uint32_t j = 0; j < width_; j++) {
    q.direction[j] = q.value[j] + q.mean_dot * bias[j];
    q.value[j] -= mean_projection_[j];
  }
  if (spec_.transform == Transform::kL2Alsh) {  // Euclidean nearness needs the query's length to be 1
    float norm2 = q.norm2 - 2.f * q.mean_dot;
    for (uint32_t c = 0; c < n_columns_; c++) norm2 += mean_[c] * mean_[c];
    const float scale = 1.f / std::sqrt(std::max(norm2, 1e-12f));
    for (uint32_t j = 0; j < width_; j++) q.value[j] = scale * q.value[j] + extra_query_[j] + offset_[j];
  }
  encode(q.value.data(), q.word.data());
}

uint64_t HashFamily::query_cost(const Row& x) const {
  return uint64_t{x.n} * (width_ + 2) + width_ + (spec_.transform == Transform::kL2Alsh ? width_ + n_columns_ : 0);
}

void HashFamily::sketch_neuron(const float* w, float* sketch, float& tail) const {
  const Kernels& k = active();
  const uint32_t bias = n_columns_ - 1;
  tail = w[bias] + k.dot(w, mean_.data(), bias);
  std::fill(sketch, sketch + width_, 0.f);
  for (uint32_t c = 0; c < bias; c++) k.axpy(sketch, w[c], &projection_[size_t{c} * width_], width_);
  k.axpy(sketch, tail, &projection_[size_t{bias} * width_], width_);
}

void HashFamily::encode_neuron(const float* sketch, float norm2, float scale, float* scratch, uint64_t* word) const {
  if (terms_ == 0) return encode(sketch, word);
  float term[kMaxTerms];
  const float shrink = transform_bound(spec_.transform) / std::max(scale, 1e-12f);
  transform_neuron(spec_.transform, norm2 * shrink * shrink, term);
  for (uint32_t j = 0; j < width_; j++) scratch[j] = shrink * sketch[j];
  for (int t = 0; t < terms_; t++) active().axpy(scratch, term[t], &extra_[static_cast<size_t>(t) * width_], width_);
  if (spec_.transform == Transform::kL2Alsh)
    for (uint32_t j = 0; j < width_; j++) scratch[j] += offset_[j];
  encode(scratch, word);
}

void HashFamily::encode(const float* value, uint64_t* word) const {
  if (spec_.transform != Transform::kL2Alsh) return active().signs(value, width_, word);
  for (uint32_t w = 0; w < words(); w++) {
    word[w] = 0;
    for (uint32_t j = 0; j < 64; j++) {
      const auto cell = static_cast<int64_t>(std::floor(value[w * 64 + j] / kQuantum));
      word[w] |= static_cast<uint64_t>(cell & 1) << j;
    }
  }
}

float HashFamily::boundary_distance(float value) const {
  if (spec_.transform != Transform::kL2Alsh) return std::fabs(value);
  const float cells = value / kQuantum;
  return kQuantum * std::fabs(cells - std::round(cells));
}

}  // namespace hashgrad
