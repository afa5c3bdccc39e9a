// A team of threads that runs one function after another, without being made anew each time.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace hashgrad {

class Team {
 public:
  explicit Team(int size);  // size >= 1; the caller is member 0
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  // Runs work(member) on every member and returns when all have; the first exception thrown is
  // thrown again here.
  void run(const std::function<void(int)>& work);

  // Hands items 0 .. n-1 to the members in chunks, whoever is free first: work(member, item).
  // The items must not depend on each other; then the result does not depend on the team's size.
  void each(size_t n, size_t chunk, const std::function<void(int, size_t)>& work);

 private:
  void member(int index);
  void dismiss();
  void guarded(int index);

  std::vector<std::thread> threads_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<uint32_t> round_{0};
  std::atomic<int> busy_{0};
  std::atomic<bool> stop_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

int hardware_threads();

}  // namespace hashgrad
