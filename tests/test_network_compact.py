"""A compact copy predicts as its network does, from a byte a weight; single rows go straight in."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csr_array

from conftest import N_CLASSES, N_INPUTS, hashed, network, same_bits, to_bytes
from hashgrad import LSH, SGD, Adaptive, Dense, Network, Random, WinnerTakeAll, load
from hashgrad.prediction import Predictor

# Layers of 64 neurons and more change; the output layer, and the last of these, are too narrow.
SHAPES = {
    "scan": [hashed(200), hashed(96)],
    "bits": [hashed(200, code="bits"), hashed(96, projection="gaussian")],
    "tables": [hashed(200, 0.3, lookup="tables"), hashed(96, 0.3, lookup="tables")],
    "by input": [Dense(130, layout="input"), Dense(70, "tanh", layout="input")],
    "by neuron": [Dense(130, layout="neuron"), Dense(70, "tanh", layout="neuron")],
    "exact": [
        Dense(130, active=WinnerTakeAll(0.2), layout="input"),
        Dense(70, active=LSH(0.3, lookup="exact"), layout="neuron"),
    ],
    "dropout": [Dense(130, active=Random(0.5)), Dense(70, active=Adaptive(0.5))],
    "narrow": [hashed(130), Dense(40)],
}


@pytest.fixture(scope="module", params=SHAPES)
def fitted(request, blobs):
    net = network(*SHAPES[request.param], optimizer=SGD(0.02))
    return net.fit(*blobs, epochs=2)


@pytest.fixture(scope="module")
def wide(blobs):
    """A network with compact copies of every layer, the outputs hashed too."""
    X, y = blobs
    return Network(N_INPUTS, [hashed(128), Dense(96), hashed(80, 0.2)]).fit(X, y, epochs=2)


def test_a_compact_copy_answers_as_the_network_does(fitted, blobs):
    X, y = blobs
    small = fitted.compact()
    # at the border of what is kept, other neurons may come in
    chooses = any(layer.selector.word in ("lsh", "winner-take-all") for layer in fitted.layers)
    for exact in (False, True):
        assert (small.predict(X, exact) == fitted.predict(X, exact)).mean() > 0.98
        difference = small.decision_function(X, exact) - fitted.decision_function(X, exact)
        spread = fitted.decision_function(X, exact).std()
        assert 0 < np.abs(difference).mean() < (0.08 if chooses else 0.01) * spread
        assert np.abs(small.predict_proba(X, exact) - fitted.predict_proba(X, exact)).mean() < 0.02
    assert small.evaluate(X, y)["accuracy"] == pytest.approx(
        fitted.evaluate(X, y)["accuracy"], abs=0.02
    )


def test_the_answers_of_a_compact_copy_agree_with_one_another(fitted, blobs):
    X, y = blobs
    small = fitted.compact()
    labels, scores = small.predict(X), small.decision_function(X)
    indices, best = small.predict_topk(X, N_CLASSES)
    assert labels.dtype == np.int64
    assert np.array_equal(labels, scores.argmax(axis=1))
    assert np.array_equal(labels, indices[:, 0])
    assert np.array_equal(np.take_along_axis(scores, indices, axis=1), best)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert np.allclose(small.predict_proba(X), expected, atol=1e-5)
    assert small.evaluate(X, y) == {"accuracy": (labels == y).mean()}


def test_sparse_rows_single_rows_and_threads_change_no_answer_of_a_compact_copy(fitted, blobs):
    X, _ = blobs
    small = fitted.compact()
    expected = small.decision_function(X)
    assert np.array_equal(small.decision_function(csr_array(X)), expected)
    assert np.array_equal(small.decision_function(X[7:8])[0], expected[7])
    for threads in (2, 4, 0):
        small.threads = threads
        assert np.array_equal(small.decision_function(X), expected)


def test_a_compact_copy_tells_several_labels_and_values_too(tags, line):
    X, Y = tags
    net = network(Dense(96), outputs=6, loss="logistic").fit(X, Y, epochs=5)
    small = net.compact()
    assert (small.predict(X) != net.predict(X)).nnz < 0.02 * Y.shape[0] * 6
    assert small.evaluate(X, Y)["precision_at_1"] == pytest.approx(
        net.evaluate(X, Y)["precision_at_1"], abs=0.02
    )
    X, y = line
    net = network(Dense(96), outputs=1, loss="squared", optimizer=SGD(0.01)).fit(X, y, epochs=5)
    small = net.compact()
    assert small.predict(X).shape == (400,)
    assert small.evaluate(X, y)["r2"] == pytest.approx(net.evaluate(X, y)["r2"], abs=0.01)
    with pytest.raises(ValueError, match="predict_proba needs the loss 'softmax' or 'logistic'"):
        small.predict_proba(X)


def test_outputs_that_hashing_leaves_out_have_no_score_in_a_compact_copy(wide, blobs):
    scores = wide.compact().decision_function(blobs[0])
    assert (np.isfinite(scores).sum(axis=1) <= 16).all()
    assert (wide.compact().predict(blobs[0]) == wide.predict(blobs[0])).mean() > 0.98


def test_a_compact_copy_takes_a_quarter_of_the_memory_of_wide_layers(blobs):
    net = network(Dense(512), Dense(512), optimizer="momentum").fit(*blobs, epochs=1)
    weights = 4 * net.n_parameters
    small = net.compact()
    assert small.memory_bytes < 0.3 * weights < 0.3 * net.memory_bytes
    assert small.n_parameters == net.n_parameters
    assert small.n_outputs == net.n_outputs


def test_a_hashed_network_shrinks_as_well(wide):
    assert wide.compact().memory_bytes < 0.5 * wide.memory_bytes


def test_a_compact_copy_cannot_be_trained_or_saved(wide, blobs):
    small = wide.compact()
    assert isinstance(small, Predictor)
    assert not isinstance(small, Network)
    for name in ("fit", "partial_fit", "save", "compact", "report", "history"):
        assert not hasattr(small, name)
    with pytest.raises(TypeError):
        pickle.dumps(small)
    assert repr(small) == (
        f"Predictor({small.n_parameters:,} parameters, {small.memory_bytes:,} bytes)"
    )


def test_making_a_compact_copy_leaves_the_network_as_it_was(blobs):
    net, twin = (network(hashed(128)).fit(*blobs, epochs=1) for _ in range(2))
    net.compact()
    assert same_bits(net, twin)
    assert same_bits(net.fit(*blobs, epochs=2), twin.fit(*blobs, epochs=2))


def test_later_training_leaves_a_compact_copy_as_it_was(blobs):
    net = network(hashed(128), Dense(64)).fit(*blobs, epochs=1)
    small = net.compact()
    scores, labels = small.decision_function(blobs[0]), small.predict(blobs[0])
    before = to_bytes(net)
    net.fit(*blobs, epochs=4)
    assert to_bytes(net) != before
    assert np.array_equal(small.decision_function(blobs[0]), scores)
    del net
    assert np.array_equal(small.predict(blobs[0]), labels)


def test_a_loaded_network_has_the_same_compact_copy(wide, blobs, tmp_path):
    wide.save(tmp_path / "net")
    expected = wide.compact().decision_function(blobs[0])
    small = load(tmp_path / "net").compact()
    assert np.array_equal(small.decision_function(blobs[0]), expected)


def test_a_network_without_tables_has_no_compact_copy_yet(blobs):
    with pytest.raises(RuntimeError, match="a hashed layer has no tables yet: call fit"):
        network(hashed(128)).compact()
    untrained = network(Dense(128))
    agree = untrained.compact().predict(blobs[0]) == untrained.predict(blobs[0])
    assert agree.mean() > 0.9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_compact_copy_checks_its_rows(wide, blobs, bad):
    small = wide.compact()
    X = blobs[0].copy()
    X[3, 5] = bad
    with pytest.raises(ValueError, match=f"X must be finite, got {bad} in row 3, column 5"):
        small.predict(X)
    with pytest.raises(ValueError, match="X must have 24 columns"):
        small.predict(X[:, :20])


# One row


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_the_answer_for_one_row_is_that_among_others(fitted, blobs, compact, exact):
    X, _ = blobs
    model = fitted.compact() if compact else fitted
    answers = [model.predict_one(row, exact) for row in X]
    assert all(type(answer) is int for answer in answers)
    assert answers == model.predict(X, exact).tolist()


def test_a_row_for_which_the_tables_find_no_output_is_answered_exactly(blobs):
    X, y = blobs
    rare = {"bits": 12, "tables": 1, "probes": 1, "lookup": "tables"}
    net = Network(N_INPUTS, [Dense(96), hashed(4, 0.25, **rare)]).fit(X, y, epochs=1)
    assert (net.predict_topk(X, 1)[0] == -1).sum() > 100
    for model in (net, net.compact()):
        assert [model.predict_one(row) for row in X] == model.predict(X).tolist()


def test_one_row_of_several_labels_gets_the_likeliest(tags):
    X, Y = tags
    net = network(outputs=6, loss="logistic").fit(X, Y, epochs=2)
    rows = X.toarray()
    assert [net.predict_one(row) for row in rows] == net.predict_topk(X, 1)[0][:, 0].tolist()


def test_a_row_need_not_be_writable_and_is_not_changed(wide, blobs):
    row = blobs[0][3]
    assert not row.flags.writeable
    before = row.copy()
    assert wide.predict_one(row) == wide.predict(row[None])[0]
    assert np.array_equal(row, before)


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.astype(np.float64),
        lambda row: row.astype(np.float16),
        lambda row: row.astype(np.int32),
        lambda row: row.tolist(),
        lambda row: row[None],
        lambda row: row[:, None],
        lambda row: np.repeat(row, 2)[::2],
        lambda row: row[::-1],
        lambda row: csr_array(row[None]),
        lambda row: None,
    ],
    ids=[
        "float64", "float16", "integers", "list", "row of a matrix", "column", "strided",
        "backwards", "sparse", "none",
    ],
)  # fmt: skip
def test_what_is_not_one_contiguous_row_of_float32_is_refused(wide, blobs, compact, change):
    model = wide.compact() if compact else wide
    with pytest.raises(TypeError, match=r"\bx\b"):
        model.predict_one(change(blobs[0][0]))


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("length", [0, N_INPUTS - 1, N_INPUTS + 1])
def test_a_row_of_another_length_is_refused(wide, compact, length):
    model = wide.compact() if compact else wide
    with pytest.raises(ValueError, match=f"x must have n_inputs = 24 numbers, got {length}"):
        model.predict_one(np.zeros(length, np.float32))


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_refused(wide, blobs, compact, bad):
    model = wide.compact() if compact else wide
    row = blobs[0][0].copy()
    row[-1] = bad
    with pytest.raises(ValueError, match=f"must be finite, got {bad}"):
        model.predict_one(row)
    assert model.predict_one(blobs[0][0]) == model.predict(blobs[0][:1])[0]


def test_a_regression_has_no_best_output_of_one_row(line):
    X, y = line
    net = network(Dense(96), outputs=1, loss="squared", optimizer=SGD(0.01)).fit(X, y, epochs=1)
    for model in (net, net.compact()):
        with pytest.raises(ValueError, match="needs the loss 'softmax' or 'logistic'"):
            model.predict_one(X[0])


def test_one_row_needs_tables_as_many_do(blobs):
    with pytest.raises(RuntimeError, match=r"call .* first"):
        network(hashed()).predict_one(blobs[0][0])
    assert network(Dense(8)).predict_one(blobs[0][0]) in range(N_CLASSES)


@pytest.mark.parametrize("compact", [False, True])
def test_threads_that_ask_at_once_get_the_right_answers(wide, blobs, compact):
    X, _ = blobs
    model = wide.compact() if compact else wide
    expected = model.predict(X).tolist()

    def ask(start):
        order = np.roll(np.arange(600), start)
        answers = np.empty(600, int)
        for i in order:
            answers[i] = model.predict_one(X[i])
        return answers.tolist()

    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(ask, range(0, 600, 50)):
            assert answers == expected


def test_threads_that_ask_for_many_rows_and_for_one_do_not_disturb_each_other(wide, blobs):
    X, _ = blobs
    small = wide.compact()
    expected = {model: model.decision_function(X) for model in (wide, small)}

    def ask(number):
        model = (wide, small)[number % 2]
        if number % 3 == 0:
            return np.array_equal(model.decision_function(X), expected[model])
        rows = range(number, 600, 7)
        best = expected[model].argmax(axis=1)
        return all(model.predict_one(X[i]) == best[i] for i in rows)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(48)))
