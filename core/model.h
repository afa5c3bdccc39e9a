// Layers in order: what one group of examples does in them (model.cpp is one screen of it). A network has one model,
// and copies of it where each thread is to work on weights of its own.
#pragma once

#include <vector>

#include "group.h"
#include "layer.h"

namespace hashgrad {

class Model {
 public:
  // specs: checked
  Model(uint32_t n_inputs, const std::vector<LayerSpec>& specs, const OptimizerSpec& optimizer, uint64_t seed);

  // The walk that each member of a team takes with all others. `rate` null: backward alone. `at_once`: neurons move in
  // the tables as soon as their weights do. Learning stops short of the first step, and says so, if a loss is not
  // finite.
  // `pool`: where a pooled last layer is to leave its neurons and their z; null: it goes example by example.
  void forward(const Group& group, const Member& me, Worker& w, Pool* pool = nullptr) const;
  void forward_layer(size_t l, bool activate, const Group& group, const Member& me, Worker& w) const;
  bool learn(const Group& group, Shared& shared, const Member& me, const Rate* rate, bool at_once, Worker& w);
  bool pools() const { return layers_.back().pools(); }
  // The steps that another copy of the model took, for an example that went forward and backward there.
  void repeat(const Group& example, const Rate& rate, Worker& w);

  std::vector<Layer>& layers() { return layers_; }
  const std::vector<Layer>& layers() const { return layers_; }
  uint32_t n_inputs() const { return layers_.front().n_columns() - 1; }
  size_t memory() const;

 private:
  void choose(const Layer& layer, Range scanned, const Group& group, bool pools, const Member& me, Worker& w) const;
  void forward_pool(const Group& group, const Member& me, Worker& w, Pool& pool) const;
  bool turns(size_t l, bool alone) const;
  void turn(size_t l, const Group& group, Shared& shared, const Member& me) const;
  void move_in_tables(Shared& shared, const Member& me);

  std::vector<Layer> layers_;
  bool plain_;  // SGD without decay: nothing happens to a weight but its gradients' steps
};

}  // namespace hashgrad
