// A model, and what it takes to train it and to predict with it; trainer.cpp knows how many examples walk at once.
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "ledger.h"
#include "loss.h"
#include "model.h"
#include "pace.h"
#include "threads.h"

namespace hashgrad {

struct TrainingJob {
  const Batch* batch;
  const Targets* targets;
  std::span<const uint32_t> order;   // rows to visit
  std::span<const uint32_t> sample;  // rows that stand for the data at rebuilds
  ScheduleSpec schedule;
  uint32_t batch_size = 0;  // 0: Hogwild
  uint32_t workers = 0;     // of a simulation of Hogwild on one thread; 0: the threads themselves
  const float* example_weights = nullptr;
  const float* output_weights = nullptr;
  const float* chance = nullptr;  // per output, to be a label in a batch: a pooled softmax is corrected by it
  bool inverse = false;  // of a pooled logistic loss: outputs that were drawn count the inverse of their chance to be
  float known = 1.f;     // an example whose label has this probability (softmax) is not learned from; 1: none
  uint8_t* resting = nullptr;  // per row: 1 where it was known, and is left out when its turn comes next

  float known_loss() const { return known < 1.f ? -std::log(known) : -1.f; }  // -1: no example is known
  bool rests(uint32_t row) const { return resting && resting[row]; }
  void rested(uint32_t row) const { resting[row] = 0; }
  void note(const Example& example) const {
    if (resting && !example.learns) resting[example.row] = 1;
  }
};

struct TrainResult {
  double loss_sum = 0.0;
  uint64_t examples = 0;
  uint64_t rested = 0;   // of these, left out: they have no loss
  int64_t bad_row = -1;  // the row whose loss was not finite; training stopped there
};

struct Recall {
  double recall = 1.0, gain = 1.0;
};

class Network {
 public:
  Network(uint32_t n_inputs, const std::vector<LayerSpec>& layers, Loss loss, const OptimizerSpec& optimizer,
          uint64_t seed);

  // The same network for prediction alone, with weights of a byte each.
  std::unique_ptr<Network> compacted() const;

  // Hashes every LSH layer for the first time, with means and subspaces from these rows of the
  // data.
  void build(const Batch& batch, std::span<const uint32_t> sample, int threads);
  TrainResult train(const TrainingJob& job, int threads);
  // Makes the tables what a reload would make them, so that resumed training goes on exactly, and brings hashes up to
  // date. An epoch that was broken off leaves those that training asks as they are: it will go on.
  // With rows to learn means and subspaces from, what nobody asks in training is made anew, if that is due.
  void end_epoch(bool complete, const Batch* batch, std::span<const uint32_t> sample);

  void scores(const Batch& batch, bool exact, int threads, float* out);  // n_rows x n_outputs
  void topk(const Batch& batch, uint32_t k, bool exact, int threads, int32_t* index, float* score);
  uint32_t best(const Batch& one, bool exact);  // output of one row
  // Of each layer: in how many rows each neuron is active; of a ReLU layer, with an output above zero.
  std::vector<std::vector<uint32_t>> usage(const Batch& batch, bool exact, int threads);
  std::vector<Recall> recall(const Batch& batch, std::span<const uint32_t> rows);

  // How layer l's weights lie, and how it looks up if it is hashed; before it has trained or is built.
  void arrange(size_t l, Layout layout, Lookup lookup, Code code);

  // Multiplications of one example in the same network run densely, zeros counted.
  double dense_multiplications(uint32_t batch_size) const;
  uint64_t dense_prediction_multiplications() const;

  void derive_after_load(int threads);
  void rehash(int threads);  // the neurons that are marked, now
  std::map<std::string, double> state() const;
  void set_state(const std::map<std::string, double>& state);

  std::vector<Layer>& layers() { return model_.layers(); }
  const std::vector<Layer>& layers() const { return model_.layers(); }
  Model& model() { return model_; }
  Loss loss() const { return loss_; }
  const OptimizerSpec& optimizer() const { return optimizer_; }
  uint32_t n_inputs() const { return n_inputs_; }
  uint32_t n_outputs() const { return layers().back().spec().n_outputs; }
  uint64_t seed() const { return seed_; }
  uint64_t step() const { return step_; }
  bool built() const { return built_; }
  bool frozen() const { return frozen_; }
  void check_open(const char* what) const {
    if (frozen_) throw std::runtime_error(std::string("a compact network cannot be ") + what);
  }
  uint64_t rebuilds() const { return rebuilds_; }
  std::vector<uint32_t> pool() const {  // neurons of a pooled output layer that the last batch was trained on
    const std::shared_lock reading(mutex_);
    return pool_of_last_batch_;
  }
  double staleness(size_t layer) const { return staleness_[layer]; }
  uint64_t n_parameters() const;
  size_t memory() const;
  Ledger& ledger() { return ledger_; }
  Ledger& prediction_ledger() { return prediction_ledger_; }

