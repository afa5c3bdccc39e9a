// A hash family on its own, hash tables, and scans of a network's hashes, for tests and for study.
#include "bindings.h"

namespace hashgrad {

namespace {

struct PyFamily {
  HashFamily family;
  size_t bits;

  PyFamily(uint32_t n_inputs, const LshSpec& spec, uint64_t seed)
      : family((spec.check(), n_inputs + 1), spec.resolved(1), seed, 0),
        bits(static_cast<size_t>(spec.bits * spec.tables)) {}

  // Calls f with the sample's rows.
  template <class F>
  auto with_rows(const PyBatch& sample, const F& f) const {
    rule(sample.n_columns + 1 == family.n_columns(), "sample must have n_inputs columns");
    std::vector<std::unique_ptr<RowBuffer>> buffers;
    std::vector<Row> rows;
    for (uint64_t i = 0; i < sample.n_rows; i++) {
      buffers.push_back(std::make_unique<RowBuffer>(family.n_columns()));
      rows.push_back(buffers.back()->assign(sample, i));
    }
    return f(std::span<const Row>(rows));
  }
  void fit(const PyBatch& sample) {
    with_rows(sample, [&](std::span<const Row> rows) { return family.fit(rows, 0); });
  }
  Out<uint8_t> unpack(const std::vector<uint64_t>& words, size_t n) const {
    std::vector<uint8_t> out(n * bits);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < bits; j++) out[i * bits + j] = words[i * family.words() + j / 64] >> (j % 64) & 1;
    return own(std::move(out), {n, bits});
  }
  uint32_t set_size(const PyBatch& sample) const {
    rule(family.densified(), "family must be 'dwta' or 'minhash', got 'simhash'");
    return static_cast<uint32_t>(with_rows(sample, [&](std::span<const Row> rows) { return family.set_size(rows); }));
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
    Bins bins;
    for (size_t i = 0; i < v.shape(0); i++) {
      std::copy_n(v.data() + i * v.shape(1), v.shape(1), row.begin());
      row.back() = bias.data()[i];
      float tail, norm2;
      if (family.densified()) {
        family.hash_neuron(row.data(), scale, bins, &words[i * family.words()]);
        continue;
      }
      family.project_neuron(row.data(), row.back(), coordinate.data(), sketch.data(), tail);
      family.finish_neuron(row.data(), tail, coordinate.data(), sketch.data(), norm2);
      family.encode_neuron(sketch.data(), norm2, scale, scratch.data(), &words[i * family.words()]);
    }
    return unpack(words, v.shape(0));
  }
};

// Tables of neurons whose signatures the caller makes up.
struct PyTables {
  Tables tables;
  uint32_t n_neurons;
  size_t words;

  PyTables(uint32_t n, const LshSpec& spec, uint64_t seed)
      : tables((spec.check(), n), spec, seed, 0), n_neurons(n), words(round_up(spec.bits * spec.tables, 64) / 64) {}

  void rebuild(In<uint64_t, 2> signatures, In<float, 1> norm, int threads) {
    rule(signatures.shape(0) == n_neurons && signatures.shape(1) == words && norm.shape(0) == n_neurons,
         "signatures must be (n_neurons, words), norm (n_neurons,)");
    Team team(threads);
    tables.rebuild(signatures.data(), words, norm.data(), team);
  }
  void move(uint32_t neuron, In<uint64_t, 1> signature, float norm) {
    rule(neuron < n_neurons && signature.shape(0) == words, "neuron must be one of n_neurons, signature its words");
    for (int t = 0; t < tables.n_tables(); t++) tables.move(t, neuron, signature.data(), norm);
  }
  // Neurons of a bucket, in the order of its slots.
  Out<uint32_t> bucket(int table, uint32_t key) const {
    rule(table >= 0 && table < tables.n_tables() && key < 1u << tables.bits(), "table and key must name a bucket");
    std::vector<uint32_t> held;
    for (uint32_t k = 0; k < tables.capacity(); k++)
      if (const uint32_t i = tables.bucket(table, key)[k]; i != Tables::kEmpty) held.push_back(i);
    const size_t n = held.size();
    return own(std::move(held), {n});
  }
};

// The `wanted` neurons of the first layer whose hashes are nearest to a row's, by a query `alone` or from all scores,
// and the multiplications that the first took beyond a scan's.
nb::tuple nearest(Network& net, const PyBatch& x, uint32_t wanted, bool alone) {
  check_ready(net, x);
  const LshIndex* index = net.layers()[0].index();
  rule(index && x.n_rows == 1, "the first layer must be hashed, and x must be one row");
  rule(wanted >= 1 && wanted <= net.layers()[0].spec().n_outputs, "wanted must be a number of neurons");
  RowBuffer buffer(net.n_inputs() + 1);
  LookupScratch scratch;
  Query q;
  std::vector<uint32_t> ids;
  uint64_t cost = 0;
  index->family().hash_query(buffer.assign(x, 0), false, q);
  if (alone)
    cost = index->find(q, wanted, scratch, ids);
  else
    index->compare_all(q, wanted, scratch, ids);
  const size_t n = ids.size();
  return nb::make_tuple(own(std::move(ids), {n}), cost);
}

}  // namespace

void bind_family(nb::module_& m) {
  nb::class_<PyFamily>(m, "HashFamily")
      .def(nb::init<uint32_t, const LshSpec&, uint64_t>(), "n_inputs"_a, "spec"_a, "seed"_a)
      .def("fit", &PyFamily::fit, "sample"_a)
      .def("set_size", &PyFamily::set_size, "sample"_a)
      .def("query_bits", &PyFamily::query_bits, "x"_a)
      .def("neuron_bits", &PyFamily::neuron_bits, "weight"_a, "bias"_a, "scale"_a);
  m.def("nearest", &nearest, "network"_a, "x"_a, "wanted"_a, "alone"_a);
  nb::class_<PyTables>(m, "Tables")
      .def(nb::init<uint32_t, const LshSpec&, uint64_t>(), "n_neurons"_a, "spec"_a, "seed"_a)
      .def("rebuild", &PyTables::rebuild, "signatures"_a, "norm"_a, "threads"_a = 1)
      .def("move", &PyTables::move, "neuron"_a, "signature"_a, "norm"_a)
      .def("bucket", &PyTables::bucket, "table"_a, "key"_a)
      .def("overflow", [](const PyTables& t) { return t.tables.overflow(); });
}

}  // namespace hashgrad
