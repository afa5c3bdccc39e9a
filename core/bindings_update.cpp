// A door for tests: one optimiser step on one row, its state in bfloat16, and rows of weights in bfloat16 and of
// moments in bytes, at the level that is active.
#include "bindings.h"

namespace hashgrad {

namespace {

// x (n,), a whole number of blocks, with its zeros, or (`sparse`) as the list of its non-zeros.
struct Input {
  std::vector<uint32_t> index, block;
  std::vector<float> value;
  Row row;

  Input(const In<float, 1>& x, bool sparse) {
    const auto n = static_cast<uint32_t>(x.shape(0));
    rule(n % kBlock == 0, "x must have whole blocks of 16 numbers, got " + std::to_string(n));
    for (uint32_t j = 0; j < n; j++)
      if (x.data()[j] != 0.f) index.push_back(j), value.push_back(x.data()[j]);
    for (uint32_t b = 0; b < n / kBlock; b++) block.push_back(b);
    if (sparse)
      row = {index.data(), value.data(), static_cast<uint32_t>(index.size())};
    else
      row = {nullptr, nullptr, 0, x.data(), block.data(), static_cast<uint32_t>(block.size())};
  }
};

Step step_of(const OptimizerSpec& optimizer, float rate, uint32_t bias_column, uint32_t key) {
  Step step = optimizer.step(rate);
  step.bias_column = bias_column, step.key = key;
  return step;
}

nb::tuple update(const OptimizerSpec& optimizer, In<float, 1> w, In<uint16_t, 1> m, In<uint16_t, 1> v, float a,
                 In<float, 1> x, bool sparse, float rate, uint32_t bias_column, uint32_t key) {
  rule(optimizer.kind == Optimizer::kAdam && optimizer.state != State::kFloat32 && optimizer.state != State::kBytes,
       "optimizer must be 'adam' with its state in bfloat16");
  const size_t n = x.shape(0);
  rule(w.shape(0) == n && m.shape(0) == n && v.shape(0) == n, "w, m and v must be as long as x");
  const Input input(x, sparse);
  std::vector<float> weights(w.data(), w.data() + n);
  std::vector<uint16_t> first(m.data(), m.data() + n), second(v.data(), v.data() + n);
  active().update[optimizer.l2 > 0.f][rule_of(optimizer.kind, optimizer.state)](
      weights.data(), first.data(), second.data(), a, input.row, step_of(optimizer, rate, bias_column, key));
  return nb::make_tuple(own(std::move(weights), {n}), own(std::move(first), {n}), own(std::move(second), {n}));
}

float mean_square(const OptimizerSpec& optimizer, In<float, 1> w, float a, In<float, 1> x, bool sparse,
                  uint32_t bias_column) {
  rule(w.shape(0) == x.shape(0), "w must be as long as x");
  const Input input(x, sparse);
  return active().mean_square[optimizer.l2 > 0.f](w.data(), a, input.row, step_of(optimizer, 0.f, bias_column, 0));
}

Out<uint16_t> narrow(In<float, 1> x, uint32_t key) {
  const size_t n = x.shape(0);
  rule(n % kBlock == 0, "x must have whole blocks of 16 numbers, got " + std::to_string(n));
  std::vector<uint16_t> out(n);
  active().narrow(x.data(), static_cast<uint32_t>(n), key, out.data());
  return own(std::move(out), {n});
}

Out<float> widen(In<uint16_t, 1> x) {
  const size_t n = x.shape(0);
  rule(n % kBlock == 0, "x must have whole blocks of 16 numbers, got " + std::to_string(n));
  std::vector<float> out(n);
  active().widen(x.data(), static_cast<uint32_t>(n), out.data());
  return own(std::move(out), {n});
}

// Moments in bytes, and the units of their row.
nb::tuple narrow_moments(In<float, 1> m, In<float, 1> v, uint32_t key) {
  const size_t n = m.shape(0);
  rule(n % kBlock == 0 && v.shape(0) == n, "m and v must have the same whole blocks of 16 numbers");
  std::vector<int8_t> first(n);
  std::vector<uint8_t> second(n);
  const Units units =
      active().narrow_moments(m.data(), v.data(), static_cast<uint32_t>(n), key, first.data(), second.data());
  return nb::make_tuple(own(std::move(first), {n}), own(std::move(second), {n}), units.m, units.v);
}

nb::tuple widen_moments(In<int8_t, 1> m, In<uint8_t, 1> v, float unit_m, float unit_v) {
  const size_t n = m.shape(0);
  rule(n % kBlock == 0 && v.shape(0) == n, "m and v must have the same whole blocks of 16 numbers");
  std::vector<float> first(n), second(n);
  active().widen_moments(m.data(), v.data(), {unit_m, unit_v}, static_cast<uint32_t>(n), first.data(), second.data());
  return nb::make_tuple(own(std::move(first), {n}), own(std::move(second), {n}));
}

// Rows of w times x with a dense part or (`sparse`) as the list of its non-zeros.
Out<float> dot_half_rows(In<uint16_t, 2> w, In<uint32_t, 1> rows, In<float, 1> x, bool sparse) {
  rule(w.shape(1) == x.shape(0), "w must have as many columns as x");
  const Input input(x, sparse);
  const std::span<const uint32_t> which = rows_of(rows, w.shape(0), "rows");
  std::vector<float> out(which.size());
  active().dot_half_rows(w.data(), w.shape(1), which.data(), static_cast<uint32_t>(which.size()), input.row,
                         out.data());
  return own(std::move(out), {which.size()});
}

}  // namespace

void bind_updates(nb::module_& m) {
  m.def("kernel_update", &update, "optimizer"_a, "w"_a, "m"_a, "v"_a, "a"_a, "x"_a, "sparse"_a, "rate"_a,
        "bias_column"_a, "key"_a);
  m.def("kernel_narrow", &narrow, "x"_a, "key"_a);
  m.def("kernel_widen", &widen, "x"_a);
  m.def("kernel_narrow_moments", &narrow_moments, "m"_a, "v"_a, "key"_a);
  m.def("kernel_widen_moments", &widen_moments, "m"_a, "v"_a, "unit_m"_a, "unit_v"_a);
  m.def("kernel_dot_half_rows", &dot_half_rows, "w"_a, "rows"_a, "x"_a, "sparse"_a);
  m.def("kernel_mean_square", &mean_square, "optimizer"_a, "w"_a, "a"_a, "x"_a, "sparse"_a, "bias_column"_a);
}

}  // namespace hashgrad
