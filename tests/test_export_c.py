"""The C that export_c writes predicts as the network does, and takes what it says it takes."""

import re

import numpy as np
import pytest
from scipy.sparse import csr_array

from conftest import N_INPUTS, hashed, network
from export_help import OTHERS, WARNINGS, Predictor, run
from hashgrad import LSH, SGD, Adaptive, Dense, Network, Random, WinnerTakeAll, export_c
from hashgrad.export.layers import read_layers

pytestmark = pytest.mark.compiler

TABLES = {"lookup": "tables", "tables": 24}
# 65 bits, an odd number: no neuron is at a right angle, where its tail alone would count.
POOLED = Dense(300, active=LSH(0.05, pooled=True, bits=5, tables=13, code="bits", candidates=2))
SHAPES = {
    "bytes": [hashed(200), hashed(96)],
    "bits": [hashed(200, code="bits"), hashed(96, projection="gaussian", code="bits")],
    "few bits": [hashed(200, code="bits", bits=3, tables=7), hashed(96, projection="sparse")],
    "transforms": [hashed(200, transform="simple"), hashed(96, transform="sign-alsh")],
    "euclidean": [
        hashed(200, transform="l2-alsh"),
        hashed(96, 0.3, transform="l2-alsh", projection="gaussian", **TABLES),
    ],
    "euclidean and signs": [hashed(200, transform="l2-alsh"), hashed(96, code="bits")],
    "euclidean and signs in tables": [
        hashed(200, 0.3, **TABLES),
        hashed(96, 0.3, transform="l2-alsh", **TABLES),
    ],
    "tables": [hashed(200, 0.3, **TABLES), hashed(96, 0.3, **TABLES, probes=9)],
    "collisions": [
        hashed(200, 0.3, ranking="collisions", **TABLES),
        hashed(96, 0.3, ranking="collisions", **TABLES, probes=1),
    ],
    "by input": [Dense(130, layout="input"), Dense(70, "tanh", layout="input")],
    "by neuron": [Dense(130, layout="neuron"), Dense(70, "sigmoid", layout="neuron")],
    "exact": [
        Dense(130, active=WinnerTakeAll(0.2), layout="input"),
        Dense(70, active=LSH(0.3, lookup="exact"), layout="neuron"),
    ],
    "dropout": [Dense(130, active=Random(0.5)), Dense(70, active=Adaptive(0.5))],
    "narrow": [hashed(130), Dense(40)],
}


@pytest.fixture(scope="module", params=SHAPES)
def fitted(request, blobs):
    return network(*SHAPES[request.param], optimizer=SGD(0.02)).fit(*blobs, epochs=2)


@pytest.fixture(scope="module", params=["float32", "int8"])
def pair(request, fitted, tmp_path_factory):
    """A C predictor, and what it must answer as: the network, or its compact copy."""
    twin = fitted if request.param == "float32" else fitted.compact()
    return Predictor(fitted, tmp_path_factory.mktemp("c"), request.param), twin


@pytest.fixture(scope="module")
def chosen_outputs(blobs):
    """Hashed outputs in tables, of which some rows find none; some labels are retired."""
    X, y = blobs
    top = hashed(90, 0.05, lookup="tables", bits=6, tables=1, probes=1)
    net = Network(N_INPUTS, [hashed(128), top]).fit(X, y, epochs=2)
    net.retire_labels([2, 50, 89])
    return net


def agreeing(ours, theirs, error):
    """Share of rows whose scores agree: where rounding lets another neuron in, they do not."""
    left_out = np.isneginf(theirs)
    assert ours.shape == theirs.shape
    same = np.where(left_out, ours == -np.finfo(np.float32).max, np.abs(ours - theirs) <= error)
    return same.all(axis=1).mean()


def check(answers, twin, X, least):
    """The C answers as a network or its compact copy does."""
    scores = twin.decision_function(X)
    spread = scores[np.isfinite(scores)].std()
    assert agreeing(answers.scores, scores, 1e-4 * spread) >= least
    if twin.loss != "squared":
        likely = twin.predict_proba(X)
        assert (np.abs(answers.probabilities - likely) < 1e-4).all(axis=1).mean() >= least
    if twin.loss == "softmax":
        assert (answers.best == twin.predict(X)).mean() >= least


def test_float32_answers_as_the_network_does_and_int8_as_the_compact_copy(pair, blobs):
    predictor, twin = pair
    check(predictor(blobs[0]), twin, blobs[0], 0.99)


def test_a_row_of_zeros_has_an_answer(pair):
    predictor, twin = pair
    zeros = np.zeros((2, N_INPUTS), np.float32)
    check(predictor(zeros), twin, zeros, 1.0)


