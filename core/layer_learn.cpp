// Backward and update of one layer, each member of the team on its own neurons: gradients towards the inputs from the
// weights as they are, then the weights' step, and the move of their hashes.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "layer.h"
#include "random.h"

namespace hashgrad {

namespace {

// Whether a row has a number that is not zero; of most rows the first one tells.
bool any(const Row& x) {
  const auto moves = [](float value) { return value != 0.f; };
  if (!x.dense) return std::any_of(x.value, x.value + x.n, moves);
  for (uint32_t b = 0; b < x.n_blocks; b++) {
    const float* block = x.dense + size_t{x.block[b]} * kBlock;
    if (std::any_of(block, block + kBlock, moves)) return true;
  }
  return false;
}

}  // namespace

void Layer::learn(const Member& me, const Group& group, const Shared& shared, const Layer* above, const Rate* rate,
                  bool at_once, Worker& w) {
  if (above)
    for (size_t e = 0; e < group.size(); e++) collect_delta(own(me), group[e], *above);
  if (input_major()) {
    learn_columns(me, group, shared.incidences[number_], rate, w);
  } else {
    back_rows(me, group, w);
    if (rate) step_rows(me, group, at_once ? nullptr : &shared.incidences[number_ + 1], *rate, w);
  }
}

void Layer::repeat(const Group& example, const Rate& rate, Worker& w) {
  if (!input_major()) return step_rows(Member(), example, nullptr, rate, w);
  cut_parts({0, n_parts_}, 0, example, w);
  run_columns({0, n_parts_}, 0, 0, example[0].input_of(number_).n, false, &rate, example, w);
}

// d loss / d z of some neurons, from what the layer above left in its parts.
void Layer::collect_delta(Range neurons, Example& example, const Layer& above) const {
  Passage& p = example.passages[number_];
  const Passage& from = example.passages[number_ + 1];
  const uint32_t first = position(p.active, neurons.from), last = position(p.active, neurons.to);
  const bool bends = spec_.activation == Activation::kTanh || spec_.activation == Activation::kSigmoid;
  if (above.n_parts_ == 1 && from.by_columns && !bends && p.active.gain.empty()) {
    const float gain = p.active.uniform_gain;
    for (uint32_t k = first; k < last; k++) p.delta[k] = gain * from.gradient[p.active.id[k]];
    return;
  }
  for (uint32_t k = first; k < last; k++) {  // entry k of the row above is neuron k here
    const float* g = from.gradient + (from.by_columns ? p.active.id[k] : k);
    float total = 0.f;
    for (uint32_t part = 0; part < above.n_parts_; part++) total += g[part * from.width];
    float slope = 1.f;
    if (spec_.activation == Activation::kTanh) slope = 1.f - p.activation[k] * p.activation[k];
    if (spec_.activation == Activation::kSigmoid) slope = p.activation[k] * (1.f - p.activation[k]);
    p.delta[k] = slope * p.active.gain_of(k) * total;
  }
}

// The factor on the summed gradient by which a row moves (rank-one optimisers), from the mean of its squares; or 1 for
// those that look at each weight.
float Layer::row_factor(uint32_t i, float gradient_square, const Rate& rate) {
  if (rate.kind == Optimizer::kSgd) return rate.rate;
  if (rate.kind != Optimizer::kRowAdagrad) return 1.f;
  row_square_[i] += gradient_square;
  return rate.rate / (std::sqrt(row_square_[i]) + optimizer_.epsilon);
}

// One neuron's row moves against a * x, where `factor` is what row_factor gave.
void Layer::step_row(uint32_t i, float a, float factor, const Row& x, const Rate& rate, Worker& w) {
  Step step = rate.step;
  step.bias_column = n_columns_ - 1;
  if (rate.kind == Optimizer::kSgd || rate.kind == Optimizer::kRowAdagrad) step.l2 *= factor;
  update(i, a, x, step, rate, w);
}

// Adam that is not lazy: moments decay by the updates that passed the row by, and the step goes as far as momentum
// alone would go in as many. Where a row moves in every k-th update, that is how far it goes by Adam proper.
void Layer::catch_up(uint32_t i, const Rate& rate, Step& step, Counts& counts) {
  const auto gap = static_cast<int64_t>(rate.update + 1 - row_update_[i]);
  if (gap < 1) return;  // another thread was faster
  row_update_[i] = rate.update + 1;
  if (gap == 1) return;
  const float decay = std::pow(step.beta1, static_cast<float>(gap));
  step.rate *= (1.f - decay) / (1.f - step.beta1);
  step.beta1 = decay, step.beta2 = std::pow(step.beta2, static_cast<float>(gap));
  counts.update += kPowersCost;
}

// The row that lies at i, a neuron's or an input's, moves against a * x.
void Layer::update(uint32_t i, float a, const Row& x, Step step, const Rate& rate, Worker& w) {
  const bool decays = optimizer_.l2 > 0.f, halved = !half_.empty(), bytes = rate.state == State::kBytes;
  const size_t at = stride_ * i;
  if (!row_update_.empty() && a != 0.f && any(x)) catch_up(i, rate, step, w.counts[number_]);
  const bool rounds = halved || rate.state != State::kFloat32;
  const uint64_t key = rounds ? mix(mix(rate.bits ^ number_) ^ i) : 0;
  step.key = static_cast<uint32_t>(key);
  const auto n = static_cast<uint32_t>(stride_), n_halves = static_cast<uint32_t>(half_stride_);
  if (halved) w.weights.resize(std::max({w.weights.size(), stride_, half_stride_}));
  float* row = halved ? w.weights.data() : &weight_[at];
  void *m = moment1_.at(at), *v = moment2_.at(at);
  if (bytes) {
    w.moments.resize(std::max(w.moments.size(), 2 * stride_));
    float *first = w.moments.data(), *second = first + stride_;
    active().widen_moments(static_cast<int8_t*>(m), static_cast<uint8_t*>(v), row_units_[i], n, first, second);
    m = first, v = second;
  }
  if (halved) {
    active().widen(&half_[i * half_stride_], n_halves, row);
    row[n_columns_ - 1] = bias_[i];
  }
  if (rate.state == State::kRow) {
    const float square = active().mean_square[decays](row, a, x, step);
    if (square > 0.f) row_square_[i] = step.beta2 * row_square_[i] + step.new2 * square;
    step.rate /= std::sqrt(row_square_[i]) + step.epsilon;
  }
  active().update[decays][rule_of(rate.kind, rate.state)](row, m, v, a, x, step);
  if (bytes)
    row_units_[i] =
        active().narrow_moments(static_cast<float*>(m), static_cast<float*>(v), n, step.key,
                                static_cast<int8_t*>(moment1_.at(at)), static_cast<uint8_t*>(moment2_.at(at)));
  if (halved) {
    bias_[i] = std::exchange(row[n_columns_ - 1], 0.f);
    active().narrow(row, n_halves, static_cast<uint32_t>(key >> 32), &half_[i * half_stride_]);
  }
  w.counts[number_].update +=
      x.cost() * (update_cost(rate.kind, rate.state, decays) + halved) + (bytes ? kBytesCost * stride_ : 0);
}

// Neuron-major: a row at a time.
void Layer::back_rows(const Member& me, const Group& group, Worker& w) const {
  if (number_ == 0) return;
  Counts& counts = w.counts[number_];
  const auto rows = static_cast<uint32_t>(std::max<size_t>(1, (size_t{1} << 17) / (stride_ * sizeof(float))));
  for (uint32_t p = first_part(me); p < last_part(me); p++) {
    for (size_t e = 0; e < group.size(); e++) {
      Passage& passage = group[e].passages[number_];
      std::fill_n(passage.towards.data() + p * passage.width, passage.width, 0.f);
    }
    const uint32_t step = group.size() > 1 ? rows : std::max(1u, part(p + 1) - part(p));
    for (uint32_t from = part(p); from < part(p + 1); from += step)  // rows in cache for all examples
      for (size_t e = 0; e < group.size(); e++) {
        Passage& passage = group[e].passages[number_];
        const Row& x = group[e].input_of(number_);
        const uint32_t first = position(passage.active, from);
        const uint32_t last = position(passage.active, std::min(part(p + 1), from + step));
        active().add_rows(weight_.data(), stride_, passage.active.id.data() + first, passage.delta.data() + first,
                          last - first, x, passage.towards.data() + p * passage.width);
        counts.backward += (last - first) * x.cost();
      }
  }
}

// neurons: those of a batch, turned round; null for an example alone, whose neurons all belong to the one member.
void Layer::step_rows(const Member& me, const Group& group, const Incidence* neurons, const Rate& rate, Worker& w) {
  if (rate.kind == Optimizer::kRowAdagrad && group.size() == 1) {
    const Row& x = group[0].input_of(number_);
    w.input_norm2 = active().dot(x.value, x.value, x.n);
    if (me.index == 0) w.counts[number_].update += x.n;
  }
  if (!neurons) {
    const std::vector<uint32_t>& active = group[0].passages[number_].active.id;
    for (uint32_t k = 0; k < active.size(); k++) {
      const Incidence::Entry entry{0, k};
      update_row(active[k], {&entry, 1}, group, rate, true, w);
    }
    return;
  }
  const Incidence::Share& share = neurons->share(me.index);
  for (size_t t = 0; t < share.touched.size(); t++) update_row(share.touched[t], share.of(t), group, rate, false, w);
}

void Layer::update_row(uint32_t i, std::span<const Incidence::Entry> entries, const Group& group, const Rate& rate,
                       bool alone, Worker& w) {
  Counts& counts = w.counts[number_];
  LshIndex* index = selector_->index();
  const auto passage = [&](const Incidence::Entry& e) -> const Passage& { return group[e.example].passages[number_]; };
  const auto delta = [&](const Incidence::Entry& e) { return passage(e).delta[e.position]; };
  const bool moves = std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return delta(e) != 0.f; });
  if (!moves) return;

  const float bias = weight_[stride_ * i + n_columns_ - 1];
  float factor = rate.rate;
  if (plain(rate)) {
    for (const Incidence::Entry& e : entries)
      if (delta(e) != 0.f) step_row(i, factor * delta(e), factor, group[e.example].input_of(number_), rate, w);
  } else {
    const bool single = entries.size() == 1;
    const Row sum = single ? group[entries[0].example].input_of(number_) : sum_of_gradients(entries, group, w);
    const float a = single ? delta(entries[0]) : 1.f;
    float norm2 = w.input_norm2;
    if (rate.kind == Optimizer::kRowAdagrad && group.size() > 1) {
      norm2 = 0.f;
      if (sum.dense)
        for (uint32_t b = 0; b < sum.n_blocks; b++) {
          const float* block = sum.dense + size_t{sum.block[b]} * kBlock;
          norm2 += active().dot(block, block, kBlock);
        }
      else
        norm2 = active().dot(sum.value, sum.value, sum.n);
      counts.update += sum.cost();
    }
    factor = row_factor(i, a * a * norm2 / static_cast<float>(n_columns_), rate);
    step_row(i, factor * a, factor, sum, rate, w);
  }
  if (!index) return;
  if (!index->incremental()) return index->mark(i);
  if (alone) {
    const Incidence::Entry& e = entries[0];
    counts.rehash +=
        index->follow(i, factor * delta(e), passage(e).active.z[e.position] - bias, passage(e).query, w.select.lookup);
    return;
  }
  w.steps.clear();
  for (const Incidence::Entry& e : entries) w.steps.emplace_back(factor * delta(e), &passage(e).query);
  counts.rehash += index->follow(i, w.steps, &weight_[stride_ * i], w.select.lookup);
}

