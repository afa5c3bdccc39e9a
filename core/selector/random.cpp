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
  explicit RandomChoice(const LayerSpec& spec) : n_kept_(spec.n_kept()), by_input_(spec.layout == Layout::kInput) {}

  void propose(const Row&, uint32_t n, const Ask& ask, Query&, SelectScratch& scratch, Proposal& out,
               Counts&) const override {
    out.all = !ask.training || by_input_;
    if (!out.all) draw(n, ask, scratch, out);
  }
  void keep(uint32_t n, const Ask& ask, SelectScratch& scratch, Proposal& proposal, ActiveSet& out,
            Counts&) const override {
    out.uniform_gain = ask.training ? 1.f : static_cast<float>(n_kept_) / static_cast<float>(n);
    if (!ask.training || !by_input_) return keep_everything(n, proposal, out);
    proposal.all = false;
    draw(n, ask, scratch, proposal);
    std::swap(out.id, proposal.id);
    out.z.clear();
    for (const uint32_t i : out.id) out.z.push_back(proposal.z[i]);
  }

 private:
  // Floyd's algorithm: n_kept of n without replacement, in n_kept draws.
  void draw(uint32_t n, const Ask& ask, SelectScratch& scratch, Proposal& proposal) const {
    Random random(ask.seed, Purpose::kDropout, ask.layer, ask.step);
    std::vector<uint32_t>& out = proposal.id;
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
    propose_forced(ask.forced, proposal);
  }

  uint32_t n_kept_;
  bool by_input_;  // which evaluates every neuron in any case
};

}  // namespace

std::unique_ptr<Selector> make_random(const LayerSpec& spec) { return std::make_unique<RandomChoice>(spec); }

}  // namespace hashgrad
