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
constexpr size_t kSideBySide = 8;  // predictions that one thread makes together, which share what is in its cache

const std::vector<LayerSpec>& checked(uint32_t n_inputs, const std::vector<LayerSpec>& specs) {
  if (n_inputs < 1) throw std::invalid_argument("n_inputs must be at least 1, got 0");
  if (specs.empty()) throw std::invalid_argument("layers must name at least one layer, got none");
  if (specs.back().activation != Activation::kLinear)
    throw std::invalid_argument("activation of the last layer must be 'linear' (the loss applies its own), got '" +
                                kActivations.name(specs.back().activation) + "'");
  for (const LayerSpec& spec : specs) spec.check();
  for (size_t l = 0; l + 1 < specs.size(); l++)
    if (specs[l].pools()) throw std::invalid_argument("pooled must be left to the last layer, got it in a hidden one");
  return specs;
}

}  // namespace

Network::Network(uint32_t n_inputs, const std::vector<LayerSpec>& specs, Loss loss, const OptimizerSpec& optimizer,
                 uint64_t seed)
    : n_inputs_(n_inputs),
      model_(n_inputs, checked(n_inputs, specs), optimizer, seed),
      loss_(loss),
      optimizer_(optimizer),
      seed_(seed),
      staleness_(specs.size()) {
  if (specs.back().pools() && loss == Loss::kSquared)
    throw std::invalid_argument("loss must be 'softmax' or 'logistic' where outputs are pooled, got 'squared'");
  for (const LayerSpec& spec : specs)
    if (spec.selector == Selection::kLsh) {
      rebuild_every_ = has_lsh_ ? std::min(rebuild_every_, spec.lsh.rebuild_every) : spec.lsh.rebuild_every;
      rehash_every_ = has_lsh_ ? std::min(rehash_every_, spec.lsh.rehash_every) : spec.lsh.rehash_every;
      has_lsh_ = true;
    }
  built_ = !has_lsh_;
  ledger_.layers.resize(layers().size());
  prediction_ledger_.layers.resize(layers().size());
}

Network::Network(const Network& other, std::shared_lock<std::shared_mutex>&&)
    : n_inputs_(other.n_inputs_),
      model_(other.model_),
      loss_(other.loss_),
      optimizer_(other.optimizer_),
      seed_(other.seed_),
      built_(other.built_),
      has_lsh_(other.has_lsh_),
      frozen_(true),
      step_(other.step_),
      rebuilds_(other.rebuilds_),
      staleness_(other.staleness_) {
  ledger_.layers.resize(layers().size());
  prediction_ledger_.layers.resize(layers().size());
}

std::unique_ptr<Network> Network::compacted() const {
  check_open("copied");
  if (!built_) throw std::runtime_error("compacted must come after building");
  std::unique_ptr<Network> network(new Network(*this, std::shared_lock(mutex_)));
  for (Layer& layer : network->layers()) layer.make_compact();
  return network;
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
  check_open("arranged");
  if (step_ > 0 || (has_lsh_ && built_)) throw std::runtime_error("arrange must come before training and building");
  layers()[l].arrange(layout, lookup, code);
  walkers_.clear(), pool_.clear(), batch_.clear();
  has_lsh_ = std::any_of(layers().begin(), layers().end(), [](const Layer& layer) { return layer.index(); });
  built_ = !has_lsh_;
}

std::unique_ptr<Network::Walker> Network::borrow() {
  {
    const std::lock_guard lock(pool_mutex_);
    if (!pool_.empty()) {
      std::unique_ptr<Walker> walker = std::move(pool_.back());
      pool_.pop_back();
      return walker;
    }
  }
  return std::make_unique<Walker>(layers(), kSideBySide);
}

void Network::give_back(std::unique_ptr<Walker> walker, uint64_t n_examples) {
  const std::lock_guard lock(pool_mutex_);
  prediction_ledger_.examples += n_examples;
  for (size_t l = 0; l < layers().size(); l++) {
    prediction_ledger_.layers[l].add(walker->worker.counts[l]);
    walker->worker.counts[l] = Counts();
  }
  pool_.push_back(std::move(walker));
}

