"""Compact networks: weights of a byte each, for prediction alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

N_INPUTS, N_OUTPUTS, N_ROWS = 90, 6, 150
WEIGHT, INPUT = 127, 63  # the largest codes
WAYS: dict[str, dict[str, Any]] = {
    "all": {"selector": "all"},
    "random": {"selector": "random"},
    "adaptive": {"selector": "adaptive"},
    "winner_take_all": {"selector": "winner_take_all"},
    "bits": {"projection": "gaussian"},
    "bytes": {"projection": "subspace", "code": "bytes"},
    "tables": {"lookup": "tables", "probes": 3},
    "all, by input": {"selector": "all", "layout": "input"},
    "winner_take_all, by input": {"selector": "winner_take_all", "layout": "input"},
}


def examples() -> tuple[np.ndarray, list[list[int]]]:
    return twin.clusters(71, N_INPUTS, N_OUTPUTS, N_ROWS)


def network(selector: str = "lsh", layout: str = "neuron", n: int = 200, **how: Any) -> Any:
    """Two hidden layers and an output layer too narrow to be compact, trained."""
    hashing = twin.lsh(**how)
    hidden = [twin.layer(n, "relu", selector, 0.3, lsh=hashing, layout=layout) for _ in range(2)]
    specs = [*hidden, twin.layer(N_OUTPUTS, layout=layout)]
    net = _core.Network(N_INPUTS, specs, "softmax", twin.optimizer(), 4)
    net.build(twin.dense(examples()[0]), twin.rows(*range(60)))
    for _ in range(4):
        train(net)
    return net


def train(net: Any) -> None:
    x, y = examples()
    twin.train(net, twin.csr(x), twin.labels(y, N_OUTPUTS), range(N_ROWS), 0.02)


def single(n: int, layout: str, n_inputs: int = N_INPUTS, seed: int = 0) -> Any:
    """One layer of weights and biases of every size."""
    specs = [twin.layer(n, layout=layout)]
    net = _core.Network(n_inputs, specs, "squared", twin.optimizer(), seed)
    random = np.random.default_rng(seed)
    t = net.tensors()
    t["layers.0.weight"][...] = random.normal(size=(n, n_inputs)) * random.exponential(size=(n, 1))
    t["layers.0.bias"][...] = random.normal(size=n)
    return net


def half_away(x: np.ndarray) -> np.ndarray:
    """The nearest integers, halves away from zero."""
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def coded(values: np.ndarray, most: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes up to `most` and what a code of one stands for, along an axis."""
    unit = np.abs(values).max(axis=axis, keepdims=True) / most
    return values / np.where(unit > 0, unit, 1), unit


