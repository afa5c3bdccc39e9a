#include "layer.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "random.h"

namespace hashgrad {

namespace {

constexpr size_t kChunkBytes = 1 << 17;  // of weights that several examples read in turn, from the second-level cache
constexpr size_t kFewRows = 16;          // of an example, at least, to be evaluated together
constexpr uint32_t kStrip = 128;         // neurons of input-major weights, likewise

Ask ask_of(const Example& example, size_t layer) {
  Ask ask = example.ask;
  ask.layer = layer;
  if (layer + 1 < example.passages.size()) ask.forced = {}, ask.least = 0;  // outputs are meant
  return ask;
}

}  // namespace

Layer::Layer(uint32_t n_inputs, const LayerSpec& spec, const OptimizerSpec& optimizer, uint64_t seed, uint64_t layer)
    : spec_(spec), asked_(spec.lsh), optimizer_(optimizer), seed_(seed), number_(layer), n_columns_(n_inputs + 1) {
  spec_.lsh = asked_.resolved(spec.n_outputs);
  check(spec_);
  allocate();
  // Uniform: as wide as the user says, or He for ReLU, Glorot for the others; biases start at zero.
  const float fan = spec.activation == Activation::kRelu ? static_cast<float>(n_inputs)
                                                         : static_cast<float>(n_inputs + spec.n_outputs);
  const float limit = spec.init_std > 0.f ? std::sqrt(3.f) * spec.init_std : std::sqrt(6.f / fan);
  std::vector<float> row(half_stride_);
  for (uint32_t i = 0; i < spec.n_outputs; i++) {
    Random random(seed, Purpose::kWeights, layer, i);
    for (uint32_t j = 0; j < n_inputs; j++)
      (spec.halved() ? row[j] : weight_[input_major() ? j * stride_ + i : i * stride_ + j]) =
          limit * (2.f * random.uniform() - 1.f);
    if (spec.halved())
      active().narrow(row.data(), static_cast<uint32_t>(half_stride_), static_cast<uint32_t>(random.next()),
                      &half_[i * half_stride_]);
  }
  choose_selector();
}

Layer::Layer(const Layer& other)
    : spec_(other.spec_),
      asked_(other.asked_),
      optimizer_(other.optimizer_),
      seed_(other.seed_),
      number_(other.number_),
      n_columns_(other.n_columns_) {
  allocate();
  choose_selector();
  *this = other;
}

Layer& Layer::operator=(const Layer& other) {
  code_ = other.code_, code_stride_ = other.code_stride_, unit_ = other.unit_, bias_ = other.bias_;
  half_ = other.half_, half_stride_ = other.half_stride_;
  weight_ = other.weight_, moment1_ = other.moment1_, moment2_ = other.moment2_, row_square_ = other.row_square_,
  row_units_ = other.row_units_, row_update_ = other.row_update_;
  if (index()) *index() = *other.index();
  return *this;
}

void Layer::check(const LayerSpec& spec) const {
  if (optimizer_.state != State::kFloat32 && optimizer_.kind != Optimizer::kAdam)
    throw std::invalid_argument("state must be 'float32' unless the optimizer is 'adam', got '" +
                                kStates.name(optimizer_.state) + "' with '" + kOptimizers.name(optimizer_.kind) + "'");
  const bool by_input = spec.layout == Layout::kInput, lsh = spec.selector == Selection::kLsh;
  if (by_input && lsh && spec.lsh.lookup != Lookup::kExact)
    throw std::invalid_argument("layout must be 'neuron' where neurons are hashed, got 'input'");
  if (lsh && spec.lsh.rehash == Rehash::kIncremental && !optimizer_.rank_one())
    throw std::invalid_argument(
        "rehash 'incremental' must go with an optimizer that moves a row by one common factor (sgd, row-adagrad) and "
        "l2 = 0, got optimizer '" +
        kOptimizers.name(optimizer_.kind) + "' and l2 = " + std::to_string(optimizer_.l2));
}

void Layer::allocate() {
  const Optimizer kind = optimizer_.kind;
  stride_ = stride_of(input_major() ? spec_.n_outputs : n_columns_);
  const size_t n_weights = stride_ * (input_major() ? n_columns_ : spec_.n_outputs);
  if (spec_.halved()) {
    half_stride_ = round_up(n_columns_ - 1, 2 * kBlock);
    half_ = Array<uint16_t>(half_stride_ * spec_.n_outputs);
    bias_ = Array<float>(spec_.n_outputs);
  } else {
    weight_ = Array<float>(n_weights);
  }
  const State state = optimizer_.state;
  if (kind != Optimizer::kSgd && kind != Optimizer::kRowAdagrad) moment1_ = Moments(n_weights, state);
  if ((kind == Optimizer::kAdagrad || kind == Optimizer::kAdam) && state != State::kRow)
    moment2_ = Moments(n_weights, state);
  const size_t n_rows = input_major() ? n_columns_ : spec_.n_outputs;
  if (kind == Optimizer::kRowAdagrad || state == State::kRow) row_square_ = Array<float>(n_rows);
  if (state == State::kBytes) row_units_ = Array<Units>(n_rows);
  if (kind == Optimizer::kAdam && !optimizer_.lazy) row_update_ = Array<uint64_t>(n_rows);
  // Parts are what a team can share. Each adds to what the layer below must sum up, so they hold several active
  // neurons.
  const uint32_t n = spec_.n_outputs;
  const uint32_t most = number_ == 0 ? std::min(64u, n / 16) : std::min({32u, n / 32, spec_.n_kept() / 6});
  n_parts_ = pools() ? 1 : std::bit_floor(std::max(1u, most));
}

void Layer::choose_selector() {
  const bool follows = spec_.lsh.rehash != Rehash::kRows && !pools() && !spec_.lsh.densified() && optimizer_.rank_one();
  switch (spec_.selector) {
    case Selection::kAll:
      selector_ = make_all();
      break;
    case Selection::kRandom:
      selector_ = make_random(spec_);
      break;
    case Selection::kAdaptive:
      selector_ = make_adaptive(spec_);
      break;
    case Selection::kWinnerTakeAll:
      selector_ = make_winner_take_all(spec_);
      break;
    case Selection::kLsh:
      if (spec_.lsh.lookup == Lookup::kExact) {
        selector_ = make_winner_take_all(spec_);
        break;
      }
      selector_ =
          make_lsh(spec_, std::make_unique<LshIndex>(spec_.n_outputs, n_columns_, spec_.lsh, follows, seed_, number_));
      break;
  }
}

void Layer::arrange(Layout layout, Lookup lookup, Code code) {
  LayerSpec spec = spec_;
  spec.layout = layout;
  spec.lsh = asked_;
  spec.lsh.lookup = lookup;
  spec.lsh.code = code;
  spec.check();
  spec.lsh = spec.lsh.resolved(spec.n_outputs);
  check(spec);
  const bool turn = layout != spec_.layout;
  spec_ = spec;
  if (turn) {
    const Array<float> old = std::move(weight_);
    const size_t old_stride = stride_;
    allocate();
    const uint32_t rows = input_major() ? n_columns_ : spec_.n_outputs;
    const uint32_t columns = input_major() ? spec_.n_outputs : n_columns_;
    for (uint32_t i = 0; i < rows; i++)
      for (uint32_t j = 0; j < columns; j++) weight_[i * stride_ + j] = old[j * old_stride + i];
  }
  choose_selector();
}

void Layer::propose(Example& example, Worker& w) const {
  Passage& p = example.passages[number_];
  selector_->propose(example.input_of(number_), spec_.n_outputs, ask_of(example, number_), p.query, w.select,
                     p.proposal, w.counts[number_]);
  p.proposal.z.resize(round_up(p.proposal.size(spec_.n_outputs), 64));
  if (scans(example.ask)) p.proposal.score.resize(stride_of(spec_.n_outputs));
  if (compact()) encode_input(example.input_of(number_), p.codes);
}

void Layer::scan(Range own, const Group& group, Worker& w) const {
  w.query.clear(), w.score.clear();
  for (size_t e = 0; e < group.size(); e++) {
    if (!scans(group[e].ask)) continue;
    Passage& p = group[e].passages[number_];
    w.query.push_back(&p.query);
    w.score.push_back(p.proposal.score.data());
  }
  index()->scan(own.from, own.to, w.query, w.score.data(), w.select.lookup);
}

void Layer::nominate(Example& example, Worker& w) const {
  Passage& p = example.passages[number_];
  selector_->nominate(ask_of(example, number_), p.query, w.select, p.proposal);
  p.proposal.z.resize(round_up(p.proposal.size(spec_.n_outputs), 64));
}

void Layer::evaluate(Range own, const Group& group, size_t first, size_t last) const {
  if (compact()) {
    for (size_t e = first; e < last; e++) evaluate_codes(own, group[e].input_of(number_), group[e].passages[number_]);
    return;
  }
  const bool together = last - first > 1;
  if (input_major()) {
    const auto to = static_cast<uint32_t>(stride_of(own.to));
    const uint32_t step = together ? kStrip : to;
    for (uint32_t from = own.from; from < to; from += step)
      for (size_t e = first; e < last; e++)
        active().add_columns(weight_.data() + from, stride_, group[e].input_of(number_), std::min(step, to - from),
                             group[e].passages[number_].proposal.z.data() + from);
    return;
  }
  uint32_t step = std::max(1u, own.to - own.from);
  if (together) {
    const size_t proposed = group[first].passages[number_].proposal.size(spec_.n_outputs);
    const size_t some = kFewRows * spec_.n_outputs / std::max<size_t>(1, proposed);  // that hold a few of them
    step = static_cast<uint32_t>(std::min<size_t>(step, std::max(some, kChunkBytes / (stride_ * sizeof(float)))));
  }
  for (uint32_t from = own.from; from < own.to; from += step) {
    const uint32_t to = std::min(own.to, from + step);
    for (size_t e = first; e < last; e++) {
      Proposal& p = group[e].passages[number_].proposal;
      const Row& x = group[e].input_of(number_);
      if (p.all) {
        dot(nullptr, from, to - from, x, p.z.data() + from);
        continue;
      }
      const auto begin = std::lower_bound(p.id.begin(), p.id.end(), from);
      const auto end = std::lower_bound(begin, p.id.end(), to);
      dot(std::to_address(begin), 0, static_cast<uint32_t>(end - begin), x, p.z.data() + (begin - p.id.begin()));
    }
  }
}

void Layer::evaluate_all(const Row& x, std::vector<float>& z) const {
  z.resize(stride_of(spec_.n_outputs));
  if (input_major())
    active().add_columns(weight_.data(), stride_, x, static_cast<uint32_t>(z.size()), z.data());
  else
    dot(nullptr, 0, spec_.n_outputs, x, z.data());
}

void Layer::dot(const uint32_t* ids, uint32_t first, uint32_t n, const Row& x, float* z) const {
  if (half_.empty()) return active().dot_rows(weight_.data() + size_t{first} * stride_, stride_, ids, n, x, z);
  Row inputs = x;  // without the bias's, which the last block may hold alone
  inputs.n--;
  if (x.dense && (n_columns_ - 1) % kBlock == 0) inputs.n_blocks--;
  active().dot_half_rows(&half_[first * half_stride_], half_stride_, ids, n, inputs, z);
  for (uint32_t r = 0; r < n; r++) z[r] += bias_[ids ? ids[r] : first + r];
}

uint64_t Layer::neuron_cost(const Row& x, const Codes& codes) const {
  if (input_major()) return compact() ? codes.code.size() : x.n;
  return compact() ? codes.block.size() * 64 : x.cost();
}

void Layer::keep(Example& example, bool activates, Worker& w) const {
  Passage& p = example.passages[number_];
  const Row& x = example.input_of(number_);
  Counts& counts = w.counts[number_];
  const uint64_t each = neuron_cost(x, p.codes), evaluated = p.proposal.size(spec_.n_outputs);
  // by input, those that fill the last cache line are computed too
  const uint64_t cost = each * (input_major() ? (compact() ? code_stride_ : stride_) : evaluated);
  selector_->keep(spec_.n_outputs, ask_of(example, number_), w.select, p.proposal, p.active, counts);
  p.n_selected = static_cast<uint32_t>(p.active.id.size());
  const uint64_t forward = p.n_selected == evaluated ? cost : p.n_selected * each;
  counts.forward += forward;
  counts.rerank += cost - forward;
  counts.candidates += evaluated;
  counts.active += p.n_selected;
  counts.queries++;
  if (activates) activate(p);
  if (!example.ask.training) return;
  p.delta.resize(p.active.id.size());
  if (number_ == 0) return;
  p.by_columns = by_columns(x);
  p.width = p.by_columns ? stride_ : x.n;
  p.towards.resize(n_parts_ * p.width);
  p.gradient = p.towards.data();
}

void Layer::activate(Passage& passage) const {
  ActiveSet& set = passage.active;
  if (spec_.activation == Activation::kRelu) {
    // Neurons at rest have no output and no gradient. A NaN goes on, for the loss to report.
    uint32_t gained = 0;
    for (size_t k = 0; k < set.gain.size(); k++) {
      set.gain[gained] = set.gain[k];
      gained += !(set.z[k] <= 0.f);
    }
    if (!set.gain.empty()) set.gain.resize(gained);
    const uint32_t kept = active().positives(set.id.data(), set.z.data(), static_cast<uint32_t>(set.id.size()));
    set.id.resize(kept);
    set.z.resize(kept);
  }
  const size_t n = set.id.size();
  std::copy_n(set.id.begin(), n, passage.output.indices(n));
  float* value = passage.output.values();
  std::copy_n(set.z.begin(), n, value);
  if (spec_.activation == Activation::kTanh || spec_.activation == Activation::kSigmoid) {
    for (size_t k = 0; k < n; k++)
      value[k] = spec_.activation == Activation::kTanh ? std::tanh(set.z[k]) : 1.f / (1.f + std::exp(-set.z[k]));
    passage.activation.assign(value, value + n);
  }
  if (!set.gain.empty() || set.uniform_gain != 1.f)
    for (size_t k = 0; k < n; k++) value[k] *= set.gain_of(k);
  passage.output.take(static_cast<uint32_t>(n));
  passage.output.finish();
}

size_t Layer::memory() const {
  return code_.bytes() + unit_.bytes() + bias_.bytes() + weight_.bytes() + half_.bytes() + moment1_.bytes() +
         moment2_.bytes() + row_square_.bytes() + row_units_.bytes() + row_update_.bytes() +
         (index() ? index()->memory() : 0);
}

}  // namespace hashgrad
