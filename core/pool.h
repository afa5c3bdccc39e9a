// What a batch makes of a pooled output layer: the neurons that any of its examples keeps, evaluated and trained for
// all of them, as products of small dense matrices. An example then has the hard negatives of all others besides its
// own. Examples lie side by side in columns, so that sixteen of them go through the loss at once.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "memory.h"
#include "random.h"

namespace hashgrad {

struct Pool {
  std::vector<uint32_t> id;  // ascending
  float drawn = 0.f;         // share of the others that was drawn at random beside those the examples brought
  uint32_t n_examples = 0;
  size_t columns = 0;         // n_examples in whole blocks
  size_t width = 0;           // columns lie in panels of so many, so that a panel's rows follow each other in memory
  std::vector<float> input;   // n_examples x stride: [x; 1]
  std::vector<float> turned;  // panels of n_inputs x width: the same turned round
  std::vector<float> z;       // panels of id.size() x width: w.x + b, and then d loss / dz
  std::vector<float> weight;  // id.size() x stride: its rows, where the layer's are bfloat16 and products are of floats
  std::vector<float> towards;  // n_examples x stride: d loss / d input

  // The factors in bfloat16, where products are taken of those: what follows each other in a product's sum, in pairs.
  bool in_pairs = false;
  std::vector<uint32_t> weight_columns;    // id.size() x stride / 2: of a neuron's weights
  std::vector<uint32_t> weight_neurons;    // id.size() / 2 x stride: of two neurons' weights for one input
  std::vector<uint32_t> input_columns;     // panels of n_inputs / 2 x width: of an example's inputs, but for the bias's
  std::vector<uint32_t> input_examples;    // n_examples / 2 x stride: of two examples' numbers for one input
  std::vector<uint32_t> gradient_neurons;  // panels of id.size() / 2 x width: of two neurons' d loss / dz

  void take_in(uint32_t n) { n_examples = n, columns = round_up(n, kBlock), width = std::min(columns, kPanel); }
  size_t n_panels() const { return (columns + width - 1) / width; }
  size_t of_panel(size_t p) const { return std::min(width, columns - p * width); }  // columns that it holds
  // A column: its first row; the next one is `width` further on.
  float* scores(size_t e) { return z.data() + place(e, id.size()); }
  float* inputs(size_t e, size_t n_inputs) { return turned.data() + place(e, n_inputs); }
  const float* scores(size_t e) const { return z.data() + place(e, id.size()); }
  uint32_t* input_pairs(size_t e, size_t n_inputs) { return input_columns.data() + place(e, half(n_inputs)); }
  uint32_t* gradient_pairs(size_t e) { return gradient_neurons.data() + place(e, half(id.size())); }
  static size_t half(size_t n) { return (n + 1) / 2; }  // pairs that hold n

  // The union of the examples' neurons, their labels among them, filled up at random to `least` of n.
  template <class Ids, class Labels>
  void unite(uint32_t n, size_t least, Random&& random, const Ids& ids, const Labels& labels) {
    taken_.resize(std::max<size_t>(taken_.size(), n));
    for (const uint32_t i : id) taken_[i] = 0;  // of the last batch
    id.clear();
    const auto take = [&](uint32_t i) {
      if (!taken_[i]) taken_[i] = kFound, id.push_back(i);
    };
    for (size_t e = 0; e < n_examples; e++)
      for (const uint32_t i : ids(e)) take(i);
    const size_t brought = id.size();
    while (id.size() < std::min<size_t>(least, n)) take(random.below(n));
    for (size_t k = brought; k < id.size(); k++) taken_[id[k]] = kDrawn;
    for (size_t e = 0; e < n_examples; e++)
      for (const auto label : labels(e)) taken_[static_cast<size_t>(label)] = kLabel;
    drawn = brought < n ? static_cast<float>(id.size() - brought) / static_cast<float>(n - brought) : 1.f;
    std::sort(id.begin(), id.end());
  }

  bool was_drawn(uint32_t neuron) const { return taken_[neuron] == kDrawn; }
  // By hashes alone: with a chance that nobody knows.
  bool was_found(uint32_t neuron) const { return taken_[neuron] == kFound; }

  size_t position(uint32_t neuron) const {
    return static_cast<size_t>(std::lower_bound(id.begin(), id.end(), neuron) - id.begin());
  }

 private:
  size_t place(size_t e, size_t n_rows) const { return e / width * n_rows * width + e % width; }
  static constexpr size_t kPanel = 64;  // what products take at once
  static constexpr uint8_t kFound = 1, kDrawn = 2, kLabel = 3;
  std::vector<uint8_t> taken_;  // per neuron of the layer: is it in `id`, and by whose doing?
};

}  // namespace hashgrad
