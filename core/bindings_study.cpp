// Doors for tests and for study: the kernels at a chosen level, a hash family on its own, one example's walk.
#include "bindings.h"
#include "calibrate.h"

namespace hashgrad {

namespace {

// One training example's walk, for tests: what was selected, and the deltas that follow from it.
nb::list trace(Network& net, const PyBatch& batch, const PyTargets& targets, uint32_t row, uint64_t step) {
  check_ready(net, batch);
  check_targets(net, batch, targets);
  rule(row < batch.n_rows, "row must be a row of X");
  Worker w(net.layers().size());
  Shared shared(net.layers().size(), 1);
  Example example(net.layers());
  const Group group{{&example}};
  example.input.assign(batch, row);
  example.ask.training = true;
  example.ask.seed = net.seed();
  example.ask.step = step;
  example.ask.forced = targets.labels(row);
  net.model().forward(group, Member(), w);
  Passage& last = example.passages.back();
  loss_and_delta(net.loss(), last.active, targets, row, 1.f, 1.f, nullptr, last.delta);
  net.model().learn(group, shared, Member(), nullptr, true, w);
  nb::list out;
  for (Passage& t : example.passages) {
    nb::dict d;
    const size_t n = t.active.id.size();
    std::vector<float> gain(n);
    for (size_t k = 0; k < n; k++) gain[k] = t.active.gain_of(k);
    d["selected"] = t.n_selected;
    d["ids"] = own(std::vector<uint32_t>(t.active.id), {n});
    d["z"] = own(std::vector<float>(t.active.z), {n});
    d["delta"] = own(std::vector<float>(t.delta), {n});
    d["gain"] = own(std::move(gain), {n});
    out.append(d);
  }
  return out;
}

// A hash family on its own, for tests and for study.
struct PyFamily {
  HashFamily family;
  size_t bits;

  PyFamily(uint32_t n_inputs, const LshSpec& spec, uint64_t seed)
      : family((spec.check(), n_inputs + 1), spec.resolved(1), seed, 0),
        bits(static_cast<size_t>(spec.bits * spec.tables)) {}

  void fit(const PyBatch& sample) {
    rule(sample.n_columns + 1 == family.n_columns(), "sample must have n_inputs columns");
    std::vector<std::unique_ptr<RowBuffer>> buffers;
    std::vector<Row> rows;
    for (uint64_t i = 0; i < sample.n_rows; i++) {
      buffers.push_back(std::make_unique<RowBuffer>(family.n_columns()));
      rows.push_back(buffers.back()->assign(sample, i));
    }
    family.fit(rows, 0);
  }
  Out<uint8_t> unpack(const std::vector<uint64_t>& words, size_t n) const {
    std::vector<uint8_t> out(n * bits);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < bits; j++) out[i * bits + j] = words[i * family.words() + j / 64] >> (j % 64) & 1;
    return own(std::move(out), {n, bits});
  }
  Out<uint8_t> query_bits(const PyBatch& x) const {
    rule(x.n_columns + 1 == family.n_columns(), "X must have n_inputs columns");
    RowBuffer buffer(family.n_columns());
    Query q;
    std::vector<uint64_t> words;
    for (uint64_t i = 0; i < x.n_rows; i++) {
      family.hash_query(buffer.assign(x, i), true, q);
      words.insert(words.end(), q.word.begin(), q.word.end());
    }
    return unpack(words, x.n_rows);
  }
  Out<uint8_t> neuron_bits(In<float, 2> v, In<float, 1> bias, float scale) const {
    rule(v.shape(1) + 1 == family.n_columns() && bias.shape(0) == v.shape(0),
         "weights must be (n, n_inputs), bias (n,)");
    std::vector<float> row(family.n_columns()), coordinate(family.n_coordinates()), sketch(family.width()),
        scratch(family.width());
    std::vector<uint64_t> words(v.shape(0) * family.words());
    for (size_t i = 0; i < v.shape(0); i++) {
      std::copy_n(v.data() + i * v.shape(1), v.shape(1), row.begin());
      row.back() = bias.data()[i];
      float tail, norm2;
      family.project_neuron(row.data(), coordinate.data(), sketch.data(), tail);
      family.finish_neuron(row.data(), tail, coordinate.data(), sketch.data(), norm2);
      family.encode_neuron(sketch.data(), norm2, scale, scratch.data(), &words[i * family.words()]);
    }
    return unpack(words, v.shape(0));
  }
};

}  // namespace

