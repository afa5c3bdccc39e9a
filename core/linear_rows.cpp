#include "linear_rows.h"

#include <algorithm>
#include <numeric>

#include "row_buffer.h"

namespace hashgrad {

namespace {

constexpr size_t kChunk = 4;  // examples

uint64_t sum(const std::vector<uint64_t>& cost) { return std::accumulate(cost.begin(), cost.end(), uint64_t{0}); }

// A row that has at least so many non-zeros is read whole: contiguous, and no slower.
bool is_dense(size_t n, size_t n_inputs) { return 4 * n > n_inputs; }

std::vector<RowBuffer> buffers(const Team& team, uint32_t n_columns) {
  return std::vector<RowBuffer>(static_cast<size_t>(team.size()), RowBuffer(n_columns));
}

}  // namespace

// Whole blocks of inputs by the kernel; the block that holds the bias's 1, the last one of a dense Row, is not whole in
// weights that have no column for it: what it has of inputs follows one by one.
uint64_t evaluate_rows(const Weights& w, const Row& x, const uint32_t* id, uint32_t n, float* z) {
  const uint32_t n_inputs = w.n_columns - 1;
  Row inputs = x;
  inputs.n--;
  const uint32_t whole = n_inputs / kBlock * kBlock;
  if (x.dense) inputs.n_blocks--;
  active().dot_rows(w.data, w.stride, id, n, inputs, z);
  const uint32_t rest = x.dense ? n_inputs - whole : 0;
  for (uint32_t r = 0; r < n; r++) {
    const uint32_t i = id ? id[r] : r;
    const float* row = w.row(i);
    for (uint32_t j = n_inputs - rest; j < n_inputs; j++) z[r] += row[j] * x.dense[j];
    z[r] += w.bias(i);
  }
  return uint64_t{n} * (inputs.cost() + rest);
}

uint64_t forward_rows(const Batch& x, const Weights& w, const ActiveRows& active, Team& team, float* z) {
  std::vector<RowBuffer> buffer = buffers(team, w.n_columns);
  std::vector<uint64_t> cost(buffer.size());
  team.each(x.n_rows, kChunk, [&](int member, size_t e) {
    const auto m = static_cast<size_t>(member);
    const auto* id = reinterpret_cast<const uint32_t*>(active.id + e * active.k);
    cost[m] += evaluate_rows(w, buffer[m].assign(x, e), id, active.k, z + e * active.k);
  });
  return sum(cost);
}

uint64_t backward_rows(const Batch& x, const Weights& w, const ActiveRows& active, const float* delta, bool rectified,
                       Team& team, float* towards) {
  const uint32_t n_inputs = w.n_columns - 1;
  struct Scratch {
    std::vector<uint32_t> index, id, block;
    std::vector<float> value, a, g, copy;
    uint64_t cost = 0;
  };
  std::vector<Scratch> scratch(static_cast<size_t>(team.size()));
  team.each(x.n_rows, kChunk, [&](int member, size_t e) {
    Scratch& s = scratch[static_cast<size_t>(member)];
    s.id.clear(), s.a.clear();
    for (uint32_t k = 0; k < active.k; k++) {
      const float d = delta[e * active.k + k];
      if (d != 0.f) s.id.push_back(static_cast<uint32_t>(active.id[e * active.k + k])), s.a.push_back(d);
    }
    const auto n = static_cast<uint32_t>(s.id.size());
    float* out = towards + e * n_inputs;
    const float* own = x.dense + e * n_inputs;
    uint32_t there = n_inputs;
    if (rectified) {
      s.index.resize(n_inputs + kBlock), s.value.resize(n_inputs + kBlock);
      s.block.resize(n_inputs / kBlock + 2), s.copy.resize(n_inputs);
      there =
          hashgrad::active().nonzeros(own, n_inputs, s.index.data(), s.value.data(), s.block.data(), s.copy.data()).n;
    }
    if (is_dense(there, n_inputs)) {
      for (uint32_t k = 0; k < n; k++) hashgrad::active().axpy(out, s.a[k], w.row(s.id[k]), n_inputs);
      for (uint32_t j = 0; rectified && j < n_inputs; j++)
        if (own[j] == 0.f) out[j] = 0.f;
      s.cost += uint64_t{n} * n_inputs;
      return;
    }
    s.g.assign(there, 0.f);
    const Row entries{s.index.data(), s.value.data(), there, nullptr, nullptr, 0};
    hashgrad::active().add_rows(w.data, w.stride, s.id.data(), s.a.data(), n, entries, s.g.data());
    for (uint32_t j = 0; j < there; j++) out[s.index[j]] = s.g[j];
    s.cost += uint64_t{n} * there;
  });
  uint64_t cost = 0;
  for (const Scratch& s : scratch) cost += s.cost;
  return cost;
}

RowGradients::RowGradients(const ActiveRows& active, const float* delta, uint64_t n_examples, uint32_t n_outputs) {
  std::vector<uint32_t> count(n_outputs);
  const size_t n = n_examples * active.k;
  for (size_t at = 0; at < n; at++) count[static_cast<size_t>(active.id[at])] += delta[at] != 0.f;
  std::vector<size_t> next(n_outputs);
  begin_.push_back(0);
  for (uint32_t i = 0; i < n_outputs; i++) {
    if (!count[i]) continue;
    rows_.push_back(i);
    next[i] = begin_.back();
    begin_.push_back(begin_.back() + count[i]);
  }
  entry_.resize(begin_.back());
  for (size_t at = 0; at < n; at++)
    if (delta[at] != 0.f)
      entry_[next[static_cast<size_t>(active.id[at])]++] = {static_cast<uint32_t>(at / active.k), delta[at]};
}

float RowGradients::bias(size_t r) const {
  float total = 0.f;
  for (const Entry& e : entries(r)) total += e.delta;
  return total;
}

void RowGradients::find_nonzeros(const Batch& x, std::vector<uint32_t>& index, std::vector<float>& value,
                                 std::vector<size_t>& start) const {
  const uint32_t n_inputs = x.n_columns;
  std::vector<uint32_t> block(n_inputs / kBlock + 2);
  std::vector<float> copy(n_inputs);
  start.assign(1, 0);
  for (uint64_t e = 0; e < x.n_rows; e++) {
    index.resize(start.back() + n_inputs + kBlock), value.resize(index.size());
    start.push_back(start.back() + active()
                                       .nonzeros(x.dense + e * n_inputs, n_inputs, &index[start.back()],
                                                 &value[start.back()], block.data(), copy.data())
                                       .n);
  }
}

uint64_t RowGradients::sum_row(const Batch& x, const std::vector<uint32_t>& index, const std::vector<float>& value,
                               const std::vector<size_t>& start, size_t r, float* out) const {
  uint64_t cost = 0;
  for (const Entry& e : entries(r)) {
    const size_t from = start[e.example], n = start[e.example + 1] - from;
    if (is_dense(n, x.n_columns)) {
      active().axpy(out, e.delta, x.dense + size_t{e.example} * x.n_columns, x.n_columns);
      cost += x.n_columns;
      continue;
    }
    for (size_t k = from; k < from + n; k++) out[index[k]] += e.delta * value[k];
    cost += n;
  }
  return cost;
}

}  // namespace hashgrad