  std::shared_mutex& mutex() const { return mutex_; }
  Pace& pace() { return pace_; }

 private:
  Network(const Network& other, std::shared_lock<std::shared_mutex>&& reading);

  Ask ask_of(bool training, uint64_t step) const;
  struct Walker;
  std::unique_ptr<Walker> borrow();
  void give_back(std::unique_ptr<Walker> walker, uint64_t n_examples);
  void answer(const Batch& batch, uint64_t from, size_t n, bool exact, uint32_t least, Walker& walker) const;
  void predict(const Batch& batch, bool exact, uint32_t least, int threads,
               const std::function<void(uint64_t, const Example&)>& take);

  // trainer.cpp; hogwild.cpp: train_hogwild, train_on_copies, tally; simulated.cpp: train_simulated, land
  void upkeep(const TrainingJob& job, Team& team);
  void rehash_marked(Team& team, bool for_training);  // or for all who may ask
  void rebuild(const Batch& batch, std::span<const uint32_t> sample, Team& team);
  void rebuild_on_schedule(const Batch& batch, std::span<const uint32_t> sample, Team& team);
  bool asks() const;  // training does, some layer's hashes
  uint64_t until_upkeep() const;
  Rate rate_at(const ScheduleSpec& schedule, uint64_t step, uint64_t update) const;
  TrainResult train_hogwild(const TrainingJob& job, std::span<const uint32_t> rows, Team& team);
  TrainResult train_batches(const TrainingJob& job, std::span<const uint32_t> rows, Shared& shared, Team& team);
  TrainResult tally(uint64_t examples, uint64_t rested, int64_t bad_row);
  TrainResult train_on_copies(const TrainingJob& job, std::span<const uint32_t> rows, Team& team);
  bool works_on_copies(Team& team) const;
  TrainResult train_simulated(const TrainingJob& job, std::span<const uint32_t> rows);
  struct UnderWay {  // an example with its simulated worker
    std::unique_ptr<Example> example;
    Rate rate;
    bool computed = false;  // and not landed yet
  };
  void land(UnderWay& one);
  void land_all();
  void ready(Example& example, const TrainingJob& job, uint32_t row, uint64_t step) const;
  float loss_of(Example& example, const TrainingJob& job, float scale) const;
  void losses_of(const Member& me, const Group& group, Pool& pool, const TrainingJob& job, float scale,
                 std::vector<float>& log_chance, std::vector<float>& pool_weights) const;
  // A thread that works on its own: its memory, and the examples it walks.
  struct Walker {
    Walker(const std::vector<Layer>& layers, size_t n_examples)
        : worker(layers.size()), shared(layers.size(), 1), twice(layers.size()) {
      while (examples.size() < n_examples) examples.push_back(std::make_unique<Example>(layers));
    }
    const Group& some(size_t n) {  // of its examples
      group.list.clear();
      for (size_t e = 0; e < n; e++) group.list.push_back(examples[e].get());
      return group;
    }
    Worker worker;
    Shared shared;
    std::vector<Counts> twice;  // of what other threads do and count as well
    std::vector<std::unique_ptr<Example>> examples;
    Group group;
  };
  Walker& walker(int member) { return *walkers_[static_cast<size_t>(member)]; }
  void hire(const Team& team);  // a worker for each member
  void collect_counts();

  uint32_t n_inputs_;
  Model model_;
  Loss loss_;
  OptimizerSpec optimizer_;
  uint64_t seed_;

  bool built_ = false;
  bool has_lsh_ = false;
  bool frozen_ = false;   // compact, for prediction alone
  uint64_t step_ = 0;     // examples seen
  uint64_t updates_ = 0;  // optimiser steps taken
  uint64_t rebuilds_ = 0;
  uint64_t next_rebuild_ = 0, rebuild_interval_ = 0, next_rehash_ = 0;
  uint64_t rebuild_every_ = 0, rehash_every_ = 0;  // the least of the LSH layers'
  std::vector<double> staleness_;                  // per layer, at the last rebuild

  Ledger ledger_, prediction_ledger_;
  std::vector<std::unique_ptr<Walker>> walkers_;  // of training
  std::vector<std::unique_ptr<Example>> batch_;   // of synchronous training
  Pace pace_;                                     // likewise
  std::vector<std::unique_ptr<Model>> copies_;    // for all members of a team but the first
  std::vector<UnderWay> under_way_;               // of simulated workers
  std::vector<uint32_t> pool_of_last_batch_;

  // Training takes it alone, a call at a time; any number of callers predict or look on together in between. Taken
  // without the GIL, or a trainer that waits for it and a reader that waits for this would wait for ever.
  mutable std::shared_mutex mutex_;
  std::mutex pool_mutex_;
  std::vector<std::unique_ptr<Walker>> pool_;  // of prediction, which many callers may do at once
};

}  // namespace hashgrad
