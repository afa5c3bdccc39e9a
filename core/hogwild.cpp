// Asynchronous training: each thread takes the next example, and nobody waits for anybody.
#include <atomic>
#include <cmath>

#include "network.h"

namespace hashgrad {

namespace {

constexpr size_t kCopyBytes = size_t{24} << 20;  // of a model of which each thread has a copy
constexpr double kFarApart = 250e-9;             // seconds that two threads take to meet
constexpr size_t kPosts = 32;                    // that a thread may be behind another

// What one thread has learned, for all others to learn too: a ring of examples with their deltas.
class Posts {
 public:
  Posts(const std::vector<Layer>& layers, int readers) : read_(static_cast<size_t>(readers)) {
    while (posts_.size() < kPosts) posts_.push_back(std::make_unique<Post>(layers));
  }

  bool has_room() const {
    const uint64_t written = written_.load(std::memory_order_relaxed);
    for (const Cursor& cursor : read_)
      if (written >= cursor.at.load(std::memory_order_acquire) + kPosts) return false;
    return true;
  }
  void write(const Example& example, const Rate& rate) {  // by its one writer, where there is room
    const uint64_t at = written_.load(std::memory_order_relaxed);
    posts_[at % kPosts]->example.take_over(example);
    posts_[at % kPosts]->rate = rate;
    written_.store(at + 1, std::memory_order_release);
  }
  void skip(int reader) { read_[static_cast<size_t>(reader)].at = ~uint64_t{0} >> 1; }  // who will never read

  template <class Use>  // use(example, rate), for all that this reader has not read yet
  void read(int reader, Use&& use) {
    std::atomic<uint64_t>& cursor = read_[static_cast<size_t>(reader)].at;
    uint64_t at = cursor.load(std::memory_order_relaxed);
    for (const uint64_t end = written_.load(std::memory_order_acquire); at < end; at++) {
      use(posts_[at % kPosts]->example, posts_[at % kPosts]->rate);
      cursor.store(at + 1, std::memory_order_release);
    }
  }

