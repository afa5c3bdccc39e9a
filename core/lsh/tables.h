// L hash tables in one flat array: table t, bucket b holds up to `capacity` neurons in consecutive
// slots, slot[(t << bits | b) * capacity + k], an empty slot is kEmpty. A neuron knows its slot in
// every table, so that moving it takes constant time: empty one slot, claim another. Slots are
// claimed by compare-and-swap and a neuron's own move by exchange, so any number of threads may
// look up and move at once without a lock; a mover that meets another on the same neuron leaves it
// alone (the neuron moves again when it is next touched).
#pragma once

#include <cstdint>
#include <vector>

#include "memory.h"

namespace hashgrad {

class Tables {
 public:
  static constexpr uint32_t kEmpty = ~0u;  // a slot without neuron, or a neuron without slot (its bucket was full)

  Tables(uint32_t n_neurons, int bits, int tables);

  // Puts every neuron into its buckets, in the order of their numbers.
  void rebuild(const uint64_t* signatures, size_t words);
  // Moves one neuron in one table to the bucket that its signature names now.
  void move(int table, uint32_t neuron, const uint64_t* signature);

  uint32_t key(int table, const uint64_t* signature) const;
  const uint32_t* bucket(int table, uint32_t key) const {  // capacity() slots
    return &slots_[(static_cast<size_t>(table) << bits_ | key) * capacity_];
  }
  uint32_t capacity() const { return capacity_; }
  int n_tables() const { return tables_; }
  int bits() const { return bits_; }
  size_t bytes() const { return slots_.bytes() + place_.bytes(); }

  std::vector<uint32_t> load_histogram() const;  // [load] = number of buckets with that many neurons
  uint64_t overflow() const;                     // places (neuron, table) that found their bucket full

 private:
  void insert(int table, uint32_t neuron, uint32_t key);

  uint32_t n_neurons_;
  int bits_, tables_;
  uint32_t capacity_ = 0;
  Array<uint32_t> slots_;
  Array<uint32_t> place_;  // tables x n_neurons: slot within the table
};

}  // namespace hashgrad
