// What both halves of the door to Python share: array types, and the checks on what comes in.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "network.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace hashgrad {

template <class T, int kDims>
using In = nb::ndarray<const T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<nb::numpy, T>;

template <class T>
Out<T> own(std::vector<T>&& data, std::initializer_list<size_t> shape) {
  auto* moved = new std::vector<T>(std::move(data));
  nb::capsule owner(moved, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return Out<T>(moved->data(), shape, owner);
}

// A Batch or Targets together with the arrays it looks into.
struct PyBatch : Batch {
  std::vector<nb::object> keep;
};
struct PyTargets : Targets {
  std::vector<nb::object> keep;
};

inline void rule(bool holds, const std::string& text) {
  if (!holds) throw std::invalid_argument(text);
}

inline std::span<const uint32_t> rows_of(const In<uint32_t, 1>& rows, uint64_t n_rows, const char* argument) {
  const std::span<const uint32_t> span(rows.data(), rows.shape(0));
  for (const uint32_t row : span)
    rule(row < n_rows,
         std::string(argument) + " must name rows in [0, " + std::to_string(n_rows) + "), got " + std::to_string(row));
  return span;
}

inline void check_columns(const Network& net, const Batch& batch) {
  rule(batch.n_columns == net.n_inputs(),
       "X must have n_inputs = " + std::to_string(net.n_inputs()) + " columns, got " + std::to_string(batch.n_columns));
}

inline void check_ready(const Network& net, const Batch& batch) {
  check_columns(net, batch);
  if (!net.built()) throw std::runtime_error("the hash index is not built yet: call build() or train first");
}

inline void check_targets(const Network& net, const Batch& batch, const Targets& targets) {
  rule(targets.n_rows == batch.n_rows, "X and y must have equally many rows, got " + std::to_string(batch.n_rows) +
                                           " and " + std::to_string(targets.n_rows));
  rule(targets.n_outputs == net.n_outputs(), "y must be for n_outputs = " + std::to_string(net.n_outputs()) +
                                                 " outputs, got " + std::to_string(targets.n_outputs));
  rule((targets.value != nullptr) == (net.loss() == Loss::kSquared),
       "y must hold values for the squared loss and labels for the others");
}

inline nb::dict counts_dict(const Counts& c) {
  nb::dict d;
  d["query"] = c.query, d["rerank"] = c.rerank, d["forward"] = c.forward, d["backward"] = c.backward;
  d["update"] = c.update, d["rehash"] = c.rehash, d["rebuild"] = c.rebuild;
  d["active"] = c.active, d["candidates"] = c.candidates, d["queries"] = c.queries;
  return d;
}

void bind_study(nb::module_& m);    // bindings_study.cpp
void bind_updates(nb::module_& m);  // bindings_update.cpp
void bind_family(nb::module_& m);   // bindings_family.cpp
void bind_export(nb::module_& m);   // bindings_export.cpp
void bind_linear(nb::module_& m);   // bindings_linear.cpp
void bind_threads(nb::module_& m);  // bindings_threads.cpp

}  // namespace hashgrad