@pytest.mark.parametrize("n_inputs", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("n", [64, 65, 100, 200, 600])
def test_scores_by_neuron_are_products_of_codes(n: int, n_inputs: int) -> None:
    net = single(n, "neuron", n_inputs)
    x = np.random.default_rng(n).normal(size=(20, n_inputs)) * 0.5
    x[:, ::3] = 0
    w, b = (net.tensors()[f"layers.0.{name}"].astype(float) for name in ("weight", "bias"))
    w, w_unit = coded(w, WEIGHT, 1)
    inputs, x_unit = coded(x.astype(np.float32).astype(float), INPUT, 1)
    expected = half_away(inputs) @ np.rint(w).T * (x_unit * w_unit.T) + b
    got = net.compacted().scores(twin.csr(x))
    step = (x_unit * w_unit.T).max() * WEIGHT  # of one code that rounds the other way
    assert np.abs(got - expected).max() <= step
    assert (np.abs(got - expected) <= 1e-5 * (1 + np.abs(expected))).mean() > 0.99


@pytest.mark.parametrize("n_inputs", [1, 2, 3, 64, 200])
@pytest.mark.parametrize("n", [64, 65, 100, 200, 600])
def test_scores_by_input_are_products_of_codes(n: int, n_inputs: int) -> None:
    net = single(n, "input", n_inputs)
    x = np.random.default_rng(n).normal(size=(20, n_inputs)) * 0.5
    x[:, 1::3] = 0
    w, b = (net.tensors()[f"layers.0.{name}"].astype(float) for name in ("weight", "bias"))
    w, w_unit = coded(w, WEIGHT, 0)
    inputs, x_unit = coded(x.astype(np.float32) * w_unit, INPUT, 1)
    expected = half_away(inputs) @ np.rint(w).T * x_unit + b
    got = net.compacted().scores(twin.dense(x))
    assert np.abs(got - expected).max() <= x_unit.max() * WEIGHT
    assert (np.abs(got - expected) <= 1e-5 * (1 + np.abs(expected))).mean() > 0.99


@pytest.mark.parametrize("layout", ["neuron", "input"])
def test_the_error_is_what_the_codes_steps_allow(layout: str) -> None:
    net = single(300, layout)
    x = examples()[0].astype(float)
    w = net.tensors()["layers.0.weight"].astype(float)
    axis = 1 if layout == "neuron" else 0
    w_step = np.abs(w).max(axis=axis, keepdims=True) / WEIGHT / 2 * np.ones_like(w)
    if layout == "neuron":
        x_step = np.abs(x).max(axis=1, keepdims=True) / INPUT / 2 * (x != 0)
        bound = x @ w_step.T + x_step @ (np.abs(w) + w_step).T
    else:  # inputs are coded with their rows' units
        unit = 2 * w_step[:1]
        x_step = (x * unit).max(axis=1, keepdims=True) / INPUT / 2 * (x != 0)
        bound = x @ w_step.T + x_step @ ((np.abs(w) + w_step) / unit).T
    off = np.abs(net.compacted().scores(twin.dense(x)) - net.scores(twin.dense(x)))
    assert (off <= bound + 1e-4).all()
    assert off.max() > 0.02 * bound.max()  # it is not the floats that answer


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_compact_network_scores_nearly_as_the_network_does(
    way: str, exact: bool, level: str
) -> None:
    assert _core.simd_level() == level
    net = network(**WAYS[way])
    compact, (x, y) = net.compacted(), examples()
    for batch in (twin.dense(x), twin.csr(x)):
        expected, got = net.scores(batch, exact), compact.scores(batch, exact)
        off = np.abs(got - expected)
        assert 0 < np.median(off) < 0.02 * expected.std()
        assert (off > 0.1 * expected.std()).mean() < 0.1  # another neuron won, here and there
        best = got.argmax(axis=1)
        assert (best == expected.argmax(axis=1)).mean() > 0.97
        assert (best == np.ravel(y)).mean() > 0.9


@pytest.mark.parametrize("layout", ["neuron", "input"])
def test_layers_of_few_neurons_stay_as_they_are(layout: str) -> None:
    net = network("all", layout, n=63)
    x = twin.dense(examples()[0])
    np.testing.assert_array_equal(net.compacted().scores(x), net.scores(x))


@pytest.mark.parametrize("threads", [2, 5])
@pytest.mark.parametrize("way", WAYS)
def test_predictions_do_not_depend_on_the_number_of_threads(way: str, threads: int) -> None:
    compact = network(**WAYS[way]).compacted()
    x = examples()[0]
    expected = compact.scores(twin.dense(x), False, 1)
    for batch in (twin.dense(x), twin.csr(x)):
        np.testing.assert_array_equal(compact.scores(batch, False, threads), expected)
    one = [compact.scores(twin.dense(row[None]), False, 1)[0] for row in x]  # one at a time
    np.testing.assert_array_equal(one, expected)
    index, score = compact.topk(twin.dense(x), 2, False, threads)
    np.testing.assert_array_equal(index[:, 0], expected.argmax(axis=1))
    np.testing.assert_array_equal(score[:, 0], expected.max(axis=1))
    assert [compact.best(row) for row in x] == index[:, 0].tolist()


@pytest.mark.parametrize("way", WAYS)
def test_a_compact_network_cannot_be_trained(way: str) -> None:
    compact = network(**WAYS[way]).compacted()
    x, y = examples()
    before = compact.scores(twin.dense(x), False)
    wanted = twin.labels(y, N_OUTPUTS)
    for batch_size in (0, 8):
        with pytest.raises(RuntimeError, match="a compact network cannot be trained"):
            twin.train(compact, twin.dense(x), wanted, [0, 1], batch_size=batch_size)
    with pytest.raises(
        RuntimeError, match="a compact network cannot be asked for exact activations"
    ):
        compact.recall(twin.dense(x), twin.rows(0))
    np.testing.assert_array_equal(compact.scores(twin.dense(x), False), before)


@pytest.mark.parametrize("way", WAYS)
def test_a_network_and_what_was_made_compact_of_it_go_their_own_ways(way: str) -> None:
    net, untouched = network(**WAYS[way]), network(**WAYS[way])
    compact = net.compacted()
    x = twin.dense(examples()[0])
    before = compact.scores(x, False)
    for one in (net, untouched):
        train(one)
    for name, value in untouched.tensors().items():
        np.testing.assert_array_equal(net.tensors()[name], value)
    np.testing.assert_array_equal(compact.scores(x, False), before)
    assert np.abs(net.scores(x, False) - before).max() > 0.02
    del net
    np.testing.assert_array_equal(compact.scores(x, False), before)


@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_compact_network_takes_a_quarter_of_the_memory(name: str, layout: str) -> None:
    specs = [twin.layer(500, "relu", layout=layout), twin.layer(2, layout=layout)]
    net = _core.Network(300, specs, "softmax", twin.optimizer(name), 0)
    weights = net.memory_bytes() / (1 if name == "sgd" else 3)  # the optimizer's state beside them
    assert 0.25 < net.compacted().memory_bytes() / weights < 0.3
    assert net.compacted().n_parameters == net.n_parameters


@pytest.mark.parametrize("layout", ["neuron", "input"])
def test_zeros_are_exact(layout: str) -> None:
    net = single(70, layout)
    t = net.tensors()
    t["layers.0.weight"][3] = 0
    t["layers.0.weight"][:, 5] = 0
    nothing = net.compacted().scores(twin.csr(np.zeros((2, N_INPUTS))))
    np.testing.assert_array_equal(nothing, np.tile(t["layers.0.bias"], (2, 1)))
    scores = net.compacted().scores(twin.dense(np.eye(N_INPUTS)))
    np.testing.assert_allclose(scores[:, 3], t["layers.0.bias"][3], rtol=1e-6)
    np.testing.assert_allclose(scores[5], t["layers.0.bias"], rtol=1e-6)
    t["layers.0.weight"][...] = 0
    flat = net.compacted().scores(twin.dense(np.eye(N_INPUTS)))
    np.testing.assert_array_equal(flat, np.tile(t["layers.0.bias"], (N_INPUTS, 1)))


def test_predictions_are_counted_code_by_code() -> None:
    x = np.zeros((1, N_INPUTS))
    x[0, [1, 5, 70]] = 1  # in two lines of 64 codes
    lines, entries, n = 2, 3, 100
    for layout, expected in (("neuron", n * lines * 64), ("input", entries * 128)):
        compact = single(n, layout).compacted()
        compact.scores(twin.csr(x))
        counts = compact.prediction_ledger()["layers"][0]
        assert (counts["forward"], counts["rerank"]) == (expected, 0)
        assert compact.prediction_ledger()["examples"] == 1


def test_a_compact_network_has_no_walk_to_look_at() -> None:
    x, y = examples()
    compact = network().compacted()
    with pytest.raises(ValueError, match="network must be one that can learn, got a compact one"):
        _core.trace(compact, twin.dense(x), twin.labels(y, N_OUTPUTS), 0)
