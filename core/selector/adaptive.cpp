// AD, adaptive dropout (Ba & Frey 2013): a neuron is kept with probability sigmoid(alpha * z +
// beta). All activations are needed to know the probabilities, so nothing is saved in the forward
// pass. Prediction multiplies by the probability.
#include <algorithm>
#include <cmath>

#include "random.h"
#include "selector/selector.h"

namespace hashgrad {

namespace {

class Adaptive final : public Selector {
 public:
  explicit Adaptive(const LayerSpec& spec) : alpha_(spec.alpha), beta_(spec.beta) {}

  void propose(const Row&, uint32_t, const Ask&, Query&, SelectScratch&, Proposal& out, Counts&) const override {
    out.all = true;
  }
  void keep(uint32_t n, const Ask& ask, SelectScratch& scratch, Proposal& proposal, ActiveSet& out,
            Counts& counts) const override {
    counts.query += uint64_t{n} * 3;  // alpha * z, exp, division
    out.gain.clear();
    if (!ask.training) {
      for (uint32_t i = 0; i < n; i++) out.gain.push_back(probability(proposal.z[i]));
      return keep_everything(n, proposal, out);
    }
    Random random(ask.seed, Purpose::kDropout, ask.layer, ask.step);
    std::vector<uint32_t>& kept = scratch.position;
    kept.clear();
    for (uint32_t i = 0; i < n; i++) {
      const bool forced = std::find(ask.forced.begin(), ask.forced.end(), static_cast<int32_t>(i)) != ask.forced.end();
      // a NaN is kept, to be reported at the loss
      if (!(random.uniform() >= probability(proposal.z[i])) || forced) kept.push_back(i);
    }
    keep_positions(kept, proposal, out);
  }

 private:
  float probability(float z) const { return 1.f / (1.f + std::exp(-(alpha_ * z + beta_))); }

  float alpha_, beta_;
};

}  // namespace

std::unique_ptr<Selector> make_adaptive(const LayerSpec& spec) { return std::make_unique<Adaptive>(spec); }

}  // namespace hashgrad