void Network::answer(const Batch& batch, uint64_t from, size_t n, bool exact, uint32_t least, Walker& walker) const {
  const Group& group = walker.some(n);
  for (size_t e = 0; e < n; e++) {
    group[e].input.assign(batch, from + e);
    group[e].ask = ask_of(false, from + e);
    group[e].ask.exact = exact;
    group[e].ask.least = least;
  }
  model_.forward(group, Member(), walker.worker);
}

void Network::predict(const Batch& batch, bool exact, uint32_t least, int threads,
                      const std::function<void(uint64_t, const Example&)>& take) {
  const std::shared_lock reading(mutex_);
  const size_t together = std::clamp<size_t>(batch.n_rows / static_cast<size_t>(threads), 1, kSideBySide);
  std::atomic<size_t> next{0};
  Team team(threads);
  team.run([&](const Member&) {
    std::unique_ptr<Walker> walker = borrow();
    uint64_t answered = 0;
    for (size_t from = next.fetch_add(together); from < batch.n_rows; from = next.fetch_add(together)) {
      const size_t n = std::min<size_t>(together, batch.n_rows - from);
      answer(batch, from, n, exact, least, *walker);
      for (size_t e = 0; e < n; e++) take(from + e, walker->group[e]);
      answered += n;
    }
    give_back(std::move(walker), answered);
  });
}

uint32_t Network::best(const Batch& one, bool exact) {
  one.check(0);
  const std::shared_lock reading(mutex_);
  std::unique_ptr<Walker> walker = borrow();
  answer(one, 0, 1, exact, 1, *walker);
  if (walker->group[0].passages.back().active.id.empty()) answer(one, 0, 1, true, 1, *walker);  // nothing found
  const ActiveSet& active = walker->group[0].passages.back().active;
  const auto at = std::max_element(active.z.begin(), active.z.begin() + static_cast<long>(active.id.size()));
  const uint32_t best = active.id[static_cast<size_t>(at - active.z.begin())];
  give_back(std::move(walker), 1);
  return best;
}

void Network::scores(const Batch& batch, bool exact, int threads, float* out) {
  const size_t n = n_outputs();
  const float absent = loss_ == Loss::kSquared ? 0.f : -std::numeric_limits<float>::infinity();
  predict(batch, exact, 0, threads, [&](uint64_t row, const Example& example) {
    const ActiveSet& active = example.passages.back().active;
    std::fill_n(out + row * n, n, absent);
    for (size_t k = 0; k < active.id.size(); k++) out[row * n + active.id[k]] = active.z[k];
  });
}

