// Backward and update of input-major weights: rows of inputs, of each row the member's own neurons.
#include <algorithm>

#include "layer.h"

namespace hashgrad {

namespace {
constexpr size_t kAhead = 4;  // rows, of memory that is asked for
}  // namespace

// An example's rows, four at a time, from entry `from` to `to` of its input: gradients towards the inputs, or steps, or
// first the one and then the other.
void Layer::run_columns(Range parts, uint32_t e, uint32_t from, uint32_t to, bool towards, const Rate* rate,
                        const Group& group, Worker& w) {
  Passage& p = group[e].passages[number_];
  const Row& x = group[e].input_of(number_);
  const bool whole = p.active.id.size() == spec_.n_outputs;
  const Parts cuts{&w.cut[e * (n_parts_ + 1)] + parts.from, parts.to - parts.from, p.width};
  constexpr uint32_t kRows = 4;
  float *row[2 * kRows], *sums[kRows], step[kRows];
  for (uint32_t at = from; at < to; at += kRows) {
    const uint32_t n = std::min(kRows, to - at);
    for (uint32_t r = 0; r < 2 * kRows; r++) row[r] = &weight_[x.index[std::min(at + r, to - 1)] * stride_];
    for (uint32_t r = 0; r < n; r++) {
      if (towards) sums[r] = p.towards.data() + parts.from * p.width + at + r;
      if (rate) step[r] = rate->rate * x.value[at + r];
    }
    active().learn_columns(row, rate ? step : nullptr, n, cuts, whole ? nullptr : p.active.id.data(),
                           whole ? w.delta[e].data() : p.delta.data(), towards ? sums : nullptr);
  }
  const uint64_t each = cuts.cut[cuts.n] - cuts.cut[0];
  if (towards) w.counts[number_].backward += (to - from) * each;
  if (rate) w.counts[number_].update += (to - from) * each;
}

// Where the parts begin in an example's active set or, if that is the whole layer, in the layer.
void Layer::cut_parts(Range parts, uint32_t e, const Group& group, Worker& w) const {
  const Passage& p = group[e].passages[number_];
  const bool whole = p.active.id.size() == spec_.n_outputs;
  if (w.cut.size() < group.size() * (n_parts_ + 1)) w.cut.resize(group.size() * (n_parts_ + 1));
  for (uint32_t k = parts.from; k <= parts.to; k++)
    w.cut[e * (n_parts_ + 1) + k] =
        whole ? static_cast<uint32_t>(round_up(part(k), kBlock)) : position(p.active, part(k));
  if (!whole) return;
  if (w.delta.size() < group.size()) w.delta.resize(group.size());
  w.delta[e].assign(stride_, 0.f);
  std::copy(p.delta.begin(), p.delta.end(), w.delta[e].begin());
}

void Layer::learn_columns(const Member& me, const Group& group, const Incidence& inputs, const Rate* rate, Worker& w) {
  const Range parts{first_part(me), last_part(me)};
  const bool at_once = !rate || plain(*rate);
  if (at_once && parts.from == parts.to) return;
  const auto n = static_cast<uint32_t>(group.size());
  const auto all = [&](uint32_t e) { return group[e].input_of(number_).n; };
  const bool towards = number_ > 0;
  if (!rate && !towards) return;
  for (uint32_t e = 0; (at_once || towards) && e < n; e++) cut_parts(parts, e, group, w);
  if (at_once) {
    for (uint32_t e = 0; e < n; e++) run_columns(parts, e, 0, all(e), towards, rate, group, w);
    if (rate && towards && n > 1) take_back_steps(parts, group, inputs, *rate, w);
    return;
  }
  for (uint32_t e = 0; towards && e < n; e++) run_columns(parts, e, 0, all(e), true, nullptr, group, w);
  me.meet();  // all deltas are there, and no row is read any more
  spread_deltas(group, w);
  const auto size = static_cast<uint32_t>(me.size), index = static_cast<uint32_t>(me.index);
  const auto own = [&](uint32_t j) { return j % size == index; };
  for (const Incidence::Share& share : inputs.shares())
    for (size_t t = 0; t < share.touched.size(); t++) {
      const uint32_t soon = share.touched[std::min(t + kAhead, share.touched.size() - 1)];
      if (own(soon)) ask_for_row(soon);
      if (own(share.touched[t])) step_columns(share.touched[t], share.of(t), group, *rate, w);
    }
  if (index + 1 == size) step_bias(group, *rate, w);
}

// One after another, the examples of a batch found weights that earlier ones had moved, where they share an input: row
// j by rate * x_j * delta of the earlier one. Their gradients are to be those of the weights before the batch, so what
// those steps did to them, rate * x_j * (delta . delta), is added again.
void Layer::take_back_steps(Range parts, const Group& group, const Incidence& inputs, const Rate& rate, Worker& w) {
  const auto n = static_cast<uint32_t>(group.size()), n_own = parts.to - parts.from;
  Counts& counts = w.counts[number_];
  std::vector<float>& overlap = w.overlap;  // [later][earlier][part]
  overlap.resize(size_t{n} * n * n_own);
  std::vector<float>& dense = w.dense;
  dense.resize(std::max<size_t>(dense.size(), stride_));
  for (uint32_t later = 1; later < n; later++) {
    const Passage& p = group[later].passages[number_];
    const uint32_t from = position(p.active, part(parts.from)), to = position(p.active, part(parts.to));
    for (uint32_t k = from; k < to; k++) dense[p.active.id[k]] = p.delta[k];
    for (uint32_t earlier = 0; earlier < later; earlier++) {
      const Passage& q = group[earlier].passages[number_];
      const uint32_t first = position(q.active, part(parts.from));
      uint32_t k = first;
      for (uint32_t own = 0; own < n_own; own++) {
        const uint32_t end = part(parts.from + own + 1);
        float total = 0.f;
        for (; k < q.active.id.size() && q.active.id[k] < end; k++) total += dense[q.active.id[k]] * q.delta[k];
        overlap[(later * n + earlier) * n_own + own] = total;
      }
      counts.backward += k - first;
    }
    for (uint32_t k = from; k < to; k++) dense[p.active.id[k]] = 0.f;
  }
  for (const Incidence::Share& share : inputs.shares())
    for (size_t t = 0; t < share.touched.size(); t++) {
      const std::span<const Incidence::Entry> entries = share.of(t);
      for (size_t b = 1; b < entries.size(); b++) {
        Passage& p = group[entries[b].example].passages[number_];
        float* to = p.towards.data() + parts.from * p.width + entries[b].position;
        for (size_t a = 0; a < b; a++) {
          const float step = rate.rate * group[entries[a].example].input_of(number_).value[entries[a].position];
          const float* o = &overlap[(entries[b].example * n + entries[a].example) * n_own];
          for (uint32_t own = 0; own < n_own; own++) to[own * p.width] += step * o[own];
        }
        counts.backward += b * (n_own + (parts.from == 0 ? 1 : 0));  // the step is counted once, by whoever is first
      }
    }
}

// A narrow layer is walked by examples: each member sees to its own examples' gradients, and then, once all have, to
// the rows of its own neurons of the layer below.
void Layer::back_narrow(const Member& me, const Group& group, const Layer* above, Worker& w) {
  for (auto e = static_cast<uint32_t>(me.first(group.size())); e < me.last(group.size()); e++) {
    if (!group[e].learns) continue;
    if (above) collect_delta({0, spec_.n_outputs}, group[e], *above);
    cut_parts({0, n_parts_}, e, group, w);
    run_columns({0, n_parts_}, e, 0, group[e].input_of(number_).n, true, nullptr, group, w);
  }
}

void Layer::step_narrow(const Member& me, Range inputs, const Group& group, const Shared& shared, const Rate& rate,
                        Worker& w) {
  const bool last = me.index + 1 == me.size;  // who takes the bias
  if (plain(rate)) {
    for (uint32_t e = 0; e < group.size(); e++) {
      const Row& x = group[e].input_of(number_);
      const auto entry = [&](uint32_t j) {
        return static_cast<uint32_t>(std::lower_bound(x.index, x.index + x.n, j) - x.index);
      };
      cut_parts({0, n_parts_}, e, group, w);
      run_columns({0, n_parts_}, e, entry(inputs.from), entry(inputs.to), false, &rate, group, w);
      if (last) run_columns({0, n_parts_}, e, x.n - 1, x.n, false, &rate, group, w);
    }
    return;
  }
  spread_deltas(group, w);
  const Incidence::Share& share = shared.incidences[number_].share(me.index);
  for (size_t t = 0; t < share.touched.size(); t++) {
    ask_for_row(share.touched[std::min(t + kAhead, share.touched.size() - 1)]);
    step_columns(share.touched[t], share.of(t), group, rate, w);
  }
  if (last) step_bias(group, rate, w);
}

// Rows lie scattered in memory, and are too short to be foreseen.
void Layer::ask_for_row(size_t row) const {
  for (size_t j = 0; half_.empty() && j < stride_; j += kBlock) __builtin_prefetch(&weight_[row * stride_ + j], 1);
  for (size_t j = 0; j < half_stride_; j += 2 * kBlock) __builtin_prefetch(&half_[row * half_stride_ + j], 1);
  moment1_.ask_for(row * stride_, stride_);
  moment2_.ask_for(row * stride_, stride_);
  if (!row_units_.empty()) __builtin_prefetch(&row_units_[row], 1);
  if (!row_update_.empty()) __builtin_prefetch(&row_update_[row], 1);
  if (!row_square_.empty()) __builtin_prefetch(&row_square_[row], 1);
}

// The examples' deltas as rows of the whole layer, zero where a neuron is not active.
void Layer::spread_deltas(const Group& group, Worker& w) const {
  if (w.delta.size() < group.size()) w.delta.resize(group.size());
  if (w.gradient.size() < stride_) w.gradient.resize(stride_);
  for (size_t e = 0; e < group.size(); e++) {
    const Passage& p = group[e].passages[number_];
    w.delta[e].assign(stride_, 0.f);
    for (size_t k = 0; k < p.active.id.size(); k++) w.delta[e][p.active.id[k]] = p.delta[k];
  }
}

void Layer::step_bias(const Group& group, const Rate& rate, Worker& w) {
  w.bias.clear();
  for (uint32_t e = 0; e < group.size(); e++) w.bias.push_back({e, group[e].input_of(number_).n - 1});
  step_columns(n_columns_ - 1, w.bias, group, rate, w);
}

// All optimisers but plain SGD: one step of an input's row, by the sum of the examples' gradients.
void Layer::step_columns(uint32_t j, std::span<const Incidence::Entry> entries, const Group& group, const Rate& rate,
                         Worker& w) {
  Counts& counts = w.counts[number_];
  const auto value = [&](const Incidence::Entry& entry) {
    return group[entry.example].input_of(number_).value[entry.position];
  };
  const bool single = entries.size() == 1;
  const float a = single ? value(entries[0]) : 1.f;
  const float* g = single ? w.delta[entries[0].example].data() : w.gradient.data();
  if (!single) {
    std::fill_n(w.gradient.begin(), stride_, 0.f);
    for (const Incidence::Entry& entry : entries)
      active().axpy(w.gradient.data(), value(entry), w.delta[entry.example].data(), stride_);
    counts.update += entries.size() * stride_;
  }
  w.block.clear();
  for (uint32_t b = 0; b < stride_ / kBlock; b++)
    if (std::any_of(g + b * kBlock, g + (b + 1) * kBlock, [](float x) { return x != 0.f; })) w.block.push_back(b);
  const Row sum{nullptr, nullptr, 0, g, w.block.data(), static_cast<uint32_t>(w.block.size())};
  const bool by_row = rate.kind == Optimizer::kRowAdagrad;
  Step step = rate.step;
  step.bias_column = ~0u;  // the bias is a row here
  if (j + 1 == n_columns_) step.l2 = 0.f;
  const float norm2 = by_row ? a * a * active().dot(g, g, stride_) : 0.f;
  if (by_row) counts.update += stride_;
  const float factor = row_factor(j, norm2 / static_cast<float>(spec_.n_outputs), rate);
  if (rate.kind == Optimizer::kSgd || by_row) step.l2 *= factor;
  update(j, factor * a, sum, step, rate, w);
}

}  // namespace hashgrad
