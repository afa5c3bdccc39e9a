// Query-directed multi-probe (Lv et al. 2007): the buckets next to a query's own, most promising
// first. Flipping bit j costs the square of its projection's distance to the boundary; probes come
// in order of the total cost of their flips.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace hashgrad {

class ProbeSequence {
 public:
  // distance[j] for bit j of the key, j < bits <= 16
  ProbeSequence(const float* distance, int bits) : bits_(bits) {
    for (int j = 0; j < bits; j++) order_[j] = static_cast<uint8_t>(j);
    std::stable_sort(order_.begin(), order_.begin() + bits,
                     [&](uint8_t a, uint8_t b) { return distance[a] < distance[b]; });
    for (int j = 0; j < bits; j++) cost_[j] = distance[order_[j]] * distance[order_[j]];
  }

  // Writes up to n masks of bits to flip, the empty one first; returns how many.
  int masks(int n, uint32_t* mask) {
    int written = 0;
    if (n > 0) mask[written++] = 0;
    size_ = 0;
    push({cost_[0], 1u, 0});
    while (written < n && size_ > 0) {
      const Set best = pop();
      uint32_t flips = 0;
      for (int j = 0; j <= best.last; j++)
        if (best.members >> j & 1) flips |= 1u << order_[j];
      mask[written++] = flips;
      if (best.last + 1 < bits_) {  // shift the last member, or expand by its successor: every set comes up once
        const int next = best.last + 1;
        push({best.cost - cost_[best.last] + cost_[next], (best.members ^ 1u << best.last) | 1u << next, next});
        push({best.cost + cost_[next], best.members | 1u << next, next});
      }
    }
    return written;
  }

 private:
  struct Set {
    float cost;
    uint32_t members;  // of the sorted bits
    int last;
    bool operator<(const Set& o) const {
      return cost != o.cost ? cost > o.cost : members > o.members;
    }  // cheapest on top
  };
  static constexpr size_t kHeap = 256;  // beyond it the dearest probes are given up

  void push(const Set& s) {
    if (size_ == kHeap) return;
    heap_[size_++] = s;
    std::push_heap(heap_.begin(), heap_.begin() + size_);
  }
  Set pop() {
    std::pop_heap(heap_.begin(), heap_.begin() + size_);
    return heap_[--size_];
  }

  int bits_;
  std::array<uint8_t, 16> order_{};
  std::array<float, 16> cost_{};
  std::array<Set, kHeap> heap_;
  long size_ = 0;
};

}  // namespace hashgrad
