// NN: every neuron, the dense network.
#include "selector/selector.h"

namespace hashgrad {

namespace {

class All final : public Selector {
 public:
  void select(const Row& x, const Weights& w, const Ask&, Query&, SelectScratch&, ActiveSet& out,
              Counts& counts) const override {
    evaluate_all(x, w, out);
    counts.forward += w.n_rows * x.cost();
    counts.candidates += w.n_rows;
  }
};

}  // namespace

std::unique_ptr<Selector> make_all() { return std::make_unique<All>(); }

}  // namespace hashgrad
