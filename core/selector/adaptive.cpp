// AD, adaptive dropout (Ba & Frey 2013): a neuron is kept with probability sigmoid(alpha * z +
// beta). All activations are needed to know the probabilities, so nothing is saved in the forward
// pass. Prediction multiplies by the probability.
#include <cmath>

#include "random.h"
#include "selector/selector.h"

namespace hashgrad {

namespace {

class Adaptive final : public Selector {
 public:
  explicit Adaptive(const LayerSpec& spec) : alpha_(spec.alpha), beta_(spec.beta) {}

  void select(const Row& x, const Weights& w, const Ask& ask, Query&, SelectScratch&, ActiveSet& out,
              Counts& counts) const override {
    evaluate_all(x, w, out);
    counts.query += uint64_t{w.n_rows} * 3;  // alpha * z, exp, division
    counts.candidates += w.n_rows;
    out.gain.clear();
    if (!ask.training) {
      for (uint32_t i = 0; i < w.n_rows; i++) out.gain.push_back(probability(out.z[i]));
      counts.forward += w.n_rows * x.cost();
      return;
    }
    Random random(ask.seed, Purpose::kDropout, ask.layer, ask.step);
    size_t kept = 0;
    for (uint32_t i = 0; i < w.n_rows; i++)
      if (!(random.uniform() >= probability(out.z[i])))  // a NaN is kept, to be reported at the loss
        out.id[kept] = i, out.z[kept] = out.z[i], kept++;
    out.id.resize(kept);
    out.z.resize(kept);
    const uint32_t again = add_forced(x, w, ask.forced, out);
    counts.forward += out.id.size() * x.cost();
    counts.rerank += (w.n_rows + again - out.id.size()) * x.cost();
  }

 private:
  float probability(float z) const { return 1.f / (1.f + std::exp(-(alpha_ * z + beta_))); }

  float alpha_, beta_;
};

}  // namespace

std::unique_ptr<Selector> make_adaptive(const LayerSpec& spec) { return std::make_unique<Adaptive>(spec); }

}  // namespace hashgrad
