// LSH: hash the input, take the neurons whose hashes are nearest, evaluate those, keep the best.
#include <cmath>

#include "selector/selector.h"

namespace hashgrad {

namespace {

class Lsh final : public Selector {
 public:
  Lsh(const LayerSpec& spec, std::unique_ptr<LshIndex> index)
      : n_kept_(spec.n_kept()),
        n_candidates_(static_cast<uint32_t>(
            std::min(double{1} * spec.n_outputs, std::ceil(double{spec.lsh.candidates} * n_kept_)))),
        index_(std::move(index)),
        exact_(make_winner_take_all(spec)) {}

  void select(const Row& x, const Weights& w, const Ask& ask, Query& query, SelectScratch& scratch, ActiveSet& out,
              Counts& counts) const override {
    if (ask.exact) return exact_->select(x, w, ask, query, scratch, out, counts);
    index_->family().hash_query(x, query);
    counts.query += index_->family().query_cost(x) + index_->lookup_cost();
    index_->candidates(query, n_candidates_, scratch.lookup, out.id);
    const size_t evaluated = out.id.size();
    out.z.resize(evaluated);
    active().dot_rows(w.data, w.stride, out.id.data(), static_cast<uint32_t>(evaluated), x, out.z.data());
    keep_largest(n_kept_, scratch, out);
    counts.rerank += (evaluated - out.id.size()) * x.cost();
    const uint32_t added = add_forced(x, w, ask.forced, out);
    counts.forward += out.id.size() * x.cost();
    counts.candidates += evaluated + added;
  }

  LshIndex* index() override { return index_.get(); }

 private:
  uint32_t n_kept_, n_candidates_;
  std::unique_ptr<LshIndex> index_;
  std::unique_ptr<Selector> exact_;
};

}  // namespace

std::unique_ptr<Selector> make_lsh(const LayerSpec& spec, std::unique_ptr<LshIndex> index) {
  return std::make_unique<Lsh>(spec, std::move(index));
}

}  // namespace hashgrad
