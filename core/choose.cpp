#include "choose.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>

#include "kernels/kernels.h"
#include "random.h"

namespace hashgrad {

namespace {

// Whole numbers that lie as the floats do: zeros are equal, and a NaN is greater than all.
uint32_t order_of(float z) {
  if (z != z) return 0xffffffff;
  const auto bits = std::bit_cast<uint32_t>(z + 0.f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// What the kernel finds, of numbers that it cannot rank: some are not finite, or their squares are not.
Cut cut_by_sorting(const float* z, uint32_t n, uint32_t k, ChooseScratch& scratch) {
  std::vector<uint32_t>& order = scratch.tie;
  order.resize(n);
  for (uint32_t i = 0; i < n; i++) order[i] = order_of(z[i]);
  std::nth_element(order.begin(), order.begin() + (k - 1), order.end(), std::greater<>());
  const uint32_t least = order[k - 1];
  Cut cut{0.f, 0, 0, true};
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t o = order_of(z[i]);
    if (o < least) continue;
    scratch.position[count++] = i;
    cut.above += o > least;
    if (o == least) cut.value = z[i];
  }
  cut.equal = count - cut.above;
  return cut;
}

}  // namespace

void choose_largest(const float* z, uint32_t n, uint32_t k, uint64_t salt, ChooseScratch& scratch,
                    std::vector<uint32_t>& out, const uint32_t* ids) {
  if (k >= n) {
    out.resize(n);
    std::iota(out.begin(), out.end(), 0u);
    return;
  }
  if (k == 0) return out.clear();
  scratch.position.resize(std::max<size_t>(scratch.position.size(), size_t{n} + 16));
  if (n >= 1 << 16) scratch.value.resize(std::max<size_t>(scratch.value.size(), n / 4));
  Cut cut = active().largest(z, n, k, scratch.position.data(), scratch.value.data());
  if (!cut.known || cut.above + cut.equal < k) cut = cut_by_sorting(z, n, k, scratch);
  out.assign(scratch.position.begin(), scratch.position.begin() + cut.above + cut.equal);
  uint32_t room = k - cut.above;
  if (room == cut.equal) return;
  std::vector<uint32_t>& tie = scratch.tie;  // those that go
  tie.clear();
  const uint32_t least = order_of(cut.value);
  for (const uint32_t i : out)
    if (order_of(z[i]) == least) tie.push_back(i);
  if (salt) {
    std::nth_element(tie.begin(), tie.begin() + room, tie.end(), [&](uint32_t a, uint32_t b) {
      return mix(salt ^ (ids ? ids[a] : a)) < mix(salt ^ (ids ? ids[b] : b));
    });
    std::sort(tie.begin() + room, tie.end());
  }
  auto gone = tie.begin() + room;
  std::erase_if(out, [&](uint32_t i) { return gone != tie.end() && *gone == i && (++gone, true); });
}

}  // namespace hashgrad
