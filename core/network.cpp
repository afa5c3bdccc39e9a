#include "network.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>

namespace hashgrad {

namespace {
constexpr size_t kSideBySide =
    8;  // predictions that one thread makes together, so that they share what is in its cache
}

Network::Network(uint32_t n_inputs, std::vector<LayerSpec> specs, Loss loss, const OptimizerSpec& optimizer,
                 uint64_t seed)
    : n_inputs_(n_inputs), loss_(loss), optimizer_(optimizer), seed_(seed), staleness_(specs.size()) {
  if (n_inputs < 1) throw std::invalid_argument("n_inputs must be at least 1, got 0");
  if (specs.empty()) throw std::invalid_argument("layers must name at least one layer, got none");
  if (specs.back().activation != Activation::kLinear)
    throw std::invalid_argument("activation of the last layer must be 'linear' (the loss applies its own), got '" +
                                kActivations.name(specs.back().activation) + "'");
  uint32_t n = n_inputs;
  for (size_t l = 0; l < specs.size(); l++) {
    specs[l].check();
    if (specs[l].selector == Selection::kLsh) {
      const LshSpec& lsh = specs[l].lsh;
      rebuild_every_ = has_lsh_ ? std::min(rebuild_every_, lsh.rebuild_every) : lsh.rebuild_every;
      rehash_every_ = has_lsh_ ? std::min(rehash_every_, lsh.rehash_every) : lsh.rehash_every;
      has_lsh_ = true;
    }
    layers_.emplace_back(n, specs[l], optimizer, seed, l);
    n = specs[l].n_outputs;
  }
  built_ = !has_lsh_;
  ledger_.layers.resize(layers_.size());
  prediction_ledger_.layers.resize(layers_.size());
}

Ask Network::ask_of(bool training, uint64_t step) const {
  Ask ask;
  ask.training = training;
  ask.seed = seed_;
  ask.step = step;
  return ask;
}

void Network::arrange(size_t l, Layout layout, Lookup lookup, Code code) {
  const std::unique_lock writing(mutex_);
  if (step_ > 0 || (has_lsh_ && built_)) throw std::runtime_error("arrange must come before training and building");
  layers_[l].arrange(layout, lookup, code);
  walkers_.clear(), pool_.clear(), batch_ = Group();
  has_lsh_ = std::any_of(layers_.begin(), layers_.end(), [](const Layer& layer) { return layer.index(); });
  built_ = !has_lsh_;
}

void Network::forward(Group& group, const Member& me, Worker& w) const {
  for (size_t l = 0; l < layers_.size(); l++) forward_layer(l, l + 1 < layers_.size(), group, me, w);
}

void Network::forward_layer(size_t l, bool activate, Group& group, const Member& me, Worker& w) const {
  const Layer& layer = layers_[l];
  const size_t mine = me.first(group.size), end = me.last(group.size);
  for (size_t e = mine; e < end; e++) layer.propose(group[e], w);
  if (layer.scans(group[0].ask)) {
    me.meet();
    layer.scan(layer.own(me), group, w);
    me.meet();
    for (size_t e = mine; e < end; e++) layer.nominate(group[e], w);
  }
  if (layer.narrow()) {
    layer.evaluate({0, layer.spec().n_outputs}, group, mine, end);
  } else {
    me.meet();
    if (group[0].ask.training && turns_inputs(l)) collect_inputs(l, group, me);
    layer.evaluate(layer.own(me), group, 0, group.size);
    me.meet();
  }
  for (size_t e = mine; e < end; e++) layer.keep(group[e], activate, w);
}

// Whether layer l's inputs are needed turned round: for its own update, or for that of the layer whose neurons they
// are.
bool Network::turns_inputs(size_t l) const {
  const bool plain = optimizer_.kind == Optimizer::kSgd && optimizer_.l2 == 0.f;
  return l > 0 ? !layers_[l - 1].input_major() || layers_[l].input_major() : layers_[0].input_major() && !plain;
}

// Layer l's inputs turned round, each member those of its own neurons.
void Network::collect_inputs(size_t l, Group& group, const Member& me) const {
  if (l > 0)
    group.incidences[l].collect(me.index, layers_[l - 1].own(me), group.size, [&](size_t e) {
      return std::span<const uint32_t>(group[e].passages[l - 1].active.id);
    });
  else
    group.incidences[0].collect(me.index,
                                {static_cast<uint32_t>(me.first(n_inputs_)), static_cast<uint32_t>(me.last(n_inputs_))},
                                group.size, [&](size_t e) {
                                  const Row& x = group[e].input.row();
                                  return std::span<const uint32_t>(x.index, x.n - 1);
                                });
}

bool Network::learn(Group& group, const Member& me, const Rate* rate, bool at_once, Worker& w) {
  const auto above = [&](size_t l) { return l + 1 < layers_.size() ? &layers_[l + 1] : nullptr; };
  for (size_t l = layers_.size(); l-- > 0;) {
    Layer& layer = layers_[l];
    const bool narrow = layer.narrow(), last = !above(l);
    if (narrow && !last) me.meet();
    if (narrow) layer.back_narrow(me, group, above(l), w);
    if (narrow || last || !above(l)->narrow()) me.meet();
    if (last && !group.is_finite()) return false;
    if (narrow) {
      if (rate && turns_inputs(l)) collect_inputs(l, group, me);
      if (rate) layer.step_narrow(me, layers_[l - 1].own(me), group, *rate, w);
    } else {
      layer.learn(me, group, above(l), rate, at_once, w);
    }
  }
  me.meet();
  if (rate && !at_once) move_in_tables(group, me);
  return true;
}

void Network::move_in_tables(Group& group, const Member& me) {
  for (size_t l = 0; l < layers_.size(); l++) {
    LshIndex* index = layers_[l].index();
    if (!index || !index->incremental() || !index->tables()) continue;
    if (me.index == 0) {
      group.moved.clear();
      for (const Incidence::Share& share : group.incidences[l + 1].shares())
        group.moved.insert(group.moved.end(), share.touched.begin(), share.touched.end());
      std::sort(group.moved.begin(), group.moved.end());
    }
    me.meet();
    const auto n = static_cast<size_t>(index->tables()->n_tables());
    for (size_t t = me.first(n); t < me.last(n); t++) index->move_in_tables(static_cast<int>(t), group.moved);
    me.meet();
  }
}

void Network::predict(const Batch& batch, bool exact, int threads,
                      const std::function<void(uint64_t, const ActiveSet&)>& take) {
  const std::shared_lock reading(mutex_);
  const auto n_threads = static_cast<size_t>(threads);
  std::vector<std::unique_ptr<Walker>> walkers;
  {
    const std::lock_guard lock(pool_mutex_);
    while (walkers.size() < n_threads) {
      if (pool_.empty()) pool_.push_back(std::make_unique<Walker>(layers_, kSideBySide));
      walkers.push_back(std::move(pool_.back()));
      pool_.pop_back();
    }
  }
  const size_t together = std::clamp<size_t>(batch.n_rows / n_threads, 1, kSideBySide);
  std::atomic<size_t> next{0};
  Team team(threads);
  team.run([&](const Member& me) {
    Walker& walker = *walkers[static_cast<size_t>(me.index)];
    Group& group = walker.group;
    for (size_t from = next.fetch_add(together); from < batch.n_rows; from = next.fetch_add(together)) {
      group.size = std::min<size_t>(together, batch.n_rows - from);
      for (size_t e = 0; e < group.size; e++) {
        group[e].input.assign(batch, from + e);
        group[e].ask = ask_of(false, from + e);
        group[e].ask.exact = exact;
      }
      forward(group, Member(), walker.worker);
      for (size_t e = 0; e < group.size; e++) take(from + e, group[e].passages.back().active);
    }
  });
  const std::lock_guard lock(pool_mutex_);
  prediction_ledger_.examples += batch.n_rows;
  for (auto& walker : walkers) {
    for (size_t l = 0; l < layers_.size(); l++) {
      prediction_ledger_.layers[l].add(walker->worker.counts[l]);
      walker->worker.counts[l] = Counts();
    }
    pool_.push_back(std::move(walker));
  }
}

void Network::scores(const Batch& batch, bool exact, int threads, float* out) {
  const size_t n = n_outputs();
  const float absent = loss_ == Loss::kSquared ? 0.f : -std::numeric_limits<float>::infinity();
  predict(batch, exact, threads, [&](uint64_t row, const ActiveSet& active) {
    std::fill_n(out + row * n, n, absent);
    for (size_t k = 0; k < active.id.size(); k++) out[row * n + active.id[k]] = active.z[k];
  });
}

void Network::topk(const Batch& batch, uint32_t k, bool exact, int threads, int32_t* index, float* score) {
  predict(batch, exact, threads, [&](uint64_t row, const ActiveSet& active) {
    static thread_local std::vector<uint32_t> order;
    order.resize(active.id.size());
    std::iota(order.begin(), order.end(), 0u);
    const size_t found = std::min<size_t>(k, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<long>(found), order.end(),
                      [&](uint32_t a, uint32_t b) {
                        return active.z[a] != active.z[b] ? active.z[a] > active.z[b] : active.id[a] < active.id[b];
                      });
    for (size_t j = 0; j < k; j++) {
      index[row * k + j] = j < found ? static_cast<int32_t>(active.id[order[j]]) : -1;
      score[row * k + j] = j < found ? active.z[order[j]] : -std::numeric_limits<float>::infinity();
    }
  });
}

std::vector<Recall> Network::recall(const Batch& batch, std::span<const uint32_t> rows) {
  const std::shared_lock reading(mutex_);
  std::vector<Recall> result(layers_.size(), Recall{0.0, 0.0});
  const auto n = static_cast<double>(rows.size());
  Walker walker(layers_, 1);
  walker.group.size = 1;
  Example& example = walker.group[0];
  std::vector<float> z;
  std::vector<uint32_t> best, found;
  for (const uint32_t row : rows) {
    example.input.assign(batch, row);
    example.ask = ask_of(true, row);
    for (size_t l = 0; l < layers_.size(); l++) {
      forward_layer(l, false, walker.group, Member(), walker.worker);
      Passage& passage = example.passages[l];
      const std::vector<uint32_t>& kept = passage.active.id;
      const uint32_t n_neurons = layers_[l].spec().n_outputs;
      if (!kept.empty()) {
        layers_[l].evaluate_all(example.input_of(l), z);
        choose_largest(z.data(), n_neurons, passage.n_selected, 0, walker.worker.select.choose, best);
        found.clear();
        std::set_intersection(best.begin(), best.end(), kept.begin(), kept.end(), std::back_inserter(found));
        const double recall = static_cast<double>(found.size()) / passage.n_selected;
        result[l].recall += recall / n;
        result[l].gain += recall * n_neurons / passage.n_selected / n;
      }
      if (l + 1 < layers_.size()) layers_[l].activate(passage);
    }
  }
  return result;
}

double Network::dense_multiplications(uint32_t batch_size) const {
  const double share = 1.0 / std::max<uint32_t>(1, batch_size);
  const auto cost = static_cast<double>(update_cost(optimizer_.kind, optimizer_.l2 > 0.f));
  const bool plain =
      optimizer_.kind == Optimizer::kSgd && optimizer_.l2 == 0.f;  // the step is in the gradients' factors
  double total = 0;
  for (size_t l = 0; l < layers_.size(); l++) {
    const double matrix = double{1} * layers_[l].spec().n_outputs * layers_[l].n_columns();
    const double update = batch_size > 1 && !plain ? matrix * (1.0 + cost * share) : matrix * cost;
    total += matrix + (l > 0 ? matrix : 0.0) + update;
  }
  return total;
}

uint64_t Network::dense_prediction_multiplications() const {
  uint64_t total = 0;
  for (const Layer& layer : layers_) total += uint64_t{layer.spec().n_outputs} * layer.n_columns();
  return total;
}

uint64_t Network::n_parameters() const { return dense_prediction_multiplications(); }

size_t Network::memory() {
  size_t total = 0;
  for (Layer& layer : layers_) total += layer.memory();
  return total;
}

std::map<std::string, double> Network::state() const {
  std::map<std::string, double> s{{"step", double(step_)},
                                  {"updates", double(updates_)},
                                  {"rebuilds", double(rebuilds_)},
                                  {"next_rebuild", double(next_rebuild_)},
                                  {"rebuild_interval", double(rebuild_interval_)},
                                  {"next_rehash", double(next_rehash_)},
                                  {"built", double(built_)}};
  for (size_t l = 0; l < layers_.size(); l++) s["staleness." + std::to_string(l)] = staleness_[l];
  return s;
}

void Network::set_state(const std::map<std::string, double>& s) {
  const auto count = [&](const char* key) {
    const auto found = s.find(key);
    if (found == s.end() || !(found->second >= 0.0 && found->second < 0x1p53))
      throw std::invalid_argument(std::string("state must hold a count for '") + key + "'");
    return static_cast<uint64_t>(found->second);
  };
  step_ = count("step"), updates_ = count("updates"), rebuilds_ = count("rebuilds");
  next_rebuild_ = count("next_rebuild"), rebuild_interval_ = std::max<uint64_t>(has_lsh_, count("rebuild_interval"));
  next_rehash_ = count("next_rehash"), built_ = count("built") != 0 || !has_lsh_;
  for (size_t l = 0; l < layers_.size(); l++) {
    const auto found = s.find("staleness." + std::to_string(l));
    if (found != s.end()) staleness_[l] = found->second;
  }
}

void Network::derive_after_load(int threads) {
  const std::unique_lock writing(mutex_);
  Team team(threads);
  for (Layer& layer : layers_)
    if (layer.index() && built_) layer.index()->derive(team);
}

void Network::end_epoch() {
  const std::unique_lock writing(mutex_);
  for (Layer& layer : layers_)
    if (layer.index()) layer.index()->refill_tables();
}

}  // namespace hashgrad
