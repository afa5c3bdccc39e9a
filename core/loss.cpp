#include "loss.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hashgrad {

namespace {

// log(1 + e^z)
float softplus(float z) { return std::max(z, 0.f) + std::log1p(std::exp(-std::fabs(z))); }

float softmax(const ActiveSet& outputs, std::span<const int32_t> labels, std::vector<float>& delta) {
  if (labels.empty()) {
    std::fill(delta.begin(), delta.end(), 0.f);
    return 0.f;
  }
  float top = -std::numeric_limits<float>::infinity();
  for (const float z : outputs.z) top = std::max(top, z);
  float total = 0.f;
  for (size_t k = 0; k < delta.size(); k++) total += delta[k] = std::exp(outputs.z[k] - top);
  for (float& p : delta) p /= total;
  const float share = 1.f / static_cast<float>(labels.size());
  const float log_total = std::log(total);
  float loss = 0.f;
  for (const int32_t label : labels) {
    const size_t k = position(outputs, static_cast<uint32_t>(label));
    delta[k] -= share;
    loss += share * (log_total + (top - outputs.z[k]));
  }
  return loss;
}

float logistic(const ActiveSet& outputs, std::span<const int32_t> labels, const float* output_weights,
               std::vector<float>& delta) {
  const auto weight = [&](size_t k) { return output_weights ? output_weights[outputs.id[k]] : 1.f; };
  float loss = 0.f;
  for (size_t k = 0; k < delta.size(); k++) {
    const float z = outputs.z[k];
    delta[k] = weight(k) / (1.f + std::exp(-z));
    loss += weight(k) * softplus(z);
  }
  for (const int32_t label : labels) {
    const size_t k = position(outputs, static_cast<uint32_t>(label));
    delta[k] -= weight(k);
    loss -= weight(k) * outputs.z[k];
  }
  return loss;
}

float squared(const ActiveSet& outputs, const float* target, uint32_t n_outputs, std::vector<float>& delta) {
  float loss = 0.f;
  for (uint32_t i = 0; i < n_outputs && outputs.id.size() < n_outputs; i++) loss += 0.5f * target[i] * target[i];
  for (size_t k = 0; k < delta.size(); k++) {
    const float y = target[outputs.id[k]];
    if (outputs.id.size() < n_outputs) loss -= 0.5f * y * y;
    delta[k] = outputs.z[k] - y;
    loss += 0.5f * delta[k] * delta[k];
  }
  return loss;
}

// Takes log_chance from all scores of sixteen examples but those of neurons that an example brought itself.
void shift_others(const Pool& pool, float* z, std::span<Example* const> examples, std::span<const float> log_chance) {
  for (size_t e = 0; e < examples.size(); e++) {
    Proposal& own = examples[e]->passages.back().proposal;
    for (size_t k = 0; k < own.id.size(); k++) own.z[k] = z[pool.position(own.id[k]) * pool.width + e];
  }
  active().shift(z, pool.width, static_cast<uint32_t>(log_chance.size()), log_chance.data());
  for (size_t e = 0; e < examples.size(); e++) {
    const Proposal& own = examples[e]->passages.back().proposal;
    for (size_t k = 0; k < own.id.size(); k++) z[pool.position(own.id[k]) * pool.width + e] = own.z[k];
  }
}

}  // namespace

void pool_loss_and_delta(Loss loss, Pool& pool, size_t from, std::span<Example* const> examples, const Targets& targets,
                         const float* example_weights, float scale, const float* output_weights, float known,
                         std::span<const float> log_chance, std::span<const float> pool_weights) {
  if (pool.id.empty()) {  // no labels, and nobody asked
    for (Example* example : examples) example->loss = 0.f, example->learns = false;
    return;
  }
  const bool weighted = !pool_weights.empty();
  const size_t width = pool.width;
  const auto n = static_cast<uint32_t>(pool.id.size());
  float* z = pool.scores(from);
  const auto weight_of = [&](int32_t label) { return output_weights ? output_weights[label] : 1.f; };
  const auto at = [&](int32_t label, size_t e) -> float& {
    return z[pool.position(static_cast<uint32_t>(label)) * width + e];
  };
  if (!log_chance.empty()) shift_others(pool, z, examples, log_chance);
  float right[kBlock] = {}, wrong[kBlock] = {}, top[kBlock] = {}, factor[kBlock] = {};
  for (size_t e = 0; e < examples.size(); e++) {
    const std::span<const int32_t> labels = targets.labels(examples[e]->row);
    for (const int32_t label : labels)
      right[e] += at(label, e) * (loss == Loss::kSoftmax ? 1.f / static_cast<float>(labels.size()) : weight_of(label));
    for (uint32_t i = 0; weighted && i < n; i++) wrong[e] += pool_weights[i] * softplus(z[i * width + e]);
  }
  float total[kBlock];
  if (loss == Loss::kSoftmax)
    active().softmax(z, width, n, top, total);
  else
    active().logistic(z, width, n, total);
  for (size_t e = 0; e < examples.size(); e++) {
    Example& example = *examples[e];
    const std::span<const int32_t> labels = targets.labels(example.row);
    const float weight = example_weights ? example_weights[example.row] : 1.f;
    const bool softmax = loss == Loss::kSoftmax;
    const float all = softmax ? std::log(total[e]) + top[e] : weighted ? wrong[e] : total[e];
    const bool none = softmax && labels.empty();
    example.loss = none ? 0.f * all : weight * (all - right[e]);
    example.learns = known < 0.f || !(example.loss <= known * weight);
    factor[e] = none || !example.learns ? 0.f : weight * scale;
  }
  active().weigh(z, width, n, weighted ? pool_weights.data() : nullptr, factor);
  for (size_t e = 0; e < examples.size(); e++) {
    const std::span<const int32_t> labels = targets.labels(examples[e]->row);
    const float share = factor[e] / static_cast<float>(labels.size());
    for (const int32_t label : labels) at(label, e) -= loss == Loss::kSoftmax ? share : factor[e] * weight_of(label);
  }
}

float loss_and_delta(Loss loss, const ActiveSet& outputs, const Targets& targets, uint64_t row, float weight,
                     float scale, const float* output_weights, std::vector<float>& delta) {
  delta.resize(outputs.id.size());
  float value = 0.f;
  switch (loss) {
    case Loss::kSoftmax:
      value = softmax(outputs, targets.labels(row), delta);
      break;
    case Loss::kLogistic:
      value = logistic(outputs, targets.labels(row), output_weights, delta);
      break;
    case Loss::kSquared:
      value = squared(outputs, targets.values(row), targets.n_outputs, delta);
      break;
  }
  for (float& d : delta) d *= weight * scale;
  return weight * value;
}

}  // namespace hashgrad
