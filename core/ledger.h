// Counts of multiplications, by phase: every product of a weight, a projection or a table's upkeep,
// where it is carried out, zeros included; divisions, square roots and exponentials count as one
// each. Where threads train on copies of the weights, the steps that each takes for all others are counted once, for
// the thread whose example it was. Additions, comparisons, XOR and popcount are not multiplications; sign (+-1)
// projections are counted as if they were. Left out, here and in the dense network that is the measure alike, are the
// few scalars of a neuron: its activation function, slope, loss and step factor (at most ten for an active neuron,
// whose row takes hundreds).
#pragma once

#include <cstdint>
#include <vector>

namespace hashgrad {

struct Counts {
  uint64_t query = 0;       // hashing the layer's input (and what a selector computes only to choose)
  uint64_t rerank = 0;      // exact activations of candidates that were not kept
  uint64_t forward = 0;     // exact activations of the neurons kept
  uint64_t backward = 0;    // gradient towards the layer's input
  uint64_t update = 0;      // weight gradients and the optimiser's step
  uint64_t rehash = 0;      // keeping hashes true as weights move
  uint64_t rebuild = 0;     // scheduled full rebuilds, means and subspaces included
  uint64_t active = 0;      // neurons kept, summed over queries
  uint64_t candidates = 0;  // neurons evaluated, summed over queries
  uint64_t queries = 0;

  void add(const Counts& other) {
    query += other.query, rerank += other.rerank, forward += other.forward, backward += other.backward;
    update += other.update, rehash += other.rehash, rebuild += other.rebuild;
    active += other.active, candidates += other.candidates, queries += other.queries;
  }
};

struct Ledger {
  uint64_t examples = 0;
  uint64_t learned = 0;  // of them, those that were not known already, and went backward too
  std::vector<Counts> layers;
};

}  // namespace hashgrad
