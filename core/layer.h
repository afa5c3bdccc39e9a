// One fully connected layer: weights (the bias a weight like any other), optimiser state beside them, and a selector.
// Weights lie neuron by neuron where a selector names the neurons to evaluate, or input by input where a sparse input
// names the inputs to read.
//
// The work on a group of examples goes in phases. In some, a member of the team sees to its own examples (propose,
// nominate, keep); in the others to its own neurons, for all examples (scan, evaluate, learn): a neuron's weights, its
// hashes and its optimiser state are read and written by one thread alone, and stay in that thread's cache. Between
// phases all members meet. A thread that trains or predicts on its own is a team of one.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "group.h"
#include "ledger.h"
#include "moments.h"
#include "spec.h"
#include "threads.h"

namespace hashgrad {

// An optimiser's step for this moment of training, and how to share it between examples and
// batches.
struct Rate {
  Optimizer kind = Optimizer::kSgd;
  State state = State::kFloat32;
  float rate = 0.f;     // as scheduled
  uint64_t update = 0;  // which one it is, from 0
  uint64_t bits = 0;    // this update's own, from which rows get keys
  Step step;            // what the kernels take
};

class Layer {
 public:
  Layer(uint32_t n_inputs, const LayerSpec& spec, const OptimizerSpec& optimizer, uint64_t seed, uint64_t layer);

  Layer(const Layer& other);
  Layer& operator=(const Layer& other);  // of the same network
  Layer(Layer&&) = default;

  // How weights lie, and how an LSH layer looks up. The weights stay; the optimiser's state starts again at zero, and
  // hashes must be built anew.
  void arrange(Layout layout, Lookup lookup, Code code);

  // Weights to a byte each, for prediction alone: learning is no longer possible.
  void make_compact();
  bool compact() const { return !code_.empty(); }

  // Forward. The example's passage here is example.passages[the layer's number].
  void propose(Example& example, Worker& w) const;
  bool may_scan(bool pools) const { return selector_->may_scan(pools); }
  bool scans(const Ask& ask) const { return selector_->scans(ask); }
  void scan(Range own, const Group& group, Worker& w) const;
  void nominate(Example& example, Worker& w) const;
  void evaluate(Range own, const Group& group, size_t first, size_t last) const;  // those examples
  void keep(Example& example, bool activates, Worker& w) const;
  void activate(Passage& passage) const;  // z -> the next layer's input; part of `keep` if it `activates`
  // The exact z of every neuron, whatever the selector.
  void evaluate_all(const Row& x, std::vector<float>& z) const;

  // Training of a pooled layer, in the order of these. A batch's examples have nominated neurons: unite them.
  bool pools() const { return spec_.pools(); }
  void fill_pool(const Member& me, const Group& group, Pool& pool) const;
  void evaluate_pool(const Member& me, Pool& pool, Worker& w) const;  // z of all its neurons, for all examples
  void back_pool(const Member& me, const Group& group, Pool& pool, Worker& w) const;
  void step_pool(const Member& me, const Rate& rate, const Pool& pool, Worker& w);

  // Backward, and the update of the member's own neurons; `rate` null: backward alone. `above`: the layer whose inputs
  // are this one's neurons, or null.
  void learn(const Member& me, const Group& group, const Shared& shared, const Layer* above, const Rate* rate,
             bool at_once, Worker& w);

  // The steps of plain SGD alone, for one example whose deltas are known, as one thread takes them.
  void repeat(const Group& example, const Rate& rate, Worker& w);

  // The same for a narrow layer, which is input-major and has one part: members see to their own examples, then to the
  // rows of these inputs.
  bool narrow() const { return input_major() && n_parts_ == 1 && number_ > 0; }
  void back_narrow(const Member& me, const Group& group, const Layer* above, Worker& w);
  void step_narrow(const Member& me, Range inputs, const Group& group, const Shared& shared, const Rate& rate,
                   Worker& w);

  // A member's neurons: whole parts, which do not depend on the team's size, so that sums over parts do not either.
  Range own(const Member& me) const { return {part(first_part(me)), part(last_part(me))}; }
  uint32_t n_parts() const { return n_parts_; }
  Range blocks(const Member& me) const {  // or whole blocks of neurons, in about equal shares
    const size_t n = stride_of(spec_.n_outputs) / kBlock, most = spec_.n_outputs;
    return {static_cast<uint32_t>(std::min(most, me.first(n) * kBlock)),
            static_cast<uint32_t>(std::min(most, me.last(n) * kBlock))};
  }
  uint32_t part(uint32_t p) const {  // its first neuron
    const size_t blocks = stride_of(spec_.n_outputs) / kBlock;
    return static_cast<uint32_t>(std::min<size_t>(spec_.n_outputs, blocks * p / n_parts_ * kBlock));
  }