 private:
  struct Post {
    explicit Post(const std::vector<Layer>& layers) : example(layers) {}
    Example example;
    Rate rate;
  };
  struct alignas(64) Cursor {
    std::atomic<uint64_t> at{0};
  };
  std::vector<std::unique_ptr<Post>> posts_;
  alignas(64) std::atomic<uint64_t> written_{0};
  std::vector<Cursor> read_;
};

}  // namespace

// All threads on the same weights, without locks: two threads seldom touch the same ones, and a lost update costs less
// than waiting would (Niu et al. 2011).
TrainResult Network::train_hogwild(const TrainingJob& job, std::span<const uint32_t> rows, Team& team) {
  std::atomic<int64_t> bad_row{-1};
  std::atomic<uint64_t> next{0}, done{0}, rested{0};
  for (auto& walker : walkers_) walker->worker.loss = 0.0;
  team.run([&](const Member& me) {
    const Member alone;
    Walker& walker = this->walker(me.index);
    const Group& group = walker.some(1);
    uint64_t mine = 0, resting = 0;
    for (uint64_t k = next.fetch_add(1, std::memory_order_relaxed); k < rows.size() && bad_row < 0;
         k = next.fetch_add(1, std::memory_order_relaxed)) {
      if (job.rests(rows[k])) {
        job.rested(rows[k]);
        mine++, resting++;
        continue;
      }
      ready(group[0], job, rows[k], step_ + k);
      if (k + static_cast<uint64_t>(me.size) < rows.size())
        job.batch->prefetch(rows[k + static_cast<uint64_t>(me.size)]);
      model_.forward(group, alone, walker.worker);
      const float loss = loss_of(group[0], job, 1.f);
      if (!std::isfinite(loss)) {
        bad_row = rows[k];
        break;
      }
      walker.worker.loss += on_grid(loss);
      job.note(group[0]);
      if (group[0].learns) {
        const Rate rate = rate_at(job.schedule, step_ + k, updates_ + k);
        model_.learn(group, walker.shared, alone, &rate, true, walker.worker);
        walker.worker.learned++;
      }
      mine++;
    }
    done += mine, rested += resting;
  });
  return tally(done, rested, bad_row);
}

// What all threads did together.
TrainResult Network::tally(uint64_t examples, uint64_t rested, int64_t bad_row) {
  TrainResult result;
  for (auto& walker : walkers_) result.loss_sum += walker->worker.loss;
  result.examples = examples;
  result.rested = rested;
  result.bad_row = bad_row;
  updates_ += examples;
  return result;
}

// Each thread on a copy of the weights. Where all of them fit the caches, what costs time is that a line which one
// thread has written must go to the next that reads it. What an example teaches is little to tell: its active neurons,
// and their deltas. So each thread posts that, and takes the steps that the others post on its own copy. Steps of plain
// SGD add up: the copies stay equal up to rounding, and in the order in which they hear of things.
TrainResult Network::train_on_copies(const TrainingJob& job, std::span<const uint32_t> rows, Team& team) {
  const int n = team.size();
  std::vector<std::unique_ptr<Posts>> posts(static_cast<size_t>(n));
  while (copies_.size() + 1 < posts.size()) copies_.push_back(nullptr);
  std::atomic<int64_t> bad_row{-1};
  std::atomic<uint64_t> next{0}, done{0}, rested{0};
  std::atomic<int> busy{n};
  std::atomic<bool> failed{false};
  for (auto& walker : walkers_) walker->worker.loss = 0.0;

  const auto work = [&](const Member& me) {
    Walker& walker = this->walker(me.index);
    Worker& w = walker.worker;
    Model& model = me.index == 0 ? model_ : *copies_[static_cast<size_t>(me.index) - 1];
    const Member alone;
    Group heard;
    const auto hear = [&] {
      w.counts.swap(walker.twice);  // who posts it has counted it
      for (int other = 0; other < n; other++) {
        if (other == me.index) continue;
        posts[static_cast<size_t>(other)]->read(me.index, [&](Example& example, const Rate& rate) {
          heard.list.assign(1, &example);
          model.repeat(heard, rate, w);
        });
      }
      w.counts.swap(walker.twice);
    };
    const Group& group = walker.some(1);
    Posts& mine = *posts[static_cast<size_t>(me.index)];
    uint64_t taken = 0, resting = 0;
    for (uint64_t k = next.fetch_add(1, std::memory_order_relaxed); k < rows.size() && bad_row < 0 && !failed;
         k = next.fetch_add(1, std::memory_order_relaxed)) {
      hear();
      if (job.rests(rows[k])) {
        job.rested(rows[k]);
        taken++, resting++;
        continue;
      }
      ready(group[0], job, rows[k], step_ + k);
      if (k + static_cast<uint64_t>(n) < rows.size()) job.batch->prefetch(rows[k + static_cast<uint64_t>(n)]);
      model.forward(group, alone, w);
      const float loss = loss_of(group[0], job, 1.f);
      if (!std::isfinite(loss)) {
        bad_row = rows[k];
        break;
      }
      w.loss += on_grid(loss);
      taken++;
      job.note(group[0]);
      if (!group[0].learns) continue;
      const Rate rate = rate_at(job.schedule, step_ + k, updates_ + k);
      model.learn(group, walker.shared, alone, &rate, true, w);
      w.learned++;
      while (!mine.has_room() && !failed) hear();
      mine.write(group[0], rate);
    }
    done += taken, rested += resting;
    busy--;
    while (busy > 0 && !failed) hear();
    hear();  // what was posted last
  };
  team.run([&](const Member& me) {
    const auto index = static_cast<size_t>(me.index);
    if (me.index > 0) {  // made by the thread that uses it, so that it lies near
      std::unique_ptr<Model>& copy = copies_[index - 1];
      if (copy)
        copy->layers() = layers();
      else
        copy = std::make_unique<Model>(model_);
    }
    posts[index] = std::make_unique<Posts>(layers(), n);
    posts[index]->skip(me.index);
    me.meet();
    try {
      work(me);
    } catch (...) {
      failed = true;
      throw;
    }
  });
  return tally(done, rested, bad_row);
}

// Copies pay where a cache line takes long from core to core, as it does between sockets or groups of cores; where a
// virtual machine's cores are, may change at any time. Only for two: more threads would spend their time on what the
// others have learned.
bool Network::works_on_copies(Team& team) const {
  if (team.size() != 2 || optimizer_.kind != Optimizer::kSgd || optimizer_.l2 > 0.f || memory() > kCopyBytes)
    return false;
  const double seconds = team.meeting_time();
  return seconds > kFarApart && seconds < Team::kTogether;
}

}  // namespace hashgrad
