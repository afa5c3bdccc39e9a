// What a network is made of, as plain values. Words are parsed (and refused) here and nowhere else.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace hashgrad {

enum class Activation { kRelu, kTanh, kSigmoid, kLinear };
enum class Selection { kAll, kRandom, kAdaptive, kWinnerTakeAll, kLsh };
enum class Layout { kNeuron, kInput };
enum class Loss { kSoftmax, kLogistic, kSquared };
enum class Family { kSimHash, kDwta, kMinHash };
enum class Projection { kSubspace, kGaussian, kSparse };
enum class Transform { kNone, kSimple, kSignAlsh, kL2Alsh };
enum class Lookup { kAuto, kExact, kScan, kTables };
enum class Code { kAuto, kBits, kBytes };
enum class Policy { kLongest, kFifo, kReservoir };
enum class Precision { kFloat32, kBfloat16 };
enum class Ranking { kSignature, kCollisions };
enum class Rehash { kAuto, kIncremental, kRows };

template <class Enum>
struct Words {
  const char* argument;
  std::vector<std::pair<std::string, Enum>> words;

  Enum parse(const std::string& word) const {
    std::string valid;
    for (const auto& [name, value] : words) {
      if (name == word) return value;
      valid += (valid.empty() ? "" : ", ") + name;
    }
    throw std::invalid_argument(std::string(argument) + " must be one of " + valid + ", got '" + word + "'");
  }
  std::string name(Enum value) const {
    return std::find_if(words.begin(), words.end(), [&](const auto& w) { return w.second == value; })->first;
  }
};

inline const Words<Activation> kActivations{"activation",
                                            {{"relu", Activation::kRelu},
                                             {"tanh", Activation::kTanh},
                                             {"sigmoid", Activation::kSigmoid},
                                             {"linear", Activation::kLinear}}};
inline const Words<Selection> kSelections{"selector",
                                          {{"all", Selection::kAll},
                                           {"random", Selection::kRandom},
                                           {"adaptive", Selection::kAdaptive},
                                           {"winner_take_all", Selection::kWinnerTakeAll},
                                           {"lsh", Selection::kLsh}}};
inline const Words<Layout> kLayouts{"layout", {{"neuron", Layout::kNeuron}, {"input", Layout::kInput}}};
inline const Words<Loss> kLosses{
    "loss", {{"softmax", Loss::kSoftmax}, {"logistic", Loss::kLogistic}, {"squared", Loss::kSquared}}};
inline const Words<Optimizer> kOptimizers{"optimizer",
                                          {{"sgd", Optimizer::kSgd},
                                           {"momentum", Optimizer::kMomentum},
                                           {"adagrad", Optimizer::kAdagrad},
                                           {"adam", Optimizer::kAdam},
                                           {"row_adagrad", Optimizer::kRowAdagrad}}};
inline const Words<State> kStates{
    "state",
    {{"float32", State::kFloat32}, {"bfloat16", State::kBfloat16}, {"row", State::kRow}, {"8-bit", State::kBytes}}};
inline const Words<Family> kFamilies{
    "family", {{"simhash", Family::kSimHash}, {"dwta", Family::kDwta}, {"minhash", Family::kMinHash}}};
inline const Words<Projection> kProjections{
    "projection",
    {{"subspace", Projection::kSubspace}, {"gaussian", Projection::kGaussian}, {"sparse", Projection::kSparse}}};
inline const Words<Transform> kTransforms{"transform",
                                          {{"none", Transform::kNone},
                                           {"simple", Transform::kSimple},
                                           {"sign-alsh", Transform::kSignAlsh},
                                           {"l2-alsh", Transform::kL2Alsh}}};
inline const Words<Lookup> kLookups{
    "lookup",
    {{"auto", Lookup::kAuto}, {"exact", Lookup::kExact}, {"scan", Lookup::kScan}, {"tables", Lookup::kTables}}};
inline const Words<Code> kCodes{"code", {{"auto", Code::kAuto}, {"bits", Code::kBits}, {"bytes", Code::kBytes}}};
inline const Words<Ranking> kRankings{"ranking",
                                      {{"signature", Ranking::kSignature}, {"collisions", Ranking::kCollisions}}};
inline const Words<Policy> kPolicies{
    "policy", {{"longest", Policy::kLongest}, {"fifo", Policy::kFifo}, {"reservoir", Policy::kReservoir}}};
inline const Words<Precision> kPrecisions{"precision",
                                          {{"float32", Precision::kFloat32}, {"bfloat16", Precision::kBfloat16}}};
inline const Words<Precision> kDtypes{"dtype", {{"float32", Precision::kFloat32}, {"bfloat16", Precision::kBfloat16}}};
inline const Words<Rehash> kRehashes{
    "rehash", {{"auto", Rehash::kAuto}, {"incremental", Rehash::kIncremental}, {"rows", Rehash::kRows}}};

constexpr int kMaxProbes = 256;

