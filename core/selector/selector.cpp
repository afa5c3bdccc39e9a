#include "selector/selector.h"

#include <algorithm>
#include <numeric>

namespace hashgrad {

void propose_forced(std::span<const int32_t> forced, Proposal& proposal) {
  if (proposal.all) return;
  for (const int32_t label : forced) {
    const auto i = static_cast<uint32_t>(label);
    const auto at = std::lower_bound(proposal.id.begin(), proposal.id.end(), i);
    if (at == proposal.id.end() || *at != i) proposal.id.insert(at, i);
  }
}

void keep_everything(uint32_t n, Proposal& proposal, ActiveSet& out) {
  if (proposal.all) {
    out.id.resize(n);
    std::iota(out.id.begin(), out.id.end(), 0u);
  } else {
    std::swap(out.id, proposal.id);
  }
  std::swap(out.z, proposal.z);
  out.z.resize(out.id.size());
}

void keep_positions(const std::vector<uint32_t>& position, const Proposal& proposal, ActiveSet& out) {
  out.id.resize(position.size());
  out.z.resize(position.size());
  for (size_t k = 0; k < position.size(); k++) {
    out.id[k] = proposal.all ? position[k] : proposal.id[position[k]];
    out.z[k] = proposal.z[position[k]];
  }
}

void keep_largest(uint32_t n, uint32_t wanted, std::span<const int32_t> forced, SelectScratch& scratch,
                  const Proposal& proposal, ActiveSet& out) {
  std::vector<uint32_t>& kept = scratch.position;
  choose_largest(proposal.z.data(), proposal.size(n), wanted, 0, scratch.choose, kept);
  for (const int32_t label : forced) {
    auto position = static_cast<uint32_t>(label);
    if (!proposal.all)
      position = static_cast<uint32_t>(std::lower_bound(proposal.id.begin(), proposal.id.end(), position) -
                                       proposal.id.begin());
    const auto at = std::lower_bound(kept.begin(), kept.end(), position);
    if (at == kept.end() || *at != position) kept.insert(at, position);
  }
  keep_positions(kept, proposal, out);
}

}  // namespace hashgrad
