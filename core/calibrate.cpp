#include "calibrate.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <vector>

#include "choose.h"
#include "kernels/kernels.h"
#include "memory.h"
#include "random.h"
#include "threads.h"

namespace hashgrad {

namespace {

constexpr size_t kRowFloats = 784;        // of a row of weights: an image, 49 lines
constexpr uint32_t kEntries = 64;         // of a sparse input
constexpr size_t kFar = size_t{1} << 26;  // bytes that lie in memory
constexpr int kRepeats = 5;

double nanoseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

// The least time of a repeat, per item; the first warms caches up.
double least(double items, const std::function<void()>& work) {
  work();
  double best = 1e30;
  for (int repeat = 0; repeat < kRepeats; repeat++) best = std::min(best, nanoseconds(work));
  return best / items;
}

std::vector<uint32_t> some(uint32_t n, uint32_t of, Random& random) {  // n different ones, ascending
  std::vector<uint32_t> list;
  for (uint32_t i = 0; i < of; i++)
    if (random.below(of - i) < n - list.size()) list.push_back(i);
  return list;
}

// Weights of so many bytes, read in rows picked at random.
void weights(const std::string& size, size_t bytes, Random& random, std::map<std::string, double>& cost) {
  Array<float> w(bytes / sizeof(float));
  w.fill(0.01f);
  volatile float sink = 0.f;

  const size_t n_lines = w.size() / kBlock;
  const size_t passes = std::max<size_t>(1, (size_t{1} << 16) / n_lines);
  cost["stream." + size] = least(static_cast<double>(passes * n_lines), [&] {
    for (size_t pass = 0; pass < passes; pass++) sink = sink + active().stream(w.data(), w.size());
  });

  constexpr size_t stride = 800;
  const auto rows = static_cast<uint32_t>(w.size() / stride);
  const uint32_t picked = std::min<uint32_t>(rows / 2, 400);
  std::vector<float> x(stride, 0.5f), out(picked);
  std::vector<uint32_t> blocks(kRowFloats / kBlock);
  std::iota(blocks.begin(), blocks.end(), 0u);
  std::vector<uint32_t> index = some(kEntries, kRowFloats, random);
  std::vector<float> value(kEntries + kBlock, 0.5f);
  const Row dense{index.data(), value.data(),  kRowFloats,
                  x.data(),     blocks.data(), static_cast<uint32_t>(blocks.size())};
  const Row sparse{index.data(), value.data(), kEntries, nullptr, nullptr, 0};
  std::vector<std::vector<uint32_t>> lists(std::max(8u, rows / picked));  // so that all of it is read
  for (auto& list : lists) list = some(picked, rows, random);
  const double n_rows = double{1} * static_cast<double>(lists.size()) * picked;
  const auto each = [&](const std::function<void(const std::vector<uint32_t>&)>& work) {
    return [&lists, work] {
      for (const auto& list : lists) work(list);
    };
  };
  const auto dot = [&](const Row& row) {
    return each([&, row](const auto& list) {
      active().dot_rows(w.data(), stride, list.data(), picked, row, out.data());
      sink = sink + out[0];
    });
  };
  cost["line." + size] = least(n_rows * dense.n_blocks, dot(dense));
  cost["entry." + size] = least(n_rows * kEntries, dot(sparse));
  const Step step;
  cost["step." + size] = least(n_rows * dense.n_blocks, each([&](const auto& list) {
                                 for (const uint32_t r : list)
                                   active().update[0][0](&w[r * stride], nullptr, nullptr, 1e-6f, dense, step);
                               }));

  const uint32_t wide = bytes < kFar ? 1024 : 4096;  // neurons in an input's row: large layers have long ones
  const auto inputs = static_cast<uint32_t>(w.size() / wide);
  const uint32_t n_inputs = std::min(inputs / 2, kEntries);
  std::vector<float> z(wide + kBlock);
  lists.resize(std::max(8u, inputs / n_inputs));
  for (auto& list : lists) list = some(n_inputs, inputs, random);
  const auto n_lists = static_cast<double>(lists.size());
  cost["column." + size] = least(n_lists * n_inputs * wide / kBlock, each([&](const auto& list) {
                                   const Row row{list.data(), value.data(), n_inputs, nullptr, nullptr, 0};
                                   active().add_columns(w.data(), wide, row, wide, z.data());
                                   sink = sink + z[0];
                                 }));
  const std::vector<uint32_t> neurons = some(kEntries, wide, random);
  const uint32_t cut[2] = {0, kEntries};
  const Parts parts{cut, 1, 0};
  cost["learn." + size] = least(n_lists * (n_inputs / 4 * 4) * kEntries, each([&](const auto& list) {
                                  float steps[4] = {1e-6f, 1e-6f, 1e-6f, 1e-6f}, sums[4];
                                  float* to[4] = {sums, sums + 1, sums + 2, sums + 3};
                                  for (uint32_t at = 0; at + 4 <= n_inputs; at += 4) {
                                    float* row[8];
                                    for (uint32_t r = 0; r < 8; r++)
                                      row[r] = &w[size_t{list[std::min(at + r, n_inputs - 1)]} * wide];
                                    active().learn_columns(row, steps, 4, parts, neurons.data(), value.data(), to);
                                  }
                                  sink = sink + sums[0];
                                }));
}

double codes(size_t bytes) {
  constexpr uint32_t width = 32;
  const auto neurons = static_cast<uint32_t>(bytes / width);
  Array<uint8_t> code(bytes);
  std::vector<int8_t> query(width, 1);
  std::vector<float> score(neurons);
  const int8_t* q = query.data();
  float* s = score.data();
  return least(double{1} * neurons * width / 16, [&] { active().scan(code.data(), width, 0, neurons, &q, 1, &s); });
}

double meeting() {
  if (hardware_threads() < 2) return 0.0;
  return Team(2).meeting_time() * 1e9;
}

}  // namespace

std::map<std::string, double> calibrate() {
  std::map<std::string, double> cost;
  Random random(1, Purpose::kCalibration);
  weights("near", size_t{1} << 18, random, cost);
  weights("middle", size_t{1} << 22, random, cost);
  weights("far", kFar, random, cost);
  cost["scan.near"] = codes(size_t{1} << 15);
  cost["scan.middle"] = codes(size_t{1} << 21);

  constexpr uint32_t n = 4096;
  std::vector<uint64_t> signature(n * 5);
  const std::vector<uint8_t> entry(5 * 256);
  const std::vector<uint32_t> reach(n);
  std::vector<float> score(n);
  cost["word"] = least(n * 5.0, [&] {
    active().match_signs(signature.data(), 5, reach.data(), nullptr, n, entry.data(), {1.f, 0.f}, score.data());
  });

  std::vector<float> z(1000 + kBlock);
  for (float& number : z) number = random.normal();
  ChooseScratch scratch;
  std::vector<uint32_t> chosen;
  cost["choose"] = least(20 * 1000.0, [&] {
    for (int k = 0; k < 20; k++) choose_largest(z.data(), 1000, 60 + static_cast<uint32_t>(k), 0, scratch, chosen);
  });

  std::vector<float> p(kRowFloats * 32), value(kRowFloats, 1.f), out(32);
  const std::vector<uint32_t> index = some(160, kRowFloats, random);
  cost["project"] = least(20 * 160 * 2.0, [&] {
    for (int k = 0; k < 20; k++) active().project(p.data(), 32, index.data(), value.data(), 160, out.data());
  });

  std::vector<uint32_t> slots(size_t{1} << 20), seen(1 << 16);
  for (uint32_t& slot : slots) slot = random.below(1 << 16);
  cost["bucket"] = least(400, [&] {
    for (uint32_t b = 0; b < 400; b++) {
      const size_t at = (size_t{b} * 7919 * 16) % (slots.size() - 16);
      for (size_t k = 0; k < 16; k++) seen[slots[at + k]]++;
    }
  });
  Array<float> rows(800 * 64);
  const uint32_t block = 0;
  const Row short_row{index.data(), value.data(), 16, value.data(), &block, 1};
  const Step step;
  cost["row"] = least(64, [&] {
    for (size_t r = 0; r < 64; r++) active().update[0][0](&rows[r * 800], nullptr, nullptr, 1e-6f, short_row, step);
  });
  Array<float> halves(32);
  halves.fill(0.5f);
  volatile float sink = 0.f;
  cost["product"] = least(160 * 5000.0, [&] { sink = sink + active().products(halves.data(), 5000); });
  cost["meet"] = meeting();
  return cost;
}

}  // namespace hashgrad
