#include "threads.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>

#ifdef __linux__
#include <sched.h>
#endif

namespace hashgrad {

namespace {

constexpr int kSpins = 20'000;  // some tens of microseconds: longer than a phase takes if all members run

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

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
  if (broken_.load(std::memory_order_acquire)) throw Broken{};
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  } else {
    for (int spin = 0; spin < kSpins && round_.load(std::memory_order_acquire) == round; spin++) pause();
    round_.wait(round, std::memory_order_acquire);
  }
  if (broken_.load(std::memory_order_acquire)) throw Broken{};
}

void Barrier::break_open() {
  broken_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
}

void Barrier::mend() {
  arrived_ = 0;
  broken_ = false;
}

Team::Team(int size) : barrier_(size) {
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
  round_.fetch_add(1);
  round_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Team::guarded(int index) {
  try {
    (*work_)(Member{index, size(), &barrier_});
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
  uint32_t seen = 0;
  while (true) {
    round_.wait(seen);
    seen = round_.load();
    if (stop_) return;
    guarded(index);
    if (busy_.fetch_sub(1) == 1) busy_.notify_all();
  }
}

void Team::run(const std::function<void(const Member&)>& work) {
  work_ = &work;
  error_ = nullptr;
  barrier_.mend();
  busy_ = static_cast<int>(threads_.size());
  round_.fetch_add(1);
  round_.notify_all();
  guarded(0);
  for (int left = busy_.load(); left > 0; left = busy_.load()) busy_.wait(left);
  if (error_) std::rethrow_exception(error_);
}

double Team::meeting_time() {
  constexpr int meetings = 50;
  double seconds = 0.0;
  run([&](const Member& me) {
    me.meet();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < meetings; i++) me.meet();
    if (me.index == 0)
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / meetings;
  });
  return seconds;
}

void Team::each(size_t n, size_t chunk, const std::function<void(int, size_t)>& work) {
  std::atomic<size_t> next{0};
  run([&](const Member& me) {
    for (size_t from = next.fetch_add(chunk); from < n; from = next.fetch_add(chunk))
      for (size_t item = from; item < std::min(n, from + chunk); item++) work(me.index, item);
  });
}

}  // namespace hashgrad