void Network::topk(const Batch& batch, uint32_t k, bool exact, int threads, int32_t* index, float* score) {
  predict(batch, exact, k, threads, [&](uint64_t row, const Example& example) {
    const ActiveSet& active = example.passages.back().active;
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

std::vector<std::vector<uint32_t>> Network::usage(const Batch& batch, bool exact, int threads) {
  std::vector<std::vector<uint32_t>> times;
  for (const Layer& layer : layers()) times.emplace_back(layer.spec().n_outputs);
  predict(batch, exact, 0, threads, [&](uint64_t, const Example& example) {
    for (size_t l = 0; l < times.size(); l++)
      for (const uint32_t i : example.passages[l].active.id) AtomicRef(times[l][i]).add_relaxed(1);
  });
  return times;
}

std::vector<Recall> Network::recall(const Batch& batch, std::span<const uint32_t> rows) {
  check_open("asked for exact activations");
  const std::shared_lock reading(mutex_);
  std::vector<Recall> result(layers().size(), Recall{0.0, 0.0});
  const auto n = static_cast<double>(rows.size());
  Walker walker(model_.layers(), 1);
  const Group& group = walker.some(1);
  Example& example = group[0];
  std::vector<float> z;
  std::vector<uint32_t> best, found;
  for (const uint32_t row : rows) {
    example.input.assign(batch, row);
    example.ask = ask_of(true, row);
    example.ask.in_turn = false;
    for (size_t l = 0; l < layers().size(); l++) {
      model_.forward_layer(l, false, group, Member(), walker.worker);
      Passage& passage = example.passages[l];
      const std::vector<uint32_t>& kept = passage.active.id;
      const uint32_t n_neurons = layers()[l].spec().n_outputs;
      if (!kept.empty()) {
        layers()[l].evaluate_all(example.input_of(l), z);
        choose_largest(z.data(), n_neurons, passage.n_selected, 0, walker.worker.select.choose, best);
        found.clear();
        std::set_intersection(best.begin(), best.end(), kept.begin(), kept.end(), std::back_inserter(found));
        const double recall = static_cast<double>(found.size()) / passage.n_selected;
        result[l].recall += recall / n;
        result[l].gain += recall * n_neurons / passage.n_selected / n;
      }
      if (l + 1 < layers().size()) layers()[l].activate(passage);
    }
  }
  return result;
}

double Network::dense_multiplications(uint32_t batch_size) const {
  const double share = 1.0 / std::max<uint32_t>(1, batch_size);
  const auto cost = static_cast<double>(update_cost(optimizer_.kind, optimizer_.state, optimizer_.l2 > 0.f));
  const bool plain =
      optimizer_.kind == Optimizer::kSgd && optimizer_.l2 == 0.f;  // the step is in the gradients' factors
  double total = 0;
  for (size_t l = 0; l < layers().size(); l++) {
    const double matrix = double{1} * layers()[l].spec().n_outputs * layers()[l].n_columns();
    const bool halved = layers()[l].spec().halved(), bytes = optimizer_.state == State::kBytes;
    const double stored = matrix * share * (halved + (bytes ? double{kBytesCost} : 0.0));  // once a batch
    const double update = (batch_size > 1 && !plain ? matrix * (1.0 + cost * share) : matrix * cost) + stored;
    total += matrix + (l > 0 ? matrix : 0.0) + update;
  }
  return total;
}

uint64_t Network::dense_prediction_multiplications() const {
  uint64_t total = 0;
  for (const Layer& layer : layers()) total += uint64_t{layer.spec().n_outputs} * layer.n_columns();
  return total;
}

uint64_t Network::n_parameters() const { return dense_prediction_multiplications(); }

size_t Network::memory() const { return model_.memory(); }

std::map<std::string, double> Network::state() const {
  std::map<std::string, double> s{{"step", double(step_)},
                                  {"updates", double(updates_)},
                                  {"rebuilds", double(rebuilds_)},
                                  {"next_rebuild", double(next_rebuild_)},
                                  {"rebuild_interval", double(rebuild_interval_)},
                                  {"next_rehash", double(next_rehash_)},
                                  {"built", double(built_)}};
  for (size_t l = 0; l < layers().size(); l++) s["staleness." + std::to_string(l)] = staleness_[l];
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
  for (size_t l = 0; l < layers().size(); l++) {
    const auto found = s.find("staleness." + std::to_string(l));
    if (found != s.end()) staleness_[l] = found->second;
  }
}

void Network::derive_after_load(int threads) {
  check_open("changed");
  const std::unique_lock writing(mutex_);
  Team team(threads);
  for (Layer& layer : layers())
    if (layer.index() && built_) layer.index()->derive(team);
}

void Network::end_epoch(bool complete, const Batch* batch, std::span<const uint32_t> sample) {
  const std::unique_lock writing(mutex_);
  land_all();
  collect_counts();
  Team team(static_cast<int>(std::max<size_t>(1, walkers_.size())));
  const bool idle = !asks();
  if (built_ && complete && idle && has_lsh_ && batch && step_ >= next_rebuild_)
    rebuild_on_schedule(*batch, sample, team);
  else if (built_ && (complete || idle))
    rehash_marked(team, false);
  for (Layer& layer : layers())
    if (layer.index()) layer.index()->refill_tables(team);
}

}  // namespace hashgrad
