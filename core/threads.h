// A team of threads that runs one function after another, without being made anew each time.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace hashgrad {

// Where the members of a team wait for each other, many times within one function: a wait spins, and sleeps only if
// the others take long.
class Barrier {
 public:
  void wait();                  // throws Broken if a member failed
  void break_open();            // lets all waiting members go, by throwing
  void mend(int size);          // before the next function, for so many members; none may be waiting
  double seconds_lost() const;  // since then, by all members together, in waits that did not end while they spun
  struct Broken {};

 private:
  void check() const;

  int size_ = 1;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> round_{0};
  std::atomic<bool> broken_{false};
  alignas(64) std::atomic<int64_t> lost_{0};  // nanoseconds
};

// A thread's place in a team. Items are shared out in contiguous runs, so that a member meets the same ones again and
// keeps them in its own cache.
struct Member {
  int index = 0, size = 1;
  Barrier* barrier = nullptr;

  void meet() const {  // wait for all others
    if (size > 1) barrier->wait();
  }
  size_t first(size_t n) const { return n * static_cast<size_t>(index) / static_cast<size_t>(size); }
  size_t last(size_t n) const { return n * static_cast<size_t>(index + 1) / static_cast<size_t>(size); }
};

class Team {
 public:
  explicit Team(int size);  // size >= 1; the caller is member 0
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  // Runs work on every member, or on the first `members`, and returns when all have; the first exception thrown is
  // thrown again here. Members may meet() within.
  void run(const std::function<void(const Member&)>& work) { run(work, size()); }
  void run(const std::function<void(const Member&)>& work, int members);

  // Seconds that the members of the last run lost in long waits for each other.
  double seconds_lost() const { return barrier_.seconds_lost(); }

  // Seconds that a meeting of all members takes now: the cost of a cache line that goes from core to core. More than
  // kTogether: the members did not run at the same time, though they were given 5 ms to spread out.
  double meeting_time();
  static constexpr double kTogether = 2e-6;

  // Hands items 0 .. n-1 to the members in chunks, whoever is free first: work(member's index, item).
  // The items must not depend on each other; then the result does not depend on the team's size.
  void each(size_t n, size_t chunk, const std::function<void(int, size_t)>& work);

 private:
  void member(int index);
  void dismiss();
  void guarded(int index, int members);
  // A round's number and, in the lowest bits, how many members take part: read as one, so that who wakes late cannot
  // take the next round for this one.
  static constexpr int kMemberBits = 16;
  void begin(int members);

  std::vector<std::thread> threads_;
  Barrier barrier_;
  const std::function<void(const Member&)>* work_ = nullptr;
  std::atomic<uint64_t> round_{0};
  std::atomic<int> busy_{0};
  std::atomic<bool> stop_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

int hardware_threads();

}  // namespace hashgrad
