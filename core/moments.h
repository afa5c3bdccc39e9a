// What an optimiser keeps beside each weight: a float, a bfloat16, which is the upper half of one, or a byte,
// of which the first moment's have a sign.
#pragma once

#include "kernels/kernels.h"
#include "memory.h"

namespace hashgrad {

class Moments {
 public:
  Moments() = default;
  Moments(size_t n, State state)
      : whole_(state == State::kFloat32 ? n : 0),
        half_(state == State::kBfloat16 || state == State::kRow ? n : 0),
        byte_(state == State::kBytes ? n : 0) {}

  // Where number i lies, as the kernels take it; null where none are kept.
  void* at(size_t i) {
    if (!half_.empty()) return &half_[i];
    if (!byte_.empty()) return &byte_[i];
    return whole_.empty() ? nullptr : &whole_[i];
  }
  void ask_for(size_t i, size_t n) const {  // numbers from i on, to be written soon
    for (size_t j = 0; !whole_.empty() && j < n; j += kLine / sizeof(float)) __builtin_prefetch(&whole_[i + j], 1);
    for (size_t j = 0; !half_.empty() && j < n; j += kLine / sizeof(uint16_t)) __builtin_prefetch(&half_[i + j], 1);
    for (size_t j = 0; !byte_.empty() && j < n; j += kLine) __builtin_prefetch(&byte_[i + j], 1);
  }
  Array<float>& whole() { return whole_; }
  Array<uint16_t>& half() { return half_; }
  Array<uint8_t>& byte() { return byte_; }
  size_t bytes() const { return whole_.bytes() + half_.bytes() + byte_.bytes(); }

 private:
  Array<float> whole_;
  Array<uint16_t> half_;
  Array<uint8_t> byte_;
};

}  // namespace hashgrad
