// Weights of a byte each, for prediction: a quarter of the memory, and of the time that reading it takes.
#include <algorithm>
#include <cmath>

#include "layer.h"

namespace hashgrad {

namespace {
constexpr size_t kCodeBlock = 64;  // codes in a cache line
constexpr uint32_t kFewest = 64;   // neurons of a layer that is worth it
}  // namespace

void Layer::make_compact() {
  if (index()) index()->freeze();
  moment1_ = {}, moment2_ = {}, row_square_ = {}, row_units_ = {}, row_update_ = {};
  const uint32_t n = spec_.n_outputs, n_inputs = n_columns_ - 1;
  if (n < kFewest) return;
  const Weights halves = weights();
  const uint32_t rows = input_major() ? n_inputs : n, columns = input_major() ? n : n_inputs;
  code_stride_ = round_up(columns, kCodeBlock);
  code_ = Array<uint8_t>(rows * code_stride_);
  unit_ = Array<float>(rows);
  Array<float> bias(round_up(n, kCodeBlock));
  for (uint32_t i = 0; i < n; i++) bias[i] = input_major() ? weight_[n_inputs * stride_ + i] : bias_of(i);
  bias_ = std::move(bias);
  std::vector<float> row;
  for (uint32_t r = 0; r < rows; r++) {
    const float* w = half_.empty() ? &weight_[r * stride_] : halves.row(r, row);
    float most = 0.f;
    for (uint32_t c = 0; c < columns; c++) most = std::max(most, std::fabs(w[c]));
    unit_[r] = most / kCodeMost;
    const float scale = most > 0.f ? 1.f / unit_[r] : 0.f;
    for (uint32_t c = 0; c < columns; c++)
      code_[r * code_stride_ + c] = static_cast<uint8_t>(kCodeMiddle + static_cast<int>(std::lrint(w[c] * scale)));
  }
  weight_ = {}, half_ = {};
}

void Layer::encode_input(const Row& x, Codes& codes) const {
  const uint32_t n = x.n - 1;  // without the bias
  const auto value = [&](uint32_t e) { return input_major() ? x.value[e] * unit_[x.index[e]] : x.value[e]; };
  float most = 0.f;
  for (uint32_t e = 0; e < n; e++) most = std::max(most, std::fabs(value(e)));
  codes.unit = most / kQueryMost;
  codes.total = 0;
  const float scale = most > 0.f ? 1.f / codes.unit : 0.f;
  const auto code_of = [&](uint32_t e) {
    const float v = value(e) * scale;
    const int32_t code = static_cast<int32_t>(v + (v < 0.f ? -0.5f : 0.5f));
    codes.total += code;
    return static_cast<int8_t>(code);
  };
  if (input_major()) {
    codes.code.resize(n);
    for (uint32_t e = 0; e < n; e++) codes.code[e] = code_of(e);
    return;
  }
  codes.code.resize(code_stride_);
  for (const uint32_t b : codes.block) std::fill_n(&codes.code[b * kCodeBlock], kCodeBlock, int8_t{0});  // the last's
  codes.block.clear();
  for (uint32_t e = 0; e < n; e++) {
    const auto block = static_cast<uint32_t>(x.index[e] / kCodeBlock);
    if (codes.block.empty() || codes.block.back() != block) codes.block.push_back(block);
    codes.code[x.index[e]] = code_of(e);
  }
}

void Layer::evaluate_codes(Range own, const Row& x, Passage& passage) const {
  const Codes& codes = passage.codes;
  Proposal& p = passage.proposal;
  Scale scale{kCodeMiddle * codes.total, codes.unit, unit_.data(), bias_.data()};
  if (input_major()) {
    scale.bias += own.from;  // those who predict work alone: on all neurons
    active().add_codes(code_.data() + own.from, code_stride_, x.index, codes.code.data(), x.n - 1,
                       static_cast<uint32_t>(round_up(own.to, kCodeBlock)) - own.from, scale, p.z.data() + own.from);
    return;
  }
  const auto dot = [&](const uint8_t* code, const uint32_t* rows, uint32_t n, float* z) {
    active().dot_codes(code, code_stride_, rows, n, codes.code.data(), codes.block.data(),
                       static_cast<uint32_t>(codes.block.size()), scale, z);
  };
  if (p.all) {
    scale.units += own.from, scale.bias += own.from;
    return dot(code_.data() + own.from * code_stride_, nullptr, own.to - own.from, p.z.data() + own.from);
  }
  const auto first = std::lower_bound(p.id.begin(), p.id.end(), own.from);
  const auto last = std::lower_bound(first, p.id.end(), own.to);
  dot(code_.data(), std::to_address(first), static_cast<uint32_t>(last - first), p.z.data() + (first - p.id.begin()));
}

}  // namespace hashgrad
