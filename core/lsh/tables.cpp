#include "lsh/tables.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>

namespace hashgrad {

namespace {

constexpr uint32_t kMoving = Tables::kEmpty - 1;
constexpr size_t kAmpleSlots = size_t{1} << 26;  // 256 MiB: up to here, buckets are as large as the fullest needs
constexpr auto kRelaxed = std::memory_order_relaxed;

std::atomic_ref<uint32_t> atomic(uint32_t& x) { return std::atomic_ref<uint32_t>(x); }

}  // namespace

Tables::Tables(uint32_t n_neurons, int bits, int tables)
    : n_neurons_(n_neurons), bits_(bits), tables_(tables), place_(size_t{n_neurons} * static_cast<size_t>(tables)) {
  place_.fill(kEmpty);
}

uint32_t Tables::key(int table, const uint64_t* signature) const {
  const size_t at = static_cast<size_t>(table) * static_cast<size_t>(bits_);
  const size_t shift = at % 64;
  uint64_t key = signature[at / 64] >> shift;
  if (shift + static_cast<size_t>(bits_) > 64) key |= signature[at / 64 + 1] << (64 - shift);
  return static_cast<uint32_t>(key & ((uint64_t{1} << bits_) - 1));
}

void Tables::rebuild(const uint64_t* signatures, size_t words) {
  const size_t n_buckets = size_t{1} << bits_;
  std::vector<uint32_t> load(n_buckets);
  uint32_t most = 0;
  for (int t = 0; t < tables_; t++) {
    std::fill(load.begin(), load.end(), 0);
    for (uint32_t i = 0; i < n_neurons_; i++) most = std::max(most, ++load[key(t, signatures + i * words)]);
  }
  // Room to move in, within bounds where a few buckets hold nearly all; what does not fit is counted as overflow. It
  // follows from the signatures alone, not from what the tables were before: a resumed run must find the same.
  const size_t room = std::max(
      {size_t{32}, 64 * size_t{n_neurons_} / n_buckets, kAmpleSlots / (n_buckets * static_cast<size_t>(tables_))});
  capacity_ = static_cast<uint32_t>(round_up(std::min<size_t>(most + most / 2 + 4, room), 8));
  if (n_buckets * capacity_ >= kMoving) throw std::length_error("a hash table of more than 2^32 slots");
  const size_t n_slots = static_cast<size_t>(tables_) * n_buckets * capacity_;
  if (slots_.size() != n_slots) slots_ = Array<uint32_t>(n_slots);
  slots_.fill(kEmpty);
  for (int t = 0; t < tables_; t++)
    for (uint32_t i = 0; i < n_neurons_; i++) insert(t, i, key(t, signatures + i * words));
}

void Tables::insert(int table, uint32_t neuron, uint32_t key) {
  const uint32_t first = key * capacity_;
  uint32_t* slots = &slots_[(static_cast<size_t>(table) << bits_) * capacity_];
  uint32_t found = kEmpty;
  for (uint32_t at = first; at < first + capacity_ && found == kEmpty; at++) {
    uint32_t empty = kEmpty;
    if (slots[at] == kEmpty && atomic(slots[at]).compare_exchange_strong(empty, neuron)) found = at;
  }
  atomic(place_[static_cast<size_t>(table) * n_neurons_ + neuron]).store(found);
}

void Tables::move(int table, uint32_t neuron, const uint64_t* signature) {
  uint32_t& place = place_[static_cast<size_t>(table) * n_neurons_ + neuron];
  const uint32_t to = key(table, signature);
  const uint32_t seen = atomic(place).load(kRelaxed);
  if (seen == kMoving || (seen != kEmpty && seen / capacity_ == to)) return;
  const uint32_t from = atomic(place).exchange(kMoving);
  if (from == kMoving) return;
  if (from != kEmpty) atomic(slots_[(static_cast<size_t>(table) << bits_) * capacity_ + from]).store(kEmpty);
  insert(table, neuron, to);
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
