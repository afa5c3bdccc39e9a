#include "linear_index.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "linear_rows.h"
#include "row_buffer.h"

namespace hashgrad {

namespace {

constexpr size_t kChunk = 4;  // examples

bool is_finite(const float* x, size_t n) {
  float zero = 0.f;  // or NaN
#pragma omp simd reduction(+ : zero)
  for (size_t j = 0; j < n; j++) zero += x[j] * 0.f;
  return zero == 0.f;
}

}  // namespace

// What a member of a team needs for an example.
struct LinearIndex::Desk {
  explicit Desk(uint32_t n_columns) : row(n_columns) {}
  RowBuffer row;
  Query query;
  LookupScratch lookup;
  ChooseScratch choose;
  std::vector<uint32_t> id, kept;
  std::vector<float> z;
  Counts counts;
};

LinearIndex::LinearIndex(uint32_t n_inputs, uint32_t n_outputs, const LshSpec& spec, uint64_t seed)
    : n_inputs_(n_inputs),
      n_outputs_(n_outputs),
      seed_(seed),
      index_(n_outputs, n_inputs + 1, spec, false, seed, 0),
      zeros_(n_outputs),
      fingerprint_(n_outputs) {}

bool LinearIndex::built() const {
  const std::shared_lock reading(mutex_);
  return built_;
}

// Of a row's bits: eight bytes at a time, so that any change of any of them changes the result, but for one chance in
// 2^64.
uint64_t LinearIndex::fingerprint(const Weights& w, uint32_t i) const {
  const float* row = w.row(i);
  const float bias = w.bias(i);
  uint64_t h = 0;
  uint32_t bits;
  std::memcpy(&bits, &bias, sizeof bits);
  h = mix(bits);
  for (uint32_t j = 0; j < n_inputs_; j += 2) {
    uint64_t word = 0;
    std::memcpy(&word, row + j, std::min<size_t>(2, n_inputs_ - j) * sizeof(float));
    h = (h ^ word) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
  }
  return h;
}

void LinearIndex::rebuild(const Batch& sample, const Weights& w, Team& team) {
  std::vector<RowBuffer> buffer(sample.n_rows, RowBuffer(n_inputs_ + 1));
  std::vector<Row> rows;
  for (uint64_t s = 0; s < sample.n_rows; s++) rows.push_back(buffer[s].assign(sample, s));
  Counts counts;
  const std::unique_lock writing(mutex_);
  counts.rebuild = index_.rebuild(rows, w, rebuilds_++, team);
  team.each(n_outputs_, 64, [&](int, size_t i) { fingerprint_[i] = fingerprint(w, static_cast<uint32_t>(i)); });
  counts.rebuild += uint64_t{n_outputs_} * (n_inputs_ + 1) / 2;
  built_ = true;
  count(counts);
}

void LinearIndex::mark(std::span<const int64_t> rows) {
  const std::unique_lock writing(mutex_);
  for (const int64_t i : rows) index_.mark(static_cast<uint32_t>(i));
}

uint32_t LinearIndex::refresh(const Weights& w, bool all, Team& team) {
  const std::unique_lock writing(mutex_);
  if (!built_) return 0;
  Counts counts;
  const uint64_t each = (n_inputs_ + 1) / 2;
  if (all) {
    team.each(n_outputs_, 64, [&](int, size_t i) {
      if (fingerprint(w, static_cast<uint32_t>(i)) != fingerprint_[i]) index_.mark(static_cast<uint32_t>(i));
    });
    counts.rehash += n_outputs_ * each;
  }
  std::vector<uint32_t> moved;
  for (uint32_t i = 0; i < n_outputs_; i++)
    if (index_.marked(i)) moved.push_back(i);
  team.each(moved.size(), 64, [&](int, size_t r) { fingerprint_[moved[r]] = fingerprint(w, moved[r]); });
  counts.rehash += moved.size() * each + index_.rehash_marked(w, team);
  count(counts);
  return static_cast<uint32_t>(moved.size());
}

// Into desk.id, ascending; desk.row is the example's.
void LinearIndex::candidates(const Batch& x, size_t e, bool training, uint32_t wanted, Desk& desk) const {
  const Row& row = desk.row.assign(x, e);
  desk.id.clear();
  if (!is_finite(row.value, row.n)) return;
  index_.family().hash_query(row, false, desk.query);
  // Tables of bounded buckets serve the training of a pool alone.
  const bool all = index_.scans() || (index_.family().spec().pooled && !training);
  desk.counts.query += index_.family().query_cost(row, false) + index_.lookup_cost(all);
  if (!all) return index_.look_up(desk.query, wanted, desk.lookup, desk.id);
  if (index_.scans_alone())
    desk.counts.query += index_.find(desk.query, wanted, desk.lookup, desk.id);
  else
    index_.compare_all(desk.query, wanted, desk.lookup, desk.id);
}

// Outputs that no bucket gave, so that there are k: where a hash says nothing, those that follow one that it names.
void LinearIndex::complete(uint32_t k, Desk& desk) const {
  if (desk.id.size() >= k) return;
  const uint64_t start = desk.id.empty() || desk.query.word.empty() ? 0 : mix(desk.query.word[0]) % n_outputs_;
  const size_t found = desk.id.size();
  for (uint64_t s = 0; s < n_outputs_ && desk.id.size() < k; s++) {
    const auto i = static_cast<uint32_t>((start + s) % n_outputs_);
    if (!std::binary_search(desk.id.begin(), desk.id.begin() + static_cast<long>(found), i)) desk.id.push_back(i);
  }
  std::sort(desk.id.begin(), desk.id.end());
}

void LinearIndex::select(const Batch& x, const Weights& w, uint32_t k, Team& team, int32_t* id, float* z) const {
  const std::shared_lock reading(mutex_);
  std::vector<Desk> desks(static_cast<size_t>(team.size()), Desk(n_inputs_ + 1));
  const double several = std::ceil(double{index_.family().spec().candidates} * k);
  const auto wanted = static_cast<uint32_t>(std::min(double{1} * n_outputs_, several));
  team.each(x.n_rows, kChunk, [&](int member, size_t e) {
    Desk& desk = desks[static_cast<size_t>(member)];
    if (built_) {
      candidates(x, e, false, wanted, desk);
      complete(k, desk);
    } else {
      desk.row.assign(x, e);
    }
    const uint32_t n = built_ ? static_cast<uint32_t>(desk.id.size()) : n_outputs_;
    desk.z.resize(n);
    const uint64_t cost = evaluate_rows(w, desk.row.row(), built_ ? desk.id.data() : nullptr, n, desk.z.data());
    choose_largest(desk.z.data(), n, k, 0, desk.choose, desk.kept);
    for (uint32_t r = 0; r < k; r++) {
      id[e * k + r] = static_cast<int32_t>(built_ ? desk.id[desk.kept[r]] : desk.kept[r]);
      z[e * k + r] = desk.z[desk.kept[r]];
    }
    const uint64_t forward = n ? cost / n * k : 0;
    desk.counts.forward += forward, desk.counts.rerank += cost - forward;
    desk.counts.candidates += n, desk.counts.active += k, desk.counts.queries++;
  });
  for (const Desk& desk : desks) count(desk.counts);
}

void LinearIndex::pool(const Batch& x, std::span<const int64_t> labels, uint32_t wrong, uint32_t size, uint64_t step,
                       Team& team, Pool& pool, std::vector<int64_t>& place, std::vector<int64_t>& own) const {
  const auto n = static_cast<size_t>(x.n_rows);
  std::vector<std::vector<uint32_t>> found(n);
  {
    const std::shared_lock reading(mutex_);
    std::vector<Desk> desks(static_cast<size_t>(team.size()), Desk(n_inputs_ + 1));
    if (built_ && wrong)
      team.each(n, kChunk, [&](int member, size_t e) {
        Desk& desk = desks[static_cast<size_t>(member)];
        candidates(x, e, true, wrong + 1, desk);
        found[e] = desk.id;
      });
    for (const Desk& desk : desks) count(desk.counts);
  }
  for (size_t e = 0; e < n; e++) found[e].push_back(static_cast<uint32_t>(labels[e]));
  pool.n_examples = static_cast<uint32_t>(n);
  pool.unite(
      n_outputs_, size, Random(seed_, Purpose::kPool, 0, step),
      [&](size_t e) -> const std::vector<uint32_t>& { return found[e]; },
      [&](size_t e) { return labels.subspan(e, 1); });
  place.resize(n), own.resize(n * (wrong + 1));
  for (size_t e = 0; e < n; e++) {
    place[e] = static_cast<int64_t>(pool.position(static_cast<uint32_t>(labels[e])));
    for (uint32_t r = 0; r <= wrong; r++) {  // after what its hash found, its label
      const bool hashed = r + 1 < found[e].size();
      own[e * (wrong + 1) + r] = hashed ? static_cast<int64_t>(pool.position(found[e][r])) : place[e];
    }
  }
}

double LinearIndex::staleness(const Weights& w) const {
  const std::shared_lock reading(mutex_);
  uint64_t cost = 0;  // of a question, not of training
  return built_ ? index_.staleness(w, cost) : 0.;
}

void LinearIndex::count(const Counts& counts) const {
  const std::lock_guard counting(counting_);
  counts_.add(counts);
}

Counts LinearIndex::counts() const {
  const std::lock_guard counting(counting_);
  return counts_;
}

size_t LinearIndex::memory() const {
  const std::shared_lock reading(mutex_);
  return index_.memory() + zeros_.size() * sizeof(float) + fingerprint_.size() * sizeof(uint64_t);
}

}  // namespace hashgrad
