#include "lsh/index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "lsh/probing.h"
#include "random.h"

namespace hashgrad {

namespace {

constexpr uint32_t kStalenessSample = 64;
constexpr uint32_t kStrip = 2048;                 // neurons, of a scan of signatures
constexpr uint32_t kSample = 1 << 14, kRun = 64;  // scores that tell what may be among the nearest; neighbours in it
constexpr uint32_t kAllNeurons = 1 << 16, kSomeNeurons = 1 << 14;
constexpr float kRoom = 1.25f;  // for neurons to outgrow the largest before the next rebuild

uint32_t half(float x) {  // the nearest bfloat16
  const auto bits = std::bit_cast<uint32_t>(x);
  return std::isfinite(x) ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : bits >> 16 | (std::isnan(x) ? 0x40 : 0);
}

float length(float norm2) { return std::isfinite(norm2) ? std::sqrt(norm2) : 0.f; }

}  // namespace

LshIndex::LshIndex(uint32_t n_neurons, uint32_t n_columns, const LshSpec& spec, bool incremental, uint64_t seed,
                   uint64_t layer)
    : family_(n_columns, spec, seed, layer),
      n_neurons_(n_neurons),
      incremental_(incremental),
      sketches_(!spec.pooled && !spec.densified()),
      scale_(1),
      dirty_(n_neurons) {
  if (sketches_) sketch_ = Array<float>(size_t{n_neurons} * family_.width());
  if (family_.bytes()) {
    const size_t padded = round_up(n_neurons, kBlock);
    code_ = Array<uint8_t>(padded * family_.width());
  } else {
    norm_ = Array<float>(n_neurons);
    signature_ = Array<uint64_t>(size_t{n_neurons} * family_.words());
  }
  if (family_.tails_apart()) tail_ = Array<float>(n_neurons);
  if (family_.signs_tell_angles()) reach_ = Array<uint32_t>(n_neurons);
  if (sketches_ && !family_.bytes()) {
    tail_ = Array<float>(n_neurons);
    coordinate_ = Array<float>(size_t{n_neurons} * family_.n_coordinates());
    norm2_ = Array<float>(n_neurons);
  }
  if (family_.spec().lookup == Lookup::kTables) tables_.emplace(n_neurons, spec, seed, layer);
}

void LshIndex::encode(uint32_t i, const float* sketch, float norm2, LookupScratch& scratch) {
  if (family_.bytes()) return quantize(sketch, code(i), kCodeStep);
  scratch.encode.resize(family_.width());
  norm_[i] = length(norm2);
  if (!reach_.empty()) reach_[i] = reach(i);
  family_.encode_neuron(sketch, norm2, scale_[0], scratch.encode.data(), signature(i));
}

uint32_t LshIndex::reach(uint32_t i) const {
  return half(norm_[i]) | half(family_.tails_apart() ? tail_[i] : 0.f) << 16;
}

std::vector<float> LshIndex::halves(int shift) const {
  std::vector<float> all(n_neurons_);
  for (uint32_t i = 0; i < n_neurons_; i++) all[i] = std::bit_cast<float>(reach_[i] << shift & 0xffff0000u);
  return all;
}

void LshIndex::quantize(const float* sketch, uint8_t* code, size_t step) const {
  active().quantize(sketch, family_.width(), kCodeMost / (kRoom * std::max(scale_[0], 1e-30f)), kCodeMost, kCodeMiddle,
                    code, step);
}

// From its weights alone.
void LshIndex::hash(uint32_t i, const Weights& w, LookupScratch& s) {
  const size_t width = family_.width(), n = family_.n_coordinates();
  const float* row = w.row(i, s.row);
  if (family_.densified()) {
    family_.hash_neuron(row, scale_[0], s.bins, signature(i));
    if (family_.spec().pooled) norm_[i] = length(active().dot(row, row, w.n_columns - 1));
    return;
  }
  s.sketch.resize(width), s.coordinate.resize(n);
  float* sketch = sketches_ ? &sketch_[i * width] : s.sketch.data();
  float* coordinate = coordinate_.empty() ? s.coordinate.data() : &coordinate_[i * n];
  float norm2, tail;
  family_.project_neuron(row, w.bias(i), coordinate, sketch, tail);
  family_.finish_neuron(row, tail, coordinate, sketch, norm2);
  if (!norm2_.empty()) norm2_[i] = norm2;
  if (!tail_.empty()) tail_[i] = tail;
  encode(i, sketch, norm2, s);
}

uint64_t LshIndex::rebuild(std::span<const Row> sample, const Weights& w, uint64_t generation, Team& team) {
  const size_t width = family_.width(), n_coordinates = family_.n_coordinates();
  uint64_t cost = family_.fit(sample, generation);
  // First what all neurons have in common, if hashes take it into account; means of very many, from an even choice of
  // them.
  const bool scaled = family_.bytes() || family_.spec().transform != Transform::kNone;
  const uint32_t n = scaled || (n_coordinates && n_neurons_ <= kAllNeurons) ? n_neurons_
                     : n_coordinates                                        ? kSomeNeurons
                                                                            : 0;
  const auto id = [&](size_t s) { return static_cast<uint32_t>(uint64_t{s} * n_neurons_ / n); };
  Array<float> coordinate(n * n_coordinates), sketch(n_coordinates ? 0 : n * width), norm2(n), largest(n), tail(n);
  std::vector<LookupScratch> scratch(static_cast<size_t>(team.size()));
  const auto row = [&](int member, size_t s) { return w.row(id(s), scratch[static_cast<size_t>(member)].row); };
  team.each(n, 16, [&](int member, size_t s) {
    family_.project_neuron(row(member, s), w.bias(id(s)), n_coordinates ? &coordinate[s * n_coordinates] : nullptr,
                           n_coordinates ? nullptr : &sketch[s * width], tail[s]);
  });
  cost += family_.rebalance(coordinate, n);
  team.each(scaled ? n : 0, 16, [&](int member, size_t s) {
    std::vector<float>& own = scratch[static_cast<size_t>(member)].sketch;
    own.resize(width);
    float* out = n_coordinates ? own.data() : &sketch[s * width];
    family_.finish_neuron(row(member, s), tail[s], n_coordinates ? &coordinate[s * n_coordinates] : nullptr, out,
                          norm2[s]);
    for (size_t j = 0; j < width; j++) largest[s] = std::max(largest[s], std::fabs(out[j]));
  });
  const Array<float>& size = family_.bytes() ? largest : norm2;
  const float most = scaled ? *std::max_element(size.begin(), size.end()) : 1.f;
  scale_[0] = family_.densified() ? family_.set_size(sample) : family_.bytes() ? most : std::sqrt(most);
  team.each(n_neurons_, 16,
            [&](int member, size_t i) { hash(static_cast<uint32_t>(i), w, scratch[static_cast<size_t>(member)]); });
  refill_tables(team);
  dirty_.fill(0);
  return cost + (uint64_t{n} + n_neurons_) * family_.sketch_cost() + n_neurons_ * family_.encode_cost();
}

void LshIndex::refill_tables(Team& team) {
  if (tables_) tables_->rebuild(signature_.data(), family_.words(), norm_.data(), team);
}

void LshIndex::derive(Team& team) {
  family_.derive();
  std::vector<LookupScratch> scratch(static_cast<size_t>(team.size()));
  if (sketches_)
    team.each(n_neurons_, 64,
              [&](int member, size_t i) { encode(static_cast<uint32_t>(i), scratch[static_cast<size_t>(member)]); });
  else
    for (uint32_t i = 0; i < n_neurons_ && !reach_.empty(); i++) reach_[i] = reach(i);
  refill_tables(team);
}

uint64_t LshIndex::follow(uint32_t i, float step, float wx, const Query& q, LookupScratch& scratch) {
  const uint32_t width = family_.width(), n = family_.n_coordinates();
  const float dt = 1.f + q.mean_dot;
  active().axpy(&sketch_[size_t{i} * width], -step, q.direction.data(), width);
  if (family_.bytes()) {  // neither length nor coordinates count
    encode(i, scratch);
    return width + family_.encode_cost();
  }
  uint64_t cost = width + 2 + family_.encode_cost();
  if (n) {
    float* coordinate = &coordinate_[size_t{i} * n];
    active().axpy(coordinate, -step, q.coordinate.data(), n);
    norm2_[i] = active().dot(coordinate, coordinate, n);
    cost += 2 * n;
  } else {  // |v - step d|^2, d = [x; dt]
    const float d_norm2 = q.norm2 - 1.f + dt * dt;
    norm2_[i] = std::max(0.f, norm2_[i] + step * (step * d_norm2 - 2.f * (wx + tail_[i] * dt)));
    cost += 5;
  }
  tail_[i] -= step * dt;
  encode(i, scratch);
  if (tables_)
    for (int t = 0; t < tables_->n_tables(); t++) tables_->move(t, i, signature(i), norm_[i]);
  return cost;
}

uint64_t LshIndex::follow(uint32_t i, std::span<const std::pair<float, const Query*>> steps, const float* w,
                          LookupScratch& scratch) {
  const uint32_t width = family_.width(), n = family_.n_coordinates();
  const bool bytes = family_.bytes();
  float* coordinate = n && !bytes ? &coordinate_[size_t{i} * n] : nullptr;
  for (const auto& [step, q] : steps) {
    active().axpy(&sketch_[size_t{i} * width], -step, q->direction.data(), width);
    if (coordinate) active().axpy(coordinate, -step, q->coordinate.data(), n);
    if (!bytes) tail_[i] -= step * (1.f + q->mean_dot);
  }
  uint64_t cost = steps.size() * (width + (coordinate ? n : 0) + 1) + 1 + family_.encode_cost();
  if (coordinate) {
    norm2_[i] = active().dot(coordinate, coordinate, n);
    cost += n;
  } else if (!bytes) {
    const uint32_t n_inputs = family_.n_columns() - 1;
    norm2_[i] = active().dot(w, w, n_inputs) + tail_[i] * tail_[i];
    cost += n_inputs + 1;
  }
  encode(i, scratch);
  return cost;
}

void LshIndex::move_in_tables(int table, std::span<const uint32_t> neurons) {
  for (const uint32_t i : neurons) tables_->move(table, i, signature(i), norm_[i]);
}

uint64_t LshIndex::rehash_marked(const Weights& w, Team& team) {
  std::vector<uint32_t> marked;
  for (uint32_t i = 0; i < n_neurons_; i++)
    if (dirty_[i]) marked.push_back(i);
  std::vector<LookupScratch> scratch(static_cast<size_t>(team.size()));
  team.each(marked.size(), 16, [&](int member, size_t k) {
    hash(marked[k], w, scratch[static_cast<size_t>(member)]);
    dirty_[marked[k]] = 0;
  });
  if (tables_)
    team.each(static_cast<size_t>(tables_->n_tables()), 1,
              [&](int, size_t t) { move_in_tables(static_cast<int>(t), marked); });
  return marked.size() * (family_.sketch_cost() + family_.encode_cost());
}

double LshIndex::staleness(const Weights& w, uint64_t& cost) const {
  const uint32_t n = std::min(n_neurons_, kStalenessSample), width = family_.width();
  std::vector<float> coordinate(family_.n_coordinates()), sketch(width), scratch(width), buffer;
  std::vector<uint64_t> word(family_.words());
  std::vector<uint8_t> anew(width);
  Bins bins;
  uint64_t changed = 0;
  const auto different = [&](const uint64_t* hashed, uint32_t i) {
    uint64_t n_bits = 0;
    for (uint32_t k = 0; k < family_.words(); k++)
      n_bits += static_cast<uint64_t>(std::popcount(hashed[k] ^ signature_[size_t{i} * family_.words() + k]));
    return n_bits;
  };
  for (uint32_t s = 0; s < n; s++) {
    const auto i = static_cast<uint32_t>(uint64_t{s} * n_neurons_ / n);
    const float* row = w.row(i, buffer);
    float tail, norm2;
    if (family_.densified()) {
      family_.hash_neuron(row, scale_[0], bins, word.data());
      changed += different(word.data(), i);
      continue;
    }
    family_.project_neuron(row, w.bias(i), coordinate.data(), sketch.data(), tail);
    family_.finish_neuron(row, tail, coordinate.data(), sketch.data(), norm2);
    if (family_.bytes()) {
      quantize(sketch.data(), anew.data(), kBlock);
      const uint8_t* stored = code(i);
      for (uint32_t r = 0; r < width; r++) changed += anew[r] != stored[r / kBlock * kCodeStep + r % kBlock];
      continue;
    }
    family_.encode_neuron(sketch.data(), norm2, scale_[0], scratch.data(), word.data());
    changed += different(word.data(), i);
  }
  if (!family_.densified()) cost += n * (family_.sketch_cost() + family_.encode_cost());
  const double each = family_.bytes() ? width : double{1} * family_.spec().bits * family_.spec().tables;
  return static_cast<double>(changed) / (n * each);
}

void LshIndex::scan(uint32_t from, uint32_t to, std::span<const Query* const> queries, float* const* score,
                    LookupScratch& s) const {
  if (from >= to || queries.empty()) return;
  if (family_.bytes()) {
    s.query.clear();
    for (const Query* q : queries) s.query.push_back(q->byte.data());
    return active().scan(code_.data(), family_.width(), from, static_cast<uint32_t>(round_up(to, kBlock)),
                         s.query.data(), static_cast<uint32_t>(queries.size()), score);
  }
  for (size_t q = 0; q < queries.size(); q++)
    for (uint32_t at = from; at < to; at += kStrip)  // whose scores stay in the first-level cache
      score_signatures(at, nullptr, std::min(kStrip, to - at), *queries[q], s, score[q] + at);
}

void LshIndex::score_signatures(uint32_t first, const uint32_t* ids, uint32_t n, const Query& q, LookupScratch& s,
                                float* score) const {
  const uint64_t* signature = &signature_[size_t{first} * family_.words()];
  if (family_.tells_angles())
    return active().match_signs(signature, family_.words(), &reach_[first], ids, n, q.entry.data(), q.unit, score);
  s.distance.resize(n);
  active().differing(signature, family_.words(), ids, n, q.word.data(), std::max(family_.spec().code_bits, 1),
                     s.distance.data());
  for (uint32_t r = 0; r < n; r++) score[r] = -static_cast<float>(s.distance[r]);
}

namespace {

uint64_t salt_of(const Query& q) { return mix(q.word.empty() ? static_cast<uint8_t>(q.byte[0]) : q.word[0]) | 1; }

}  // namespace

void LshIndex::nearest(const Query& q, const float* score, uint32_t wanted, LookupScratch& s,
                       std::vector<uint32_t>& out) const {
  choose_largest(score, n_neurons_, wanted, salt_of(q), s.choose, out);
}

// What tells of n neurons from `first` on; processors do not foresee so many streams.
void LshIndex::ask_for(uint32_t first, uint32_t n) const {
  const auto ask = [](const auto* p, size_t bytes) {
    for (size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(reinterpret_cast<const char*>(p) + at);
  };
  const size_t words = family_.words();
  ask(signature_.data() + first * words, n * words * sizeof(uint64_t));
  if (!reach_.empty()) ask(reach_.data() + first, n * sizeof(uint32_t));
}

// A score that more than `wanted` neurons are likely to reach; NaN where a sample cannot tell. `cost` grows by the
// multiplications of the sample's scores.
float LshIndex::likely_least(const Query& q, uint32_t wanted, LookupScratch& s, uint64_t& cost) const {
  constexpr uint32_t kRuns = kSample / kRun;
  constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
  // Runs of neighbours may be alike, which makes a sample less sure: hence a wide margin.
  const double share = double{wanted} * kSample / n_neurons_;
  const auto rank = static_cast<uint32_t>(share + 6 * std::sqrt(share) + 16);
  if (rank > kSample / 4) return kUnknown;
  const auto first = [&](uint32_t r) { return static_cast<uint32_t>(uint64_t{r} * (n_neurons_ - kRun) / (kRuns - 1)); };
  for (uint32_t r = 0; r < kRuns; r++) {
    if (r + 2 < kRuns) ask_for(first(r + 2), kRun);
    score_signatures(first(r), nullptr, kRun, q, s, &s.score[r * kRun]);
  }
  cost += kSample * match_cost();
  s.choose.position.resize(std::max<size_t>(s.choose.position.size(), kSample + kBlock));
  const Cut cut = active().largest(s.score.data(), kSample, rank, s.choose.position.data(), nullptr);
  return cut.known ? std::nextafter(cut.value, -std::numeric_limits<float>::infinity()) : kUnknown;  // ties, too
}

uint64_t LshIndex::find(const Query& q, uint32_t wanted, LookupScratch& s, std::vector<uint32_t>& out) const {
  constexpr uint32_t kStep = 256, kAhead = 768;  // neurons at once, and those that memory is asked for meanwhile
  uint64_t cost = 0;
  s.score.resize(kSample);
  const float least = likely_least(q, wanted, s, cost);
  uint32_t n = 0;
  bool odd = std::isnan(least);
  for (uint32_t at = 0; !odd && at < n_neurons_; at += kStep) {
    const uint32_t some = std::min(kStep, n_neurons_ - at), soon = at + kAhead;
    if (soon < n_neurons_) ask_for(soon, std::min(kStep, n_neurons_ - soon));
    score_signatures(at, nullptr, some, q, s, s.score.data());
    s.found.resize(std::max<size_t>(s.found.size(), n + some + kBlock));
    s.near.resize(std::max<size_t>(s.near.size(), n + some + kBlock));
    const uint32_t more = active().above(s.score.data(), some, least, &s.found[n], &s.near[n], odd);
    for (uint32_t j = n; j < n + more; j++) s.found[j] += at;
    n += more;
  }
  if (odd || n < wanted) {  // the sample misled
    compare_all(q, wanted, s, out);
    if (!std::isnan(least)) cost += n_neurons_ * match_cost();  // once more
    return cost;
  }
  choose_largest(s.near.data(), n, wanted, salt_of(q), s.choose, out, s.found.data());
  for (uint32_t& at : out) at = s.found[at];
  return cost;
}

void LshIndex::compare_all(const Query& q, uint32_t wanted, LookupScratch& s, std::vector<uint32_t>& out) const {
  s.all.resize(round_up(n_neurons_, kBlock));
  const Query* one = &q;
  float* scores = s.all.data();
  scan(0, n_neurons_, {&one, 1}, &scores, s);
  nearest(q, scores, wanted, s, out);
}

void LshIndex::look_up(const Query& q, uint32_t wanted, LookupScratch& s, std::vector<uint32_t>& out) const {
  const LshSpec& spec = family_.spec();
  const uint32_t n = collect(q, s);
  const std::span found(s.found.data(), n);
  // Where threads move neurons at once, slots are in no order that a resumed run would find again; ties are broken by
  // neuron.
  const bool ties = spec.ranking == Ranking::kCollisions || !family_.tells_angles();
  if (!spec.pooled || ties) std::sort(found.begin(), found.end());
  s.score.resize(n + kBlock);
  if (spec.ranking == Ranking::kCollisions)
    for (uint32_t k = 0; k < n; k++) s.score[k] = std::exchange(s.collisions[found[k]], uint16_t{0});
  else
    score_signatures(0, found.data(), n, q, s, s.score.data());
  for (const uint32_t i : found) s.met[i / 64] = 0;
  choose_largest(s.score.data(), n, wanted, salt_of(q), s.choose, out, spec.pooled ? found.data() : nullptr);
  for (uint32_t& at : out) at = found[at];
  if (spec.pooled) std::sort(out.begin(), out.end());
}

// Fills scratch.found with the neurons of all probed buckets, each once, scratch.collisions (if they rank) with how
// often each was met. Returns how many they are.
uint32_t LshIndex::collect(const Query& q, LookupScratch& s) const {
  const LshSpec& spec = family_.spec();
  const bool counts = spec.ranking == Ranking::kCollisions;
  if (counts) s.collisions.resize(n_neurons_);
  s.met.resize(n_neurons_ / 64 + 1);
  const size_t most = static_cast<size_t>(spec.tables) * static_cast<size_t>(spec.probes) * tables_->capacity();
  s.found.resize(std::min<size_t>(most, n_neurons_) + 1);
  uint32_t n = 0;
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
        if (counts) s.collisions[i]++;
        s.found[n] = i;
        n += !(s.met[i / 64] >> i % 64 & 1);
        s.met[i / 64] |= uint64_t{1} << i % 64;
      }
    }
  }
  return n;
}

size_t LshIndex::memory() const {
  return sketch_.bytes() + coordinate_.bytes() + norm_.bytes() + norm2_.bytes() + tail_.bytes() + reach_.bytes() +
         signature_.bytes() + code_.bytes() + dirty_.bytes() + family_.memory() + (tables_ ? tables_->bytes() : 0);
}

}  // namespace hashgrad
