// One fully connected layer: rows of weights (the bias last in each), optimiser state beside them,
// and a selector. All of a layer's work on one example leaves its marks in a Trace; the layer
// itself changes only in update.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ledger.h"
#include "row_buffer.h"
#include "selector/selector.h"
#include "spec.h"

namespace hashgrad {

// One example's passage through one layer.
struct Trace {
  explicit Trace(uint32_t n_outputs) : output(n_outputs + 1) {}

  ActiveSet active;               // neurons kept; after activate(), of a ReLU layer only those above zero
  std::vector<float> activation;  // f(z), before the gain
  std::vector<float> delta;       // d loss / d z of the same neurons
  uint32_t n_selected = 0;        // before ReLU's zeros were dropped
  Query query;
  RowBuffer output;  // the next layer's input
};

// One thread's working memory for any layer.
struct Scratch {
  SelectScratch select;
  std::vector<float> gradient;   // of a layer's input, or of one row
  std::vector<uint32_t> block;   // touched blocks of `gradient`
  std::vector<uint8_t> touched;  // per block, zero between uses
  std::vector<std::pair<float, const Query*>> steps;
};

// An optimiser's step for this moment of training, and how to share it between examples and
// batches.
struct Rate {
  Optimizer kind = Optimizer::kSgd;
  float rate = 0.f;  // as scheduled
  Step step;         // what the kernels take
};

class Layer {
 public:
  Layer(uint32_t n_inputs, const LayerSpec& spec, const OptimizerSpec& optimizer, uint64_t seed, uint64_t layer);

  void forward(const Row& x, const Ask& ask, bool last, Trace& trace, Scratch& scratch, Counts& counts) const;
  void activate(Trace& trace) const;  // z -> the next layer's input; part of forward unless `last`
  // d loss / d z of the layer below, from this layer's deltas; x is the row that came from below.
  void backward(const Row& x, const Trace& trace, Trace& below, Activation activation_below, Scratch& scratch,
                Counts& counts) const;

  // Hogwild: every active row moves by its own gradient, at once.
  void update(const Row& x, const Trace& trace, const Rate& rate, Scratch& scratch, Counts& counts);

  // Batch-synchronous: row i moves once, by the sum of its gradients over (input, trace, position
  // in the trace).
  struct Contribution {
    const Row* x;
    const Trace* trace;
    uint32_t position;
  };
  void update_row(uint32_t i, std::span<const Contribution> contributions, const Rate& rate, Scratch& scratch,
                  Counts& counts);

  Weights weights() const { return {weight_.data(), stride_, spec_.n_outputs, n_columns_}; }
  LshIndex* index() { return selector_->index(); }
  const LayerSpec& spec() const { return spec_; }
  uint32_t n_columns() const { return n_columns_; }
  size_t stride() const { return stride_; }
  Array<float>& weight() { return weight_; }
  Array<float>& moment1() { return moment1_; }
  Array<float>& moment2() { return moment2_; }
  Array<float>& row_square() { return row_square_; }
  size_t bytes();

 private:
  void step_row(uint32_t i, float a, float factor, const Row& x, const Rate& rate, Counts& counts);
  float row_factor(uint32_t i, float gradient_norm2, const Rate& rate);

  LayerSpec spec_;
  OptimizerSpec optimizer_;
  uint32_t n_columns_;  // inputs + 1
  size_t stride_;       // n_columns padded to whole cache lines
  Array<float> weight_;
  Array<float> moment1_, moment2_;  // element-wise optimisers only
  Array<float> row_square_;         // row-wise Adagrad only
  std::unique_ptr<Selector> selector_;
};

}  // namespace hashgrad
