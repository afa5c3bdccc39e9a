#include "lsh/index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "lsh/probing.h"
#include "random.h"

namespace hashgrad {

namespace {

// Below this many neurons a scan of all signatures (an XOR and a popcount each) beats table
// look-ups.
constexpr uint32_t kScanLimit = 50'000;
constexpr uint32_t kStalenessSample = 64;
constexpr uint32_t kLevels = 2048;  // of ranking by inner product
constexpr float kRoom = 1.25f;      // for neurons to outgrow the longest one before the next rebuild

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
      sketch_(size_t{n_neurons} * family_.width()),
      coordinate_(size_t{n_neurons} * family_.n_coordinates()),
      norm2_(n_neurons),
      norm_(n_neurons),
      tail_(n_neurons),
      scale_(1),
      signature_(size_t{n_neurons} * family_.words()),
      dirty_(n_neurons) {
  if (family_.spec().lookup == Lookup::kTables) tables_ = std::make_unique<Tables>(n_neurons, spec.bits, spec.tables);
}

void LshIndex::project_row(uint32_t i, const Weights& w) {
  family_.project_neuron(w.row(i), coordinates(i), &sketch_[size_t{i} * family_.width()], tail_[i]);
}

void LshIndex::finish_row(uint32_t i, const Weights& w) {
  family_.finish_neuron(w.row(i), tail_[i], coordinates(i), &sketch_[size_t{i} * family_.width()], norm2_[i]);
}

void LshIndex::encode(uint32_t i, LookupScratch& scratch) {
  scratch.encode.resize(family_.width());
  norm_[i] = std::sqrt(norm2_[i]);
  family_.encode_neuron(&sketch_[size_t{i} * family_.width()], norm2_[i], scale_[0], scratch.encode.data(),
                        signature(i));
}

void LshIndex::encode_all(Team& team) {
  std::vector<LookupScratch> scratch(static_cast<size_t>(team.size()));
  team.each(n_neurons_, 64,
            [&](int member, size_t i) { encode(static_cast<uint32_t>(i), scratch[static_cast<size_t>(member)]); });
}

uint64_t LshIndex::rebuild(std::span<const Row> sample, const Weights& w, uint64_t generation, Team& team) {
  uint64_t cost = family_.fit(sample, generation);
  team.each(n_neurons_, 16, [&](int, size_t i) { project_row(static_cast<uint32_t>(i), w); });
  cost += family_.rebalance(coordinate_, n_neurons_);
  team.each(n_neurons_, 16, [&](int, size_t i) { finish_row(static_cast<uint32_t>(i), w); });
  set_scale(std::sqrt(*std::max_element(norm2_.begin(), norm2_.end())));
  encode_all(team);
  refill_tables();
  dirty_.fill(0);
  return cost + n_neurons_ * (family_.sketch_cost() + family_.encode_cost());
}

void LshIndex::refill_tables() {
  if (tables_) tables_->rebuild(signature_.data(), family_.words());
}

void LshIndex::derive(Team& team) {
  family_.derive();
  set_scale(scale_[0]);
  encode_all(team);
  refill_tables();
}

uint64_t LshIndex::follow(uint32_t i, float step, float wx, const Query& q, LookupScratch& scratch) {
  const uint32_t width = family_.width(), n = family_.n_coordinates();
  const float dt = 1.f + q.mean_dot;
  active().axpy(&sketch_[size_t{i} * width], -step, q.direction.data(), width);
  if (n) {
    float* coordinate = coordinates(i);
    active().axpy(coordinate, -step, q.coordinate.data(), n);
    norm2_[i] = active().dot(coordinate, coordinate, n);
  } else {  // |v - step d|^2, d = [x; dt]
    const float d_norm2 = q.norm2 - 1.f + dt * dt;
    norm2_[i] = std::max(0.f, norm2_[i] + step * (step * d_norm2 - 2.f * (wx + tail_[i] * dt)));
  }
  tail_[i] -= step * dt;
  encode(i, scratch);
  if (tables_)
    for (int t = 0; t < tables_->n_tables(); t++) tables_->move(t, i, signature(i));
  return width + (n ? 2 * n : 5) + 2 + family_.encode_cost();
}

uint64_t LshIndex::follow(uint32_t i, std::span<const std::pair<float, const Query*>> steps, const float* w,
                          LookupScratch& scratch) {
  const uint32_t width = family_.width(), n = family_.n_coordinates();
  float* coordinate = coordinates(i);
  for (const auto& [step, q] : steps) {
    active().axpy(&sketch_[size_t{i} * width], -step, q->direction.data(), width);
    if (n) active().axpy(coordinate, -step, q->coordinate.data(), n);
    tail_[i] -= step * (1.f + q->mean_dot);
  }
  const uint32_t n_inputs = family_.n_columns() - 1;
  norm2_[i] = n ? active().dot(coordinate, coordinate, n) : active().dot(w, w, n_inputs) + tail_[i] * tail_[i];
  encode(i, scratch);
  return steps.size() * (width + n + 1) + (n ? n : n_inputs + 1) + 1 + family_.encode_cost();
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
    project_row(marked[k], w);
    finish_row(marked[k], w);
    encode(marked[k], scratch[static_cast<size_t>(member)]);
    dirty_[marked[k]] = 0;
  });
  if (tables_)
    team.each(static_cast<size_t>(tables_->n_tables()), 1,
              [&](int, size_t t) { move_in_tables(static_cast<int>(t), marked); });
  return marked.size() * (family_.sketch_cost() + family_.encode_cost());
}

