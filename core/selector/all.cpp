// NN: every neuron, the dense network.
#include "selector/selector.h"

namespace hashgrad {

namespace {

class All final : public Selector {
 public:
  void propose(const Row&, uint32_t, const Ask&, Query&, SelectScratch&, Proposal& out, Counts&) const override {
    out.all = true;
  }
  void keep(uint32_t n, const Ask&, SelectScratch&, Proposal& proposal, ActiveSet& out, Counts&) const override {
    keep_everything(n, proposal, out);
  }
};

}  // namespace

std::unique_ptr<Selector> make_all() { return std::make_unique<All>(); }

}  // namespace hashgrad