def test_no_prediction_takes_more_multiplications_than_stated(pair, blobs):
    predictor, _ = pair
    assert predictor(blobs[0]).multiplications.max() <= predictor.made.multiplications
    header = (predictor.folder / "model.h").read_text()
    assert f"MODEL_MULTIPLICATIONS {predictor.made.multiplications}u" in header


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_outputs_that_hashing_leaves_out_have_no_score_and_retired_labels_none(
    chosen_outputs, blobs, tmp_path, weights
):
    X = blobs[0]
    twin = chosen_outputs if weights == "float32" else chosen_outputs.compact()
    scores = twin.decision_function(X)
    assert 0 < np.isneginf(scores).all(axis=1).mean() < 1  # rows that find nothing are among them
    answers = Predictor(chosen_outputs, tmp_path, weights)(X)
    check(answers, twin, X, 0.99)
    assert (answers.scores[:, [2, 50, 89]] == -np.finfo(np.float32).max).all()
    assert not np.isin(answers.best, [2, 50, 89]).any()


@pytest.fixture(scope="module")
def pooled(tags):
    """Outputs in a pool, hashed without the part that all inputs share: its tails are added."""
    X, _ = tags
    random = np.random.default_rng(4)
    Y = (X @ random.normal(size=(N_INPUTS, 300)) > 1.5).astype(np.int8)
    net = Network(N_INPUTS, [Dense(70), POOLED], loss="logistic", batch_size=8)
    return net.fit(X, csr_array(Y), epochs=2)


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_pooled_outputs_with_several_labels_a_row(pooled, tags, tmp_path, weights):
    X, _ = tags
    predictor = Predictor(pooled, tmp_path, weights)
    assert "_tail[300]" in (tmp_path / "model.c").read_text()
    answers = predictor(X.toarray())
    check(answers, pooled if weights == "float32" else pooled.compact(), X, 0.99)
    assert (answers.probabilities == 0).any()  # of outputs left out


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_pooled_outputs_of_vast_inputs_are_those_of_large_ones(pooled, tags, tmp_path, weights):
    predictor, rows = Predictor(pooled, tmp_path, weights), tags[0].toarray()
    large, vast = (predictor(np.ldexp(rows, power)).scores for power in (40, 64))
    left_out = -np.finfo(np.float32).max
    assert ((large == left_out) == (vast == left_out)).all()
    there = large != left_out  # biases are below rounding in both
    np.testing.assert_allclose(np.ldexp(vast[there], -24), large[there], rtol=1e-5)


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_the_squared_loss_gives_values(line, tmp_path, weights):
    X, y = line
    net = Network(X.shape[1], [hashed(80), Dense(1)], loss="squared").fit(X, y, epochs=2)
    check(
        Predictor(net, tmp_path, weights)(X),
        net if weights == "float32" else net.compact(),
        X,
        0.99,
    )
    assert "classify" not in (tmp_path / "model.h").read_text()


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_the_bound_is_reached_where_nothing_rests(blobs, tmp_path, weights):
    layers = [
        hashed(200, code="bits"),
        hashed(96),
        hashed(80, transform="l2-alsh"),
        Dense(70, layout="input"),
        Dense(66),
    ]
    linear = [Dense(layer.n, "linear", layer.active, layer.layout) for layer in layers]
    net = network(*linear).fit(*blobs, epochs=1)
    predictor = Predictor(net, tmp_path, weights)
    assert (predictor(blobs[0]).multiplications == predictor.made.multiplications).all()


@pytest.mark.parametrize(
    "top", [hashed(300), hashed(300, code="bits"), POOLED], ids=["bytes", "bits", "tails"]
)
def test_multiplications_are_those_of_the_ledger(top, blobs, tmp_path):
    # The core reads rows in blocks of 16, zeros included: with their biases, these fill theirs.
    X, y = np.ascontiguousarray(blobs[0][:, :15]), blobs[1]
    net = Network(15, [Dense(31, "linear", layout="neuron"), top], batch_size=2).fit(X, y, epochs=2)
    net.decision_function(X)
    counted = net.report().to_dict()["prediction"]["multiplications_per_example"]
    layer = read_layers(net)[-1]
    counted -= layer.columns  # the core counts one more for a hash's centre
    assert (Predictor(net, tmp_path, "float32")(X).multiplications == counted).all()


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_memory_is_constant_and_what_the_header_says(blobs, tmp_path, weights):
    net = network(*SHAPES["tables"]).fit(*blobs, epochs=1)
    made = export_c(net, tmp_path / "model.c", weights=weights)
    run("gcc", *WARNINGS, "-O2", "-fstack-usage", "-c", "model.c", cwd=tmp_path)
    sections = dict(
        re.findall(r"(\.\S+)\s+(\d+)", run("size", "-A", "model.o", cwd=tmp_path).decode())
    )
    constant = sum(int(size) for name, size in sections.items() if name.startswith(".rodata"))
    constant += sum(int(size) for name, size in sections.items() if ".rel.ro" in name)
    assert made.flash_bytes <= constant < made.flash_bytes + 2048
    assert int(sections[".data"]) == int(sections[".bss"]) == 0
    stack = [int(size) for size in re.findall(r"\t(\d+)\t", (tmp_path / "model.su").read_text())]
    assert stack
    assert sum(stack) < 1024  # more than can be under way at once
    undefined = run("nm", "-u", "model.o", cwd=tmp_path).decode().split()
    assert set(undefined) <= {"U", "memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"}


