#include "model.h"

#include <algorithm>

namespace hashgrad {

Model::Model(uint32_t n_inputs, const std::vector<LayerSpec>& specs, const OptimizerSpec& optimizer, uint64_t seed)
    : plain_(optimizer.kind == Optimizer::kSgd && optimizer.l2 == 0.f) {
  for (size_t l = 0; l < specs.size(); l++)
    layers_.emplace_back(l == 0 ? n_inputs : specs[l - 1].n_outputs, specs[l], optimizer, seed, l);
}

size_t Model::memory() const {
  size_t total = 0;
  for (const Layer& layer : layers_) total += layer.memory();
  return total;
}

void Model::forward(const Group& group, const Member& me, Worker& w, Pool* pool) const {
  const size_t last = layers_.size() - 1;
  for (size_t l = 0; l < last; l++) forward_layer(l, true, group, me, w);
  if (pool)
    forward_pool(group, me, w, *pool);
  else
    forward_layer(last, false, group, me, w);
}

// Members propose neurons for their own examples; where codes are scanned, each scores its neurons for all of them
// first.
void Model::choose(const Layer& layer, Range scanned, const Group& group, bool pools, const Member& me,
                   Worker& w) const {
  const size_t mine = me.first(group.size()), end = me.last(group.size());
  for (size_t e = mine; e < end; e++) layer.propose(group[e], w);
  if (!layer.may_scan(pools)) return;
  me.meet();
  layer.scan(scanned, group, w);
  me.meet();
  for (size_t e = mine; e < end; e++)
    if (layer.scans(group[e].ask)) layer.nominate(group[e], w);
}

void Model::forward_pool(const Group& group, const Member& me, Worker& w, Pool& pool) const {
  const Layer& layer = layers_.back();
  choose(layer, layer.blocks(me), group, true, me, w);
  me.meet();
  layer.fill_pool(me, group, pool);
  layer.evaluate_pool(me, pool, w);
  me.meet();
}

void Model::forward_layer(size_t l, bool activate, const Group& group, const Member& me, Worker& w) const {
  const Layer& layer = layers_[l];
  const size_t mine = me.first(group.size()), end = me.last(group.size());
  choose(layer, layer.own(me), group, false, me, w);
  if (layer.narrow()) {
    layer.evaluate({0, layer.spec().n_outputs}, group, mine, end);
  } else {
    me.meet();
    layer.evaluate(layer.own(me), group, 0, group.size());
    me.meet();
  }
  for (size_t e = mine; e < end; e++) layer.keep(group[e], activate, w);
}

bool Model::learn(const Group& group, Shared& shared, const Member& me, const Rate* rate, bool at_once, Worker& w) {
  const auto above = [&](size_t l) { return l + 1 < layers_.size() ? &layers_[l + 1] : nullptr; };
  const size_t last = layers_.size() - 1;
  const bool pooled = pools() && !at_once;
  if (layers_[last].narrow()) layers_[last].back_narrow(me, group, nullptr, w);
  me.meet();
  if (!group.is_finite()) return false;
  w.learners.list.clear();
  for (Example* example : group.list)
    if (example->learns) w.learners.list.push_back(example);
  if (w.learners.list.empty()) return true;
  for (size_t l = 0; rate && l <= layers_.size(); l++)
    if (turns(l, at_once)) turn(l, w.learners, shared, me);
  if (rate && layers_[last].input_major() && turns(last, at_once)) me.meet();  // it needs the others' shares at once

  for (size_t l = layers_.size(); l-- > 0;) {
    Layer& layer = layers_[l];
    if (l < last && (layer.narrow() || !above(l)->narrow())) me.meet();
    if (l == last && pooled) {
      layer.back_pool(me, group, shared.pool, w);
      me.meet();
      if (rate) layer.step_pool(me, *rate, shared.pool, w);
      continue;
    }
    if (!layer.narrow()) {
      layer.learn(me, w.learners, shared, above(l), rate, at_once, w);
      continue;
    }
    if (l < last) {
      layer.back_narrow(me, w.learners, above(l), w);
      me.meet();
    }
    if (rate) layer.step_narrow(me, layers_[l - 1].own(me), w.learners, shared, *rate, w);
  }
  me.meet();
  if (rate && !at_once) move_in_tables(shared, me);
  return true;
}

void Model::repeat(const Group& example, const Rate& rate, Worker& w) {
  for (size_t l = layers_.size(); l-- > 0;) layers_[l].repeat(example, rate, w);
}

// Whether layer l's inputs (or, beyond the last layer, its outputs) are needed turned round: for its own update, or for
// that of the layer whose neurons they are. An example alone seldom needs it: its lists say all there is.
bool Model::turns(size_t l, bool alone) const {
  const bool by_neurons = l > 0 && !layers_[l - 1].input_major() && !layers_[l - 1].pools();
  const bool by_inputs = l < layers_.size() && layers_[l].input_major();
  return (by_neurons && !alone) || (by_inputs && (!plain_ || (l > 0 && !alone)));
}

// Each member turns round those of its own neurons.
void Model::turn(size_t l, const Group& group, Shared& shared, const Member& me) const {
  if (l > 0)
    return shared.incidences[l].collect(me.index, layers_[l - 1].own(me), group.size(), [&](size_t e) {
      return std::span<const uint32_t>(group[e].passages[l - 1].active.id);
    });
  const Range own{static_cast<uint32_t>(me.first(n_inputs())), static_cast<uint32_t>(me.last(n_inputs()))};
  shared.incidences[0].collect(me.index, own, group.size(), [&](size_t e) {
    const Row& x = group[e].input.row();
    return std::span<const uint32_t>(x.index, x.n - 1);
  });
}

void Model::move_in_tables(Shared& shared, const Member& me) {
  for (size_t l = 0; l < layers_.size(); l++) {
    LshIndex* index = layers_[l].index();
    if (!index || !index->incremental() || !index->tables()) continue;
    if (me.index == 0) {
      shared.moved.clear();
      for (const Incidence::Share& share : shared.incidences[l + 1].shares())
        shared.moved.insert(shared.moved.end(), share.touched.begin(), share.touched.end());
      std::sort(shared.moved.begin(), shared.moved.end());
    }
    me.meet();
    const auto n = static_cast<size_t>(index->tables()->n_tables());
    for (size_t t = me.first(n); t < me.last(n); t++) index->move_in_tables(static_cast<int>(t), shared.moved);
    me.meet();
  }
}

}  // namespace hashgrad
