// How many examples train at once: without locks (Hogwild, the paper's way), or batch by batch with
// a result that does not depend on the number of threads.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "network.h"

namespace hashgrad {

namespace {
// Losses are summed on a grid of 2^-24: sums of doubles are then exact, whatever the order and the grouping, and a
// history does not depend on how the epoch was cut into calls.
double on_grid(float loss) { return std::nearbyint(double{loss} * 0x1p24) * 0x1p-24; }

constexpr uint64_t kFirstRebuild = 1000;  // examples; the interval then doubles up to rebuild_every
}  // namespace

Rate Network::rate_at(const ScheduleSpec& schedule, uint64_t step, uint64_t update) const {
  Rate r;
  r.kind = optimizer_.kind;
  r.rate = static_cast<float>(schedule.at(step));
  r.step = {r.rate, optimizer_.momentum, optimizer_.beta1, optimizer_.beta2, optimizer_.epsilon, optimizer_.l2, 0};
  if (r.kind == Optimizer::kAdam) {  // both bias corrections, folded into rate and epsilon
    const double t = static_cast<double>(update + 1);
    const double second = std::sqrt(1.0 - std::pow(double{optimizer_.beta2}, t));
    r.step.rate = static_cast<float>(r.rate * second / (1.0 - std::pow(double{optimizer_.beta1}, t)));
    r.step.epsilon = static_cast<float>(optimizer_.epsilon * second);
  }
  return r;
}

void Network::hire(const Team& team) {
  while (workers_.size() < static_cast<size_t>(team.size())) workers_.push_back(std::make_unique<Worker>(layers_));
}

void Network::collect_counts() {
  for (auto& w : workers_)
    for (size_t l = 0; l < layers_.size(); l++) ledger_.layers[l].add(w->counts[l]), w->counts[l] = Counts();
}

// Means, subspaces and hashes anew, layer by layer, each from the sample as it comes out of the
// layer below.
void Network::rebuild(const Batch& batch, std::span<const uint32_t> sample, Team& team) {
  struct Entries {  // a sample row on its way up; only the layer at hand is kept
    std::vector<uint32_t> index;
    std::vector<float> value;
    void copy(const Row& x) { index.assign(x.index, x.index + x.n), value.assign(x.value, x.value + x.n); }
    Row row() const { return {index.data(), value.data(), static_cast<uint32_t>(index.size()), nullptr, nullptr, 0}; }
  };
  std::vector<Entries> entries(sample.size());
  team.each(sample.size(), 16,
            [&](int member, size_t s) { entries[s].copy(worker(member).walk.input.assign(batch, sample[s])); });
  size_t last = 0;
  for (size_t l = 0; l < layers_.size(); l++)
    if (layers_[l].index()) last = l;
  for (size_t l = 0; l <= last; l++) {
    if (LshIndex* index = layers_[l].index()) {
      std::vector<Row> rows;
      for (const Entries& e : entries) rows.push_back(e.row());
      uint64_t& cost = ledger_.layers[l].rebuild;
      if (built_) staleness_[l] = index->staleness(layers_[l].weights(), cost);
      cost += index->rebuild(rows, layers_[l].weights(), rebuilds_, team);
    }
    if (l == last) break;
    std::vector<Counts> counts(static_cast<size_t>(team.size()));
    team.each(sample.size(), 4, [&](int member, size_t s) {
      Worker& w = worker(member);
      Ask ask = ask_of(true, sample[s]);
      ask.layer = l;
      layers_[l].forward(entries[s].row(), ask, false, w.walk.traces[l], w.scratch,
                         counts[static_cast<size_t>(member)]);
      entries[s].copy(w.walk.traces[l].output.row());
    });
    for (const Counts& c : counts) ledger_.layers[l].rebuild += c.query + c.rerank + c.forward;
  }
  rebuilds_++;
}

void Network::build(const Batch& batch, std::span<const uint32_t> sample, int threads) {
  const std::unique_lock writing(mutex_);
  if (built_) return;
  Team team(threads);
  hire(team);
  rebuild(batch, sample, team);
  built_ = true;
  rebuild_interval_ = std::min(kFirstRebuild, rebuild_every_);
  next_rebuild_ = step_ + rebuild_interval_;
  next_rehash_ = step_ + rehash_every_;
}

void Network::upkeep(const TrainingJob& job, Team& team) {
  if (!has_lsh_) return;
  if (step_ >= next_rebuild_) {
    rebuild(*job.batch, job.sample, team);
    rebuild_interval_ = std::min(2 * rebuild_interval_, rebuild_every_);
    next_rebuild_ = step_ + rebuild_interval_;
    next_rehash_ = step_ + rehash_every_;
  } else if (step_ >= next_rehash_) {
    for (size_t l = 0; l < layers_.size(); l++)
      if (LshIndex* index = layers_[l].index(); index && !index->incremental())
        ledger_.layers[l].rehash += index->rehash_marked(layers_[l].weights(), team);
    next_rehash_ = step_ + rehash_every_;
  }
}

uint64_t Network::until_upkeep() const {
  return has_lsh_ ? std::min(next_rebuild_, next_rehash_) - step_ : ~uint64_t{0};
}

TrainResult Network::train(const TrainingJob& job, int threads) {
  const std::unique_lock writing(mutex_);
  Team team(threads);
  hire(team);
  TrainResult total;
  for (size_t at = 0; at < job.order.size() && total.bad_row < 0;) {
    upkeep(job, team);
    const uint64_t most = job.batch_size ? job.batch_size : until_upkeep();
    const auto rows = job.order.subspan(at, static_cast<size_t>(std::min<uint64_t>(most, job.order.size() - at)));
    const TrainResult part = job.batch_size ? train_batch(job, rows, team) : train_hogwild(job, rows, team);
    total.loss_sum += part.loss_sum;
    total.examples += part.examples;
    total.bad_row = part.bad_row;
    step_ += part.examples;
    ledger_.examples += part.examples;
    at += rows.size();
  }
  collect_counts();
  return total;
}

// Forward and loss of one example; leaves delta in the last trace.
float Network::example_loss(Walk& walk, const TrainingJob& job, uint32_t row, uint64_t step, float scale,
                            Worker& w) const {
  walk.input.assign(*job.batch, row);
  Ask ask = ask_of(true, step);
  ask.forced = job.targets->labels(row);
  forward(walk, ask, w.scratch, w.counts);
  const float weight = job.example_weights ? job.example_weights[row] : 1.f;
  Trace& last = walk.traces.back();
  return loss_and_delta(loss_, last.active, *job.targets, row, weight, scale, job.output_weights, last.delta);
}

// Each thread takes the next example, and its updates land at once, without locks: two threads
// seldom touch the same weights, and a lost update costs less than waiting would (Niu et al. 2011).
TrainResult Network::train_hogwild(const TrainingJob& job, std::span<const uint32_t> rows, Team& team) {
  std::atomic<int64_t> bad_row{-1};
  std::atomic<uint64_t> next{0}, done{0};
  for (auto& w : workers_) w->loss = 0.0;
  team.run([&](int member) {
    Worker& w = worker(member);
    uint64_t mine = 0;
    for (uint64_t k = next.fetch_add(1, std::memory_order_relaxed); k < rows.size() && bad_row < 0;
         k = next.fetch_add(1, std::memory_order_relaxed)) {
      const float loss = example_loss(w.walk, job, rows[k], step_ + k, 1.f, w);
      if (!std::isfinite(loss)) {
        bad_row = rows[k];
        break;
      }
      w.loss += on_grid(loss);
      backward(w.walk, w.scratch, w.counts);
      Rate rate = rate_at(job.schedule, step_ + k, updates_ + k);
      update(w.walk, rate, w.scratch, w.counts);
      mine++;
    }
    done += mine;
  });
  TrainResult result;
  for (auto& w : workers_) result.loss_sum += w->loss;
  result.examples = done;
  result.bad_row = bad_row;
  updates_ += result.examples;
  return result;
}

// All examples of the batch go forward and backward on the same weights; then the work turns
// neuron-major: each touched row is read once and updated once, by the sum of its gradients in the
// batch's order, whichever thread does it.
TrainResult Network::train_batch(const TrainingJob& job, std::span<const uint32_t> rows, Team& team) {
  while (walks_.size() < rows.size()) walks_.push_back(std::make_unique<Walk>(layers_));
  batch_loss_.resize(rows.size());
  const float scale = 1.f / static_cast<float>(rows.size());
  team.each(rows.size(), 1, [&](int member, size_t k) {
    Worker& w = worker(member);
    batch_loss_[k] = example_loss(*walks_[k], job, rows[k], step_ + k, scale, w);
    backward(*walks_[k], w.scratch, w.counts);
  });
  TrainResult result;
  for (size_t k = 0; k < rows.size(); k++) {
    if (!std::isfinite(batch_loss_[k])) {
      result.bad_row = rows[k];
      return result;
    }
    result.loss_sum += on_grid(batch_loss_[k]);
  }
  const Rate rate = rate_at(job.schedule, step_, updates_);
  for (size_t l = 0; l < layers_.size(); l++) update_layer(l, rows.size(), rate, team);
  updates_++;
  result.examples = rows.size();
  return result;
}

void Network::update_layer(size_t l, size_t n_examples, const Rate& rate, Team& team) {
  Layer& layer = layers_[l];
  const uint32_t n = layer.spec().n_outputs;
  // example -> neurons turned round to neuron -> examples, by counting
  start_.assign(size_t{n} + 1, 0);
  touched_.clear();
  const auto each_active = [&](auto&& visit) {
    for (size_t e = 0; e < n_examples; e++) {
      const Trace& trace = walks_[e]->traces[l];
      for (uint32_t k = 0; k < trace.active.id.size(); k++)
        if (trace.delta[k] != 0.f) visit(trace.active.id[k], e, k);
    }
  };
  each_active([&](uint32_t i, size_t, uint32_t) { start_[i + 1]++; });
  for (uint32_t i = 0; i < n; i++) {
    if (start_[i + 1]) touched_.push_back(i);
    start_[i + 1] += start_[i];
  }
  contributions_.resize(start_[n]);
  fill_.assign(start_.begin(), start_.end() - 1);
  each_active([&](uint32_t i, size_t e, uint32_t k) {
    contributions_[fill_[i]++] = {&input_of(*walks_[e], l), &walks_[e]->traces[l], k};
  });
  team.each(touched_.size(), 4, [&](int member, size_t t) {
    const uint32_t i = touched_[t];
    Worker& w = worker(member);
    layer.update_row(i, std::span(contributions_).subspan(start_[i], start_[i + 1] - start_[i]), rate, w.scratch,
                     w.counts[l]);
  });
  LshIndex* index = layer.index();
  if (index && index->incremental() && index->tables())
    team.each(static_cast<size_t>(index->tables()->n_tables()), 1,
              [&](int, size_t t) { index->move_in_tables(static_cast<int>(t), touched_); });
}

}  // namespace hashgrad
