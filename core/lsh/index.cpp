#include "lsh/index.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "lsh/probing.h"
#include "random.h"

namespace hashgrad {

namespace {

// Below this many neurons a scan of all signatures (an XOR and a popcount each) beats table look-ups.
constexpr uint32_t kScanLimit = 50'000;
constexpr uint32_t kStalenessSample = 64;

LshSpec resolve(LshSpec spec, uint32_t n_neurons) {
  if (spec.lookup == Lookup::kAuto)
    spec.lookup = n_neurons <= kScanLimit && spec.ranking == Ranking::kSignature ? Lookup::kScan : Lookup::kTables;
  return spec;
}

}  // namespace

LshIndex::LshIndex(uint32_t n_neurons, uint32_t n_columns, const LshSpec& spec, bool incremental, uint64_t seed,
                   uint64_t layer)
    : family_(n_columns, resolve(spec, n_neurons), seed, layer),
      n_neurons_(n_neurons),
      incremental_(incremental),
      needs_norm_(spec.transform != Transform::kNone),
      sketch_(size_t{n_neurons} * family_.width()),
      norm2_(n_neurons),
      tail_(n_neurons),
      scale_(1),
      signature_(size_t{n_neurons} * family_.words()),
      dirty_(n_neurons) {
  if (family_.spec().lookup == Lookup::kTables) tables_ = std::make_unique<Tables>(n_neurons, spec.bits, spec.tables);
}

uint64_t LshIndex::hash_row(uint32_t i, const Weights& w) {
  family_.sketch_neuron(w.row(i), &sketch_[size_t{i} * family_.width()], tail_[i]);
  if (needs_norm_) norm2_[i] = active().dot(w.row(i), w.row(i), w.n_columns - 1) + tail_[i] * tail_[i];
  return family_.sketch_cost() + (needs_norm_ ? w.n_columns : 0);
}

void LshIndex::encode(uint32_t i, LookupScratch& scratch) {
  scratch.encode.resize(family_.width());
  family_.encode_neuron(&sketch_[size_t{i} * family_.width()], norm2_[i], scale_[0], scratch.encode.data(), signature(i));
}

void LshIndex::encode_all(Team& team) {
  std::vector<LookupScratch> scratch(static_cast<size_t>(team.size()));
  team.each(n_neurons_, 64, [&](int member, size_t i) { encode(static_cast<uint32_t>(i), scratch[static_cast<size_t>(member)]); });
}

uint64_t LshIndex::rebuild(std::span<const Row> sample, const Weights& w, uint64_t generation, bool redraw, Team& team) {
  uint64_t cost = family_.fit(sample, generation, redraw);
  team.each(n_neurons_, 16, [&](int, size_t i) { hash_row(static_cast<uint32_t>(i), w); });
  scale_[0] = std::sqrt(*std::max_element(norm2_.begin(), norm2_.end()));
  encode_all(team);
  refill_tables();
  dirty_.fill(0);
  cost += n_neurons_ * (family_.sketch_cost() + family_.encode_cost() + (needs_norm_ ? w.n_columns : 0));
  return cost;
}

void LshIndex::refill_tables() {
  if (tables_) tables_->rebuild(signature_.data(), family_.words());
}

void LshIndex::derive(Team& team) {
  family_.derive();
  encode_all(team);
  refill_tables();
}

uint64_t LshIndex::follow(uint32_t i, float step, float wx, const Query& q, LookupScratch& scratch) {
  const float dt = 1.f + q.mean_dot;
  active().axpy(&sketch_[size_t{i} * family_.width()], -step, q.direction.data(), family_.width());
  if (needs_norm_) {
    const float x_norm2 = q.norm2 - 1.f;  // without the bias's 1
    norm2_[i] += step * (step * (x_norm2 + dt * dt) - 2.f * (wx + tail_[i] * dt));
  }
  tail_[i] -= step * dt;
  encode(i, scratch);
  if (tables_)
    for (int t = 0; t < tables_->n_tables(); t++) tables_->move(t, i, signature(i));
  return family_.width() + 1 + (needs_norm_ ? 5 : 0) + family_.encode_cost();
}

uint64_t LshIndex::follow(uint32_t i, std::span<const std::pair<float, const Query*>> steps, const float* w,
                          LookupScratch& scratch) {
  for (const auto& [step, q] : steps) {
    active().axpy(&sketch_[size_t{i} * family_.width()], -step, q->direction.data(), family_.width());
    tail_[i] -= step * (1.f + q->mean_dot);
  }
  uint64_t cost = steps.size() * (family_.width() + 1) + family_.encode_cost();
  if (needs_norm_) {
    norm2_[i] = active().dot(w, w, family_.n_columns() - 1) + tail_[i] * tail_[i];
    cost += family_.n_columns();
  }
  encode(i, scratch);
  return cost;
}

void LshIndex::move_in_tables(int table, std::span<const uint32_t> neurons) {
  for (const uint32_t i : neurons) tables_->move(table, i, signature(i));
}

uint64_t LshIndex::rehash_marked(const Weights& w, Team& team) {
  std::vector<uint32_t> marked;
  for (uint32_t i = 0; i < n_neurons_; i++)
    if (dirty_[i]) marked.push_back(i);
  std::vector<LookupScratch> scratch(static_cast<size_t>(team.size()));
  team.each(marked.size(), 16, [&](int member, size_t k) {
    hash_row(marked[k], w);
    encode(marked[k], scratch[static_cast<size_t>(member)]);
    dirty_[marked[k]] = 0;
  });
  if (tables_)
    team.each(static_cast<size_t>(tables_->n_tables()), 1, [&](int, size_t t) { move_in_tables(static_cast<int>(t), marked); });
  return marked.size() * (family_.sketch_cost() + family_.encode_cost() + (needs_norm_ ? w.n_columns : 0));
}

double LshIndex::staleness(const Weights& w, uint64_t& cost) const {
  const uint32_t n = std::min(n_neurons_, kStalenessSample);
  std::vector<float> sketch(family_.width()), scratch(family_.width());
  std::vector<uint64_t> word(family_.words());
  uint64_t changed = 0;
  for (uint32_t s = 0; s < n; s++) {
    const auto i = static_cast<uint32_t>(uint64_t{s} * n_neurons_ / n);
    float tail;
    family_.sketch_neuron(w.row(i), sketch.data(), tail);
    const float norm2 = active().dot(w.row(i), w.row(i), w.n_columns - 1) + tail * tail;
    family_.encode_neuron(sketch.data(), norm2, scale_[0], scratch.data(), word.data());
    for (uint32_t k = 0; k < family_.words(); k++)
      changed += static_cast<uint64_t>(std::popcount(word[k] ^ signature_[size_t{i} * family_.words() + k]));
  }
  cost += n * (family_.sketch_cost() + family_.encode_cost() + w.n_columns);
  return static_cast<double>(changed) / (double{1} * n * family_.spec().bits * family_.spec().tables);
}

void LshIndex::candidates(const Query& q, uint32_t wanted, LookupScratch& s, std::vector<uint32_t>& out) const {
  const LshSpec& spec = family_.spec();
  const uint64_t start = mix(q.word[0]);
  if (!tables_) {
    s.distance.resize(n_neurons_);
    active().hamming(signature_.data(), family_.words(), n_neurons_, q.word.data(), s.distance.data());
    return keep_nearest(nullptr, s.distance.data(), n_neurons_, wanted, family_.width(), start, s, out);
  }
  collect(q, s);
  s.distance.resize(s.found.size());
  const auto most = static_cast<uint32_t>(spec.tables);
  for (size_t k = 0; k < s.found.size(); k++) {
    const uint32_t i = s.found[k];
    if (spec.ranking == Ranking::kCollisions)
      s.distance[k] = static_cast<uint16_t>(most - std::min<uint32_t>(most, s.collisions[i]));
    else
      active().hamming(&signature_[size_t{i} * family_.words()], family_.words(), 1, q.word.data(), &s.distance[k]);
    s.collisions[i] = 0;
  }
  keep_nearest(s.found.data(), s.distance.data(), static_cast<uint32_t>(s.found.size()), wanted,
               spec.ranking == Ranking::kCollisions ? most : family_.width(), start, s, out);
}

// Fills scratch.found with the neurons of all probed buckets, scratch.collisions with how often each was met.
void LshIndex::collect(const Query& q, LookupScratch& s) const {
  const LshSpec& spec = family_.spec();
  s.collisions.resize(n_neurons_);
  s.found.clear();
  uint32_t mask[kMaxProbes];
  float distance[16];
  for (int t = 0; t < spec.tables; t++) {
    const uint32_t key = tables_->key(t, q.word.data());
    int n_masks = 1;
    mask[0] = 0;
    if (spec.probes > 1) {
      for (int j = 0; j < spec.bits; j++)
        distance[j] = family_.boundary_distance(q.value[static_cast<size_t>(t * spec.bits + j)]);
      n_masks = ProbeSequence(distance, spec.bits).masks(spec.probes, mask);
    }
    for (int m = 0; m < n_masks; m++) {
      const uint32_t* slot = tables_->bucket(t, key ^ mask[m]);
      for (uint32_t k = 0; k < tables_->capacity(); k++) {
        const uint32_t i = __atomic_load_n(slot + k, __ATOMIC_RELAXED);  // another thread may be moving neurons
        if (i == Tables::kEmpty) continue;
        if (s.collisions[i]++ == 0) s.found.push_back(i);
      }
    }
  }
}

// Counting selection: neurons (null: 0 .. n-1) by distance, at most `wanted`; ties at the last distance are broken from a
// starting point that the query chooses, so that no neuron is favoured for its number.
void LshIndex::keep_nearest(const uint32_t* neuron, const uint16_t* distance, uint32_t n, uint32_t wanted, uint32_t widest,
                            uint64_t start, LookupScratch& s, std::vector<uint32_t>& out) const {
  out.clear();
  const auto id = [&](uint32_t k) { return neuron ? neuron[k] : k; };
  if (n <= wanted) {
    for (uint32_t k = 0; k < n; k++) out.push_back(id(k));
    return;
  }
  s.histogram.assign(widest + 1, 0);
  for (uint32_t k = 0; k < n; k++) s.histogram[distance[k]]++;
  uint32_t limit = 0, below = 0;  // everything nearer than `limit` is in; of those at it, the rest
  while (below + s.histogram[limit] < wanted) below += s.histogram[limit++];
  uint32_t ties = wanted - below;
  const auto from = static_cast<uint32_t>(start % n);
  for (uint32_t step = 0; step < n; step++) {
    const uint32_t k = from + step < n ? from + step : from + step - n;
    if (distance[k] > limit) continue;
    if (distance[k] == limit) {
      if (ties == 0) continue;
      ties--;
    }
    out.push_back(id(k));
  }
}

size_t LshIndex::bytes() const {
  return sketch_.bytes() + norm2_.bytes() + tail_.bytes() + signature_.bytes() + dirty_.bytes() +
         uint64_t{family_.n_columns()} * family_.width() * sizeof(float) + (tables_ ? tables_->bytes() : 0);
}

}  // namespace hashgrad
