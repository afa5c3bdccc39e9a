// L hash tables in one flat array: table t, bucket b holds up to `capacity` neurons in consecutive
// slots, slot[(t << bits | b) * capacity + k], an empty slot is kEmpty. A neuron knows its slot in
// every table, so that moving it takes constant time: empty one slot, claim another. Slots are
// claimed by compare-and-swap and a neuron's own move by exchange, so any number of threads may
// look up and move at once without a lock; a mover that meets another on the same neuron leaves it
// alone (the neuron moves again when it is next touched).
//
// A bounded bucket keeps some of the neurons that fall into it, and the others are in none. That is for one thread a
// table. By policy:
//
//   longest: those whose inner products can be largest. One more takes the shortest one's place if it is longer.
//
//   fifo: the last ones to arrive. One more takes the oldest one's place, empty or not.
//
//   reservoir: of all arrivals each with the same chance (algorithm R, Vitter 1985). The c-th takes a random one of c
//   places, if the bucket has it.
//
// The last two count a bucket's arrivals since the tables were filled, in the order of neurons' numbers. A neuron that
// a bucket does not hold arrives again whenever it is hashed again.
#pragma once

#include <cstdint>
#include <vector>

#include "memory.h"
#include "spec.h"
#include "threads.h"

namespace hashgrad {

class Tables {
 public:
  static constexpr uint32_t kEmpty = ~0u;  // a slot without neuron, or a neuron without slot (its bucket was full)

  // Buckets are bounded where spec.pooled. Seed and layer name what reservoirs draw.
  Tables(uint32_t n_neurons, const LshSpec& spec, uint64_t seed, uint64_t layer);

  // Puts every neuron into its buckets, in the order of their numbers, or the longest first where these are bounded.
  void rebuild(const uint64_t* signatures, size_t words, const float* norm, Team& team);
  // Moves one neuron in one table to the bucket that its signature names now.
  void move(int table, uint32_t neuron, const uint64_t* signature, float norm);

  uint32_t key(int table, const uint64_t* signature) const;
  const uint32_t* bucket(int table, uint32_t key) const {  // capacity() slots
    return &slots_[(static_cast<size_t>(table) << bits_ | key) * capacity_];
  }
  uint32_t capacity() const { return capacity_; }
  int n_tables() const { return tables_; }
  int bits() const { return bits_; }
  size_t bytes() const { return slots_.bytes() + length_.bytes() + place_.bytes() + arrivals_.bytes(); }

  std::vector<uint32_t> load_histogram() const;  // [load] = number of buckets with that many neurons
  uint64_t overflow() const;                     // places (neuron, table) that found their bucket full

 private:
  void insert(int table, uint32_t neuron, uint32_t key, float norm);
  void arrive(int table, uint32_t neuron, uint32_t key);
  bool counts_arrivals() const { return bound_ && policy_ != Policy::kLongest; }
  bool keeps_longest() const { return bound_ && policy_ == Policy::kLongest; }
  size_t first_slot(int table) const { return (static_cast<size_t>(table) << bits_) * capacity_; }
  uint32_t& place(int table, uint32_t neuron) { return place_[static_cast<size_t>(table) * n_neurons_ + neuron]; }

  uint32_t n_neurons_;
  int bits_, tables_;
  uint32_t bound_;  // of a bucket, 0 for none
  Policy policy_;
  uint64_t seed_, layer_;
  uint32_t capacity_ = 0;
  Array<uint32_t> slots_;
  Array<float> length_;       // bounded, longest: of the neuron in each slot, -1 where there is none
  Array<uint32_t> arrivals_;  // fifo, reservoir: tables x buckets: how many neurons fell in
  Array<uint32_t> place_;     // tables x n_neurons: slot within the table
};

}  // namespace hashgrad
