// WTA: the exact top k of all activations (Makhzani & Frey 2015). What LSH approximates, at the
// price of evaluating every neuron.
#include "selector/selector.h"

namespace hashgrad {

namespace {

class WinnerTakeAll final : public Selector {
 public:
  explicit WinnerTakeAll(const LayerSpec& spec) : n_kept_(spec.n_kept()) {}

  void propose(const Row&, uint32_t, const Ask&, Query&, SelectScratch&, Proposal& out, Counts&) const override {
    out.all = true;
  }
  void keep(uint32_t n, const Ask& ask, SelectScratch& scratch, Proposal& proposal, ActiveSet& out,
            Counts&) const override {
    keep_largest(n, std::max(n_kept_, ask.least), ask.forced, scratch, proposal, out);
  }

 private:
  uint32_t n_kept_;
};

}  // namespace

std::unique_ptr<Selector> make_winner_take_all(const LayerSpec& spec) { return std::make_unique<WinnerTakeAll>(spec); }

}  // namespace hashgrad
