// The door for linear layers whose weights belong to the caller: an index over them, and products of active outputs.
#include "bindings.h"
#include "linear_index.h"
#include "linear_rows.h"

namespace hashgrad {

namespace {

using Matrix = In<float, 2>;
using Biases = std::optional<In<float, 1>>;
using Ids = In<int32_t, 2>;

constexpr uint64_t kExamplesEach = 8;  // for a thread, at least

Batch batch_of(const Matrix& x) {
  Batch b;
  b.n_rows = x.shape(0);
  b.n_columns = static_cast<uint32_t>(x.shape(1));
  b.dense = x.data();
  return b;
}

int members(int threads, uint64_t n) {
  rule(threads >= 1 && threads <= 1024, "threads must be in [1, 1024], got " + std::to_string(threads));
  return static_cast<int>(std::clamp<uint64_t>(n / kExamplesEach, 1, static_cast<uint64_t>(threads)));
}

std::string shape_of(const Matrix& m) {
  return "(" + std::to_string(m.shape(0)) + ", " + std::to_string(m.shape(1)) + ")";
}

void check_matrix(const Matrix& weight, const Biases& bias, size_t n_outputs, size_t n_inputs) {
  rule(weight.shape(0) == n_outputs && weight.shape(1) == n_inputs,
       "weight must have the shape (" + std::to_string(n_outputs) + ", " + std::to_string(n_inputs) + "), got " +
           shape_of(weight));
  rule(!bias || bias->shape(0) == n_outputs, "bias must have one number an output, " + std::to_string(n_outputs) +
                                                 ", got " + std::to_string(bias ? bias->shape(0) : 0));
}

void check_inputs(const Matrix& x, size_t n_inputs, const char* argument) {
  rule(x.shape(1) == n_inputs, std::string(argument) + " must have " + std::to_string(n_inputs) + " columns, got " +
                                   std::to_string(x.shape(1)));
}

void check_ids(const Ids& ids, size_t n_rows, size_t n_outputs) {
  rule(ids.shape(0) == n_rows,
       "ids must have one row an example, " + std::to_string(n_rows) + ", got " + std::to_string(ids.shape(0)));
  for (size_t at = 0; at < ids.size(); at++)
    rule(ids.data()[at] >= 0 && static_cast<size_t>(ids.data()[at]) < n_outputs,
         "ids must name outputs in [0, " + std::to_string(n_outputs) + "), got " + std::to_string(ids.data()[at]));
}

Weights checked(const LinearIndex& index, const Matrix& weight, const Biases& bias) {
  check_matrix(weight, bias, index.n_outputs(), index.n_inputs());
  return index.weights(weight.data(), bias ? bias->data() : nullptr);
}

std::unique_ptr<LinearIndex> make_index(uint32_t n_inputs, uint32_t n_outputs, const LshSpec& spec, uint64_t seed) {
  rule(n_inputs >= 1 && n_outputs >= 1, "n_inputs and n_outputs must be at least 1, got " + std::to_string(n_inputs) +
                                            " and " + std::to_string(n_outputs));
  spec.check();
  return std::make_unique<LinearIndex>(n_inputs, n_outputs, spec.resolved(n_outputs), seed);
}

nb::tuple select(const LinearIndex& index, Matrix x, Matrix weight, Biases bias, uint32_t k, int threads) {
  const Weights w = checked(index, weight, bias);
  check_inputs(x, index.n_inputs(), "x");
  rule(k >= 1 && k <= index.n_outputs(),
       "k must be in [1, " + std::to_string(index.n_outputs()) + "], got " + std::to_string(k));
  const size_t n = x.shape(0);
  std::vector<int32_t> id(n * k);
  std::vector<float> z(n * k);
  {
    nb::gil_scoped_release release;
    Team team(members(threads, n));
    index.select(batch_of(x), w, k, team, id.data(), z.data());
  }
  return nb::make_tuple(own(std::move(id), {n, k}), own(std::move(z), {n, k}));
}

nb::tuple pool(const LinearIndex& index, Matrix x, In<int64_t, 1> labels, uint32_t wrong, uint32_t size, uint64_t step,
               int threads) {
  check_inputs(x, index.n_inputs(), "x");
  const size_t n = x.shape(0);
  rule(labels.shape(0) == n,
       "labels must be one an example, " + std::to_string(n) + ", got " + std::to_string(labels.shape(0)));
  for (size_t e = 0; e < n; e++)
    rule(labels.data()[e] >= 0 && labels.data()[e] < index.n_outputs(),
         "labels must be in [0, " + std::to_string(index.n_outputs()) + "), got " + std::to_string(labels.data()[e]));
  const uint64_t most = std::min<uint64_t>(index.n_outputs(), n * (uint64_t{wrong} + 2));
  rule(size >= most && size <= index.n_outputs(), "size must be in [" + std::to_string(most) + ", " +
                                                      std::to_string(index.n_outputs()) + "], got " +
                                                      std::to_string(size));
  Pool found;
  std::vector<int64_t> place, own_places;
  {
    nb::gil_scoped_release release;
    Team team(members(threads, n));
    index.pool(batch_of(x), {labels.data(), n}, wrong, size, step, team, found, place, own_places);
  }
  std::vector<int64_t> id(found.id.begin(), found.id.end());
  const size_t m = id.size();
  std::vector<uint8_t> sampled(m);
  for (size_t k = 0; k < m; k++) sampled[k] = !found.was_found(found.id[k]);
  return nb::make_tuple(own(std::move(id), {m}), own(std::move(place), {n}), own(std::move(own_places), {n, wrong + 1}),
                        found.drawn, own(std::move(sampled), {m}));
}

// Biases, zeros where there are none.
struct Free {
  std::vector<float> zeros;
  Weights weights;
  Free(const Matrix& weight, const Biases& bias)
      : zeros(bias ? 0 : weight.shape(0)),
        weights{weight.data(), weight.shape(1), static_cast<uint32_t>(weight.shape(0)),
                static_cast<uint32_t>(weight.shape(1) + 1), bias ? bias->data() : zeros.data()} {
    check_matrix(weight, bias, weight.shape(0), weight.shape(1));
  }
};

nb::tuple forward(Matrix x, Matrix weight, Biases bias, Ids ids, int threads) {
  const Free free(weight, bias);
  check_inputs(x, weight.shape(1), "x");
  check_ids(ids, x.shape(0), weight.shape(0));
  const size_t n = ids.shape(0), k = ids.shape(1);
  std::vector<float> z(n * k);
  uint64_t cost;
  {
    nb::gil_scoped_release release;
    Team team(members(threads, n));
    cost = forward_rows(batch_of(x), free.weights, {ids.data(), static_cast<uint32_t>(k)}, team, z.data());
  }
  return nb::make_tuple(own(std::move(z), {n, k}), cost);
}

void check_delta(const Ids& ids, const Matrix& delta) {
  rule(delta.shape(0) == ids.shape(0) && delta.shape(1) == ids.shape(1),
       "delta must have the shape of ids, got " + shape_of(delta));
}

nb::tuple backward(Matrix x, Matrix weight, Ids ids, Matrix delta, bool rectified, int threads) {
  const Free free(weight, {});
  check_inputs(x, weight.shape(1), "x");
  check_ids(ids, x.shape(0), weight.shape(0));
  check_delta(ids, delta);
  const size_t n = x.shape(0), n_inputs = x.shape(1);
  std::vector<float> towards(n * n_inputs);
  uint64_t cost;
  {
    nb::gil_scoped_release release;
    Team team(members(threads, n));
    cost = backward_rows(batch_of(x), free.weights, {ids.data(), static_cast<uint32_t>(ids.shape(1))}, delta.data(),
                         rectified, team, towards.data());
  }
  return nb::make_tuple(own(std::move(towards), {n, n_inputs}), cost);
}

nb::tuple row_gradients(Matrix x, Ids ids, Matrix delta, uint32_t n_outputs, bool dense, int threads) {
  check_ids(ids, x.shape(0), n_outputs);
  check_delta(ids, delta);
  const size_t n_inputs = x.shape(1);
  std::vector<int64_t> rows;
  std::vector<float> weight, bias;
  uint64_t cost;
  size_t n;
  {
    nb::gil_scoped_release release;
    Team team(members(threads, x.shape(0)));
    const RowGradients gradients({ids.data(), static_cast<uint32_t>(ids.shape(1))}, delta.data(), x.shape(0),
                                 n_outputs);
    rows = gradients.rows();
    n = dense ? n_outputs : rows.size();
    weight.resize(n * n_inputs), bias.resize(n);
    const auto place = [&](size_t r) { return dense ? static_cast<size_t>(rows[r]) : r; };
    cost = gradients.sum(batch_of(x), team, [&](size_t r) { return &weight[place(r) * n_inputs]; });
    for (size_t r = 0; r < rows.size(); r++) bias[place(r)] = gradients.bias(r);
  }
  const size_t n_rows = rows.size();
  return nb::make_tuple(own(std::move(rows), {n_rows}), own(std::move(weight), {n, n_inputs}),
                        own(std::move(bias), {n}), cost);
}

}  // namespace

void bind_linear(nb::module_& m) {
  nb::class_<LinearIndex>(m, "LinearIndex")
      .def(nb::new_(&make_index), "n_inputs"_a, "n_outputs"_a, "spec"_a, "seed"_a)
      .def_prop_ro("built", &LinearIndex::built)
      .def(
          "rebuild",
          [](LinearIndex& index, Matrix sample, Matrix weight, Biases bias, int threads) {
            const Weights w = checked(index, weight, bias);
            check_inputs(sample, index.n_inputs(), "sample");
            nb::gil_scoped_release release;
            Team team(members(threads, index.n_outputs()));
            index.rebuild(batch_of(sample), w, team);
          },
          "sample"_a, "weight"_a, "bias"_a.none(), "threads"_a)
      .def(
          "mark",
          [](LinearIndex& index, In<int64_t, 1> rows) {
            for (size_t r = 0; r < rows.shape(0); r++)
              rule(rows.data()[r] >= 0 && rows.data()[r] < index.n_outputs(),
                   "rows must be in [0, " + std::to_string(index.n_outputs()) + "), got " +
                       std::to_string(rows.data()[r]));
            nb::gil_scoped_release release;
            index.mark({rows.data(), rows.shape(0)});
          },
          "rows"_a)
      .def(
          "refresh",
          [](LinearIndex& index, Matrix weight, Biases bias, bool all, int threads) {
            const Weights w = checked(index, weight, bias);
            nb::gil_scoped_release release;
            Team team(members(threads, index.n_outputs()));
            return index.refresh(w, all, team);
          },
          "weight"_a, "bias"_a.none(), "all"_a, "threads"_a)
      .def("select", &select, "x"_a, "weight"_a, "bias"_a.none(), "k"_a, "threads"_a)
      .def("pool", &pool, "x"_a, "labels"_a, "wrong"_a, "size"_a, "step"_a, "threads"_a)
      .def(
          "staleness",
          [](const LinearIndex& index, Matrix weight, Biases bias) {
            const Weights w = checked(index, weight, bias);
            nb::gil_scoped_release release;
            return index.staleness(w);
          },
          "weight"_a, "bias"_a.none())
      .def(
          "count",
          [](const LinearIndex& index, uint64_t forward, uint64_t backward, uint64_t update) {
            Counts counts;
            counts.forward = forward, counts.backward = backward, counts.update = update;
            index.count(counts);
          },
          "forward"_a = 0, "backward"_a = 0, "update"_a = 0)
      .def("counts", [](const LinearIndex& index) { return counts_dict(index.counts()); })
      .def("memory_bytes", &LinearIndex::memory);
  m.def("active_forward", &forward, "x"_a, "weight"_a, "bias"_a.none(), "ids"_a, "threads"_a);
  m.def("active_backward", &backward, "x"_a, "weight"_a, "ids"_a, "delta"_a, "rectified"_a, "threads"_a);
  m.def("active_row_gradients", &row_gradients, "x"_a, "ids"_a, "delta"_a, "n_outputs"_a, "dense"_a, "threads"_a);
}

}  // namespace hashgrad
