#include "lsh/tables.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "kernels/kernels.h"
#include "portable.h"
#include "random.h"

namespace hashgrad {

namespace {

constexpr float kNone = -1.f;  // shorter than any neuron
constexpr uint32_t kMoving = Tables::kEmpty - 1;
constexpr size_t kAmpleSlots = size_t{1} << 26;  // 256 MiB: up to here, buckets are as large as the fullest needs

}  // namespace

Tables::Tables(uint32_t n_neurons, const LshSpec& spec, uint64_t seed, uint64_t layer)
    : n_neurons_(n_neurons),
      bits_(spec.bits),
      tables_(spec.tables),
      bound_(spec.pooled ? spec.bucket : 0),
      policy_(spec.policy),
      seed_(seed),
      layer_(layer),
      place_(size_t{n_neurons} * static_cast<size_t>(spec.tables)) {
  place_.fill(kEmpty);
  if (counts_arrivals()) arrivals_ = Array<uint32_t>(static_cast<size_t>(tables_) << bits_);
}

uint32_t Tables::key(int table, const uint64_t* signature) const {
  const size_t at = static_cast<size_t>(table) * static_cast<size_t>(bits_);
  const size_t shift = at % 64;
  uint64_t key = signature[at / 64] >> shift;
  if (shift + static_cast<size_t>(bits_) > 64) key |= signature[at / 64 + 1] << (64 - shift);
  return static_cast<uint32_t>(key & ((uint64_t{1} << bits_) - 1));
}

void Tables::rebuild(const uint64_t* signatures, size_t words, const float* norm, Team& team) {
  const size_t n_buckets = size_t{1} << bits_;
  const auto n_tables = static_cast<size_t>(tables_);
  const auto key_of = [&](size_t t, uint32_t i) { return key(static_cast<int>(t), signatures + i * words); };
  std::vector<std::vector<uint32_t>> load(n_tables);
  team.each(n_tables, 1, [&](int, size_t t) {
    load[t].assign(n_buckets, 0);
    for (uint32_t i = 0; i < n_neurons_; i++) load[t][key_of(t, i)]++;
  });
  uint32_t most = 0;
  for (const std::vector<uint32_t>& l : load) most = std::max(most, *std::max_element(l.begin(), l.end()));
  // Room to move in, within bounds where a few buckets hold nearly all; what does not fit is counted as overflow. It
  // follows from the signatures alone, not from what the tables were before: a resumed run must find the same.
  const size_t room = std::max({size_t{32}, 64 * size_t{n_neurons_} / n_buckets, kAmpleSlots / (n_buckets * n_tables)});
  const size_t ample = round_up(std::min<size_t>(most + most / 2 + 4, room), 8);
  capacity_ = static_cast<uint32_t>(bound_ ? std::min<size_t>(bound_, ample) : ample);
  if (n_buckets * capacity_ >= kMoving) throw std::length_error("a hash table of more than 2^32 slots");
  const size_t n_slots = n_tables * n_buckets * capacity_;
  if (slots_.size() != n_slots)
    slots_ = Array<uint32_t>(n_slots), length_ = Array<float>(keeps_longest() ? n_slots : 0);
  std::vector<uint32_t> order(n_neurons_);
  std::iota(order.begin(), order.end(), 0u);
  if (most > capacity_ && keeps_longest())
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return norm[a] > norm[b]; });
  team.each(n_tables, 1, [&](int, size_t t) {
    const size_t first = first_slot(static_cast<int>(t));
    std::fill_n(&slots_[first], n_buckets * capacity_, kEmpty);
    if (counts_arrivals()) {
      std::fill_n(&arrivals_[t * n_buckets], n_buckets, 0u);
      std::fill_n(&place_[t * n_neurons_], n_neurons_, kEmpty);
      for (const uint32_t i : order) arrive(static_cast<int>(t), i, key_of(t, i));
      return;
    }
    if (keeps_longest()) std::fill_n(&length_[first], n_buckets * capacity_, kNone);
    load[t].assign(n_buckets, 0);
    for (const uint32_t i : order) {
      const uint32_t bucket = key_of(t, i), at = bucket * capacity_ + load[t][bucket];
      const bool fits = load[t][bucket] < capacity_;
      if (fits) slots_[first + at] = i, load[t][bucket]++;
      if (fits && keeps_longest()) length_[first + at] = norm[i];
      place_[t * n_neurons_ + i] = fits ? at : kEmpty;
    }
  });
}

void Tables::arrive(int table, uint32_t neuron, uint32_t key) {
  const size_t bucket = static_cast<size_t>(table) << bits_ | key;
  const uint32_t count = arrivals_[bucket]++;
  uint32_t k = count % capacity_;
  if (policy_ == Policy::kReservoir && count >= capacity_)
    k = Random(seed_, Purpose::kBucket, mix(layer_) ^ bucket, count).below(count + 1);
  uint32_t found = kEmpty;
  if (k < capacity_) {
    found = key * capacity_ + k;
    uint32_t& slot = slots_[first_slot(table) + found];
    if (slot != kEmpty) place(table, slot) = kEmpty;
    slot = neuron;
  }
  place(table, neuron) = found;
}

void Tables::insert(int table, uint32_t neuron, uint32_t key, float norm) {
  if (counts_arrivals()) return arrive(table, neuron, key);
  const uint32_t first = key * capacity_;
  uint32_t* slots = &slots_[first_slot(table)];
  uint32_t found = kEmpty;
  if (keeps_longest()) {
    float* length = &length_[first_slot(table)];
    const uint32_t at = first + active().lowest(length + first, capacity_);
    if (length[at] < norm) {
      if (slots[at] != kEmpty) place(table, slots[at]) = kEmpty;
      slots[at] = neuron, length[at] = norm, found = at;
    }
  }
  for (uint32_t at = first; !bound_ && at < first + capacity_ && found == kEmpty; at++)
    if (slots[at] == kEmpty && AtomicRef(slots[at]).replace(kEmpty, neuron)) found = at;
  AtomicRef(place(table, neuron)).store(found);
}

void Tables::move(int table, uint32_t neuron, const uint64_t* signature, float norm) {
  if (!capacity_) return;  // not made yet
  uint32_t& place = this->place(table, neuron);
  const uint32_t to = key(table, signature);
  const uint32_t seen = AtomicRef(place).load_relaxed();
  if (seen == kMoving) return;
  if (seen != kEmpty && seen / capacity_ == to) {
    if (keeps_longest()) length_[first_slot(table) + seen] = norm;
    return;
  }
  const uint32_t from = AtomicRef(place).exchange(kMoving);
  if (from == kMoving) return;
  if (from != kEmpty) AtomicRef(slots_[first_slot(table) + from]).store(kEmpty);
  if (from != kEmpty && keeps_longest()) length_[first_slot(table) + from] = kNone;
  insert(table, neuron, to, norm);
}

std::vector<uint32_t> Tables::load_histogram() const {
  std::vector<uint32_t> histogram(capacity_ + 1);
  for (size_t b = 0; capacity_ && b < slots_.size() / capacity_; b++) {
    const uint32_t* bucket = &slots_[b * capacity_];
    histogram[static_cast<size_t>(std::count_if(bucket, bucket + capacity_, [](uint32_t i) { return i != kEmpty; }))]++;
  }
  while (histogram.size() > 1 && histogram.back() == 0) histogram.pop_back();
  return histogram;
}

uint64_t Tables::overflow() const { return static_cast<uint64_t>(std::count(place_.begin(), place_.end(), kEmpty)); }

}  // namespace hashgrad