double LshIndex::staleness(const Weights& w, uint64_t& cost) const {
  const uint32_t n = std::min(n_neurons_, kStalenessSample);
  std::vector<float> coordinate(family_.n_coordinates()), sketch(family_.width()), scratch(family_.width());
  std::vector<uint64_t> word(family_.words());
  uint64_t changed = 0;
  for (uint32_t s = 0; s < n; s++) {
    const auto i = static_cast<uint32_t>(uint64_t{s} * n_neurons_ / n);
    float tail, norm2;
    family_.project_neuron(w.row(i), coordinate.data(), sketch.data(), tail);
    family_.finish_neuron(w.row(i), tail, coordinate.data(), sketch.data(), norm2);
    family_.encode_neuron(sketch.data(), norm2, scale_[0], scratch.data(), word.data());
    for (uint32_t k = 0; k < family_.words(); k++)
      changed += static_cast<uint64_t>(std::popcount(word[k] ^ signature_[size_t{i} * family_.words() + k]));
  }
  cost += n * (family_.sketch_cost() + family_.encode_cost());
  return static_cast<double>(changed) / (double{1} * n * family_.spec().bits * family_.spec().tables);
}

void LshIndex::set_scale(float scale) {
  scale_[0] = scale;
  const int bits = family_.spec().bits * family_.spec().tables;
  const float unit = kLevels / (2.f * kRoom * std::max(scale, 1e-12f));
  cosine_.assign(family_.width() + 1, 0.f);
  for (int h = 0; h <= bits; h++)
    cosine_[static_cast<size_t>(h)] = unit * static_cast<float>(std::cos(std::numbers::pi * h / bits));
}

// Signatures tell the angle between neuron and query. A transform has made angles order inner
// products; without one the neuron's length does: w.x + b is proportional to |v| cos(angle). Turns
// Hamming distances into ranks 0 .. kLevels.
void LshIndex::rank_by_inner_product(const float* norm, uint32_t n, uint16_t* distance) const {
  active().rank(cosine_.data(), norm, n, kLevels, distance);
}

