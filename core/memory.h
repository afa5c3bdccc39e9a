// Flat arrays for weights, sketches and tables: zeroed, on 64-byte boundaries (one cache line, one
// AVX-512 register); large ones ask for huge pages, and do without where there are none.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "portable.h"

namespace hashgrad {

constexpr size_t kLine = 64;   // bytes in a cache line
constexpr size_t kBlock = 16;  // floats in a cache line: the unit in which rows are padded and read
constexpr size_t kHugePage = size_t{1} << 21;

inline size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Array() = default;
  explicit Array(size_t n) : size_(n) {
    if (n == 0) return;
    if (n > SIZE_MAX / sizeof(T) - kHugePage) throw std::bad_alloc();
    const bool huge = n * sizeof(T) >= kHugePage;
    const size_t bytes = round_up(n * sizeof(T), huge ? kHugePage : kLine);
    data_.reset(static_cast<T*>(allocate_aligned(huge ? kHugePage : kLine, bytes)));
    if (!data_) throw std::bad_alloc();
    if (huge) ask_for_huge_pages(data_.get(), bytes);
    std::memset(static_cast<void*>(data_.get()), 0, bytes);
  }

  Array(const Array& other) : Array(other.size_) {
    if (size_) std::memcpy(static_cast<void*>(data_.get()), other.data_.get(), bytes());
  }
  Array& operator=(const Array& other) {
    if (size_ != other.size_) return *this = Array(other);
    if (size_) std::memcpy(static_cast<void*>(data_.get()), other.data_.get(), bytes());
    return *this;
  }
  Array(Array&&) = default;
  Array& operator=(Array&&) = default;

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t bytes() const { return size_ * sizeof(T); }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  void fill(T value) {
    for (size_t i = 0; i < size_; i++) data_.get()[i] = value;
  }

 private:
  struct Free {
    void operator()(T* p) const { free_aligned(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace hashgrad
