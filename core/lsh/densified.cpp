#include "lsh/densified.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>

#include "memory.h"
#include "random.h"

namespace hashgrad {

namespace {

constexpr uint32_t kNoSlot = ~0u;
constexpr uint32_t kTries = 64;  // of a random sequence, before bins are asked one after the other

// Larger for larger numbers; a NaN has a place like any other.
uint32_t ordered(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

uint32_t scaled(uint64_t random, uint32_t n) { return static_cast<uint32_t>((random >> 32) * n >> 32); }  // to [0, n)

}  // namespace

Densified::Densified(uint32_t n_inputs, const LshSpec& spec, uint64_t seed, uint64_t layer)
    : family_(spec.family),
      n_inputs_(n_inputs),
      n_codes_(static_cast<uint32_t>(spec.bits * spec.tables / spec.code_bits)),
      code_bits_(static_cast<uint32_t>(spec.code_bits)),
      n_words_(static_cast<uint32_t>(round_up(spec.bits * spec.tables, 64) / 64)) {
  Random random(seed, Purpose::kProjection, layer);
  lender_key_ = random.next();
  if (family_ == Family::kMinHash) {
    column_key_ = random.next();
    return;
  }
  // An order fills whole bins, so that no column meets itself in one; of fewer columns than a bin has places, one bin.
  const uint32_t size = 1u << code_bits_, bins = std::max(1u, n_inputs / size);
  n_orders_ = (n_codes_ + bins - 1) / bins;
  slot_.assign(size_t{n_inputs} * n_orders_, kNoSlot);
  std::vector<uint32_t> column(n_inputs);
  for (uint32_t o = 0; o < n_orders_; o++) {
    std::iota(column.begin(), column.end(), 0u);
    for (uint32_t i = n_inputs; i > 1; i--) std::swap(column[i - 1], column[random.below(i)]);
    const uint32_t first = o * bins, n = std::min(bins, n_codes_ - first);
    for (uint32_t place = 0; place < std::min(n_inputs, n * size); place++)
      slot_[size_t{column[place]} * n_orders_ + o] = first * size + place;
  }
}

void Densified::offer(uint32_t column, float value, uint64_t* winner) const {
  if (family_ == Family::kMinHash) {
    const uint64_t hash = mix(column_key_ ^ column);
    uint64_t& least = winner[scaled(hash, n_codes_)];
    least = std::max(least, ~(hash & 0xffffffffu));
    return;
  }
  const uint64_t rank = uint64_t{ordered(value)} << 32;
  for (const uint32_t *slot = &slot_[size_t{column} * n_orders_], *end = slot + n_orders_; slot < end; slot++) {
    if (*slot == kNoSlot) continue;
    uint64_t& largest = winner[*slot >> code_bits_];
    largest = std::max(largest, rank | (~*slot & ((1u << code_bits_) - 1)));  // of equal ones the first
  }
}

void Densified::hash_input(const Row& x, Bins& bins, uint64_t* word) const {
  bins.winner.assign(n_codes_, kEmpty);
  for (uint32_t e = 0; e + 1 < x.n; e++)
    if (x.value[e] != 0.f) offer(x.index[e], x.value[e], bins.winner.data());
  write_codes(bins.winner.data(), word);
}

void Densified::hash_neuron(const float* w, uint32_t set, Bins& bins, uint64_t* word) const {
  bins.winner.assign(n_codes_, kEmpty);
  if (family_ == Family::kMinHash) {
    bins.order.resize(n_inputs_);
    for (uint32_t j = 0; j < n_inputs_; j++) bins.order[j] = uint64_t{ordered(w[j])} << 32 | ~j;
    const auto end = bins.order.begin() + std::min(set, n_inputs_);
    std::nth_element(bins.order.begin(), end, bins.order.end(), std::greater<>());
    for (auto at = bins.order.begin(); at < end; at++) offer(~static_cast<uint32_t>(*at), 0.f, bins.winner.data());
  } else {
    for (uint32_t j = 0; j < n_inputs_; j++)
      if (w[j] != 0.f) offer(j, w[j], bins.winner.data());
  }
  write_codes(bins.winner.data(), word);
}

uint32_t Densified::lender(uint32_t bin, const uint64_t* winner) const {
  uint32_t at = bin;
  for (uint32_t t = 1; t <= kTries; t++) {
    at = scaled(mix(lender_key_ ^ (uint64_t{bin} << 32 | t)), n_codes_);
    if (winner[at] != kEmpty) return at;
  }
  while (winner[at] == kEmpty) at = at + 1 == n_codes_ ? 0 : at + 1;
  return at;
}

void Densified::write_codes(const uint64_t* winner, uint64_t* word) const {
  std::fill_n(word, n_words_, uint64_t{0});
  if (std::all_of(winner, winner + n_codes_, [](uint64_t w) { return w == kEmpty; })) return;
  const uint64_t mask = (uint64_t{1} << code_bits_) - 1;
  for (uint32_t b = 0; b < n_codes_; b++) {
    const uint64_t code = ~winner[winner[b] != kEmpty ? b : lender(b, winner)] & mask;
    word[b * code_bits_ / 64] |= code << (b * code_bits_ % 64);
  }
}

uint32_t Densified::set_size(std::span<const Row> sample) const {
  uint64_t total = 0;
  for (const Row& x : sample)
    total += static_cast<uint64_t>(std::count_if(x.value, x.value + x.n - 1, [](float v) { return v != 0.f; }));
  const uint64_t n = std::max<uint64_t>(1, sample.size());
  return static_cast<uint32_t>(std::clamp<uint64_t>((2 * total + n) / (2 * n), 1, std::max(1u, n_inputs_)));
}

}  // namespace hashgrad
