#include "selector/selector.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace hashgrad {

void evaluate_all(const Row& x, const Weights& w, ActiveSet& out) {
  out.id.resize(w.n_rows);
  out.z.resize(w.n_rows);
  std::iota(out.id.begin(), out.id.end(), 0u);
  active().dot_rows(w.data, w.stride, nullptr, w.n_rows, x, out.z.data());
}

namespace {

// Greater z, then smaller number, gives a greater key. NaN comes first, so that it is kept and
// reported, not passed over.
uint64_t sort_key(float z, uint32_t id) {
  if (z != z) return uint64_t{0xffffffff} << 32 | (~id);
  const auto bits = std::bit_cast<uint32_t>(z);
  const uint32_t ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
  return uint64_t{ordered} << 32 | (~id);
}

}  // namespace

void keep_largest(uint32_t n, SelectScratch& scratch, ActiveSet& set) {
  if (set.id.size() <= n) return;
  if (n == 0) {
    set.id.clear();
    set.z.clear();
    return;
  }
  scratch.order.resize(set.id.size());
  for (size_t k = 0; k < set.id.size(); k++) scratch.order[k] = sort_key(set.z[k], set.id[k]);
  std::nth_element(scratch.order.begin(), scratch.order.begin() + (n - 1), scratch.order.end(), std::greater<>());
  const uint64_t last = scratch.order[n - 1];
  size_t kept = 0;
  for (size_t k = 0; k < set.id.size(); k++)
    if (sort_key(set.z[k], set.id[k]) >= last) set.id[kept] = set.id[k], set.z[kept] = set.z[k], kept++;
  set.id.resize(kept);
  set.z.resize(kept);
}

uint32_t add_forced(const Row& x, const Weights& w, std::span<const int32_t> forced, ActiveSet& set) {
  uint32_t added = 0;
  for (const int32_t label : forced) {
    const auto i = static_cast<uint32_t>(label);
    if (std::find(set.id.begin(), set.id.end(), i) != set.id.end()) continue;
    float z;
    active().dot_rows(w.data, w.stride, &i, 1, x, &z);
    set.id.push_back(i);
    set.z.push_back(z);
    added++;
  }
  return added;
}

}  // namespace hashgrad
