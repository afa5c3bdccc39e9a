// What an optimiser keeps beside each weight: a float, or a bfloat16, which is the upper half of one.
#pragma once

#include "memory.h"

namespace hashgrad {

class Moments {
 public:
  Moments() = default;
  Moments(size_t n, bool halves) : whole_(halves ? 0 : n), half_(halves ? n : 0) {}

  // Where number i lies, as the kernels take it; null where none are kept.
  void* at(size_t i) {
    if (!half_.empty()) return &half_[i];
    return whole_.empty() ? nullptr : &whole_[i];
  }
  void ask_for(size_t i, size_t n) const {  // numbers from i on, to be written soon
    for (size_t j = 0; !whole_.empty() && j < n; j += kLine / sizeof(float)) __builtin_prefetch(&whole_[i + j], 1);
    for (size_t j = 0; !half_.empty() && j < n; j += kLine / sizeof(uint16_t)) __builtin_prefetch(&half_[i + j], 1);
  }
  Array<float>& whole() { return whole_; }
  Array<uint16_t>& half() { return half_; }
  size_t bytes() const { return whole_.bytes() + half_.bytes(); }

 private:
  Array<float> whole_;
  Array<uint16_t> half_;
};

}  // namespace hashgrad
