#include "threads.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>

#include "portable.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace hashgrad {

namespace {

using Clock = std::chrono::steady_clock;

// A member that waits spins for a few microseconds, then lets others run on its processor, and sleeps only after some
// milliseconds: who sleeps at once is never moved to an idle processor, and two members may share one for ever.
constexpr int kSpins = 200;
constexpr int kYields = 5'000;

}  // namespace

int hardware_threads() {
#ifdef __linux__
  cpu_set_t set;  // what this process may use, which in a container is less than what the machine has
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void Barrier::wait() {
  const uint32_t round = round_.load(std::memory_order_acquire);
  check();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  } else {
    const auto alone = [&] { return round_.load(std::memory_order_acquire) == round; };
    for (int spin = 0; spin < kSpins && alone(); spin++) pause();
    if (!alone()) return check();
    const auto from = Clock::now();
    for (int yield = 0; yield < kYields && alone(); yield++) std::this_thread::yield();
    round_.wait(round, std::memory_order_acquire);
    lost_.fetch_add(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - from).count(),
                    std::memory_order_relaxed);
  }
  check();
}

void Barrier::check() const {
  if (broken_.load(std::memory_order_acquire)) throw Broken{};
}

double Barrier::seconds_lost() const { return 1e-9 * static_cast<double>(lost_.load(std::memory_order_relaxed)); }

void Barrier::break_open() {
  broken_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
}

void Barrier::mend(int size) {
  size_ = size;
  arrived_ = 0;
  broken_ = false;
  lost_ = 0;
}

Team::Team(int size) {
  try {
    for (int i = 1; i < size; i++) threads_.emplace_back([this, i] { member(i); });
  } catch (const std::system_error& error) {  // the system gives no more threads
    const size_t got = threads_.size() + 1;
    dismiss();
    throw std::runtime_error("threads: the system started " + std::to_string(got) + " of " + std::to_string(size) +
                             " (" + error.what() + ")");
  }
}

Team::~Team() { dismiss(); }

void Team::dismiss() {
  stop_ = true;
  begin(0);
  for (auto& thread : threads_) thread.join();
}

void Team::begin(int members) {
  constexpr uint64_t next = uint64_t{1} << kMemberBits;
  round_ = (round_ / next + 1) * next + static_cast<uint64_t>(members);
  round_.notify_all();
}

void Team::guarded(int index, int members) {
  try {
    (*work_)(Member{index, members, &barrier_});
  } catch (const Barrier::Broken&) {  // another member's failure is told by that member
  } catch (...) {
    {
      const std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
    barrier_.break_open();
  }
}

void Team::member(int index) {
  uint64_t seen = 0;
  while (true) {
    round_.wait(seen);
    seen = round_.load();
    if (stop_) return;
    const auto members = static_cast<int>(seen % (uint64_t{1} << kMemberBits));
    if (index >= members) continue;
    guarded(index, members);
    if (busy_.fetch_sub(1) == 1) busy_.notify_all();
  }
}

void Team::run(const std::function<void(const Member&)>& work, int members) {
  work_ = &work;
  error_ = nullptr;
  barrier_.mend(members);
  busy_ = members - 1;
  begin(members);
  guarded(0, members);
  for (int left = busy_.load(); left > 0; left = busy_.load()) busy_.wait(left);
  if (error_) std::rethrow_exception(error_);
}

double Team::meeting_time() {
  constexpr int meetings = 20;
  constexpr std::chrono::milliseconds patience{5};
  double least = 1e30;
  std::atomic<bool> enough{false};
  run([&](const Member& me) {
    for (const auto start = Clock::now(); !enough;) {
      me.meet();
      const auto from = Clock::now();
      for (int k = 0; k < meetings; k++) me.meet();
      const auto now = Clock::now();
      if (me.index == 0) {
        least = std::min(least, std::chrono::duration<double>(now - from).count() / meetings);
        enough = least < kTogether || now - start > patience;
      }
      me.meet();
    }
  });
  return least;
}

void Team::each(size_t n, size_t chunk, const std::function<void(int, size_t)>& work) {
  std::atomic<size_t> next{0};
  run([&](const Member& me) {
    for (size_t from = next.fetch_add(chunk); from < n; from = next.fetch_add(chunk))
      for (size_t item = from; item < std::min(n, from + chunk); item++) work(me.index, item);
  });
}

}  // namespace hashgrad
