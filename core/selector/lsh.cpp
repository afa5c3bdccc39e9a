// LSH: hash the input, take the neurons whose hashes are nearest, evaluate those, keep the best.
#include <algorithm>
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
        index_(std::move(index)) {}

  bool scans(const Ask& ask) const override { return index_->scans() && !ask.exact; }

  void propose(const Row& x, uint32_t, const Ask& ask, Query& query, SelectScratch& scratch, Proposal& out,
               Counts& counts) const override {
    out.all = ask.exact;
    if (ask.exact) return;
    const bool moves = ask.training && index_->incremental();
    index_->family().hash_query(x, moves, query);
    counts.query += index_->family().query_cost(x, moves) + index_->lookup_cost();
    if (index_->scans()) return;
    index_->look_up(query, n_candidates_, scratch.lookup, out.id);
    propose_forced(ask.forced, out);
  }

  void nominate(const Ask& ask, const Query& query, SelectScratch& scratch, Proposal& out) const override {
    index_->nearest(query, out.score.data(), n_candidates_, scratch.lookup, out.id);
    propose_forced(ask.forced, out);
  }

  void keep(uint32_t n, const Ask& ask, SelectScratch& scratch, Proposal& proposal, ActiveSet& out,
            Counts&) const override {
    keep_largest(n, n_kept_, ask.forced, scratch, proposal, out);
  }

  LshIndex* index() override { return index_.get(); }

 private:
  uint32_t n_kept_, n_candidates_;
  std::unique_ptr<LshIndex> index_;
};

}  // namespace

std::unique_ptr<Selector> make_lsh(const LayerSpec& spec, std::unique_ptr<LshIndex> index) {
  return std::make_unique<Lsh>(spec, std::move(index));
}

}  // namespace hashgrad
