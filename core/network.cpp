#include "network.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace hashgrad {

Walk::Walk(const std::vector<Layer>& layers) : input(layers.front().n_columns()) {
  for (const Layer& layer : layers) traces.emplace_back(layer.spec().n_outputs);
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

const Row& Network::input_of(Walk& walk, size_t layer) const {
  return layer == 0 ? walk.input.row() : walk.traces[layer - 1].output.row();
}

Ask Network::ask_of(bool training, uint64_t step) const {
  Ask ask;
  ask.training = training;
  ask.seed = seed_;
  ask.step = step;
  return ask;
}

void Network::forward(Walk& walk, const Ask& ask, Scratch& scratch, std::vector<Counts>& counts) const {
  for (size_t l = 0; l < layers_.size(); l++) {
    const bool last = l + 1 == layers_.size();
    Ask here = ask;
    here.layer = l;
    if (!last) here.forced = {};
    layers_[l].forward(input_of(walk, l), here, last, walk.traces[l], scratch, counts[l]);
  }
}

void Network::backward(Walk& walk, Scratch& scratch, std::vector<Counts>& counts) const {
  for (size_t l = layers_.size() - 1; l > 0; l--)
    layers_[l].backward(input_of(walk, l), walk.traces[l], walk.traces[l - 1], layers_[l - 1].spec().activation,
                        scratch, counts[l]);
}

void Network::update(Walk& walk, const Rate& rate, Scratch& scratch, std::vector<Counts>& counts) {
  for (size_t l = 0; l < layers_.size(); l++)
    layers_[l].update(input_of(walk, l), walk.traces[l], rate, scratch, counts[l]);
}

void Network::predict(const Batch& batch, bool exact, int threads,
                      const std::function<void(uint64_t, const ActiveSet&)>& take) {
  const std::shared_lock reading(mutex_);
  std::vector<std::unique_ptr<Worker>> workers;
  {
    const std::lock_guard lock(pool_mutex_);
    while (workers.size() < static_cast<size_t>(threads)) {
      if (pool_.empty()) pool_.push_back(std::make_unique<Worker>(layers_));
      workers.push_back(std::move(pool_.back()));
      pool_.pop_back();
    }
  }
  Team team(threads);
  team.each(batch.n_rows, 8, [&](int member, size_t i) {
    Worker& w = *workers[static_cast<size_t>(member)];
    w.walk.input.assign(batch, i);
    Ask ask = ask_of(false, i);
    ask.exact = exact;
    forward(w.walk, ask, w.scratch, w.counts);
    take(i, w.walk.traces.back().active);
  });
  const std::lock_guard lock(pool_mutex_);
  prediction_ledger_.examples += batch.n_rows;
  for (auto& w : workers) {
    for (size_t l = 0; l < layers_.size(); l++) prediction_ledger_.layers[l].add(w->counts[l]), w->counts[l] = Counts();
    pool_.push_back(std::move(w));
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
  Worker w(layers_);
  ActiveSet exact;
  std::vector<uint8_t> taken;
  for (const uint32_t row : rows) {
    w.walk.input.assign(batch, row);
    for (size_t l = 0; l < layers_.size(); l++) {
      Trace& trace = w.walk.traces[l];
      const Weights weights = layers_[l].weights();
      Ask ask = ask_of(true, row);
      ask.layer = l;
      layers_[l].forward(input_of(w.walk, l), ask, true, trace, w.scratch, w.counts[l]);
      evaluate_all(input_of(w.walk, l), weights, exact);
      keep_largest(trace.n_selected, w.scratch.select, exact);
      taken.assign(weights.n_rows, 0);
      for (const uint32_t i : exact.id) taken[i] = 1;
      double hits = 0;
      for (const uint32_t i : trace.active.id) hits += taken[i];
      const double recall = trace.n_selected ? hits / trace.n_selected : 0.0;
      result[l].recall += recall / static_cast<double>(rows.size());
      result[l].gain +=
          trace.n_selected ? recall * weights.n_rows / trace.n_selected / static_cast<double>(rows.size()) : 0.0;
      if (l + 1 < layers_.size()) layers_[l].activate(trace);
    }
  }
  return result;
}

double Network::dense_multiplications(uint32_t batch_size) const {
  const double share = 1.0 / std::max<uint32_t>(1, batch_size);
  const auto cost = static_cast<double>(update_cost(optimizer_.kind, optimizer_.l2 > 0.f));
  double total = 0;
  for (size_t l = 0; l < layers_.size(); l++) {
    const double matrix = double{1} * layers_[l].spec().n_outputs * layers_[l].n_columns();
    const double update = batch_size > 1 ? matrix * (1.0 + cost * share) : matrix * cost;
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

size_t Network::bytes() {
  size_t total = 0;
  for (Layer& layer : layers_) total += layer.bytes();
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
  next_rebuild_ = count("next_rebuild"), rebuild_interval_ = std::max<uint64_t>(1, count("rebuild_interval"));
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
