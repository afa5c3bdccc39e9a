// VD, vanilla dropout: a fixed number of neurons, drawn anew for each example (Srivastava et al.
// 2014). Prediction uses every neuron, scaled by k / n. (Scaling by n / k in training instead has
// the same mean, but with 5 % kept multiplies activations, and so steps, by 20: training diverges
// at rates that suit the other methods.)
#include "random.h"

#include "selector/selector.h"

namespace hashgrad {

namespace {

class RandomChoice final : public Selector {
 public:
  explicit RandomChoice(const LayerSpec& spec) : n_kept_(spec.n_kept()) {}

  void select(const Row& x, const Weights& w, const Ask& ask, Query&, SelectScratch& scratch, ActiveSet& out,
              Counts& counts) const override {
    out.uniform_gain = ask.training ? 1.f : static_cast<float>(n_kept_) / static_cast<float>(w.n_rows);
    if (!ask.training) {
      evaluate_all(x, w, out);
    } else {
      draw(w.n_rows, Random(ask.seed, Purpose::kDropout, ask.layer, ask.step), scratch, out);
      out.z.resize(out.id.size());
      active().dot_rows(w.data, w.stride, out.id.data(), n_kept_, x, out.z.data());
      add_forced(x, w, ask.forced, out);
    }
    counts.forward += out.id.size() * x.cost();
    counts.candidates += out.id.size();
  }

 private:
  // Floyd's algorithm: n_kept of n without replacement, in n_kept draws.
  void draw(uint32_t n, Random random, SelectScratch& scratch, ActiveSet& out) const {
    scratch.taken.resize(n);
    out.id.clear();
    for (uint32_t j = n - n_kept_; j < n; j++) {
      const uint32_t r = random.below(j + 1);
      const uint32_t i = scratch.taken[r] ? j : r;
      scratch.taken[i] = 1;
      out.id.push_back(i);
    }
    for (const uint32_t i : out.id) scratch.taken[i] = 0;
  }

  uint32_t n_kept_;
};

}  // namespace

std::unique_ptr<Selector> make_random(const LayerSpec& spec) { return std::make_unique<RandomChoice>(spec); }

}  // namespace hashgrad
