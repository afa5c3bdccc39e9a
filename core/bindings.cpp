// The door to Python: check, release the GIL, call. No logic lives here.
#include "bindings.h"

namespace hashgrad {

namespace {

PyBatch dense_batch(In<float, 2> x) {
  PyBatch b;
  b.n_rows = x.shape(0);
  b.n_columns = static_cast<uint32_t>(x.shape(1));
  b.dense = x.data();
  b.keep = {nb::cast(x)};
  nb::gil_scoped_release release;
  b.check(0);
  return b;
}

PyBatch csr_batch(In<int64_t, 1> indptr, In<int32_t, 1> indices, In<float, 1> values, uint32_t n_columns) {
  rule(indptr.shape(0) >= 1, "indptr must hold n_rows + 1 offsets, got none");
  rule(indices.shape(0) == values.shape(0), "indices and values must be equally long, got " +
                                                std::to_string(indices.shape(0)) + " and " +
                                                std::to_string(values.shape(0)));
  PyBatch b;
  b.n_rows = indptr.shape(0) - 1;
  b.n_columns = n_columns;
  b.indptr = indptr.data(), b.indices = indices.data(), b.values = values.data();
  b.keep = {nb::cast(indptr), nb::cast(indices), nb::cast(values)};
  b.check(indices.shape(0));
  return b;
}

PyTargets label_targets(std::optional<In<int64_t, 1>> indptr, In<int32_t, 1> labels, uint32_t n_outputs) {
  PyTargets t;
  t.n_outputs = n_outputs;
  t.label = labels.data();
  t.keep = {nb::cast(labels)};
  t.n_rows = labels.shape(0);
  if (indptr) {
    rule(indptr->shape(0) >= 1, "indptr must hold n_rows + 1 offsets, got none");
    t.n_rows = indptr->shape(0) - 1;
    t.indptr = indptr->data();
    t.keep.push_back(nb::cast(*indptr));
  }
  t.check(labels.shape(0));
  return t;
}

PyTargets value_targets(In<float, 2> y) {
  PyTargets t;
  t.n_rows = y.shape(0);
  t.n_outputs = static_cast<uint32_t>(y.shape(1));
  t.value = y.data();
  t.keep = {nb::cast(y)};
  t.check(0);
  return t;
}

using Row1 = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

int team_size(int threads) {
  rule(threads >= 0 && threads <= 1024, "threads must be in [0, 1024], got " + std::to_string(threads));
  return threads == 0 ? hardware_threads() : threads;
}

std::vector<LayerSpec> layer_specs(const std::vector<LayerSpec*>& layers) {
  std::vector<LayerSpec> copies;
  for (const LayerSpec* layer : layers) copies.push_back(*layer);
  return copies;
}

TrainResult train(Network& net, const PyBatch& batch, const PyTargets& targets, In<uint32_t, 1> order,
                  const ScheduleSpec& schedule, uint32_t batch_size, int threads,
                  std::optional<In<float, 1>> example_weights, std::optional<In<float, 1>> output_weights,
                  In<uint32_t, 1> sample, float known,
                  std::optional<nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>> resting,
                  uint32_t workers, std::optional<In<float, 1>> chance, bool inverse) {
  check_ready(net, batch);
  check_targets(net, batch, targets);
  rule(!example_weights || example_weights->shape(0) == batch.n_rows, "example_weights must have one weight a row");
  rule(!output_weights || output_weights->shape(0) == net.n_outputs(), "output_weights must have one weight an output");
  rule(!resting || resting->shape(0) == batch.n_rows, "resting must have one number a row");
  rule(!chance || (chance->shape(0) == net.n_outputs() && net.model().pools() && net.loss() == Loss::kSoftmax),
       "chance must have one number an output, of a pooled layer with the loss 'softmax'");
  rule(!inverse || (net.model().pools() && net.loss() == Loss::kLogistic),
       "inverse must go with a pooled layer and the loss 'logistic'");
  TrainingJob job;
  job.inverse = inverse;
  job.chance = chance ? chance->data() : nullptr;
  job.resting = resting ? resting->data() : nullptr;
  job.batch = &batch;
  job.targets = &targets;
  job.order = rows_of(order, batch.n_rows, "order");
  job.sample = rows_of(sample, batch.n_rows, "sample");
  job.schedule = schedule;
  job.batch_size = batch_size;
  job.example_weights = example_weights ? example_weights->data() : nullptr;
  job.output_weights = output_weights ? output_weights->data() : nullptr;
  const bool rounded = net.layers().back().spec().halved() || net.optimizer().state == State::kBytes;
  rule(batch_size >= 1 || !rounded, "batch_size must be above 1 with the dtype 'bfloat16' or the state '8-bit', got 1");
  rule(known > 0.f && known <= 1.f, "known must be in (0, 1], got " + std::to_string(known));
  rule(known == 1.f || net.loss() == Loss::kSoftmax, "known must be 1 unless the loss is 'softmax'");
  job.known = known;
  rule(workers <= 4096, "workers must be at most 4096, got " + std::to_string(workers));
  const bool plain = net.optimizer().kind == Optimizer::kSgd && net.optimizer().l2 == 0.f;
  rule(!workers || (batch_size == 0 && !resting && plain),
       "workers must go with batch_size 0, resting None and the optimizer 'sgd' with l2 = 0, got batch_size " +
           std::to_string(batch_size) + ", resting " + (resting ? "given" : "None") + ", optimizer '" +
           kOptimizers.name(net.optimizer().kind) + "' and l2 = " + std::to_string(net.optimizer().l2));
  job.workers = workers;
  nb::gil_scoped_release release;
  return net.train(job, team_size(threads));
}

nb::dict ledger_dict(const Ledger& ledger) {
  nb::dict d;
  nb::list layers;
  for (const Counts& c : ledger.layers) layers.append(counts_dict(c));
  d["examples"] = ledger.examples;
  d["learned"] = ledger.learned;
  d["layers"] = layers;
  return d;
}

void set_ledger(Network& net, const nb::dict& d) {
  Ledger& ledger = net.ledger();
  ledger.examples = nb::cast<uint64_t>(d["examples"]);
  ledger.learned = nb::cast<uint64_t>(d["learned"]);
  size_t l = 0;
  for (nb::handle item : nb::cast<nb::list>(d["layers"])) {
    rule(l < ledger.layers.size(), "ledger must have one entry a layer");
    const auto get = [&](const char* key) { return nb::cast<uint64_t>(nb::cast<nb::dict>(item)[key]); };
    ledger.layers[l++] = {get("query"),  get("rerank"),  get("forward"), get("backward"),   get("update"),
                          get("rehash"), get("rebuild"), get("active"),  get("candidates"), get("queries")};
  }
}

template <class T>
void put(nb::dict& d, const std::string& name, nb::handle owner, Array<T>& array, std::initializer_list<size_t> shape,
         std::initializer_list<int64_t> strides = {}) {
  if (!array.empty()) d[name.c_str()] = nb::cast(Out<T>(array.data(), shape, owner, strides));
}

// Writable views of everything that a saved network must hold.
nb::dict tensors(nb::handle self) {
  Network& net = nb::cast<Network&>(self);
  net.check_open("opened");
  nb::dict d;
  for (size_t l = 0; l < net.layers().size(); l++) {
    Layer& layer = net.layers()[l];
    const std::string at = "layers." + std::to_string(l) + ".";
    const size_t n = layer.spec().n_outputs, m = layer.n_columns();
    const auto stride = static_cast<int64_t>(layer.stride());
    const bool turned = layer.input_major();
    const auto view = [&]<class T>(const std::string& name, T* data, size_t columns) {
      d[(at + name).c_str()] = nb::cast(Out<T>(data, {n, columns}, self, {turned ? 1 : stride, turned ? stride : 1}));
    };
    const auto matrix = [&](const std::string& name, auto& array, size_t columns) {
      if (!array.empty()) view(name, array.data(), columns);
    };
    const auto moments = [&](const std::string& name, Moments& moments) {  // all but one are empty
      matrix(name, moments.whole(), m);
      matrix(name, moments.half(), m);
      if (!moments.byte().empty() && &moments == &layer.moment1())
        view(name, reinterpret_cast<int8_t*>(moments.byte().data()), m);
      else
        matrix(name, moments.byte(), m);
    };
    matrix("weight", layer.weight(), m - 1);
    if (layer.spec().halved()) {
      put(d, at + "weight", self, layer.half(), {n, m - 1}, {static_cast<int64_t>(layer.half_stride()), 1});
      put(d, at + "bias", self, layer.bias(), {n});
    } else {
      d[(at + "bias").c_str()] = nb::cast(Out<float>(
          layer.weight().data() + (turned ? (m - 1) * layer.stride() : m - 1), {n}, self, {turned ? 1 : stride}));
    }
    moments("optimizer.moment1", layer.moment1());
    moments("optimizer.moment2", layer.moment2());
    put(d, at + "optimizer.row_square", self, layer.row_square(), {layer.row_square().size()});
    put(d, at + "optimizer.row_update", self, layer.row_update(), {layer.row_update().size()});
    if (!layer.row_units().empty())
      d[(at + "optimizer.row_units").c_str()] =
          nb::cast(Out<float>(&layer.row_units()[0].m, {layer.row_units().size(), 2}, self));
    LshIndex* index = layer.index();
    if (!index || !net.built()) continue;
    const size_t width = index->family().width();
    const size_t coordinates = index->family().n_coordinates();
    put(d, at + "lsh.projection", self, index->family().projection(), {m, coordinates ? coordinates : width});
    put(d, at + "lsh.mixing", self, index->family().mixing(), {coordinates, width});
    put(d, at + "lsh.balance", self, index->family().balance(), {coordinates});
    put(d, at + "lsh.coordinate", self, index->coordinate(), {n, coordinates});
    put(d, at + "lsh.centre", self, index->family().centre(), {coordinates});
    put(d, at + "lsh.mean", self, index->family().mean(), {m});
    put(d, at + "lsh.sketch", self, index->sketch(), {n, width});
    put(d, at + "lsh.norm2", self, index->norm2(), {n});
    put(d, at + "lsh.tail", self, index->tail(), {n});
    if (!index->sketches()) {
      put(d, at + "lsh.signature", self, index->signatures(), {n, index->family().words()});
      if (layer.pools()) put(d, at + "lsh.norm", self, index->norm(), {n});
      put(d, at + "lsh.code", self, index->codes(), {index->codes().size()});
    }
    put(d, at + "lsh.scale", self, index->scale(), {1});
    put(d, at + "lsh.dirty", self, index->dirty(), {n});
  }
  return d;
}

nb::list arrangement(Network& net) {
  nb::list out;
  for (const Layer& layer : net.layers()) {
    nb::dict d;
    const bool hashed = layer.spec().selector == Selection::kLsh;
    d["layout"] = kLayouts.name(layer.spec().layout);
    d["lookup"] = hashed ? kLookups.name(layer.spec().lsh.lookup) : "exact";
    d["code"] = hashed && layer.spec().lsh.lookup != Lookup::kExact ? kCodes.name(layer.spec().lsh.code) : "none";
    out.append(d);
  }
  return out;
}

nb::list tables(Network& net) {
  const std::shared_lock reading(net.mutex());
  nb::list out;
  for (size_t l = 0; l < net.layers().size(); l++) {
    nb::dict d;
    if (LshIndex* index = net.layers()[l].index()) {
      const LshSpec& spec = index->family().spec();
      d["lookup"] = kLookups.name(spec.lookup);
      d["code"] = kCodes.name(spec.code);
      d["rehash"] = index->incremental() ? "incremental" : "rows";
      d["bits"] = spec.bits, d["tables"] = spec.tables;
      d["staleness"] = net.staleness(l);
      d["rebuilds"] = net.rebuilds();
      d["overflow"] = index->tables() ? index->tables()->overflow() : 0;
      std::vector<uint32_t> loads = index->tables() ? index->tables()->load_histogram() : std::vector<uint32_t>();
      const size_t n = loads.size();
      d["bucket_loads"] = own(std::move(loads), {n});
    }
    out.append(d);
  }
  return out;
}

template <class Spec, class Enum>
void word(nb::class_<Spec>& c, const char* name, Enum Spec::* member, const Words<Enum>& words) {
  c.def_prop_rw(
      name, [member, &words](const Spec& s) { return words.name(s.*member); },
      [member, &words](Spec& s, const std::string& value) { s.*member = words.parse(value); });
}

void bind_specs(nb::module_& m) {
  nb::class_<LshSpec> lsh(m, "LshSpec");
  lsh.def(nb::init<>())
      .def("resolved", &LshSpec::resolved, "n_neurons"_a)
      .def_rw("bits", &LshSpec::bits)
      .def_rw("tables", &LshSpec::tables)
      .def_rw("rank", &LshSpec::rank)
      .def_rw("code_bits", &LshSpec::code_bits)
      .def_rw("center", &LshSpec::center)
      .def_rw("probes", &LshSpec::probes)
      .def_rw("candidates", &LshSpec::candidates)
      .def_rw("rehash_every", &LshSpec::rehash_every)
      .def_rw("rebuild_every", &LshSpec::rebuild_every)
      .def_rw("pooled", &LshSpec::pooled)
      .def_rw("bucket", &LshSpec::bucket)
      .def_rw("query_every", &LshSpec::query_every)
      .def_rw("fill", &LshSpec::fill);
  word(lsh, "family", &LshSpec::family, kFamilies);
  word(lsh, "projection", &LshSpec::projection, kProjections);
  word(lsh, "transform", &LshSpec::transform, kTransforms);
  word(lsh, "lookup", &LshSpec::lookup, kLookups);
  word(lsh, "code", &LshSpec::code, kCodes);
  word(lsh, "policy", &LshSpec::policy, kPolicies);
  word(lsh, "precision", &LshSpec::precision, kPrecisions);
  word(lsh, "ranking", &LshSpec::ranking, kRankings);
  word(lsh, "rehash", &LshSpec::rehash, kRehashes);

  nb::class_<LayerSpec> layer(m, "LayerSpec");
  layer.def(nb::init<>())
      .def_rw("n_outputs", &LayerSpec::n_outputs)
      .def_rw("init_std", &LayerSpec::init_std)
      .def_rw("fraction", &LayerSpec::fraction)
      .def_rw("alpha", &LayerSpec::alpha)
      .def_rw("beta", &LayerSpec::beta)
      .def_rw("lsh", &LayerSpec::lsh);
  word(layer, "activation", &LayerSpec::activation, kActivations);
  word(layer, "layout", &LayerSpec::layout, kLayouts);
  word(layer, "dtype", &LayerSpec::dtype, kDtypes);
  word(layer, "selector", &LayerSpec::selector, kSelections);

  nb::class_<OptimizerSpec> optimizer(m, "OptimizerSpec");
  optimizer.def(nb::init<>())
      .def_rw("momentum", &OptimizerSpec::momentum)
      .def_rw("beta1", &OptimizerSpec::beta1)
      .def_rw("beta2", &OptimizerSpec::beta2)
      .def_rw("epsilon", &OptimizerSpec::epsilon)
      .def_rw("lazy", &OptimizerSpec::lazy)
      .def_rw("l2", &OptimizerSpec::l2);
  word(optimizer, "name", &OptimizerSpec::kind, kOptimizers);
  word(optimizer, "state", &OptimizerSpec::state, kStates);

  nb::class_<ScheduleSpec> schedule(m, "ScheduleSpec");
  schedule.def(nb::init<>())
      .def_rw("rate", &ScheduleSpec::rate)
      .def_rw("warmup_steps", &ScheduleSpec::warmup_steps)
      .def_rw("total_steps", &ScheduleSpec::total_steps)
      .def_rw("period_steps", &ScheduleSpec::period_steps)
      .def_rw("factor", &ScheduleSpec::factor)
      .def_rw("floor", &ScheduleSpec::floor)
      .def("at", &ScheduleSpec::at, "step"_a);
  word(schedule, "name", &ScheduleSpec::decay, kDecays);
}

void bind_network(nb::module_& m) {
  nb::class_<TrainResult>(m, "TrainResult")
      .def_ro("loss_sum", &TrainResult::loss_sum)
      .def_ro("examples", &TrainResult::examples)
      .def_ro("rested", &TrainResult::rested)
      .def_ro("bad_row", &TrainResult::bad_row);

  nb::class_<Network>(m, "Network")
      .def(
          "__init__",
          [](Network* self, uint32_t n_inputs, const std::vector<LayerSpec*>& layers, const std::string& loss,
             const OptimizerSpec& optimizer, uint64_t seed) {
            new (self) Network(n_inputs, layer_specs(layers), kLosses.parse(loss), optimizer, seed);
          },
          "n_inputs"_a, "layers"_a, "loss"_a, "optimizer"_a, "seed"_a)
      .def(
          "build",
          [](Network& net, const PyBatch& batch, In<uint32_t, 1> rows, int threads) {
            check_columns(net, batch);
            rule(rows.shape(0) > 0, "rows must name at least one row, got none");
            const auto sample = rows_of(rows, batch.n_rows, "rows");
            nb::gil_scoped_release release;
            net.build(batch, sample, team_size(threads));
          },
          "batch"_a, "rows"_a, "threads"_a = 1)
      .def("train", &train, "batch"_a, "targets"_a, "order"_a, "schedule"_a, "batch_size"_a, "threads"_a,
           "example_weights"_a.none(), "output_weights"_a.none(), "sample"_a, "known"_a = 1.f,
           "resting"_a.none() = nb::none(), "workers"_a = 0, "chance"_a.none() = nb::none(), "inverse"_a = false)
      .def(
          "end_epoch",
          [](Network& net, bool complete, const PyBatch* batch, std::optional<In<uint32_t, 1>> sample) {
            std::span<const uint32_t> rows;
            if (batch && sample) rows = rows_of(*sample, batch->n_rows, "sample");
            nb::gil_scoped_release release;
            net.end_epoch(complete, rows.empty() ? nullptr : batch, rows);
          },
          "complete"_a = true, "batch"_a.none() = nb::none(), "sample"_a.none() = nb::none())
      .def(
          "arrange",
          [](Network& net, size_t layer, const std::string& layout, const std::string& lookup,
             const std::string& code) {
            rule(layer < net.layers().size(), "layer must be one of the network's");
            net.arrange(layer, kLayouts.parse(layout), kLookups.parse(lookup),
                        code == "none" ? Code::kAuto : kCodes.parse(code));
          },
          "layer"_a, "layout"_a, "lookup"_a, "code"_a)
      .def(
          "scores",
          [](Network& net, const PyBatch& batch, bool exact, int threads) {
            check_ready(net, batch);
            std::vector<float> out(batch.n_rows * net.n_outputs());
            {
              nb::gil_scoped_release release;
              net.scores(batch, exact, team_size(threads), out.data());
            }
            return own(std::move(out), {batch.n_rows, net.n_outputs()});
          },
          "batch"_a, "exact"_a = false, "threads"_a = 1)
      .def(
          "topk",
          [](Network& net, const PyBatch& batch, uint32_t k, bool exact, int threads) {
            check_ready(net, batch);
            rule(k >= 1 && k <= net.n_outputs(),
                 "k must be in [1, " + std::to_string(net.n_outputs()) + "], got " + std::to_string(k));
            std::vector<int32_t> index(batch.n_rows * k);
            std::vector<float> score(batch.n_rows * k);
            {
              nb::gil_scoped_release release;
              net.topk(batch, k, exact, team_size(threads), index.data(), score.data());
            }
            return nb::make_tuple(own(std::move(index), {batch.n_rows, k}), own(std::move(score), {batch.n_rows, k}));
          },
          "batch"_a, "k"_a, "exact"_a = false, "threads"_a = 1)
      .def(
          "best",
          [](Network& net, const Row1& x, bool exact) {
            if (!net.built()) throw std::runtime_error("the hash index is not built yet: call build() or train first");
            rule(x.shape(0) == net.n_inputs(), "x must have n_inputs = " + std::to_string(net.n_inputs()) +
                                                   " numbers, got " + std::to_string(x.shape(0)));
            rule(net.loss() != Loss::kSquared, "the best output needs the loss 'softmax' or 'logistic', got 'squared'");
            Batch one;
            one.n_rows = 1;
            one.n_columns = net.n_inputs();
            one.dense = x.data();
            nb::gil_scoped_release release;
            return net.best(one, exact);
          },
          "x"_a.noconvert(), "exact"_a = false)
      .def("compacted", &Network::compacted, nb::call_guard<nb::gil_scoped_release>())
      .def(
          "usage",
          [](Network& net, const PyBatch& batch, bool exact, int threads) {
            check_ready(net, batch);
            std::vector<std::vector<uint32_t>> times;
            {
              nb::gil_scoped_release release;
              times = net.usage(batch, exact, team_size(threads));
            }
            nb::list out;
            for (std::vector<uint32_t>& layer : times) {
              const size_t n = layer.size();
              out.append(own(std::move(layer), {n}));
            }
            return out;
          },
          "batch"_a, "exact"_a = false, "threads"_a = 1)
      .def(
          "recall",
          [](Network& net, const PyBatch& batch, In<uint32_t, 1> rows) {
            check_ready(net, batch);
            const auto span = rows_of(rows, batch.n_rows, "rows");
            std::vector<Recall> result;
            {
              nb::gil_scoped_release release;
              result = net.recall(batch, span);
            }
            nb::list out;
            for (const Recall& r : result) {
              nb::dict d;
              d["recall"] = r.recall, d["gain"] = r.gain;
              out.append(d);
            }
            return out;
          },
          "batch"_a, "rows"_a)
      .def("arrangement", &arrangement)
      .def("tensors", [](nb::handle self) { return tensors(self); })
      .def("sync_after_load", [](Network& net) { net.derive_after_load(1); })
      .def(
          "rehash", [](Network& net, int threads) { net.rehash(team_size(threads)); }, "threads"_a = 1,
          nb::call_guard<nb::gil_scoped_release>())
      .def("state", &Network::state)
      .def("set_state", &Network::set_state, "state"_a)
      .def("ledger",
           [](Network& net) {
             const std::shared_lock reading(net.mutex());
             return ledger_dict(net.ledger());
           })
      .def("set_ledger", &set_ledger, "ledger"_a)
      .def("reset_ledger", [](Network& net) { net.ledger() = {0, 0, std::vector<Counts>(net.layers().size())}; })
      .def("prediction_ledger", [](Network& net) { return ledger_dict(net.prediction_ledger()); })
      .def("dense_multiplications", &Network::dense_multiplications, "batch_size"_a)
      .def("dense_prediction_multiplications", &Network::dense_prediction_multiplications)
      .def("tables", &tables)
      .def("memory_bytes", &Network::memory)
      .def_prop_ro("n_parameters", &Network::n_parameters)
      .def_prop_ro("n_inputs", &Network::n_inputs)
      .def_prop_ro("n_outputs", &Network::n_outputs)
      .def_prop_ro("built", &Network::built)
      .def("pool",  // of the last batch
           [](const Network& net) {
             std::vector<uint32_t> id = net.pool();
             const size_t n = id.size();
             return own(std::move(id), {n});
           })
      .def_prop_ro("step", &Network::step);
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "The compiled core of hashgrad.";
  choose_simd_level();
  nb::class_<PyBatch>(m, "Batch")
      .def_static("dense", &dense_batch, "x"_a)
      .def_static("csr", &csr_batch, "indptr"_a, "indices"_a, "values"_a, "n_columns"_a)
      .def_ro("n_rows", &PyBatch::n_rows)
      .def_ro("n_columns", &PyBatch::n_columns);
  nb::class_<PyTargets>(m, "Targets")
      .def_static("labels", &label_targets, "indptr"_a.none(), "labels"_a, "n_outputs"_a)
      .def_static("values", &value_targets, "y"_a)
      .def_ro("n_rows", &PyTargets::n_rows)
      .def_ro("n_outputs", &PyTargets::n_outputs);
  bind_specs(m);
  bind_network(m);
  bind_study(m);
  bind_updates(m);
  bind_family(m);
  bind_export(m);
  bind_linear(m);
  bind_threads(m);
}

}  // namespace hashgrad