void LshIndex::candidates(const Query& q, uint32_t wanted, LookupScratch& s, std::vector<uint32_t>& out) const {
  const LshSpec& spec = family_.spec();
  const uint32_t words = family_.words();
  const bool by_length = spec.transform == Transform::kNone;
  const uint64_t start = mix(q.word[0]);
  if (!tables_) {
    s.distance.resize(n_neurons_);
    active().hamming(signature_.data(), words, n_neurons_, q.word.data(), s.distance.data());
    if (by_length) rank_by_inner_product(norm_.data(), n_neurons_, s.distance.data());
    return keep_nearest(nullptr, s.distance.data(), n_neurons_, wanted, by_length ? kLevels : family_.width(), start, s,
                        out);
  }
  collect(q, s);
  const auto n = static_cast<uint32_t>(s.found.size());
  s.distance.resize(n);
  if (spec.ranking == Ranking::kCollisions) {
    const auto most = static_cast<uint32_t>(spec.tables);
    for (uint32_t k = 0; k < n; k++)
      s.distance[k] = static_cast<uint16_t>(most - std::min<uint32_t>(most, s.collisions[s.found[k]]));
    keep_nearest(s.found.data(), s.distance.data(), n, wanted, most, start, s, out);
  } else {
    s.norm.resize(n);
    for (uint32_t k = 0; k < n; k++) {
      active().hamming(&signature_[size_t{s.found[k]} * words], words, 1, q.word.data(), &s.distance[k]);
      s.norm[k] = norm_[s.found[k]];
    }
    if (by_length) rank_by_inner_product(s.norm.data(), n, s.distance.data());
    keep_nearest(s.found.data(), s.distance.data(), n, wanted, by_length ? kLevels : family_.width(), start, s, out);
  }
  for (const uint32_t i : s.found) s.collisions[i] = 0;
}

// Fills scratch.found with the neurons of all probed buckets, scratch.collisions with how often
// each was met.
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

// Counting selection: neurons (null: 0 .. n-1) by distance, at most `wanted`. Ties at the last distance are broken by a
// number that query and neuron make together: no neuron is favoured for its number, nor for its slot in a bucket.
void LshIndex::keep_nearest(const uint32_t* neuron, const uint16_t* distance, uint32_t n, uint32_t wanted,
                            uint32_t widest, uint64_t start, LookupScratch& s, std::vector<uint32_t>& out) const {
  s.histogram.assign(widest + 1, 0);
  for (uint32_t k = 0; k < n; k++) s.histogram[distance[k]]++;
  uint32_t limit = 0, below = 0;  // all nearer than `limit` are in; of those at it, as many as there is room for
  while (limit <= widest && below + s.histogram[limit] < wanted) below += s.histogram[limit++];
  const uint32_t at_limit = limit <= widest ? s.histogram[limit] : 0;
  out.resize(below + 1);  // one more each: the loop writes before it knows whether to keep
  s.tie.resize(at_limit + 1);
  uint32_t kept = 0, ties = 0;
  for (uint32_t k = 0; k < n; k++) {
    const uint32_t i = neuron ? neuron[k] : k;
    out[kept] = i;
    kept += distance[k] < limit;
    s.tie[ties] = i;
    ties += distance[k] == limit;
  }
  out.resize(kept);
  const uint32_t room = std::min(wanted - below, ties);
  if (room < ties)
    std::nth_element(s.tie.begin(), s.tie.begin() + room, s.tie.begin() + ties,
                     [&](uint32_t a, uint32_t b) { return mix(start ^ a) < mix(start ^ b); });
  out.insert(out.end(), s.tie.begin(), s.tie.begin() + room);
  if (neuron) std::sort(out.begin(), out.end());  // slots are in no order that a resumed run would find again
}

size_t LshIndex::bytes() const {
  return sketch_.bytes() + coordinate_.bytes() + 2 * norm2_.bytes() + tail_.bytes() + signature_.bytes() +
         dirty_.bytes() + family_.bytes() + (tables_ ? tables_->bytes() : 0);
}

}  // namespace hashgrad
