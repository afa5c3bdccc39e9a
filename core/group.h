// Examples that walk through the network side by side, and what each layer makes of them. Training without locks
// walks them one at a time, synchronous training a batch at a time, prediction a few at a time: the code is the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "ledger.h"
#include "pool.h"
#include "row_buffer.h"
#include "selector/selector.h"

namespace hashgrad {

// Neurons from .. to, not including the last.
struct Range {
  uint32_t from, to;
};

// A layer's input as compact weights take it: codes by column, or by entry where weights lie by input.
struct Codes {
  std::vector<int8_t> code;
  std::vector<uint32_t> block;  // of 64 columns, that hold a non-zero
  float unit = 0.f;             // what a code of 1 stands for
  int32_t total = 0;            // of the codes
};

// One example's passage through one layer.
struct Passage {
  explicit Passage(uint32_t n_outputs) : output(n_outputs + 1) {}

  Query query;
  Codes codes;  // of the input, where the weights are compact
  Proposal proposal;
  ActiveSet active;                 // neurons kept; after activation, of a ReLU layer only those above zero
  std::vector<float> activation;    // f(z), before the gain, where its slope depends on it (tanh and sigmoid)
  std::vector<float> delta;         // d loss / d z of the same neurons
  std::vector<float> towards;       // d loss / d input, in the layer's parts: parts x width, to be summed
  const float* gradient = nullptr;  // where that is: there, or where a batch's pool has it
  size_t width = 0;                 // of one part: the input's entries or, where it is read by blocks, its columns
  bool by_columns = false;          // and which of the two
  uint32_t n_selected = 0;          // before ReLU's zeros were dropped
  RowBuffer output;                 // the next layer's input

  void take_over(const Passage& other) {
    query = other.query;
    active = other.active;
    delta = other.delta;
    if (other.output.row().n) output.copy(other.output);  // the last layer has none
  }
};

// Of a layer's neurons (or of the network's inputs): for which examples was each of them active? The active sets turned
// round, by counting; each member of a team has a share, of its own neurons.
class Incidence {
 public:
  struct Entry {
    uint32_t example, position;  // in that example's list
  };
  struct Share {
    std::vector<uint32_t> touched;  // neurons active for at least one example
    std::vector<uint32_t> first;    // of each of them in `entry`; and the end
    std::vector<Entry> entry;       // in the examples' order
    std::vector<uint32_t> count;    // per neuron of the share, zero between uses

    std::span<const Entry> of(size_t t) const { return {entry.data() + first[t], first[t + 1] - first[t]}; }
  };

  void resize(int members) { shares_.resize(static_cast<size_t>(members)); }
  const std::vector<Share>& shares() const { return shares_; }
  const Share& share(int member) const { return shares_[static_cast<size_t>(member)]; }

  // ids(example): the example's neurons, ascending.
  template <class Ids>
  void collect(int member, Range own, size_t n_examples, Ids&& ids) {
    Share& s = shares_[static_cast<size_t>(member)];
    s.touched.clear(), s.first.clear(), s.entry.clear();
    if (own.from >= own.to) return s.first.push_back(0);
    s.count.resize(std::max<size_t>(s.count.size(), own.to - own.from));
    const auto inside = [&](size_t e) {
      const std::span<const uint32_t> all = ids(e);
      const auto from = std::lower_bound(all.begin(), all.end(), own.from);
      return std::span<const uint32_t>(from, std::lower_bound(from, all.end(), own.to));
    };
    for (size_t e = 0; e < n_examples; e++)
      for (const uint32_t i : inside(e))
        if (s.count[i - own.from]++ == 0) s.touched.push_back(i);
    uint32_t total = 0;
    for (const uint32_t i : s.touched) {
      s.first.push_back(total);
      const uint32_t n = s.count[i - own.from];
      s.count[i - own.from] = total;  // where its next entry goes
      total += n;
    }
    s.first.push_back(total);
    s.entry.resize(total);
    for (size_t e = 0; e < n_examples; e++) {
      const auto some = inside(e);
      auto position = static_cast<uint32_t>(some.data() - ids(e).data());
      for (const uint32_t i : some) s.entry[s.count[i - own.from]++] = {static_cast<uint32_t>(e), position++};
    }
    for (const uint32_t i : s.touched) s.count[i - own.from] = 0;
  }

 private:
  std::vector<Share> shares_;
};

// One example in flight.
struct Example {
  template <class Layers>
  explicit Example(const Layers& layers) : input(layers.front().n_columns()) {
    for (const auto& layer : layers) passages.emplace_back(layer.spec().n_outputs);
  }

  uint32_t row = 0;
  Ask ask;
  float loss = 0.f;
  bool learns = true;  // or was it known already
  RowBuffer input;
  std::vector<Passage> passages;

  // All that the steps for this example depend on.
  void take_over(const Example& other) {
    row = other.row, ask = other.ask, loss = other.loss, learns = other.learns;
    input.copy(other.input);
    for (size_t l = 0; l < passages.size(); l++) passages[l].take_over(other.passages[l]);
  }

  const Row& input_of(size_t layer) const { return layer == 0 ? input.row() : passages[layer - 1].output.row(); }
};

struct Group {
  std::vector<Example*> list;

  size_t size() const { return list.size(); }
  Example& operator[](size_t e) const { return *list[e]; }
  bool is_finite() const {  // what went forward came out as numbers
    return std::all_of(list.begin(), list.end(), [](const Example* example) { return std::isfinite(example->loss); });
  }
};

// What the members of a team share when they learn from a group.
struct Shared {
  std::vector<Incidence> incidences;  // [l]: of layer l's inputs; [number of layers]: of the last one's outputs
  std::vector<uint32_t> moved;        // neurons of one layer
  Pool pool;

  Shared(size_t n_layers, int members) : incidences(n_layers + 1) { resize(members); }
  void resize(int members) {
    for (Incidence& incidence : incidences) incidence.resize(members);
  }
};

// One thread's working memory for any layer, and its counts.
struct Worker {
  explicit Worker(size_t n_layers) : counts(n_layers) {}

  SelectScratch select;
  std::vector<std::vector<float>> delta;        // per example, of a whole layer, in whole blocks
  std::vector<float> gradient;                  // of one row of weights
  std::vector<float> weights, moments;          // a row as floats, where it is stored in fewer bytes
  std::vector<float> log_chance, pool_weights;  // per neuron of a pool
  std::vector<float> dense;                     // deltas of all neurons, zero between uses
  std::vector<float> overlap;                   // of examples' deltas
  std::vector<uint32_t> pairs;                  // of a pool's deltas, in bfloat16
  std::vector<uint32_t> block;                  // touched blocks of `gradient`
  std::vector<uint8_t> touched;                 // per block, zero between uses
  std::vector<uint32_t> index;                  // entries of one row of weights
  std::vector<float> value;
  std::vector<uint32_t> cut;  // per example and part: where the part's neurons begin in the active set
  std::vector<Incidence::Entry> bias;
  std::vector<const float*> row;
  std::vector<const Query*> query;
  std::vector<float*> score;
  std::vector<std::pair<float, const Query*>> steps;
  float input_norm2 = 0.f;  // of the one example that trains on its own
  Group group, learners;
  std::vector<Counts> counts;
  uint64_t learned = 0;  // examples
  double loss = 0.0;
};

}  // namespace hashgrad