struct LshSpec {
  int bits = 8;     // K, per table key
  int tables = 40;  // L
  Family family = Family::kSimHash;
  int code_bits = 0;  // densified families: of a code; 0: 2, or 1 where `bits` is odd
  Projection projection = Projection::kSubspace;
  int rank = 32;  // of the subspace, the bias's direction counted in
  Transform transform = Transform::kNone;
  bool center = true;
  Lookup lookup = Lookup::kAuto;
  Code code = Code::kAuto;  // of a random projection: its sign, or eight bits of it
  int probes = 8;           // buckets looked up per table
  Ranking ranking = Ranking::kSignature;
  float candidates = 0.f;  // neurons evaluated for each one kept; 0: by what the codes are
  Rehash rehash = Rehash::kAuto;
  uint64_t rehash_every = 4000;    // examples between re-hashings of touched rows (rehash = rows)
  uint64_t rebuild_every = 30000;  // examples between full rebuilds, once the schedule has backed off to it
  bool pooled = false;   // of an output layer: a batch's examples are trained on the union of what each of them keeps
  uint32_t bucket = 64;  // pooled: neurons that a bucket of a table holds, at most
  Policy policy = Policy::kLongest;  // which of those that fall in it
  uint32_t fill = 0;                 // neurons in such a pool, at least; those missing are drawn at random
  uint64_t query_every = 1;          // pooled: of so many examples one looks for neurons in training; 0: none does
  Precision precision = Precision::kFloat32;  // pooled: of the factors of a batch's products, where the processor can

  void check() const {
    const auto rule = [](bool holds, const std::string& text) {
      if (!holds) throw std::invalid_argument(text);
    };
    rule(bits >= 1 && bits <= 16, "bits must be in [1, 16], got " + std::to_string(bits));
    rule(tables >= 1 && tables <= 256, "tables must be in [1, 256], got " + std::to_string(tables));
    rule(bits * tables <= 2048, "bits * tables must be at most 2048, got " + std::to_string(bits * tables));
    rule(rank >= 2, "rank must be at least 2 (one direction is the bias's own), got " + std::to_string(rank));
    const int buckets = std::min(kMaxProbes, 1 << bits);
    rule(probes >= 1 && probes <= buckets,
         "probes must be in [1, min(2**bits, 256) = " + std::to_string(buckets) + "], got " + std::to_string(probes));
    rule(candidates == 0.f || (candidates >= 1.f && std::isfinite(candidates)),
         "candidates must be at least 1, got " + std::to_string(candidates));
    rule(!pooled || lookup != Lookup::kExact, "lookup must be 'scan' or 'tables' where pooled is set, got 'exact'");
    rule(!pooled || rehash != Rehash::kIncremental, "rehash must be 'rows' where pooled is set, got 'incremental'");
    rule(bucket >= 1, "bucket must be at least 1, got 0");
    rule(pooled || policy == Policy::kLongest,
         "policy must be 'longest' unless pooled is set, got '" + kPolicies.name(policy) + "'");
    rule(pooled || fill == 0, "fill must be 0 unless pooled is set, got " + std::to_string(fill));
    rule(pooled || query_every == 1, "query_every must be 1 unless pooled is set, got " + std::to_string(query_every));
    rule(pooled || precision == Precision::kFloat32,
         "precision must be 'float32' unless pooled is set, got 'bfloat16'");
    rule(rehash_every >= 1, "rehash_every must be at least 1, got 0");
    rule(rebuild_every >= 1, "rebuild_every must be at least 1, got 0");
    rule(!(lookup == Lookup::kScan && ranking == Ranking::kCollisions),
         "lookup must be 'tables' where ranking is 'collisions', got 'scan'");
    rule(code != Code::kBytes || can_be_bytes(),
         "code 'bytes' must go with family 'simhash', projection 'subspace', transform 'none', ranking 'signature' and "
         "a lookup other than 'tables'");
    if (densified()) return check_densified(rule);
    rule(code_bits == 0, "code_bits must be 0 where family is 'simhash', got " + std::to_string(code_bits));
  }
  template <class Rule>
  void check_densified(const Rule& rule) const {
    const std::string where = " where family is '" + kFamilies.name(family) + "', got ";
    rule(code_bits == 0 || code_bits == 1 || code_bits == 2 || code_bits == 4 || code_bits == 8,
         "code_bits must be 1, 2, 4 or 8, got " + std::to_string(code_bits));
    rule(code_bits == 0 || bits % code_bits == 0,
         "bits must be a multiple of code_bits = " + std::to_string(code_bits) + where + std::to_string(bits));
    rule(transform == Transform::kNone, "transform must be 'none'" + where + "'" + kTransforms.name(transform) + "'");
    rule(probes == 1, "probes must be 1" + where + std::to_string(probes));
    rule(rehash != Rehash::kIncremental, "rehash must be 'rows'" + where + "'incremental'");
  }
  bool densified() const { return family != Family::kSimHash; }
  bool can_be_bytes() const {
    return family == Family::kSimHash && projection == Projection::kSubspace && transform == Transform::kNone &&
           ranking == Ranking::kSignature && lookup != Lookup::kTables;
  }

