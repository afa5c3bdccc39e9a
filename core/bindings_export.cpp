// What a predictor outside the library needs of a hashed layer, beside the tensors of its file: what follows from them.
#include "bindings.h"

namespace hashgrad {

namespace {

template <class T>
Out<T> copied(const Array<T>& from, std::initializer_list<size_t> shape) {
  return own(std::vector<T>(from.begin(), from.end()), shape);
}

// A byte a coordinate, neuron by neuron: scans keep them in an order of their own.
Out<uint8_t> codes(LshIndex& index, size_t n) {
  const size_t width = index.family().width();
  std::vector<uint8_t> out(n * width);
  for (size_t i = 0; i < n; i++)
    for (size_t r = 0; r < width; r++)
      out[i * width + r] = index.codes()[index.code_at(static_cast<uint32_t>(i)) + r / kBlock * kCodeStep + r % kBlock];
  return own(std::move(out), {n, width});
}

Out<uint32_t> slots(const Tables& tables) {
  const size_t n_tables = static_cast<size_t>(tables.n_tables()), n_buckets = size_t{1} << tables.bits();
  const size_t n = n_tables * n_buckets * tables.capacity();
  const uint32_t* first = tables.bucket(0, 0);
  return own(std::vector<uint32_t>(first, first + n), {n_tables, n_buckets, tables.capacity()});
}

// Nothing of a layer that hashes no neurons.
nb::dict hashes(Network& net, size_t l) {
  const std::shared_lock reading(net.mutex());
  rule(l < net.layers().size(),
       "layer must be in [0, " + std::to_string(net.layers().size()) + "), got " + std::to_string(l));
  Layer& layer = net.layers()[l];
  nb::dict d;
  LshIndex* index = layer.index();
  if (!index || !net.built()) return d;
  HashFamily& family = index->family();
  const LshSpec& spec = family.spec();
  const size_t n = layer.spec().n_outputs, columns = family.n_columns(), width = family.width();
  const size_t coordinates = family.n_coordinates(), projected = coordinates ? coordinates : width;
  d["candidates"] = spec.candidates;
  d["scans"] = index->scans() || spec.pooled;
  if (family.densified()) return d;  // for graphs that hash nothing
  d["rank"] = family.rank();
  d["projection"] = copied(family.projection(), {columns, projected});
  d["mean_projection"] = copied(family.mean_projection(), {projected});
  if (coordinates) {
    d["mixing"] = copied(family.mixing(), {coordinates, width});
    d["balance"] = copied(family.balance(), {coordinates});
  }
  if (spec.transform == Transform::kL2Alsh) {
    d["mean"] = copied(family.mean(), {columns});
    d["extra_query"] = copied(family.extra_query(), {width});
    d["offset"] = copied(family.offset(), {width});
  }
  if (family.bytes()) {
    d["code"] = codes(*index, n);
    return d;
  }
  d["signature"] = copied(index->signatures(), {n, family.words()});
  d["width"] = width;
  if (family.signs_tell_angles()) {
    d["norm"] = own(index->lengths(), {n});
    d["share"] = family.share_of_signs();
  }
  if (family.tails_apart()) d["tail"] = own(index->tails(), {n});
  if (index->tables() && !spec.pooled) d["slots"] = slots(*index->tables());
  return d;
}

}  // namespace

void bind_export(nb::module_& m) { m.def("hashes", &hashes, "network"_a, "layer"_a); }

}  // namespace hashgrad
