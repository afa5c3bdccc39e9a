// Fixed work for each kernel and for whole examples, between marks that callgrind counts instructions at.
// benchmarks/instructions.py runs it; nothing here is timed.
#include <valgrind/callgrind.h>

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "choose.h"
#include "network.h"
#include "random.h"

using namespace hashgrad;

namespace {

constexpr uint32_t kInputs = 784, kStride = 800, kNeurons = 1000, kWide = 1008, kKept = 50, kRank = 32;

void count(const std::string& name, const std::function<void()>& work) {
  work();  // what is done only once is not counted
  CALLGRIND_ZERO_STATS;
  work();
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

std::vector<float> normal(size_t n, Random& random) {
  std::vector<float> numbers(n);
  for (float& number : numbers) number = random.normal();
  return numbers;
}

std::vector<uint32_t> every(uint32_t n, uint32_t step) {
  std::vector<uint32_t> list;
  for (uint32_t i = 0; i < n; i += step) list.push_back(i);
  return list;
}

// Images that are zero but for one block of 16 pixels in three; labels by row.
struct Data {
  static constexpr uint32_t kRows = 256;
  std::vector<float> x = std::vector<float>(size_t{kRows} * kInputs);
  std::vector<int32_t> y = std::vector<int32_t>(kRows);
  std::vector<uint32_t> order = every(kRows, 1);
  Batch batch;
  Targets targets;

  explicit Data(Random& random) {
    for (uint32_t r = 0; r < kRows; r++) {
      y[r] = static_cast<int32_t>(r % 10);
      for (uint32_t b = r % 3; b < kInputs / kBlock; b += 3)
        for (size_t i = 0; i < kBlock; i += 2) x[size_t{r} * kInputs + b * kBlock + i] = 0.5f + 0.1f * random.normal();
    }
    batch.n_rows = kRows;
    batch.n_columns = kInputs;
    batch.dense = x.data();
    targets.n_rows = kRows;
    targets.n_outputs = 10;
    targets.label = y.data();
  }
};

void kernels(Random& random) {
  const Kernels& k = active();
  Array<float> w(size_t{kWide} * kStride);
  for (float& weight : w) weight = 0.01f * random.normal();
  const std::vector<uint32_t> rows = every(kNeurons, kNeurons / kKept);
  const auto n = static_cast<uint32_t>(rows.size());

  std::vector<float> x = normal(kStride, random), out(kWide + kBlock), g(kStride);
  std::vector<uint32_t> blocks = every(kInputs / kBlock, 1), index = every(kInputs, 8);
  std::vector<float> value = normal(index.size() + kBlock, random);
  const auto n_blocks = static_cast<uint32_t>(blocks.size()), entries = static_cast<uint32_t>(index.size());
  const Row dense{index.data(), value.data(), entries, x.data(), blocks.data(), n_blocks};
  const Row sparse{index.data(), value.data(), entries, nullptr, nullptr, 0};
  count("dot_rows by blocks", [&] { k.dot_rows(w.data(), kStride, rows.data(), n, dense, out.data()); });
  count("dot_rows by entries", [&] { k.dot_rows(w.data(), kStride, rows.data(), n, sparse, out.data()); });
  count("add_rows", [&] { k.add_rows(w.data(), kStride, rows.data(), out.data(), n, dense, g.data()); });
  const Step step;
  count("update sgd", [&] {
    for (const uint32_t r : rows) k.update[0][0](&w[size_t{r} * kStride], nullptr, nullptr, 1e-6f, dense, step);
  });

  const Row inputs{rows.data(), value.data(), n, nullptr, nullptr, 0};
  count("add_columns", [&] { k.add_columns(w.data(), kWide, inputs, kWide, out.data()); });
  const uint32_t cut[2] = {0, n};
  const Parts parts{cut, 1, 0};
  count("learn_columns", [&] {
    float steps[4] = {1e-6f, 1e-6f, 1e-6f, 1e-6f}, sums[4];
    float* to[4] = {sums, sums + 1, sums + 2, sums + 3};
    for (uint32_t at = 0; at + 4 <= n; at += 4) {
      float* row[8];
      for (uint32_t r = 0; r < 8; r++) row[r] = &w[size_t{rows[std::min(at + r, n - 1)]} * kWide];
      k.learn_columns(row, steps, 4, parts, rows.data(), value.data(), to);
    }
  });

  std::vector<float> z = normal(kNeurons + kBlock, random);
  std::vector<uint32_t> position(kNeurons + kBlock), block(kNeurons);
  std::vector<float> values(kNeurons + kBlock), copy(kNeurons + kBlock);
  count("nonzeros", [&] { k.nonzeros(z.data(), kNeurons, position.data(), values.data(), block.data(), copy.data()); });
  ChooseScratch scratch;
  std::vector<uint32_t> chosen;
  count("choose", [&] { choose_largest(z.data(), kNeurons, 75, 0, scratch, chosen); });

  std::vector<float> p = normal(size_t{kInputs} * kRank, random), projected(kRank);
  count("project", [&] { k.project(p.data(), kRank, index.data(), value.data(), entries, projected.data()); });
  Array<uint8_t> codes(size_t{kWide} * kRank);
  for (uint8_t& code : codes) code = static_cast<uint8_t>(1 + random.below(255));
  std::vector<int8_t> query(kRank, 7);
  const int8_t* q = query.data();
  float* scores = out.data();
  count("scan", [&] { k.scan(codes.data(), kRank, 0, kWide, &q, 1, &scores); });
  const std::vector<uint64_t> signatures(size_t{kNeurons} * 5, 0x5555);
  const std::vector<uint32_t> reach(kNeurons, 0x3f803f80);
  std::vector<uint8_t> entry(5 * 256);
  const std::vector<float> asked = normal(5 * 64, random);
  count("tabulate signs", [&] { k.tabulate_signs(asked.data(), asked.size(), entry.data()); });
  for (const size_t words : {size_t{5}, size_t{2}})
    count("match signs, " + std::to_string(words) + " words", [&] {
      k.match_signs(signatures.data(), words, reach.data(), nullptr, kNeurons, entry.data(), {1.f, 0.f}, out.data());
    });
}

void examples(Random& random) {
  Data data(random);
  LayerSpec first;
  first.n_outputs = kNeurons;
  first.fraction = 0.05f;
  first.selector = Selection::kLsh;
  first.lsh.rebuild_every = 1'000'000;
  LayerSpec second = first, last;
  second.layout = Layout::kInput;
  second.lsh.lookup = Lookup::kExact;
  last.n_outputs = 10;
  last.activation = Activation::kLinear;
  last.layout = Layout::kInput;
  Network network(kInputs, {first, second, last}, Loss::kSoftmax, OptimizerSpec{}, 1);
  network.build(data.batch, data.order, 1);

  TrainingJob job;
  job.batch = &data.batch;
  job.targets = &data.targets;
  job.order = data.order;
  job.sample = data.order;
  count("256 examples of training, 784-1000-1000-10", [&] { network.train(job, 1); });
  std::vector<int32_t> best(Data::kRows);
  std::vector<float> score(Data::kRows);
  count("256 examples of prediction", [&] { network.topk(data.batch, 1, false, 1, best.data(), score.data()); });
  const std::unique_ptr<Network> compact = network.compacted();
  count("256 examples of compact prediction",
        [&] { compact->topk(data.batch, 1, false, 1, best.data(), score.data()); });
}

}  // namespace

int main() {
  choose_simd_level();
  Random random(1, Purpose::kCalibration);
  kernels(random);
  examples(random);
}