  Weights weights() const {  // neuron-major only
    if (half_.empty()) return {weight_.data(), stride_, spec_.n_outputs, n_columns_};
    return {nullptr, half_stride_, spec_.n_outputs, n_columns_, bias_.data(), half_.data()};
  }
  LshIndex* index() const { return selector_->index(); }
  const LayerSpec& spec() const { return spec_; }
  uint32_t n_columns() const { return n_columns_; }
  size_t stride() const { return stride_; }
  bool input_major() const { return spec_.layout == Layout::kInput; }
  Array<float>& weight() { return weight_; }
  Array<uint16_t>& half() { return half_; }
  size_t half_stride() const { return half_stride_; }
  Array<float>& bias() { return bias_; }  // where weights are halves
  Moments& moment1() { return moment1_; }
  Moments& moment2() { return moment2_; }
  Array<float>& row_square() { return row_square_; }
  Array<Units>& row_units() { return row_units_; }
  Array<uint64_t>& row_update() { return row_update_; }
  size_t memory() const;

 private:
  // Steps that are in the gradients' factors: nothing else happens to a weight.
  bool plain(const Rate& rate) const { return rate.kind == Optimizer::kSgd && optimizer_.l2 == 0.f; }
  static size_t stride_of(uint32_t n) { return round_up(n, kBlock); }
  uint32_t first_part(const Member& me) const { return static_cast<uint32_t>(me.first(n_parts_)); }
  uint32_t last_part(const Member& me) const { return static_cast<uint32_t>(me.last(n_parts_)); }
  void check(const LayerSpec& spec) const;  // that this layer can be so
  void allocate();
  // z of these neurons, null: of n neurons from `first` on
  void dot(const uint32_t* ids, uint32_t first, uint32_t n, const Row& x, float* z) const;
  void encode_input(const Row& x, Codes& codes) const;  // layer_compact.cpp
  void evaluate_codes(Range own, const Row& x, Passage& passage) const;
  void choose_selector();
  uint64_t neuron_cost(const Row& x, const Codes& codes) const;              // of evaluating one
  bool by_columns(const Row& x) const { return !input_major() && x.dense; }  // how `towards` is indexed

  // layer_learn.cpp
  void collect_delta(Range neurons, Example& example, const Layer& above) const;
  void back_rows(const Member& me, const Group& group, Worker& w) const;
  void step_rows(const Member& me, const Group& group, const Incidence* neurons, const Rate& rate, Worker& w);
  void update_row(uint32_t i, std::span<const Incidence::Entry> entries, const Group& group, const Rate& rate,
                  bool alone, Worker& w);
  Row sum_of_gradients(std::span<const Incidence::Entry> entries, const Group& group, Worker& w) const;
  bool sum_whole_rows(std::span<const Incidence::Entry> entries, const Group& group, Worker& w) const;
  void step_row(uint32_t i, float a, float factor, const Row& x, const Rate& rate, Worker& w);
  void update(uint32_t i, float a, const Row& x, Step step, const Rate& rate, Worker& w);
  float row_factor(uint32_t i, float gradient_square, const Rate& rate);

  // layer_pool.cpp
  void pair_inputs(Range examples, Pool& pool) const;
  void pair_weights(Range rows, Pool& pool) const;
  void pair_halves(Range rows, Pool& pool) const;
  void widen_weights(Range rows, Pool& pool) const;
  Factor weights_of(const Pool& pool, uint32_t first) const;  // from this row of the pool on
  float bias_of(uint32_t i) const { return half_.empty() ? weight_[stride_ * i + n_columns_ - 1] : bias_[i]; }
  void pair_gradients(Range examples, Pool& pool) const;

  // layer_columns.cpp
  void learn_columns(const Member& me, const Group& group, const Incidence& inputs, const Rate* rate, Worker& w);
  void run_columns(Range parts, uint32_t e, uint32_t from, uint32_t to, bool towards, const Rate* rate,
                   const Group& group, Worker& w);
  void cut_parts(Range parts, uint32_t e, const Group& group, Worker& w) const;
  void take_back_steps(Range parts, const Group& group, const Incidence& inputs, const Rate& rate, Worker& w);
  void spread_deltas(const Group& group, Worker& w) const;
  void ask_for_row(size_t row) const;
  void catch_up(uint32_t i, const Rate& rate, Step& step, Counts& counts);
  void step_columns(uint32_t j, std::span<const Incidence::Entry> entries, const Group& group, const Rate& rate,
                    Worker& w);
  void step_bias(const Group& group, const Rate& rate, Worker& w);

  LayerSpec spec_;  // resolved
  LshSpec asked_;
  OptimizerSpec optimizer_;
  uint64_t seed_, number_;
  uint32_t n_columns_;  // inputs + 1
  uint32_t n_parts_;
  size_t stride_ = 0;     // of a row of weights, in whole cache lines
  Array<float> weight_;   // n_outputs x stride or, input-major, n_columns x stride
  Array<uint16_t> half_;  // instead: bfloat16, n_outputs x half_stride, without biases
  size_t half_stride_ = 0;
  Moments moment1_, moment2_;   // element-wise optimisers only
  Array<float> row_square_;     // of each row, a neuron's or an input's: row-wise Adagrad's sum, or Adam's mean
  Array<Units> row_units_;      // likewise: what bytes of its moments stand for
  Array<uint64_t> row_update_;  // likewise, where Adam is not lazy: the update that moved it last, from 1
  Array<uint8_t> code_;         // compact: instead of weights, rows of as many bytes as code_stride_
  size_t code_stride_ = 0;
  Array<float> unit_;  // compact: what a code of 1 stands for, of each row
  Array<float> bias_;  // of compact weights and of halves, whose rows have none
  std::unique_ptr<Selector> selector_;
};

}  // namespace hashgrad
