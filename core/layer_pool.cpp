// A pooled output layer in synchronous training: each member of the team sees to its own examples (in whole blocks of
// 16, as they lie in the pool) or to its own rows of the pool. No sum depends on how they are shared out.
#include <algorithm>
#include <cstring>

#include "layer.h"

namespace hashgrad {

namespace {

// A member's blocks of examples, and its rows.
Range examples_of(const Member& me, const Pool& pool) {
  const size_t blocks = pool.columns / kBlock;
  return {static_cast<uint32_t>(std::min<size_t>(pool.n_examples, me.first(blocks) * kBlock)),
          static_cast<uint32_t>(std::min<size_t>(pool.n_examples, me.last(blocks) * kBlock))};
}
Range rows_of(const Member& me, const Pool& pool) {  // whole pairs
  const size_t n = pool.id.size(), pairs = Pool::half(n);
  return {static_cast<uint32_t>(2 * me.first(pairs)), static_cast<uint32_t>(std::min(n, 2 * me.last(pairs)))};
}

constexpr uint32_t kAhead = 2;        // rows, that memory is asked for
constexpr uint32_t kRowsAtOnce = 24;  // of gradients, before they are taken for steps

}  // namespace

void Layer::fill_pool(const Member& me, const Group& group, Pool& pool) const {
  const auto n = static_cast<uint32_t>(group.size());
  if (me.index == 0) {
    pool.take_in(n);
    pool.input.resize(n * stride_);
    if (number_ > 0) pool.towards.resize(n * stride_);
    pool.turned.resize(n_columns_ * pool.n_panels() * pool.width);
    pool.unite(
        spec_.n_outputs, spec_.lsh.fill, Random(seed_, Purpose::kPool, number_, group[0].ask.step),
        [&](size_t e) -> const std::vector<uint32_t>& { return group[e].passages[number_].proposal.id; },
        [&](size_t e) { return group[e].ask.forced; });
    pool.z.resize(pool.id.size() * pool.n_panels() * pool.width);
    pool.in_pairs = spec_.lsh.precision == Precision::kBfloat16 && has_bfloat16();
    if (spec_.halved() && !pool.in_pairs) pool.weight.resize(pool.id.size() * stride_);
    if (pool.in_pairs) {
      const size_t pairs = Pool::half(pool.id.size()), across = pool.n_panels() * pool.width;
      pool.weight_columns.resize(pool.id.size() * stride_ / 2);
      pool.input_columns.resize(Pool::half(n_columns_ - 1) * across);
      pool.input_examples.resize(Pool::half(n) * stride_);
      if (number_ > 0) pool.weight_neurons.resize(pairs * stride_), pool.gradient_neurons.resize(pairs * across);
    }
  }
  me.meet();
  const Range own = examples_of(me, pool);
  const size_t end = own.to == n ? pool.columns : own.to;
  for (size_t e = own.from; e < end; e++) {
    float* column = pool.inputs(e, n_columns_);
    if (e % kBlock == 0)
      for (uint32_t j = 0; j < n_columns_; j++) std::fill_n(column + j * pool.width, kBlock, 0.f);
    if (e >= n) continue;
    const Row& x = group[e].input_of(number_);
    float* row = &pool.input[e * stride_];
    std::fill_n(row, stride_, 0.f);
    for (uint32_t k = 0; k < x.n; k++) row[x.index[k]] = column[x.index[k] * pool.width] = x.value[k];
  }
  if (pool.in_pairs) pair_inputs(own, pool);
  me.meet();
}

// Each factor of a pool's products in pairs of bfloat16, of what a member sees to: examples' inputs, rows of weights,
// examples' gradients.
void Layer::pair_inputs(Range examples, Pool& pool) const {
  const Bfloat16& in = active().bfloat16;
  const auto stride = static_cast<uint32_t>(stride_);
  const uint32_t n_inputs = n_columns_ - 1;  // biases are added as they are
  for (size_t e = examples.from; e < examples.to; e += kBlock) {
    const float* column = pool.inputs(e, n_columns_);
    uint32_t* pairs = pool.input_pairs(e, n_inputs);
    for (uint32_t j = 0; j < n_inputs; j += 2, column += 2 * pool.width, pairs += pool.width)
      in.pair_rows(column, j + 1 < n_inputs ? column + pool.width : nullptr, kBlock, pairs);
  }
  for (size_t e = examples.from; e < examples.to; e += 2) {
    const float* row = &pool.input[e * stride_];
    in.pair_rows(row, e + 1 < pool.n_examples ? row + stride_ : nullptr, stride, &pool.input_examples[e / 2 * stride_]);
  }
}
void Layer::pair_weights(Range rows, Pool& pool) const {
  const Bfloat16& in = active().bfloat16;
  const auto stride = static_cast<uint32_t>(stride_);
  const auto weights = [&](uint32_t r) { return &weight_[stride_ * pool.id[r]]; };
  for (uint32_t r = rows.from; r < rows.to; r++) {
    if (r + kAhead < rows.to)
      for (uint32_t j = 0; j < stride; j += kBlock) __builtin_prefetch(weights(r + kAhead) + j);
    in.pair_columns(weights(r), stride, &pool.weight_columns[r * stride_ / 2]);
    if (number_ > 0 && r % 2 == 0)
      in.pair_rows(weights(r), r + 1 < rows.to ? weights(r + 1) : nullptr, stride,
                   &pool.weight_neurons[r / 2 * stride_]);
  }
}
// The same of rows that are bfloat16 already: a neuron's pairs are the row as it lies.
void Layer::pair_halves(Range rows, Pool& pool) const {
  const size_t n = std::min(half_stride_, stride_);
  const auto weights = [&](uint32_t r) { return &half_[half_stride_ * pool.id[r]]; };
  for (uint32_t r = rows.from; r < rows.to; r++) {
    for (size_t j = 0; r + kAhead < rows.to && j < n; j += 2 * kBlock) __builtin_prefetch(weights(r + kAhead) + j);
    std::memcpy(&pool.weight_columns[r * stride_ / 2], weights(r), n * sizeof(uint16_t));
    if (number_ == 0 || r % 2) continue;
    const uint16_t* low = weights(r);
    const uint16_t* high = r + 1 < rows.to ? weights(r + 1) : nullptr;
    uint32_t* pairs = &pool.weight_neurons[r / 2 * stride_];
    for (size_t j = 0; j < n; j++) pairs[j] = low[j] | uint32_t{high ? high[j] : uint16_t{0}} << 16;
  }
}
// And as floats, where products are taken of those.
void Layer::widen_weights(Range rows, Pool& pool) const {
  for (uint32_t r = rows.from; r < rows.to; r++) {
    float* row = &pool.weight[r * stride_];
    active().widen(&half_[half_stride_ * pool.id[r]], static_cast<uint32_t>(stride_of(n_columns_ - 1)), row);
    row[n_columns_ - 1] = bias_[pool.id[r]];
  }
}
Factor Layer::weights_of(const Pool& pool, uint32_t first) const {
  if (half_.empty()) return {weight_.data(), stride_, 1, pool.id.data() + first};
  return {pool.weight.data() + first * stride_, stride_};
}
void Layer::pair_gradients(Range examples, Pool& pool) const {
  const size_t n = pool.id.size();
  for (size_t e = examples.from; e < examples.to; e += kBlock) {
    const float* z = pool.scores(e);
    uint32_t* pairs = pool.gradient_pairs(e);
    for (size_t i = 0; i < n; i += 2, z += 2 * pool.width, pairs += pool.width)
      active().bfloat16.pair_rows(z, i + 1 < n ? z + pool.width : nullptr, kBlock, pairs);
  }
}

void Layer::evaluate_pool(const Member& me, Pool& pool, Worker& w) const {
  const Range own = rows_of(me, pool);
  const uint32_t n = own.to - own.from;
  if (pool.in_pairs) half_.empty() ? pair_weights(own, pool) : pair_halves(own, pool);
  if (!pool.in_pairs && !half_.empty()) widen_weights(own, pool);
  for (size_t p = 0; p < pool.n_panels(); p++) {
    float* z = pool.scores(p * pool.width) + own.from * pool.width;
    if (pool.in_pairs) {
      const uint32_t n_inputs = n_columns_ - 1;
      for (uint32_t r = 0; r < n; r++) std::fill_n(z + r * pool.width, pool.width, bias_of(pool.id[own.from + r]));
      active().bfloat16.multiply({pool.weight_columns.data() + own.from * stride_ / 2, stride_ / 2}, n,
                                 {pool.input_pairs(p * pool.width, n_inputs), pool.width},
                                 static_cast<uint32_t>(Pool::half(n_inputs)), static_cast<uint32_t>(pool.of_panel(p)),
                                 z, pool.width);
    } else {
      std::fill_n(z, n * pool.width, 0.f);
      active().multiply(weights_of(pool, own.from), n, {pool.inputs(p * pool.width, n_columns_), pool.width},
                        n_columns_, static_cast<uint32_t>(pool.of_panel(p)), z, pool.width);
    }
  }
  Counts& counts = w.counts[number_];
  counts.forward += uint64_t{n} * pool.n_examples * n_columns_;
  counts.candidates += uint64_t{n} * pool.n_examples;
  counts.active += uint64_t{n} * pool.n_examples;
  if (me.index == 0) counts.queries += pool.n_examples;
}

void Layer::back_pool(const Member& me, const Group& group, Pool& pool, Worker& w) const {
  const Range own = examples_of(me, pool);
  const auto n_rows = static_cast<uint32_t>(pool.id.size());
  const auto n = static_cast<uint32_t>(stride_of(n_columns_ - 1));  // not towards the bias
  if (number_ > 0 && own.from < own.to) {
    std::fill(&pool.towards[own.from * stride_], pool.towards.data() + own.to * stride_, 0.f);
    if (pool.in_pairs) pair_gradients(own, pool);
    for (uint32_t from = own.from, to; from < own.to; from = to) {  // a panel's examples
      to = std::min(own.to, static_cast<uint32_t>((from / pool.width + 1) * pool.width));
      if (pool.in_pairs)
        active().bfloat16.multiply({pool.gradient_pairs(from), 1, pool.width}, to - from,
                                   {pool.weight_neurons.data(), stride_}, static_cast<uint32_t>(Pool::half(n_rows)), n,
                                   &pool.towards[from * stride_], stride_);
      else
        active().multiply({pool.scores(from), 1, pool.width}, to - from, weights_of(pool, 0), n_rows, n,
                          &pool.towards[from * stride_], stride_);
    }
    w.counts[number_].backward += uint64_t{own.to - own.from} * n_rows * n;
  }
  for (uint32_t e = own.from; number_ > 0 && e < own.to; e++) {
    Passage& p = group[e].passages[number_];
    p.by_columns = true;
    p.width = stride_;
    p.gradient = &pool.towards[e * stride_];
  }
}

void Layer::step_pool(const Member& me, const Rate& rate, const Pool& pool, Worker& w) {
  const Range own = rows_of(me, pool);
  Counts& counts = w.counts[number_];
  std::vector<uint32_t>& block = w.block;
  block.resize(stride_ / kBlock);
  for (uint32_t b = 0; b < block.size(); b++) block[b] = b;
  w.gradient.resize(std::max(w.gradient.size(), kRowsAtOnce * stride_));
  for (uint32_t from = own.from; from < own.to; from += kRowsAtOnce) {
    const uint32_t n = std::min(kRowsAtOnce, own.to - from);
    std::fill_n(w.gradient.data(), n * stride_, 0.f);
    for (uint32_t e = 0, to; e < pool.n_examples; e = to) {
      to = std::min(pool.n_examples, e + static_cast<uint32_t>(pool.width));
      const float* z = pool.scores(e) + from * pool.width;
      if (pool.in_pairs) {
        w.pairs.resize(kRowsAtOnce * pool.width / 2);
        for (uint32_t r = 0; r < n; r++)
          active().bfloat16.pair_columns(z + r * pool.width, static_cast<uint32_t>(pool.width),
                                         &w.pairs[r * pool.width / 2]);
        active().bfloat16.multiply(
            {w.pairs.data(), pool.width / 2}, n, {&pool.input_examples[e / 2 * stride_], stride_},
            static_cast<uint32_t>(Pool::half(to - e)), static_cast<uint32_t>(stride_), w.gradient.data(), stride_);
      } else {
        active().multiply({z, pool.width}, n, {&pool.input[e * stride_], stride_}, to - e,
                          static_cast<uint32_t>(stride_), w.gradient.data(), stride_);
      }
    }
    counts.update += uint64_t{n} * pool.n_examples * stride_;
    for (uint32_t r = 0; r < n; r++) {
      const uint32_t i = pool.id[from + r];
      if (from + r + kAhead < own.to) ask_for_row(pool.id[from + r + kAhead]);
      const float* g = w.gradient.data() + r * stride_;
      float norm2 = 0.f;
      if (rate.kind == Optimizer::kRowAdagrad) norm2 = active().dot(g, g, stride_), counts.update += stride_;
      const float factor = row_factor(i, norm2 / static_cast<float>(n_columns_), rate);
      step_row(i, factor, factor, {nullptr, nullptr, 0, g, block.data(), static_cast<uint32_t>(block.size())}, rate, w);
      if (LshIndex* index = selector_->index()) index->mark(i);
    }
  }
}

}  // namespace hashgrad