def test_the_scratch_of_a_network_for_mnist_is_below_64_kib(tmp_path):
    random = np.random.default_rng(0)
    X, y = random.random((40, 784), np.float32), random.integers(10, size=40)
    layers = [Dense(1000, active=LSH(0.05)), Dense(1000, active=LSH(0.05)), Dense(10)]
    net = Network(784, layers).fit(X, y, epochs=1)
    for weights in ("float32", "int8"):
        assert export_c(net, tmp_path / "mnist.c", weights=weights).ram_bytes < 20_000


@pytest.mark.parametrize("machine", OTHERS, ids=lambda machine: machine.name)
@pytest.mark.parametrize("weights", ["float32", "int8"])
@pytest.mark.parametrize("shape", ["bytes", "euclidean", "by input"])
def test_other_processors_answer_the_same(machine, weights, shape, blobs, tmp_path):
    if machine.missing:
        pytest.skip(f"needs {machine.missing}")
    X = blobs[0]
    net = network(*SHAPES[shape], optimizer=SGD(0.02)).fit(*blobs, epochs=2)
    twin = net if weights == "float32" else net.compact()
    check(Predictor(net, tmp_path, weights, machine)(X), twin, X, 0.99)


def test_labels_have_their_names(blobs, tmp_path):
    net = network().fit(*blobs, epochs=1)
    net.extra["classes"] = ['a "b"', "c\\d", "é??=", "*/ d"]
    export_c(net, tmp_path / "model.c")
    (tmp_path / "names.c").write_text(
        '#include <stdio.h>\n#include "model.h"\n'
        "int main(void) {\n  unsigned k;\n"
        "  for (k = 0; k < MODEL_LABELS; k++) puts(model_names[k]);\n  return 0;\n}\n"
    )
    run("gcc", *WARNINGS, "model.c", "names.c", "-o", "names", cwd=tmp_path)
    assert run("./names", cwd=tmp_path).decode().splitlines() == net.extra["classes"]


def test_the_header_can_be_included_from_cpp(blobs, tmp_path):
    export_c(network().fit(*blobs, epochs=1), tmp_path / "model.c")
    (tmp_path / "main.cpp").write_text(
        '#include "model.h"\nint (*f)(model_scratch *, const float *) = model_classify;\n'
    )
    run("g++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "main.cpp", cwd=tmp_path)


def test_the_same_network_writes_the_same_bytes(blobs, tmp_path):
    net = network().fit(*blobs, epochs=1)
    texts = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        export_c(net, tmp_path / folder / "model.c")
        texts.append([(tmp_path / folder / name).read_bytes() for name in ("model.c", "model.h")])
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("model.cc", r"path must end in \.c, got .*model\.cc"),
        ("my-model.c", "C identifier .* got 'my-model'"),
        ("2.c", "C identifier .* got '2'"),
        ("int.c", "C identifier .* got 'int'"),
    ],
)
def test_names_that_c_does_not_allow_are_refused(name, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        export_c(Network(2, [Dense(2)]), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_other_weights_are_refused(tmp_path):
    net = Network(2, [Dense(2)])
    with pytest.raises(ValueError, match="weights must be one of 'int8', 'float32', got 'int4'"):
        export_c(net, tmp_path / "model.c", weights="int4")


@pytest.mark.parametrize(
    ("name", "at"), [("layers.0.weight", (2, 3)), ("layers.1.weight", (1, 5)), ("layers.1.bias", 1)]
)
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_refused(name, at, value, blobs, tmp_path):
    net = network().fit(*blobs, epochs=1)
    net._core.tensors()[name][at] = value
    with pytest.raises(ValueError, match=f"'{name}' must be finite, got {value} at"):
        export_c(net, tmp_path / "model.c")
    assert not list(tmp_path.iterdir())


def test_a_network_without_hashes_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="call fit"):
        export_c(network(), tmp_path / "model.c")
