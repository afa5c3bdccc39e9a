// WTA: the exact top k of all activations (Makhzani & Frey 2015). What LSH approximates, at the
// price of the dense pass.
#include "selector/selector.h"

namespace hashgrad {

namespace {

class WinnerTakeAll final : public Selector {
 public:
  explicit WinnerTakeAll(const LayerSpec& spec) : n_kept_(spec.n_kept()) {}

  void select(const Row& x, const Weights& w, const Ask& ask, Query&, SelectScratch& scratch, ActiveSet& out,
              Counts& counts) const override {
    evaluate_all(x, w, out);
    keep_largest(n_kept_, scratch, out);
    const uint32_t again = add_forced(x, w, ask.forced, out);
    counts.forward += out.id.size() * x.cost();
    counts.rerank += (w.n_rows + again - out.id.size()) * x.cost();
    counts.candidates += w.n_rows;
  }

 private:
  uint32_t n_kept_;
};

}  // namespace

std::unique_ptr<Selector> make_winner_take_all(const LayerSpec& spec) { return std::make_unique<WinnerTakeAll>(spec); }

}  // namespace hashgrad
