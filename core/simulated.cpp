// Asynchronous training as many workers would do it, simulated on one thread. An example is computed on the weights as
// they are when its worker begins with it; its steps land when that worker is done, after those that others landed in
// the meantime. Who is done next is drawn from all workers alike: the number of others' examples that land while one is
// under way is geometric, workers - 1 on average, and the same seed gives the same run.
#include <cmath>

#include "network.h"
#include "random.h"

namespace hashgrad {

TrainResult Network::train_simulated(const TrainingJob& job, std::span<const uint32_t> rows) {
  const Member alone;
  Walker& walker = this->walker(0);
  Worker& w = walker.worker;
  for (auto& other : walkers_) other->worker.loss = 0.0;
  while (under_way_.size() < job.workers) under_way_.push_back({std::make_unique<Example>(layers()), Rate(), false});
  Group group;
  uint64_t done = 0;
  int64_t bad_row = -1;
  for (; done < rows.size(); done++) {
    const uint64_t step = step_ + done;
    UnderWay& mine = under_way_[Random(seed_, Purpose::kWorkers, step).below(job.workers)];
    land(mine);
    Example& example = *mine.example;
    group.list.assign(1, &example);
    ready(example, job, rows[done], step);
    model_.forward(group, alone, w);
    const float loss = loss_of(example, job, 1.f);
    if (!std::isfinite(loss)) {
      bad_row = rows[done];
      land_all();
      break;
    }
    w.loss += on_grid(loss);
    if (!example.learns) continue;
    mine.rate = rate_at(job.schedule, step, updates_ + done);
    model_.learn(group, walker.shared, alone, nullptr, true, w);
    example.ask.forced = {};  // it may outlive the labels
    mine.computed = true;
    w.learned++;
  }
  return tally(done, 0, bad_row);
}

void Network::land(UnderWay& one) {
  if (!one.computed) return;
  Group group;
  group.list.assign(1, one.example.get());
  model_.repeat(group, one.rate, walker(0).worker);
  one.computed = false;
}

// What is under way lands before hashes are made anew, and before an epoch ends.
void Network::land_all() {
  for (UnderWay& one : under_way_) land(one);
}

}  // namespace hashgrad
