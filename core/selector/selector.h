// Which neurons? The one question behind which dense, random, adaptive, winner-take-all and LSH are
// interchangeable.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ledger.h"
#include "lsh/index.h"
#include "row.h"
#include "spec.h"

namespace hashgrad {

// The neurons kept for one example, with what is known of them.
struct ActiveSet {
  std::vector<uint32_t> id;
  std::vector<float> z;     // w.x + b
  std::vector<float> gain;  // factor on the activation, where `uniform` is false
  float uniform_gain = 1.f;

  float gain_of(size_t k) const { return gain.empty() ? uniform_gain : gain[k]; }
};

// What is being asked, beside the input.
struct Ask {
  bool training = false;
  bool exact = false;                 // no hashing: the true top k
  std::span<const int32_t> forced{};  // neurons that must be kept (true labels, in training)
  uint64_t seed = 0, layer = 0, step = 0;
};

struct SelectScratch {
  LookupScratch lookup;
  std::vector<uint64_t> order;
  std::vector<uint8_t> taken;  // per neuron, zero between calls
};

class Selector {
 public:
  virtual ~Selector() = default;
  // Fills `out` with neurons and their exact z, and counts what that took. `query` keeps the
  // input's hash, if any.
  virtual void select(const Row& x, const Weights& w, const Ask& ask, Query& query, SelectScratch& scratch,
                      ActiveSet& out, Counts& counts) const = 0;
  virtual LshIndex* index() { return nullptr; }
};

std::unique_ptr<Selector> make_all();
std::unique_ptr<Selector> make_random(const LayerSpec& spec);
std::unique_ptr<Selector> make_adaptive(const LayerSpec& spec);
std::unique_ptr<Selector> make_winner_take_all(const LayerSpec& spec);
std::unique_ptr<Selector> make_lsh(const LayerSpec& spec, std::unique_ptr<LshIndex> index);

// Shared by the selectors:
void evaluate_all(const Row& x, const Weights& w, ActiveSet& out);
void keep_largest(uint32_t n, SelectScratch& scratch,
                  ActiveSet& set);  // by z, lower number first among equals
// Adds the forced neurons that are missing, evaluated; returns how many.
uint32_t add_forced(const Row& x, const Weights& w, std::span<const int32_t> forced, ActiveSet& set);

}  // namespace hashgrad
