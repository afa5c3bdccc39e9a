#include "choose.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>

#include "kernels/kernels.h"
#include "random.h"

namespace hashgrad {

namespace {

// Greater z, then lower position, gives a greater key.
uint64_t sort_key(float z, uint32_t position) {
  if (z != z) return uint64_t{0xffffffff} << 32 | ~position;
  const auto bits = std::bit_cast<uint32_t>(z);
  return uint64_t{bits >> 31 ? ~bits : bits | 0x80000000u} << 32 | ~position;
}

void choose_by_sorting(const float* z, uint32_t n, uint32_t k, std::vector<uint64_t>& key, std::vector<uint32_t>& out) {
  key.resize(n);
  for (uint32_t i = 0; i < n; i++) key[i] = sort_key(z[i], i);
  std::nth_element(key.begin(), key.begin() + (k - 1), key.end(), std::greater<>());
  out.resize(k);
  for (uint32_t j = 0; j < k; j++) out[j] = ~static_cast<uint32_t>(key[j]);
  std::sort(out.begin(), out.end());
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
  const Cut cut = active().largest(z, n, k, scratch.position.data(), scratch.value.data());
  if (!cut.known || cut.above + cut.equal < k) return choose_by_sorting(z, n, k, scratch.key, out);
  out.assign(scratch.position.begin(), scratch.position.begin() + cut.above + cut.equal);
  uint32_t room = k - cut.above;
  if (room == cut.equal) return;
  std::vector<uint32_t>& tie = scratch.tie;  // those that go
  tie.clear();
  for (const uint32_t i : out)
    if (z[i] == cut.value) tie.push_back(i);
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
