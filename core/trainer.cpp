// How many examples train at once: without locks (Hogwild, the paper's way), or batch by batch with
// a result that does not depend on the number of threads.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

#include "network.h"
#include "random.h"

namespace hashgrad {

namespace {
constexpr uint64_t kFirstRebuild = 1000;  // examples, or a share of the neurons; it then doubles up to rebuild_every
constexpr uint64_t kNeuronsAnExample = 50;
}  // namespace

Rate Network::rate_at(const ScheduleSpec& schedule, uint64_t step, uint64_t update) const {
  Rate r;
  r.kind = optimizer_.kind, r.state = optimizer_.state;
  if (r.state != State::kFloat32 || layers().back().spec().halved())
    r.bits = Random(seed_, Purpose::kRounding, update).next();
  r.rate = static_cast<float>(schedule.at(step)), r.update = update;
  r.step = optimizer_.step(r.rate);
  if (r.kind == Optimizer::kAdam) {  // both bias corrections, folded into rate and epsilon
    const double t = static_cast<double>(update + 1);
    const double second = std::sqrt(1.0 - std::pow(double{optimizer_.beta2}, t));
    r.step.rate = static_cast<float>(r.rate * second / (1.0 - std::pow(double{optimizer_.beta1}, t)));
    r.step.epsilon = static_cast<float>(optimizer_.epsilon * second);
  }
  return r;
}

void Network::hire(const Team& team) {
  while (walkers_.size() < static_cast<size_t>(team.size())) walkers_.push_back(std::make_unique<Walker>(layers(), 1));
}

void Network::collect_counts() {
  for (auto& walker : walkers_)
    for (size_t l = 0; l < layers().size(); l++) {
      ledger_.layers[l].add(walker->worker.counts[l]);
      walker->worker.counts[l] = Counts();
    }
  for (auto& walker : walkers_) ledger_.learned += walker->worker.learned, walker->worker.learned = 0;
}

// Means, subspaces and hashes anew, layer by layer, each from the sample as it comes out of the
// layer below.
void Network::rebuild(const Batch& batch, std::span<const uint32_t> sample, Team& team) {
  struct Entries {  // a sample row on its way up; only the layer at hand is kept
    std::vector<uint32_t> index;
    std::vector<float> value;
    void copy(const Row& x) { index.assign(x.index, x.index + x.n), value.assign(x.value, x.value + x.n); }
    void put_into(RowBuffer& buffer) const {  // which adds the bias by itself
      buffer.clear();
      for (size_t e = 0; e + 1 < index.size(); e++) buffer.push(index[e], value[e]);
      buffer.finish();
    }
    Row row() const { return {index.data(), value.data(), static_cast<uint32_t>(index.size()), nullptr, nullptr, 0}; }
  };
  std::vector<Entries> entries(sample.size());
  team.each(sample.size(), 16,
            [&](int member, size_t s) { entries[s].copy(walker(member).examples[0]->input.assign(batch, sample[s])); });
  size_t last = 0;
  for (size_t l = 0; l < layers().size(); l++)
    if (layers()[l].index()) last = l;
  for (size_t l = 0; l <= last; l++) {
    if (LshIndex* index = layers()[l].index()) {
      std::vector<Row> rows;
      for (const Entries& e : entries) rows.push_back(e.row());
      uint64_t& cost = ledger_.layers[l].rebuild;
      if (built_) staleness_[l] = index->staleness(layers()[l].weights(), cost);
      cost += index->rebuild(rows, layers()[l].weights(), rebuilds_, team);
    }
    if (l == last) break;
    std::vector<Counts> before;  // what the walk to the next layer costs is part of the rebuild
    for (int member = 0; member < team.size(); member++) before.push_back(walker(member).worker.counts[l]);
    team.each(sample.size(), 4, [&](int member, size_t s) {
      Walker& walker = this->walker(member);
      const Group& group = walker.some(1);
      Example& example = group[0];
      example.ask = ask_of(false, sample[s]);
      entries[s].put_into(l == 0 ? example.input : example.passages[l - 1].output);
      model_.forward_layer(l, true, group, Member(), walker.worker);
      entries[s].copy(example.passages[l].output.row());
    });
    for (int member = 0; member < team.size(); member++) {
      Counts& counts = walker(member).worker.counts[l];
      const Counts& old = before[static_cast<size_t>(member)];
      ledger_.layers[l].rebuild += counts.query + counts.rerank + counts.forward - old.query - old.rerank - old.forward;
      counts = old;
    }
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
  uint64_t most = 0;
  for (Layer& layer : layers())
    if (layer.index()) most = std::max<uint64_t>(most, layer.spec().n_outputs);
  rebuild_interval_ = std::min(std::max(kFirstRebuild, most / kNeuronsAnExample), rebuild_every_);
  next_rebuild_ = step_ + rebuild_interval_;
  next_rehash_ = step_ + rehash_every_;
}

void Network::rehash_marked(Team& team, bool for_training) {
  for (size_t l = 0; l < layers().size(); l++)
    if (LshIndex* index = layers()[l].index(); index && (!for_training || layers()[l].spec().lsh.query_every))
      ledger_.layers[l].rehash += index->rehash_marked(layers()[l].weights(), team);
}

void Network::rehash(int threads) {
  check_open("changed");
  const std::unique_lock writing(mutex_);
  Team team(threads);
  if (built_) rehash_marked(team, false);
}

bool Network::asks() const {
  return std::any_of(layers().begin(), layers().end(), [](const Layer& layer) {
    return layer.index() && !(layer.pools() && layer.spec().lsh.query_every == 0);
  });
}

void Network::rebuild_on_schedule(const Batch& batch, std::span<const uint32_t> sample, Team& team) {
  hire(team);
  land_all();
  rebuild(batch, sample, team);
  rebuild_interval_ = std::min(2 * rebuild_interval_, rebuild_every_);
  next_rebuild_ = step_ + rebuild_interval_;
  next_rehash_ = step_ + rehash_every_;
}

void Network::upkeep(const TrainingJob& job, Team& team) {
  if (!asks()) return;
  if (step_ >= next_rebuild_) {
    rebuild_on_schedule(*job.batch, job.sample, team);
  } else if (step_ >= next_rehash_) {
    rehash_marked(team, true);
    next_rehash_ = step_ + rehash_every_;
  }
}

uint64_t Network::until_upkeep() const { return asks() ? std::min(next_rebuild_, next_rehash_) - step_ : ~uint64_t{0}; }

TrainResult Network::train(const TrainingJob& job, int threads) {
  check_open("trained");
  const std::unique_lock writing(mutex_);
  Team team(threads);
  hire(team);
  while (batch_.size() < job.batch_size) batch_.push_back(std::make_unique<Example>(layers()));
  Shared shared(layers().size(), team.size());  // of batches
  TrainResult total;
  for (size_t at = 0; at < job.order.size() && total.bad_row < 0;) {
    upkeep(job, team);
    uint64_t most = until_upkeep();
    if (job.batch_size) most = most > job.order.size() ? most : round_up(most, job.batch_size);  // whole batches
    const auto rows = job.order.subspan(at, static_cast<size_t>(std::min<uint64_t>(most, job.order.size() - at)));
    const TrainResult part = job.workers             ? train_simulated(job, rows)
                             : job.batch_size        ? train_batches(job, rows, shared, team)
                             : works_on_copies(team) ? train_on_copies(job, rows, team)
                                                     : train_hogwild(job, rows, team);
    total.loss_sum += part.loss_sum;
    total.examples += part.examples;
    total.rested += part.rested;
    total.bad_row = part.bad_row;
    step_ += part.examples;
    ledger_.examples += part.examples;
    at += static_cast<size_t>(part.examples);
  }
  collect_counts();
  return total;
}

void Network::ready(Example& example, const TrainingJob& job, uint32_t row, uint64_t step) const {
  example.row = row;
  example.input.assign(*job.batch, row);
  example.ask = ask_of(true, step);
  example.ask.forced = job.targets->labels(row);
}

// Leaves delta in the last passage.
float Network::loss_of(Example& example, const TrainingJob& job, float scale) const {
  const float weight = job.example_weights ? job.example_weights[example.row] : 1.f;
  Passage& last = example.passages.back();
  example.loss =
      loss_and_delta(loss_, last.active, *job.targets, example.row, weight, scale, job.output_weights, last.delta);
  const float known = job.known_loss();
  example.learns = known < 0.f || !(example.loss <= known * weight);
  return example.loss;
}

// The same for a member's share of a pool, whose z become deltas.
void Network::losses_of(const Member& me, const Group& group, Pool& pool, const TrainingJob& job, float scale,
                        std::vector<float>& log_chance, std::vector<float>& pool_weights) const {
  log_chance.resize(job.chance ? pool.id.size() : 0);
  for (size_t i = 0; i < log_chance.size(); i++) {
    const float chance = job.chance[pool.id[i]];
    log_chance[i] = std::log(chance + pool.drawn * (1.f - chance));
    if (pool.was_found(pool.id[i])) log_chance[i] = std::min(kNoSample, log_chance[i] - std::log(pool.drawn));
  }
  const bool weighted = loss_ == Loss::kLogistic && (job.output_weights || job.inverse);
  pool_weights.resize(weighted ? pool.id.size() : 0);
  for (size_t i = 0; i < pool_weights.size(); i++) {
    pool_weights[i] = job.output_weights ? job.output_weights[pool.id[i]] : 1.f;
    if (job.inverse && pool.was_drawn(pool.id[i])) pool_weights[i] /= pool.drawn;
  }
  const size_t blocks = pool.columns / kBlock;
  for (size_t b = me.first(blocks); b < me.last(blocks); b++) {
    const size_t from = b * kBlock, n = std::min<size_t>(kBlock, group.size() - from);
    pool_loss_and_delta(loss_, pool, from, std::span(group.list).subspan(from, n), *job.targets, job.example_weights,
                        scale, job.output_weights, job.known_loss(), log_chance, pool_weights);
  }
}

// All examples of a batch go forward and backward on the same weights, all threads on one batch, each on its own
// neurons. Sums run in the examples' order, or over parts of a layer that do not depend on the threads: neither does
// the result. Returns early, between two batches, when it is time to ask how many members should go on.
TrainResult Network::train_batches(const TrainingJob& job, std::span<const uint32_t> rows, Shared& shared, Team& team) {
  using Clock = std::chrono::steady_clock;
  TrainResult result;
  const int members = pace_.members(team.size());
  shared.resize(members);
  const auto start = Clock::now();
  bool goes_on = true;
  const bool pooled = model_.pools();
  std::vector<size_t> turns;  // of the rows, in a batch: those that are not left out
  const auto work = [&](const Member& me) {
    Worker& w = walker(me.index).worker;
    Group& group = w.group;
    for (size_t at = 0; at < rows.size(); at += job.batch_size) {
      const size_t size = std::min<size_t>(job.batch_size, rows.size() - at);
      if (me.index == 0) {
        goes_on = at == 0 || Clock::now() - start < std::chrono::duration<double>(pace_.stretch());
        turns.clear();
        for (size_t k = at; goes_on && k < at + size; k++)
          if (!job.rests(rows[k])) turns.push_back(k);
      }
      me.meet();
      if (!goes_on) return;
      const size_t n = turns.size();
      const auto end = [&] {  // by one member: those that were left out have rested
        for (size_t k = at; job.resting && k < at + size; k++)
          if (!std::binary_search(turns.begin(), turns.end(), k)) job.rested(rows[k]);
        result.examples += size, result.rested += size - n;
      };
      if (n == 0) {
        if (me.index == 0) end();
        me.meet();
        continue;
      }
      group.list.clear();
      for (size_t e = 0; e < n; e++) group.list.push_back(batch_[e].get());
      for (size_t e = me.first(n); e < me.last(n); e++) ready(group[e], job, rows[turns[e]], step_ + turns[e]);
      model_.forward(group, me, w, pooled ? &shared.pool : nullptr);
      if (pooled)
        losses_of(me, group, shared.pool, job, 1.f / static_cast<float>(size), w.log_chance, w.pool_weights);
      else
        for (size_t e = me.first(n); e < me.last(n); e++) loss_of(group[e], job, 1.f / static_cast<float>(size));
      for (size_t e = me.first(size), next = at + job.batch_size; e < me.last(size) && next + e < rows.size(); e++)
        job.batch->prefetch(rows[next + e]);
      const Rate rate = rate_at(job.schedule, step_ + at, updates_ + at / job.batch_size);
      const bool learned = model_.learn(group, shared, me, &rate, false, w);
      if (me.index == 0) {
        if (learned) end();
        for (size_t e = 0; e < n && result.bad_row < 0; e++) {
          if (!std::isfinite(group[e].loss)) result.bad_row = group[e].row;
          if (!learned) continue;
          result.loss_sum += on_grid(group[e].loss), w.learned += group[e].learns;
          job.note(group[e]);
        }
      }
      if (!learned) return;  // all members see the same
      // what is read above is written again only after the others' next forward pass, which waits for this member
    }
  };
  team.run(work, members);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  pace_.note(result.examples - result.rested, seconds, team.seconds_lost());
  pool_of_last_batch_ = shared.pool.id;
  updates_ += (result.examples + job.batch_size - 1) / job.batch_size;
  return result;
}

}  // namespace hashgrad
