// Which neurons? The one question behind which dense, random, adaptive, winner-take-all and LSH are
// interchangeable. It is answered in two steps, before and after the layer has evaluated neurons: which to evaluate,
// and which of them to keep.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "choose.h"
#include "ledger.h"
#include "lsh/index.h"
#include "row.h"
#include "spec.h"

namespace hashgrad {

// The neurons to be evaluated for one example, ascending, and what came out.
struct Proposal {
  bool all = true;           // every neuron; `id` is not used
  std::vector<uint32_t> id;  // ascending
  std::vector<float> z;      // w.x + b of each
  std::vector<float> score;  // of a scan: one for each neuron of the layer

  uint32_t size(uint32_t n_neurons) const { return all ? n_neurons : static_cast<uint32_t>(id.size()); }
};

// The neurons kept for one example, with what is known of them.
struct ActiveSet {
  std::vector<uint32_t> id;  // ascending
  std::vector<float> z;      // w.x + b
  std::vector<float> gain;   // factor on the activation, where `uniform` is false
  float uniform_gain = 1.f;

  float gain_of(size_t k) const { return gain.empty() ? uniform_gain : gain[k]; }
};

// Where the neurons from i on begin in an active set.
inline uint32_t position(const ActiveSet& set, uint32_t i) {
  if (i < set.id.size() && set.id[i] == i) return i;  // all before it are active
  return static_cast<uint32_t>(std::lower_bound(set.id.begin(), set.id.end(), i) - set.id.begin());
}

// What is being asked, beside the input.
struct Ask {
  bool training = false;
  bool exact = false;                 // no hashing: the true top k
  bool in_turn = true;                // where only some examples look for neurons, wait for one's turn
  std::span<const int32_t> forced{};  // neurons that must be kept (true labels, in training)
  uint32_t least = 0;                 // neurons to keep, where the layer would keep fewer (the k best are wanted)
  uint64_t seed = 0, layer = 0, step = 0;
};

struct SelectScratch {
  LookupScratch lookup;
  ChooseScratch choose;
  std::vector<uint32_t> position;
  std::vector<uint8_t> taken;  // per neuron, zero between calls
};

class Selector {
 public:
  virtual ~Selector() = default;
  // Which of n neurons to evaluate. `query` keeps the input's hash, if any. For an input that it `scans` for, a
  // selector proposes nothing yet: the layer scores every neuron first, and then asks it to `nominate`.
  virtual void propose(const Row& x, uint32_t n, const Ask& ask, Query& query, SelectScratch& scratch, Proposal& out,
                       Counts& counts) const = 0;
  // `may_scan`: for any input of a batch (that pools); all members must say the same, as they meet if so.
  virtual bool may_scan(bool /*pools*/) const { return false; }
  virtual bool scans(const Ask&) const { return false; }
  virtual void nominate(const Ask&, const Query&, SelectScratch&, Proposal&) const {}
  // Which of the n neurons, or of those proposed, to keep; the proposal may be taken apart.
  virtual void keep(uint32_t n, const Ask& ask, SelectScratch& scratch, Proposal& proposal, ActiveSet& out,
                    Counts& counts) const = 0;
  virtual LshIndex* index() { return nullptr; }
};

std::unique_ptr<Selector> make_all();
std::unique_ptr<Selector> make_random(const LayerSpec& spec);
std::unique_ptr<Selector> make_adaptive(const LayerSpec& spec);
std::unique_ptr<Selector> make_winner_take_all(const LayerSpec& spec);
std::unique_ptr<Selector> make_lsh(const LayerSpec& spec, std::unique_ptr<LshIndex> index);

// Shared by the selectors:
void propose_forced(std::span<const int32_t> forced, Proposal& proposal);  // adds those that are missing
void keep_everything(uint32_t n, Proposal& proposal, ActiveSet& out);
// The `wanted` largest z, the lower number first among equals, and the forced neurons.
void keep_largest(uint32_t n, uint32_t wanted, std::span<const int32_t> forced, SelectScratch& scratch,
                  const Proposal& proposal, ActiveSet& out);
void keep_positions(const std::vector<uint32_t>& position, const Proposal& proposal, ActiveSet& out);

}  // namespace hashgrad
