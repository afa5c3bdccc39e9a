// VD, vanilla dropout: a fixed number of neurons, drawn anew for each example (Srivastava et al.
// 2014). Prediction uses every neuron, scaled by k / n. (Scaling by n / k in training instead has
// the same mean, but with 5 % kept multiplies activations, and so steps, by 20: training diverges
// at rates that suit the other methods.)
#include "random.h"

#include <algorithm>

#include "selector/selector.h"

namespace hashgrad {

namespace {

class RandomChoice final : public Selector {
 public:
  explicit RandomChoice(const LayerSpec& spec) : n_kept_(spec.n_kept()) {}

  void propose(const Row&, uint32_t n, const Ask& ask, Query&, SelectScratch& scratch, Proposal& out,
               Counts&) const override {
    out.all = !ask.training;
    if (out.all) return;
    draw(n, Random(ask.seed, Purpose::kDropout, ask.layer, ask.step), scratch, out.id);
    propose_forced(ask.forced, out);
  }
  void keep(uint32_t n, const Ask& ask, SelectScratch&, Proposal& proposal, ActiveSet& out, Counts&) const override {
    out.uniform_gain = ask.training ? 1.f : static_cast<float>(n_kept_) / static_cast<float>(n);
    keep_everything(n, proposal, out);
  }

 private:
  // Floyd's algorithm: n_kept of n without replacement, in n_kept draws.
  void draw(uint32_t n, Random random, SelectScratch& scratch, std::vector<uint32_t>& out) const {
    scratch.taken.resize(std::max<size_t>(scratch.taken.size(), n));
    out.clear();
    for (uint32_t j = n - n_kept_; j < n; j++) {
      const uint32_t r = random.below(j + 1);
      const uint32_t i = scratch.taken[r] ? j : r;
      scratch.taken[i] = 1;
      out.push_back(i);
    }
    for (const uint32_t i : out) scratch.taken[i] = 0;
    std::sort(out.begin(), out.end());
  }

  uint32_t n_kept_;
};

}  // namespace

std::unique_ptr<Selector> make_random(const LayerSpec& spec) { return std::make_unique<RandomChoice>(spec); }

}  // namespace hashgrad
