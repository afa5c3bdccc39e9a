#include "layer.h"

#include <algorithm>
#include <cmath>

#include "random.h"

namespace hashgrad {

Layer::Layer(uint32_t n_inputs, const LayerSpec& spec, const OptimizerSpec& optimizer, uint64_t seed, uint64_t layer)
    : spec_(spec),
      optimizer_(optimizer),
      n_columns_(n_inputs + 1),
      stride_(round_up(n_columns_, kBlock)),
      weight_(stride_ * spec.n_outputs) {
  const Optimizer kind = optimizer.kind;
  if (kind != Optimizer::kSgd && kind != Optimizer::kRowAdagrad) moment1_ = Array<float>(weight_.size());
  if (kind == Optimizer::kAdagrad || kind == Optimizer::kAdam) moment2_ = Array<float>(weight_.size());
  if (kind == Optimizer::kRowAdagrad) row_square_ = Array<float>(spec.n_outputs);

  // Uniform He for ReLU, Glorot for the others; biases start at zero.
  const float fan = spec.activation == Activation::kRelu ? static_cast<float>(n_inputs)
                                                         : static_cast<float>(n_inputs + spec.n_outputs);
  const float limit = std::sqrt(6.f / fan);
  for (uint32_t i = 0; i < spec.n_outputs; i++) {
    Random random(seed, Purpose::kWeights, layer, i);
    for (uint32_t j = 0; j < n_inputs; j++) weight_[i * stride_ + j] = limit * (2.f * random.uniform() - 1.f);
  }

  switch (spec.selector) {
    case Selection::kAll:
      selector_ = make_all();
      break;
    case Selection::kRandom:
      selector_ = make_random(spec);
      break;
    case Selection::kAdaptive:
      selector_ = make_adaptive(spec);
      break;
    case Selection::kWinnerTakeAll:
      selector_ = make_winner_take_all(spec);
      break;
    case Selection::kLsh:
      if (spec.lsh.rehash == Rehash::kIncremental && !optimizer.rank_one())
        throw std::invalid_argument(
            "rehash 'incremental' must go with an optimizer that moves a row by one common factor "
            "(sgd, row_adagrad) and "
            "l2 = 0, got optimizer '" +
            kOptimizers.name(kind) + "' and l2 = " + std::to_string(optimizer.l2));
      selector_ = make_lsh(
          spec, std::make_unique<LshIndex>(spec.n_outputs, n_columns_, spec.lsh,
                                           spec.lsh.rehash != Rehash::kRows && optimizer.rank_one(), seed, layer));
      break;
  }
}

void Layer::forward(const Row& x, const Ask& ask, bool last, Trace& trace, Scratch& scratch, Counts& counts) const {
  selector_->select(x, weights(), ask, trace.query, scratch.select, trace.active, counts);
  trace.n_selected = static_cast<uint32_t>(trace.active.id.size());
  counts.active += trace.n_selected;
  counts.queries++;
  if (!last) activate(trace);
}

void Layer::activate(Trace& trace) const {
  ActiveSet& set = trace.active;
  trace.activation.clear();
  trace.output.clear();
  size_t kept = 0;
  for (size_t k = 0; k < set.id.size(); k++) {
    const float z = set.z[k];
    float a = z;
    switch (spec_.activation) {
      case Activation::kRelu:
        if (!(z > 0.f) && z == z)
          continue;  // at rest: no output, no gradient. A NaN goes on, to be reported at the loss
        break;
      case Activation::kTanh:
        a = std::tanh(z);
        break;
      case Activation::kSigmoid:
        a = 1.f / (1.f + std::exp(-z));
        break;
      case Activation::kLinear:
        break;
    }
    const float gain = set.gain_of(k);
    set.id[kept] = set.id[k];
    set.z[kept] = z;
    if (!set.gain.empty()) set.gain[kept] = gain;
    kept++;
    trace.activation.push_back(a);
    trace.output.push(set.id[k], gain * a);
  }
  set.id.resize(kept);
  set.z.resize(kept);
  if (!set.gain.empty()) set.gain.resize(kept);
  trace.output.finish();
}

void Layer::backward(const Row& x, const Trace& trace, Trace& below, Activation activation_below, Scratch& scratch,
                     Counts& counts) const {
  std::vector<float>& g = scratch.gradient;
  const auto n = static_cast<uint32_t>(trace.active.id.size());
  g.assign(x.dense ? stride_ : x.n, 0.f);
  active().add_rows(weight_.data(), stride_, trace.active.id.data(), trace.delta.data(), n, x, g.data());
  counts.backward += n * x.cost();
  below.delta.resize(below.active.id.size());
  for (size_t k = 0; k < below.delta.size(); k++) {  // entry k of x is neuron k of the layer below
    const float a = below.activation[k];
    float slope = 1.f;
    switch (activation_below) {
      case Activation::kTanh:
        slope = 1.f - a * a;
        break;
      case Activation::kSigmoid:
        slope = a * (1.f - a);
        break;
      default:
        break;
    }
    below.delta[k] = slope * below.active.gain_of(k) * g[x.dense ? below.active.id[k] : k];
  }
}

// The factor on the summed gradient by which a row moves (rank-one optimisers), or 1 for those that
// look at each weight.
float Layer::row_factor(uint32_t i, float gradient_norm2, const Rate& rate) {
  if (rate.kind == Optimizer::kSgd) return rate.rate;
  if (rate.kind != Optimizer::kRowAdagrad) return 1.f;
  row_square_[i] += gradient_norm2 / static_cast<float>(n_columns_);
  return rate.rate / (std::sqrt(row_square_[i]) + optimizer_.epsilon);
}

// One row moves against a * x, where `factor` is what row_factor gave.
void Layer::step_row(uint32_t i, float a, float factor, const Row& x, const Rate& rate, Counts& counts) {
  const bool decays = optimizer_.l2 > 0.f;
  Step step = rate.step;
  step.bias_column = n_columns_ - 1;
  if (rate.kind == Optimizer::kSgd || rate.kind == Optimizer::kRowAdagrad) step.l2 *= factor;
  const size_t at = stride_ * i;
  active().update[decays][static_cast<size_t>(rate.kind)](&weight_[at], moment1_.empty() ? nullptr : &moment1_[at],
                                                          moment2_.empty() ? nullptr : &moment2_[at], a, x, step);
  counts.update += x.cost() * update_cost(rate.kind, decays);
}

void Layer::update(const Row& x, const Trace& trace, const Rate& rate, Scratch& scratch, Counts& counts) {
  LshIndex* index = selector_->index();
  float x_norm2 = 0.f;
  if (rate.kind == Optimizer::kRowAdagrad) {
    x_norm2 = active().dot(x.value, x.value, x.n);
    counts.update += x.n;
  }
  for (size_t k = 0; k < trace.active.id.size(); k++) {
    const float delta = trace.delta[k];
    if (delta == 0.f) continue;
    const uint32_t i = trace.active.id[k];
    const float factor = row_factor(i, delta * delta * x_norm2, rate);
    const float bias = weight_[stride_ * i + n_columns_ - 1];
    step_row(i, factor * delta, factor, x, rate, counts);
    if (!index) continue;
    if (index->incremental())
      counts.rehash += index->follow(i, factor * delta, trace.active.z[k] - bias, trace.query, scratch.select.lookup);
    else
      index->mark(i);
  }
}

void Layer::update_row(uint32_t i, std::span<const Contribution> contributions, const Rate& rate, Scratch& scratch,
                       Counts& counts) {
  std::vector<float>& g = scratch.gradient;
  g.resize(stride_, 0.f);
  scratch.touched.resize(stride_ / kBlock);
  scratch.block.clear();
  const auto touch = [&](uint32_t block) {
    if (scratch.touched[block]) return;
    scratch.touched[block] = 1;
    scratch.block.push_back(block);
    std::fill_n(&g[size_t{block} * kBlock], kBlock, 0.f);
  };
  for (const Contribution& c : contributions) {
    const Row& x = *c.x;
    const float delta = c.trace->delta[c.position];
    if (x.dense) {
      for (uint32_t b = 0; b < x.n_blocks; b++) {
        touch(x.block[b]);
        active().axpy(&g[size_t{x.block[b]} * kBlock], delta, x.dense + size_t{x.block[b]} * kBlock, kBlock);
      }
    } else {
      for (uint32_t e = 0; e < x.n; e++) {
        touch(x.index[e] / static_cast<uint32_t>(kBlock));
        g[x.index[e]] += delta * x.value[e];
      }
    }
    counts.update += x.cost();
  }
  for (const uint32_t b : scratch.block) scratch.touched[b] = 0;
  std::sort(scratch.block.begin(), scratch.block.end());
  const Row row{nullptr, nullptr, 0, g.data(), scratch.block.data(), static_cast<uint32_t>(scratch.block.size())};

  float norm2 = 0.f;
  if (rate.kind == Optimizer::kRowAdagrad) {
    for (const uint32_t b : scratch.block)
      norm2 += active().dot(&g[size_t{b} * kBlock], &g[size_t{b} * kBlock], kBlock);
    counts.update += row.cost();
  }
  const float factor = row_factor(i, norm2, rate);
  step_row(i, factor, factor, row, rate, counts);
  LshIndex* index = selector_->index();
  if (!index) return;
  if (!index->incremental()) return index->mark(i);
  scratch.steps.clear();
  for (const Contribution& c : contributions)
    scratch.steps.emplace_back(factor * c.trace->delta[c.position], &c.trace->query);
  counts.rehash += index->follow(i, scratch.steps, &weight_[stride_ * i], scratch.select.lookup);
}

size_t Layer::bytes() {
  return weight_.bytes() + moment1_.bytes() + moment2_.bytes() + row_square_.bytes() + (index() ? index()->bytes() : 0);
}

}  // namespace hashgrad