void bind_study(nb::module_& m) {
  m.def("simd_level", &simd_level);
  m.def("simd_levels", &simd_levels);
  m.def("set_simd_level", &set_simd_level, "name"_a);
  m.def("hardware_threads", &hardware_threads);
  m.def("meeting_time", [] { return Team(2).meeting_time(); }, nb::call_guard<nb::gil_scoped_release>());
  m.def("calibrate", &calibrate, nb::call_guard<nb::gil_scoped_release>());
  // Mean numbers of non-zeros and of cache lines that hold some, the bias included, in these rows of x.
  m.def(
      "density",
      [](const PyBatch& x, In<uint32_t, 1> rows) {
        const auto list = rows_of(rows, x.n_rows, "rows");
        rule(!list.empty(), "rows must name at least one row, got none");
        RowBuffer buffer(x.n_columns + 1);
        double entries = 0, lines = 0;
        for (const uint32_t i : list) {
          const Row& row = buffer.assign(x, i);
          entries += row.n;
          for (uint32_t e = 0; e < row.n; e++) lines += e == 0 || row.index[e] / kBlock != row.index[e - 1] / kBlock;
        }
        const auto n = static_cast<double>(list.size());
        return nb::make_tuple(entries / n, lines / n);
      },
      "x"_a, "rows"_a);
  m.def(
      "kernel_dot",
      [](In<float, 1> a, In<float, 1> b) {
        rule(a.shape(0) == b.shape(0), "a and b must be equally long");
        return active().dot(a.data(), b.data(), a.shape(0));
      },
      "a"_a, "b"_a);
  // Rows of w (each [weights, bias]) times the input x, as the network reads it: sparse or by
  // blocks.
  m.def(
      "kernel_dot_rows",
      [](In<float, 2> w, In<uint32_t, 1> rows, const PyBatch& x) {
        rule(x.n_columns + 1 == w.shape(1) && x.n_rows == 1, "x must be one row of as many columns as w has weights");
        const auto list = rows_of(rows, w.shape(0), "rows");
        const size_t stride = round_up(w.shape(1), kBlock);
        Array<float> padded(stride * w.shape(0));
        for (size_t i = 0; i < w.shape(0); i++) std::copy_n(w.data() + i * w.shape(1), w.shape(1), &padded[i * stride]);
        RowBuffer buffer(static_cast<uint32_t>(w.shape(1)));
        std::vector<float> out(list.size());
        active().dot_rows(padded.data(), stride, list.data(), static_cast<uint32_t>(list.size()), buffer.assign(x, 0),
                          out.data());
        const size_t n = out.size();
        return own(std::move(out), {n});
      },
      "w"_a, "rows"_a, "x"_a);
  m.def(
      "kernel_hamming",
      [](In<uint64_t, 2> signatures, In<uint64_t, 1> query) {
        rule(signatures.shape(1) == query.shape(0), "signatures and query must have equally many words");
        std::vector<uint16_t> out(signatures.shape(0));
        active().hamming(signatures.data(), signatures.shape(1), static_cast<uint32_t>(signatures.shape(0)),
                         query.data(), out.data());
        const size_t n = out.size();
        return own(std::move(out), {n});
      },
      "signatures"_a, "query"_a);
  m.def(
      "kernel_signs",
      [](In<float, 1> x) {
        rule(x.shape(0) % 64 == 0, "x must hold whole words of 64 numbers");
        std::vector<uint64_t> out(x.shape(0) / 64);
        active().signs(x.data(), x.shape(0), out.data());
        const size_t n = out.size();
        return own(std::move(out), {n});
      },
      "x"_a);
  m.def(
      "kernel_project",
      [](In<float, 2> p, const PyBatch& x) {
        rule(x.n_columns + 1 == p.shape(0) && x.n_rows == 1 && p.shape(1) % 16 == 0,
             "p must have a row per column of x and one more");
        RowBuffer buffer(static_cast<uint32_t>(p.shape(0)));
        std::vector<float> out(p.shape(1));
        const Row& row = buffer.assign(x, 0);
        active().project(p.data(), p.shape(1), row.index, row.value, row.n, out.data());
        const size_t n = out.size();
        return own(std::move(out), {n});
      },
      "p"_a, "x"_a);
  nb::class_<PyFamily>(m, "HashFamily")
      .def(nb::init<uint32_t, const LshSpec&, uint64_t>(), "n_inputs"_a, "spec"_a, "seed"_a)
      .def("fit", &PyFamily::fit, "sample"_a)
      .def("query_bits", &PyFamily::query_bits, "x"_a)
      .def("neuron_bits", &PyFamily::neuron_bits, "weight"_a, "bias"_a, "scale"_a);
  m.def("trace", &trace, "network"_a, "batch"_a, "targets"_a, "row"_a, "step"_a = 0);
}

}  // namespace hashgrad
