// The k largest of some numbers.
#pragma once

#include <cstdint>
#include <vector>

namespace hashgrad {

// Reused: no allocation once warm.
struct ChooseScratch {
  std::vector<uint32_t> position;
  std::vector<float> value;
  std::vector<uint32_t> tie;
};

// Positions of the k largest of z[0..n), ascending. A NaN counts as larger than any number, so that it is kept and
// reported, not passed over. Among equals at the border the lower positions are kept or, with a `salt`, those that salt
// and position pick together: then none is favoured for its number. `ids`: what stands at those positions, ascending
// unless there is a salt, if it is not the positions themselves; it is then what ties are broken by.
void choose_largest(const float* z, uint32_t n, uint32_t k, uint64_t salt, ChooseScratch& scratch,
                    std::vector<uint32_t>& out, const uint32_t* ids = nullptr);

}  // namespace hashgrad
