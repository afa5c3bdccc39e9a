#include "lsh/family.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lsh/subspace.h"
#include "random.h"

namespace hashgrad {

namespace {

constexpr float kQuantum = 2.5f;   // r of the Euclidean family, as L2-ALSH recommends
constexpr uint32_t kSparsity = 3;  // sparse projections: +-sqrt(3) with probability 1/6 each (Achlioptas 2003)
constexpr uint64_t kFixedDraw = ~0ull;

float largest_of(const std::vector<float>& x) {
  float largest = 1e-30f;
  for (const float v : x) largest = std::max(largest, std::fabs(v));
  return largest;
}

}  // namespace

HashFamily::HashFamily(uint32_t n_columns, const LshSpec& spec, uint64_t seed, uint64_t layer)
    : spec_(spec),
      n_columns_(n_columns),
      n_bits_(spec.code == Code::kBytes ? 0 : static_cast<uint32_t>(spec.bits * spec.tables)),
      width_(static_cast<uint32_t>(
          spec.code == Code::kBytes ? round_up(std::min<uint32_t>(static_cast<uint32_t>(spec.rank), n_columns), kBlock)
                                    : round_up(n_bits_, 64))),
      terms_(transform_terms(spec.transform)),
      seed_(seed),
      layer_(layer),
      mean_(spec.densified() ? 0 : n_columns),
      extra_(static_cast<size_t>(terms_) * width_),
      extra_query_(width_),
      offset_(width_) {
  if (spec.densified()) {
    densified_.emplace(n_columns - 1, spec, seed, layer);
    return;
  }
  if (spec.projection == Projection::kSubspace) {
    rank_ = std::min<uint32_t>(static_cast<uint32_t>(spec.rank), n_columns);
    n_coordinates_ = static_cast<uint32_t>(round_up(rank_, kBlock));
    mixing_ = Array<float>(size_t{n_coordinates_} * width_);
    balance_ = Array<float>(n_coordinates_);
    balance_.fill(1.f);
    query_square_ = Array<float>(n_coordinates_);
    if (spec.pooled) centre_ = Array<float>(n_coordinates_);
  }
  const uint32_t n = n_coordinates_ ? n_coordinates_ : width_;
  projection_ = Array<float>(size_t{n_columns} * n);
  mean_projection_ = Array<float>(n);
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
  if (spec_.projection == Projection::kSubspace) {
    Random start(seed_, Purpose::kSubspace, layer_, generation);
    projection_[size_t{n_columns_ - 1} * n_coordinates_ + rank_ - 1] = 0.f;
    principal_subspace(sample, mean_, n_columns_, rank_ - 1, n_coordinates_, drawn_, start, projection_, cost);
    projection_[size_t{n_columns_ - 1} * n_coordinates_ + rank_ - 1] = 1.f;  // the bias has a direction of its own
    // Bits in groups of `rank` orthogonal directions, each as likely as before: together they tell an angle with less
    // variance than independent ones (super-bit LSH, Ji et al. 2012). Bytes: one such group, of unit length.
    const uint32_t n = bytes() ? rank_ : n_bits_;
    for (uint32_t r = 0; r < rank_; r++)
      for (uint32_t j = 0; j < n; j++) mixing_[size_t{r} * width_ + j] = random.normal();
    for (uint32_t first = 0; first < n; first += rank_) {
      const uint32_t group = std::min(rank_, n - first);
      std::vector<float> length(group, 0.f);
      const auto at = [&](uint32_t r, uint32_t j) -> float& { return mixing_[size_t{r} * width_ + first + j]; };
      for (uint32_t r = 0; r < rank_; r++)
        for (uint32_t j = 0; j < group; j++) length[j] += at(r, j) * at(r, j);
      for (float& l : length) l = bytes() ? 1.f : std::sqrt(l);
      cost += orthonormalise(&mixing_[first], rank_, width_, group);
      for (uint32_t r = 0; r < rank_; r++)
        for (uint32_t j = 0; j < group; j++) at(r, j) *= length[j];
      cost += 2 * uint64_t{rank_} * group + group;
    }
    return;
  }
  for (uint32_t c = 0; c < n_columns_; c++)
    for (uint32_t j = 0; j < n_bits_; j++) {
      float& p = projection_[size_t{c} * width_ + j];
      // every bit must see the bias, which may outweigh any input, so its projections are never
      // sparse
      if (spec_.projection == Projection::kGaussian || c + 1 == n_columns_) {
        p = random.normal();
      } else {
        const uint32_t side = random.below(2 * kSparsity);
        p = side == 0 ? std::sqrt(float{kSparsity}) : side == 1 ? -std::sqrt(float{kSparsity}) : 0.f;
      }
    }
}

uint64_t HashFamily::fit(std::span<const Row> sample, uint64_t generation) {
  if (densified()) return 0;
  uint64_t cost = 0;
  mean_.fill(0.f);
  if (spec_.center && !sample.empty()) {
    for (const Row& x : sample)
      for (uint32_t e = 0; e + 1 < x.n; e++) mean_[x.index[e]] += x.value[e];
    for (uint32_t c = 0; c < n_columns_; c++) mean_[c] /= static_cast<float>(sample.size());
    cost += n_columns_;
  }
  const bool moves = spec_.projection == Projection::kSubspace;
  if (!drawn_ || moves) draw(sample, moves ? generation : kFixedDraw - 1, cost);
  derive();
  cost += n_columns_ * mean_projection_.size();
  if (n_coordinates_) {
    query_square_.fill(0.f);
    std::vector<float> y(n_coordinates_);
    for (const Row& x : sample) {
      active().project(projection_.data(), n_coordinates_, x.index, x.value, x.n, y.data());
      for (uint32_t r = 0; r < rank_; r++) {
        const float centered = y[r] - mean_projection_[r];
        query_square_[r] += centered * centered / static_cast<float>(sample.size());
      }
      cost += uint64_t{x.n} * n_coordinates_ + 2 * rank_;
    }
  }
  return cost;
}

uint64_t HashFamily::rebalance(const Array<float>& coordinate, uint32_t n) {
  if (!n_coordinates_) return 0;
  const bool centred = !centre_.empty();
  for (uint32_t r = 0; r < rank_; r++) {
    double square = 0, mean = 0;
    for (size_t i = 0; i < n; i++) {
      const double c = double{coordinate[i * n_coordinates_ + r]};
      square += c * c / n, mean += c / n;
    }
    if (centred) square -= mean * mean;
    const bool known = query_square_[r] > 0.f && square > 0;
    balance_[r] = known ? std::clamp(static_cast<float>(std::pow(query_square_[r] / square, 0.25)), 1e-3f, 1e3f) : 1.f;
    if (centred) centre_[r] = static_cast<float>(mean) * balance_[r];
  }
  return 2 * uint64_t{n} * rank_;
}

void HashFamily::derive() {
  if (densified()) return;
  drawn_ = true;
  const size_t n = mean_projection_.size();
  mean_projection_.fill(0.f);
  for (uint32_t c = 0; c + 1 < n_columns_; c++)
    if (mean_[c] != 0.f) active().axpy(mean_projection_.data(), mean_[c], &projection_[c * n], n);
}

void HashFamily::mix(const float* coordinate, float* out) const {
  active().project(mixing_.data(), width_, nullptr, coordinate, rank_, out);
}

void HashFamily::hash_query(const Row& x, bool moves, Query& q) const {
  if (densified()) {
    q.word.resize(words());
    return densified_->hash_input(x, q.bins, q.word.data());
  }
  q.value.resize(width_);
  q.direction.resize(width_);
  q.word.resize(words());
  q.byte.resize(bytes() ? width_ : 0);
  q.coordinate.resize(n_coordinates_);
  q.centered.resize(n_coordinates_);
  const bool euclidean = spec_.transform == Transform::kL2Alsh;
  q.mean_dot = 0.f, q.norm2 = 0.f;
  if (moves || euclidean)
    for (uint32_t e = 0; e < x.n; e++) {
      q.mean_dot += mean_[x.index[e]] * x.value[e];
      q.norm2 += x.value[e] * x.value[e];
    }
  if (n_coordinates_) {
    active().project(projection_.data(), n_coordinates_, x.index, x.value, x.n, q.coordinate.data());
    for (uint32_t r = 0; r < n_coordinates_; r++) {
      q.centered[r] = (q.coordinate[r] - mean_projection_[r]) / balance_[r];
      q.coordinate[r] = (q.coordinate[r] + (r + 1 == rank_ ? q.mean_dot : 0.f)) * balance_[r];
    }
    if (tails_apart()) q.centered[rank_ - 1] = 0.f;
    mix(q.centered.data(), q.value.data());
    if (moves) mix(q.coordinate.data(), q.direction.data());
  } else {
    active().project(projection_.data(), width_, x.index, x.value, x.n, q.value.data());
    const float* bias = &projection_[size_t{n_columns_ - 1} * width_];
    for (uint32_t j = 0; j < width_; j++) {
      q.direction[j] = q.value[j] + q.mean_dot * bias[j];
      q.value[j] -= mean_projection_[j] + (tails_apart() ? bias[j] : 0.f);
    }
  }
  if (matches_signs()) {
    const float share = share_of_signs();
    q.entry.resize(size_t{4} * width_);
    q.unit = active().tabulate_signs(q.value.data(), width_, q.entry.data());
    q.unit = {share * q.unit.unit, share * q.unit.least};
  }
  if (euclidean) {  // nearness needs the query's length to be 1
    float norm2 = q.norm2 - 2.f * q.mean_dot;
    for (uint32_t c = 0; c < n_columns_; c++) norm2 += mean_[c] * mean_[c];
    const float scale = 1.f / std::sqrt(std::max(norm2, 1e-12f));
    for (uint32_t j = 0; j < width_; j++) q.value[j] = scale * q.value[j] + extra_query_[j] + offset_[j];
  }
  if (!bytes()) return encode(q.value.data(), q.word.data());
  active().quantize(q.value.data(), width_, kQueryMost / largest_of(q.value), kQueryMost, 0,
                    reinterpret_cast<uint8_t*>(q.byte.data()), kBlock);
}

uint64_t HashFamily::query_cost(const Row& x, bool moves) const {
  if (densified()) return 0;
  const uint64_t n = n_coordinates_;
  const bool euclidean = spec_.transform == Transform::kL2Alsh;
  const uint64_t projected =
      n ? uint64_t{x.n} * n + 2 * n + (moves ? 2 : 1) * uint64_t{rank_} * width_ : uint64_t{x.n} * width_ + width_;
  return projected + (moves || euclidean ? 2 * uint64_t{x.n} : 0) + (euclidean ? 2 * width_ + n_columns_ : 0) +
         (bytes() ? width_ + 1 : 0) + (matches_signs() ? width_ + 4 : 0);
}

void HashFamily::project_neuron(const float* w, float bias, float* coordinate, float* sketch, float& tail) const {
  const size_t n = mean_projection_.size();
  float* out = n_coordinates_ ? coordinate : sketch;
  tail = bias + active().dot(w, mean_.data(), n_columns_ - 1);
  active().project(projection_.data(), n, nullptr, w, n_columns_ - 1, out);
  if (!tails_apart()) active().axpy(out, tail, &projection_[(n_columns_ - 1) * n], n);
}

void HashFamily::finish_neuron(const float* w, float tail, float* coordinate, float* sketch, float& norm2) const {
  if (!n_coordinates_) {
    norm2 = active().dot(w, w, n_columns_ - 1) + (tails_apart() ? 0.f : tail * tail);
    return;
  }
  for (uint32_t r = 0; r < n_coordinates_; r++) coordinate[r] *= balance_[r];
  if (!centre_.empty()) active().axpy(coordinate, -1.f, centre_.data(), n_coordinates_);
  norm2 = active().dot(coordinate, coordinate, n_coordinates_);
  mix(coordinate, sketch);
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

// Of normal numbers, signs keep sqrt(2 / pi) of the size.
float HashFamily::share_of_signs() const {
  return std::sqrt(std::numbers::pi_v<float> / 2) / static_cast<float>(n_bits_);
}

float HashFamily::boundary_distance(float value) const {
  if (spec_.transform != Transform::kL2Alsh) return std::fabs(value);
  const float cells = value / kQuantum;
  return kQuantum * std::fabs(cells - std::round(cells));
}

}  // namespace hashgrad