  // What `auto` stands for in a layer of so many neurons, as far as it is known without measuring: below so many, a
  // scan of all codes beats table look-ups.
  LshSpec resolved(uint32_t n_neurons) const {
    constexpr uint32_t kScanLimit = 50'000;
    LshSpec s = *this;
    if (s.lookup == Lookup::kAuto)
      s.lookup = n_neurons <= kScanLimit && s.ranking == Ranking::kSignature ? Lookup::kScan : Lookup::kTables;
    if (s.code == Code::kAuto) s.code = s.can_be_bytes() ? Code::kBytes : Code::kBits;
    if (s.densified() && s.code_bits == 0) s.code_bits = s.bits % 2 ? 1 : 2;
    if (s.candidates == 0.f) s.candidates = s.pooled ? 20.f : s.code == Code::kBytes ? 1.5f : 4.f;
    return s;
  }
};

struct LayerSpec {
  uint32_t n_outputs = 0;
  Activation activation = Activation::kRelu;
  Layout layout = Layout::kNeuron;        // of the weights: a neuron or an input is what lies together
  Precision dtype = Precision::kFloat32;  // of weights; biases are floats always
  float init_std = 0.f;                   // standard deviation of the first weights; 0: by the layer's size
  Selection selector = Selection::kAll;
  float fraction = 1.f;  // of the neurons, that an example keeps
  float alpha = 1.f;     // adaptive: P(keep) = sigmoid(alpha * z + beta)
  float beta = 0.f;
  LshSpec lsh;

  bool pools() const { return selector == Selection::kLsh && lsh.pooled; }
  bool halved() const { return dtype == Precision::kBfloat16; }
  uint32_t n_kept() const {
    if (selector == Selection::kAll) return n_outputs;
    return std::max<uint32_t>(1, static_cast<uint32_t>(std::floor(double{fraction} * n_outputs + 0.5)));
  }
  void check() const {
    if (n_outputs < 1) throw std::invalid_argument("n_outputs must be at least 1, got 0");
    if (!(init_std >= 0.f && std::isfinite(init_std)))
      throw std::invalid_argument("init_std must be finite and at least 0, got " + std::to_string(init_std));
    if (!(fraction > 0.f && fraction <= 1.f))
      throw std::invalid_argument("fraction must be in (0, 1], got " + std::to_string(fraction));
    if (!std::isfinite(alpha) || !std::isfinite(beta))
      throw std::invalid_argument("alpha and beta must be finite, got " + std::to_string(alpha) + " and " +
                                  std::to_string(beta));
    if (selector == Selection::kLsh) lsh.check();
    if (halved() && !pools())
      throw std::invalid_argument("dtype must be 'float32' unless pooled is set, got 'bfloat16'");
  }
};

struct OptimizerSpec {
  Optimizer kind = Optimizer::kSgd;
  State state = State::kFloat32;  // of Adam alone
  bool lazy = true;               // likewise: rows without gradient rest, as if those updates had not been
  float momentum = 0.9f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float l2 = 0.f;

  Step step(float rate) const { return {rate, momentum, beta1, beta2, 1.f - beta1, 1.f - beta2, epsilon, l2}; }
  // Every weight of a row moves by one common factor times the input, so that hashes can follow in
  // constant time.
  bool rank_one() const { return (kind == Optimizer::kSgd || kind == Optimizer::kRowAdagrad) && l2 == 0.f; }
};

enum class Decay { kConstant, kStep, kExponential, kCosine, kLinear };
inline const Words<Decay> kDecays{"schedule",
                                  {{"constant", Decay::kConstant},
                                   {"step", Decay::kStep},
                                   {"exponential", Decay::kExponential},
                                   {"cosine", Decay::kCosine},
                                   {"linear", Decay::kLinear}}};

// Learning rate as a function of the number of examples seen, so that it depends on nothing else.
struct ScheduleSpec {
  Decay decay = Decay::kConstant;
  double rate = 0.01;
  uint64_t warmup_steps = 0;
  uint64_t total_steps = 1;
  uint64_t period_steps = 1;
  double factor = 1.0;
  double floor = 0.0;

  double at(uint64_t step) const {
    if (step < warmup_steps) return rate * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
    const double periods = static_cast<double>(step) / static_cast<double>(std::max<uint64_t>(1, period_steps));
    switch (decay) {
      case Decay::kConstant:
        return rate;
      case Decay::kStep:
        return rate * std::pow(factor, std::floor(periods));
      case Decay::kExponential:
        return rate * std::pow(factor, periods);
      case Decay::kCosine:
      case Decay::kLinear:
        break;
    }
    const double length = total_steps > warmup_steps ? static_cast<double>(total_steps - warmup_steps) : 1.0;
    const double done = std::min(1.0, static_cast<double>(step - warmup_steps) / length);
    const double left = decay == Decay::kLinear ? 1.0 - done : 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    return floor * rate + (1.0 - floor) * rate * left;
  }
};

}  // namespace hashgrad
