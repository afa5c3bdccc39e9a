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
        n_neurons_(spec.n_outputs),
        candidates_(spec.lsh.candidates),
        pooled_(spec.pools()),
        query_every_(spec.lsh.query_every),
        index_(std::move(index)) {}

  // The tables of a pooled layer find hard negatives, many of them, fast; prediction wants the best few, and compares
  // the codes of all.
  bool may_scan(bool pools) const override {
    if (pools && query_every_ == 0) return false;
    return index_->scans() || (pooled_ && !pools);
  }
  bool scans(const Ask& ask) const override { return compares_all(ask) && !alone(ask); }

  void propose(const Row& x, uint32_t, const Ask& ask, Query& query, SelectScratch& scratch, Proposal& out,
               Counts& counts) const override {
    out.all = ask.exact;
    if (ask.exact) return;
    if (!looks(ask)) {
      out.id.clear();
      return propose_forced(ask.forced, out);
    }
    const bool moves = ask.training && index_->incremental();
    index_->family().hash_query(x, moves, query);
    counts.query += index_->family().query_cost(x, moves) + index_->lookup_cost(compares_all(ask));
    if (scans(ask)) return;
    if (alone(ask))
      counts.query += index_->find(query, wanted(ask), scratch.lookup, out.id);
    else
      index_->look_up(query, wanted(ask), scratch.lookup, out.id);
    propose_forced(ask.forced, out);
  }

  void nominate(const Ask& ask, const Query& query, SelectScratch& scratch, Proposal& out) const override {
    index_->nearest(query, out.score.data(), wanted(ask), scratch.lookup, out.id);
    propose_forced(ask.forced, out);
  }

  void keep(uint32_t n, const Ask& ask, SelectScratch& scratch, Proposal& proposal, ActiveSet& out,
            Counts&) const override {
    keep_largest(n, std::max(n_kept_, ask.least), ask.forced, scratch, proposal, out);
  }

  LshIndex* index() override { return index_.get(); }

 private:
  // Of a pool's examples, some look for neurons; the others learn from what those find.
  bool looks(const Ask& ask) const {
    return !pooled_ || !ask.training || !ask.in_turn || (query_every_ > 0 && ask.step % query_every_ == 0);
  }

  bool compares_all(const Ask& ask) const {
    return !ask.exact && (index_->scans() || (pooled_ && !ask.training)) && looks(ask);
  }
  // Those who predict have no team to share a scan with.
  bool alone(const Ask& ask) const { return !ask.training && index_->scans_alone() && compares_all(ask); }

  // What goes into a pool is evaluated for all: as many wrong neurons as are to be kept, beside the right ones.
  uint32_t wanted(const Ask& ask) const {
    if (pooled_ && ask.training) return n_kept_ + static_cast<uint32_t>(ask.forced.size());
    const double several = std::ceil(candidates_ * std::max(n_kept_, ask.least));
    return static_cast<uint32_t>(std::min(double{1} * n_neurons_, several));
  }

  uint32_t n_kept_, n_neurons_;
  double candidates_;  // for each one kept
  bool pooled_;
  uint64_t query_every_;
  std::unique_ptr<LshIndex> index_;
};

}  // namespace

std::unique_ptr<Selector> make_lsh(const LayerSpec& spec, std::unique_ptr<LshIndex> index) {
  return std::make_unique<Lsh>(spec, std::move(index));
}

}  // namespace hashgrad
