// Doors for tests and for study: the kernels at a chosen level, a hash family on its own, one example's walk.
#include <algorithm>
#include <limits>

#include "bindings.h"
#include "calibrate.h"
#include "choose.h"

namespace hashgrad {

namespace {

// One example on its way through a network, of which the model learns by plain SGD.
struct Walk {
  Worker worker;
  Shared shared;
  Example example;
  Group group;

  explicit Walk(const Network& net)
      : worker(net.layers().size()), shared(net.layers().size(), 1), example(net.layers()), group{{&example}} {}

  void learn(const Network& net, Model& model, const Batch& batch, const Targets& targets, uint32_t row, uint64_t step,
             const Rate& rate) {
    example.row = row;
    example.input.assign(batch, row);
    example.ask.training = true;
    example.ask.seed = net.seed();
    example.ask.step = step;
    example.ask.forced = targets.labels(row);
    model.forward(group, Member(), worker);
    Passage& last = example.passages.back();
    example.loss = loss_and_delta(net.loss(), last.active, targets, row, 1.f, 1.f, nullptr, last.delta);
    model.learn(group, shared, Member(), &rate, true, worker);
  }
};

void check_walk(const Network& net, const PyBatch& batch, const PyTargets& targets) {
  check_ready(net, batch);
  check_targets(net, batch, targets);
  rule(!net.frozen(), "network must be one that can learn, got a compact one");
}

// One training example's walk, for tests: what was selected, and the deltas that follow from it.
nb::list trace(Network& net, const PyBatch& batch, const PyTargets& targets, uint32_t row, uint64_t step) {
  rule(!net.layers().back().spec().halved(), "trace takes no weights in bfloat16");
  check_walk(net, batch, targets);
  rule(row < batch.n_rows, "row must be a row of X");
  Walk walk(net);
  Model copy(net.model());  // so that nothing moves
  walk.learn(net, copy, batch, targets, row, step, Rate());
  Example& example = walk.example;
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

// One network learns from these rows by plain SGD, one at a time, and another takes the same steps as it hears of them:
// what threads do that train on copies of the weights.
void repeat(Network& net, Network& other, const PyBatch& batch, const PyTargets& targets, In<uint32_t, 1> order,
            float rate) {
  for (Network* one : {&net, &other}) {
    check_walk(*one, batch, targets);
    rule(one->optimizer().kind == Optimizer::kSgd && one->optimizer().l2 == 0.f, "optimizer must be 'sgd' with l2 = 0");
  }
  rule(&net != &other && net.layers().size() == other.layers().size(), "networks must be two of the same layers");
  for (size_t l = 0; l < net.layers().size(); l++)
    rule(net.layers()[l].spec().n_outputs == other.layers()[l].spec().n_outputs &&
             net.layers()[l].input_major() == other.layers()[l].input_major(),
         "networks must be two of the same layers");
  Rate plain;
  plain.rate = plain.step.rate = rate;
  Walk walk(net), heard(other);
  uint64_t step = 0;
  for (const uint32_t row : rows_of(order, batch.n_rows, "order")) {
    walk.learn(net, net.model(), batch, targets, row, step++, plain);
    heard.example.take_over(walk.example);
    other.model().repeat(heard.group, plain, heard.worker);
  }
}

template <class T>
Out<T> first(std::vector<T>&& all, size_t n) {
  all.resize(n);
  return own(std::move(all), {n});
}

// Rows of `columns` numbers in rows of `stride`.
template <class T>
Array<T> padded(const T* rows, size_t n, size_t columns, size_t stride) {
  Array<T> out(n * stride);
  for (size_t i = 0; i < n; i++) std::copy_n(rows + i * columns, columns, &out[i * stride]);
  return out;
}

void bind_choosing(nb::module_& m) {
  m.def(
      "kernel_nonzeros",
      [](In<float, 1> x) {
        const auto n = static_cast<uint32_t>(x.shape(0));
        std::vector<uint32_t> index(n + kBlock), block(n);
        std::vector<float> value(n + kBlock), copy(n);
        const Found found = active().nonzeros(x.data(), n, index.data(), value.data(), block.data(), copy.data());
        return nb::make_tuple(first(std::move(index), found.n), first(std::move(value), found.n),
                              first(std::move(block), found.n_blocks), first(std::move(copy), n));
      },
      "x"_a);
  m.def(
      "kernel_positives",
      [](In<uint32_t, 1> id, In<float, 1> z) {
        rule(id.shape(0) == z.shape(0), "id and z must be equally long");
        std::vector<uint32_t> kept(id.data(), id.data() + id.shape(0));
        std::vector<float> value(z.data(), z.data() + z.shape(0));
        const uint32_t n = active().positives(kept.data(), value.data(), static_cast<uint32_t>(kept.size()));
        return nb::make_tuple(first(std::move(kept), n), first(std::move(value), n));
      },
      "id"_a, "z"_a);
  m.def(
      "kernel_match_signs",
      [](In<uint64_t, 2> signatures, In<float, 1> x, In<uint32_t, 1> reach, std::optional<In<uint32_t, 1>> rows) {
        const size_t words = signatures.shape(1), n = rows ? rows->shape(0) : signatures.shape(0);
        rule(words >= 1 && words <= 128 && x.shape(0) == 64 * words, "x must have a number for each bit");
        rule(reach.shape(0) == signatures.shape(0), "reach must have a number for each signature");
        std::vector<uint8_t> entry(4 * x.shape(0));
        const SignUnit unit = active().tabulate_signs(x.data(), x.shape(0), entry.data());
        std::vector<float> score(n);
        active().match_signs(signatures.data(), words, reach.data(), rows ? rows->data() : nullptr,
                             static_cast<uint32_t>(n), entry.data(), unit, score.data());
        const size_t n_entries = entry.size();
        return nb::make_tuple(own(std::move(score), {n}), own(std::move(entry), {n_entries / 16, 16}), unit.unit,
                              unit.least);
      },
      "signatures"_a, "x"_a, "reach"_a, "rows"_a.none());
  // Whether the k-th largest is known, its value, how many are above it, how many equal, and where all of these are.
  m.def(
      "kernel_largest",
      [](In<float, 1> z, uint32_t k) {
        const auto n = static_cast<uint32_t>(z.shape(0));
        rule(k >= 1 && k < n, "k must be in [1, n - 1], got " + std::to_string(k));
        std::vector<uint32_t> position(n + kBlock);
        std::vector<float> value(n / 4);
        const Cut cut = active().largest(z.data(), n, k, position.data(), value.data());
        return nb::make_tuple(cut.known, cut.value, cut.above, cut.equal,
                              first(std::move(position), cut.known ? cut.above + cut.equal : 0));
      },
      "z"_a, "k"_a);

  // Where the k largest are, of equals those that `salt` picks.
  m.def(
      "choose_largest",
      [](In<float, 1> z, uint32_t k, uint64_t salt) {
        ChooseScratch scratch;
        std::vector<uint32_t> out;
        choose_largest(z.data(), static_cast<uint32_t>(z.shape(0)), k, salt, scratch, out);
        const size_t n = out.size();
        return first(std::move(out), n);
      },
      "z"_a, "k"_a, "salt"_a);
}

void bind_codes(nb::module_& m) {
  // Sixteen codes and room for `step`, and so forth.
  m.def(
      "kernel_quantize",
      [](In<float, 1> x, float scale, float most, int middle, size_t step) {
        const size_t lines = x.shape(0) / kBlock;
        rule(x.shape(0) % kBlock == 0 && step >= kBlock, "x must hold whole blocks of 16, and step as many at least");
        std::vector<uint8_t> out(lines * step);
        active().quantize(x.data(), static_cast<uint32_t>(x.shape(0)), scale, most, middle, out.data(), step);
        return own(std::move(out), {lines, step});
      },
      "x"_a, "scale"_a, "most"_a, "middle"_a, "step"_a);
  // Scores of neurons `begin` to `end`, and NaN for all others; codes as rows, which are put in the kernel's order.
  m.def(
      "kernel_scan",
      [](In<uint8_t, 2> code, In<int8_t, 2> query, uint32_t begin, uint32_t end) {
        const size_t n = code.shape(0), width = code.shape(1), n_queries = query.shape(0);
        rule(width % kBlock == 0 && query.shape(1) == width, "code and query must have whole blocks of 16 columns");
        rule(begin <= end && end <= n && n % kBlock + begin % kBlock + end % kBlock == 0,
             "n, begin and end must be multiples of 16");
        Array<uint8_t> turned(n * width);
        for (size_t i = 0; i < n; i++)
          for (size_t r = 0; r < width; r++) {
            const size_t lane = i % kBlock, line = 4 * (r / kBlock) + lane % 4;
            turned[(i - lane) * width + 64 * line + kBlock * (lane / 4) + r % kBlock] = code.data()[i * width + r];
          }
        std::vector<float> out(n_queries * n, std::numeric_limits<float>::quiet_NaN());
        std::vector<const int8_t*> queries;
        std::vector<float*> scores;
        for (size_t q = 0; q < n_queries; q++)
          queries.push_back(query.data() + q * width), scores.push_back(out.data() + q * n);
        active().scan(turned.data(), static_cast<uint32_t>(width), begin, end, queries.data(),
                      static_cast<uint32_t>(n_queries), scores.data());
        return own(std::move(out), {n_queries, n});
      },
      "code"_a, "query"_a, "begin"_a, "end"_a);
  // Rows of codes times the codes of an input; rows none: all.
  m.def(
      "kernel_dot_codes",
      [](In<uint8_t, 2> w, std::optional<In<uint32_t, 1>> rows, In<int8_t, 1> x, float unit, In<float, 1> units,
         In<float, 1> bias) {
        const size_t n = w.shape(0), columns = w.shape(1), stride = round_up(columns, 64);
        rule(x.shape(0) == columns && units.shape(0) == n && bias.shape(0) == n, "x, units and bias must fit w");
        if (rows) rows_of(*rows, n, "rows");
        const Array<uint8_t> code = padded(w.data(), n, columns, stride);
        const Array<int8_t> input = padded(x.data(), 1, columns, stride);
        std::vector<uint32_t> block;
        Scale scale{0, unit, units.data(), bias.data()};
        for (uint32_t c = 0; c < columns; c++) {
          scale.middle += kCodeMiddle * input[c];
          if (input[c] != 0 && (block.empty() || block.back() != c / 64)) block.push_back(c / 64);
        }
        const size_t wanted = rows ? rows->shape(0) : n;
        std::vector<float> out(wanted);
        active().dot_codes(code.data(), stride, rows ? rows->data() : nullptr, static_cast<uint32_t>(wanted),
                           input.data(), block.data(), static_cast<uint32_t>(block.size()), scale, out.data());
        return own(std::move(out), {wanted});
      },
      "w"_a, "rows"_a.none(), "x"_a, "unit"_a, "units"_a, "bias"_a);
  // The same where w has a row for each input: those of `index`, with codes `value`.
  m.def(
      "kernel_add_codes",
      [](In<uint8_t, 2> w, In<uint32_t, 1> index, In<int8_t, 1> value, float unit, In<float, 1> bias) {
        const size_t neurons = w.shape(1), stride = round_up(neurons, 64);
        rule(index.shape(0) == value.shape(0) && bias.shape(0) == neurons, "index, value and bias must fit w");
        const auto list = rows_of(index, w.shape(0), "index");
        const Array<uint8_t> code = padded(w.data(), w.shape(0), neurons, stride);
        const Array<float> biases = padded(bias.data(), 1, neurons, stride);
        Scale scale{0, unit, nullptr, biases.data()};
        for (size_t e = 0; e < list.size(); e++) scale.middle += kCodeMiddle * value.data()[e];
        std::vector<float> out(stride);
        active().add_codes(code.data(), stride, list.data(), value.data(), static_cast<uint32_t>(list.size()),
                           static_cast<uint32_t>(stride), scale, out.data());
        return first(std::move(out), neurons);
      },
      "w"_a, "index"_a, "value"_a, "unit"_a, "bias"_a);
}

// Input-major: w has a row for each input.
void bind_columns(nb::module_& m) {
  m.def(
      "kernel_add_columns",
      [](In<float, 2> w, const PyBatch& x) {
        rule(x.n_columns + 1 == w.shape(0) && x.n_rows == 1, "x must be one row, w have a row per column and one more");
        const size_t neurons = w.shape(1), stride = round_up(neurons, kBlock);
        const Array<float> weight = padded(w.data(), w.shape(0), neurons, stride);
        RowBuffer buffer(x.n_columns + 1);
        std::vector<float> out(stride);
        active().add_columns(weight.data(), stride, buffer.assign(x, 0), static_cast<uint32_t>(stride), out.data());
        return first(std::move(out), neurons);
      },
      "w"_a, "x"_a);
  // The rows afterwards and, per part and row, the sums; neurons are all or those of `index`, cut where parts begin and
  // at the end.
  m.def(
      "kernel_learn_columns",
      [](In<float, 2> w, std::optional<In<float, 1>> step, In<uint32_t, 1> cut, std::optional<In<uint32_t, 1>> index,
         In<float, 1> value, bool sums) {
        const size_t n = w.shape(0), neurons = w.shape(1), stride = round_up(neurons, kBlock);
        rule(n >= 1 && n <= 4 && (!step || step->shape(0) == n) && (step || sums),
             "w must have 1 to 4 rows, each a step");
        rule(value.shape(0) == (index ? index->shape(0) : neurons), "value must have a number for each neuron");
        if (index) rows_of(*index, neurons, "index");
        rule(cut.shape(0) >= 1 && std::is_sorted(cut.data(), cut.data() + cut.shape(0)), "cut must ascend");
        for (size_t p = 0; p < cut.shape(0); p++)
          rule(cut.data()[p] <= (index ? value.shape(0) : stride) && (index || cut.data()[p] % kBlock == 0),
               "cut must lie within the neurons and, without an index, at whole blocks");
        const size_t n_parts = cut.shape(0) - 1;
        Array<float> weight = padded(w.data(), n, neurons, stride);
        const Array<float> values = padded(value.data(), 1, value.shape(0), round_up(value.shape(0) + 1, kBlock));
        std::vector<float> out(n_parts * n);
        float *row[8], *towards[4];
        for (size_t r = 0; r < 8; r++) row[r] = &weight[std::min(r, n - 1) * stride];
        for (size_t r = 0; r < n; r++) towards[r] = out.data() + r;
        active().learn_columns(row, step ? step->data() : nullptr, static_cast<uint32_t>(n),
                               {cut.data(), static_cast<uint32_t>(n_parts), n}, index ? index->data() : nullptr,
                               values.data(), sums ? towards : nullptr);
        std::vector<float> after(n * neurons);
        for (size_t r = 0; r < n; r++) std::copy_n(&weight[r * stride], neurons, &after[r * neurons]);
        return nb::make_tuple(own(std::move(after), {n, neurons}), own(std::move(out), {n_parts, n}));
      },
      "w"_a, "step"_a.none(), "cut"_a, "index"_a.none(), "value"_a, "sums"_a);
}

// Rows of `columns` numbers of rows of `stride`.
Out<float> plain_rows(const Array<float>& rows, size_t n, size_t columns, size_t stride) {
  std::vector<float> c(n * columns);
  for (size_t i = 0; i < n; i++) std::copy_n(&rows[i * stride], columns, c.begin() + static_cast<long>(i * columns));
  return own(std::move(c), {n, columns});
}

// Products of matrices, of which a's rows, or b's, may be picked from more; and what becomes of sixteen examples' z.
void bind_matrices(nb::module_& m) {
  m.def(
      "kernel_multiply",
      [](In<float, 2> a, In<float, 2> b, std::optional<In<uint32_t, 1>> a_rows, std::optional<In<uint32_t, 1>> b_rows,
         bool turned) {
        const size_t wide = round_up(b.shape(1), kBlock), k = b_rows ? b_rows->shape(0) : b.shape(0);
        const size_t all = a.shape(turned ? 1 : 0), m = a_rows ? a_rows->shape(0) : all;
        rule(a.shape(turned ? 0 : 1) == k, "a must have as many columns as b has rows");
        if (a_rows) rows_of(*a_rows, static_cast<uint32_t>(all), "a_rows");
        if (b_rows) rows_of(*b_rows, static_cast<uint32_t>(b.shape(0)), "b_rows");
        const Array<float> right = padded(b.data(), b.shape(0), b.shape(1), wide);
        Array<float> out(m * wide);
        Factor left{a.data(), turned ? 1 : a.shape(1), turned ? a.shape(1) : 1, a_rows ? a_rows->data() : nullptr};
        active().multiply(left, static_cast<uint32_t>(m), {right.data(), wide, 1, b_rows ? b_rows->data() : nullptr},
                          static_cast<uint32_t>(k), static_cast<uint32_t>(wide), out.data(), wide);
        return plain_rows(out, m, b.shape(1), wide);
      },
      "a"_a, "b"_a, "a_rows"_a.none() = nb::none(), "b_rows"_a.none() = nb::none(), "turned"_a = false);
  // The same of bfloat16, a's pairs taken of its columns or, turned, of its rows.
  m.def(
      "kernel_multiply_pairs",
      [](In<float, 2> a, In<float, 2> b, bool turned) {
        rule(has_bfloat16(), "this processor, or the chosen level, has no products of bfloat16");
        const size_t m = a.shape(turned ? 1 : 0), k = b.shape(0), n = b.shape(1), pairs = (k + 1) / 2;
        rule(a.shape(turned ? 0 : 1) == k,
             "a must have " + std::to_string(k) + " columns (rows, if turned), as b has rows");
        const auto rows_in_pairs = [&](const float* from, size_t columns, size_t stride) {
          const Array<float> rows = padded(from, k, columns, stride);
          Array<uint32_t> out(pairs * stride);
          for (size_t p = 0; p < pairs; p++)
            active().bfloat16.pair_rows(&rows[2 * p * stride], 2 * p + 1 < k ? &rows[(2 * p + 1) * stride] : nullptr,
                                        static_cast<uint32_t>(stride), &out[p * stride]);
          return out;
        };
        const size_t wide = round_up(n, kBlock), stride = round_up(turned ? m : k, kBlock);
        const Array<uint32_t> right = rows_in_pairs(b.data(), n, wide);
        Array<uint32_t> left(m * stride / 2);
        if (turned) {
          left = rows_in_pairs(a.data(), m, stride);
        } else {
          const Array<float> rows = padded(a.data(), m, k, stride);
          active().bfloat16.pair_columns(rows.data(), static_cast<uint32_t>(m * stride), left.data());
        }
        Array<float> out(m * wide);
        active().bfloat16.multiply({left.data(), turned ? 1 : stride / 2, turned ? stride : 1},
                                   static_cast<uint32_t>(m), {right.data(), wide}, static_cast<uint32_t>(pairs),
                                   static_cast<uint32_t>(wide), out.data(), wide);
        return plain_rows(out, m, n, wide);
      },
      "a"_a, "b"_a, "turned"_a = false);
  m.def(
      "kernel_probabilities",
      [](const std::string& loss, In<float, 2> z) {
        rule(z.shape(0) >= 1 && z.shape(1) == kBlock, "z must have a row a neuron, of 16 examples");
        std::vector<float> p(z.data(), z.data() + z.size()), total(kBlock), top(kBlock);
        const auto n = static_cast<uint32_t>(z.shape(0));
        if (kLosses.parse(loss) == Loss::kSoftmax)
          active().softmax(p.data(), kBlock, n, top.data(), total.data());
        else
          active().logistic(p.data(), kBlock, n, total.data());
        return nb::make_tuple(own(std::move(p), {z.shape(0), kBlock}), own(std::move(top), {kBlock}),
                              own(std::move(total), {kBlock}));
      },
      "loss"_a, "z"_a);
}

}  // namespace

void bind_study(nb::module_& m) {
  bind_matrices(m);
  bind_choosing(m);
  bind_codes(m);
  bind_columns(m);
  m.def("simd_level", &simd_level);
  m.def("simd_levels", &simd_levels);
  m.def("set_simd_level", &set_simd_level, "name"_a);
  m.def("has_bfloat16", &has_bfloat16);
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
        const Array<float> weight = padded(w.data(), w.shape(0), w.shape(1), stride);
        RowBuffer buffer(static_cast<uint32_t>(w.shape(1)));
        std::vector<float> out(list.size());
        active().dot_rows(weight.data(), stride, list.data(), static_cast<uint32_t>(list.size()), buffer.assign(x, 0),
                          out.data());
        const size_t n = out.size();
        return own(std::move(out), {n});
      },
      "w"_a, "rows"_a, "x"_a);
  m.def(
      "kernel_sum_rows",
      [](In<float, 2> rows, In<float, 1> a) {
        rule(rows.shape(1) % kBlock == 0 && a.shape(0) == rows.shape(0), "rows must be (n, whole blocks), a (n,)");
        std::vector<const float*> row;
        for (size_t r = 0; r < rows.shape(0); r++) row.push_back(rows.data() + r * rows.shape(1));
        std::vector<float> out(rows.shape(1));
        active().sum_rows(row.data(), a.data(), static_cast<uint32_t>(row.size()), out.size(), out.data());
        return own(std::move(out), {rows.shape(1)});
      },
      "rows"_a, "a"_a);
  m.def(
      "kernel_lowest",
      [](In<float, 1> x) {
        rule(x.shape(0) >= 1, "x must not be empty");
        return active().lowest(x.data(), static_cast<uint32_t>(x.shape(0)));
      },
      "x"_a);
  m.def(
      "kernel_differing",
      [](In<uint64_t, 2> signatures, In<uint64_t, 1> query, int code_bits, std::optional<In<uint32_t, 1>> rows) {
        rule(signatures.shape(1) == query.shape(0), "signatures and query must have equally many words");
        std::vector<uint16_t> out(rows ? rows->shape(0) : signatures.shape(0));
        active().differing(signatures.data(), signatures.shape(1), rows ? rows->data() : nullptr,
                           static_cast<uint32_t>(out.size()), query.data(), code_bits, out.data());
        const size_t n = out.size();
        return own(std::move(out), {n});
      },
      "signatures"_a, "query"_a, "code_bits"_a, "rows"_a = nb::none());
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
  m.def("trace", &trace, "network"_a, "batch"_a, "targets"_a, "row"_a, "step"_a = 0);
  m.def("repeat", &repeat, "network"_a, "other"_a, "batch"_a, "targets"_a, "order"_a, "rate"_a);
}

}  // namespace hashgrad