// The sum of delta * x over the examples, by blocks, in the worker's memory.
Row Layer::sum_of_gradients(std::span<const Incidence::Entry> entries, const Group& group, Worker& w) const {
  const size_t columns = stride_of(n_columns_);
  std::vector<float>& g = w.gradient;
  if (g.size() < columns) g.resize(columns);
  if (sum_whole_rows(entries, group, w)) {
    w.block.resize(columns / kBlock);
    std::iota(w.block.begin(), w.block.end(), 0u);
    return {nullptr, nullptr, 0, g.data(), w.block.data(), static_cast<uint32_t>(w.block.size())};
  }
  if (w.touched.size() < columns / kBlock) w.touched.resize(columns / kBlock);
  w.block.clear();
  const auto touch = [&](uint32_t block) {
    if (w.touched[block]) return;
    w.touched[block] = 1;
    w.block.push_back(block);
    std::fill_n(&g[size_t{block} * kBlock], kBlock, 0.f);
  };
  Counts& counts = w.counts[number_];
  for (const Incidence::Entry& entry : entries) {
    const Row& x = group[entry.example].input_of(number_);
    const float delta = group[entry.example].passages[number_].delta[entry.position];
    if (x.dense) {
      constexpr uint32_t kItself = 0;
      for (uint32_t b = 0; b < x.n_blocks; b++) touch(x.block[b]);
      active().add_rows(x.dense, columns, &kItself, &delta, 1, x, g.data());
    } else {
      for (uint32_t e = 0; e < x.n; e++) {
        touch(x.index[e] / static_cast<uint32_t>(kBlock));
        g[x.index[e]] += delta * x.value[e];
      }
    }
    counts.update += x.cost();
  }
  for (const uint32_t b : w.block) w.touched[b] = 0;
  std::sort(w.block.begin(), w.block.end());
  return {nullptr, nullptr, 0, g.data(), w.block.data(), static_cast<uint32_t>(w.block.size())};
}

// The same where most blocks of most inputs hold something: all blocks, whose sums then stay in registers.
bool Layer::sum_whole_rows(std::span<const Incidence::Entry> entries, const Group& group, Worker& w) const {
  const size_t columns = stride_of(n_columns_);
  size_t blocks = 0;
  w.row.clear(), w.value.clear();
  for (const Incidence::Entry& entry : entries) {
    const Row& x = group[entry.example].input_of(number_);
    if (!x.dense) return false;
    blocks += x.n_blocks;
    w.row.push_back(x.dense);
    w.value.push_back(group[entry.example].passages[number_].delta[entry.position]);
  }
  if (4 * blocks * kBlock < 3 * entries.size() * columns) return false;
  active().sum_rows(w.row.data(), w.value.data(), static_cast<uint32_t>(entries.size()), columns, w.gradient.data());
  w.counts[number_].update += entries.size() * columns;
  return true;
}

}  // namespace hashgrad
