"""Examples that are known already: not learned from, and left out when their turn comes next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "row_adagrad"]
N_INPUTS, N_OUTPUTS, N_ROWS = 30, 4, 80
WAYS: dict[str, dict[str, Any]] = {
    "all": {},
    "random": {"selector": "random"},
    "winner_take_all": {"selector": "winner_take_all"},
    "scan": {"selector": "lsh"},
    "tables": {"selector": "lsh", "lookup": "tables"},
    "bytes": {"selector": "lsh", "code": "bytes", "projection": "subspace"},
    "by input": {"selector": "winner_take_all", "layout": "input"},
    "wide, by input": {"selector": "winner_take_all", "layout": "input", "n": 160},
}


def examples() -> tuple[np.ndarray, list[list[int]]]:
    """Inputs around four centres, and their labels: one for most, two for some."""
    random = np.random.default_rng(61)
    centres = random.normal(size=(N_OUTPUTS, N_INPUTS))
    y = random.integers(N_OUTPUTS, size=N_ROWS)
    x = (centres[y] + 0.7 * random.normal(size=(N_ROWS, N_INPUTS))).astype(np.float32)
    return x, [[int(k), (int(k) + 1) % N_OUTPUTS][: 1 + (i % 5 == 0)] for i, k in enumerate(y)]


def network(
    selector: str = "all", name: str = "sgd", layout: str = "neuron", n: int = 50, **hashing: Any
) -> Any:
    hidden = twin.layer(n, "relu", selector, 0.4, layout=layout, lsh=twin.lsh(**hashing))
    specs = [hidden, twin.layer(N_OUTPUTS, layout=layout)]
    net = _core.Network(N_INPUTS, specs, "softmax", twin.optimizer(name), 1)
    net.build(twin.dense(examples()[0]), twin.rows(*range(40)))
    return net


def train(net: Any, order: Any = range(N_ROWS), known: float = 1.0, **how: Any) -> Any:
    x, y = examples()
    rate = how.pop("rate", 0.01)
    return twin.train(net, twin.csr(x), twin.labels(y, N_OUTPUTS), order, rate, known=known, **how)


def losses(net: Any) -> np.ndarray:
    """Every row's loss, from the network's scores: the mean of -log p over its labels."""
    x, y = examples()
    z = net.scores(twin.dense(x), False).astype(float)
    every = np.arange(N_OUTPUTS)
    return np.array(
        [twin.loss_and_delta("softmax", s, every, k)[0] for s, k in zip(z, y, strict=True)]
    )


def copied(net: Any) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in net.tensors().items()}


def unchanged(net: Any, before: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(value, before[name]) for name, value in net.tensors().items())


@pytest.mark.parametrize("batch_size", [0, 1])
@pytest.mark.parametrize("known", [0.3, 0.8, 0.95])
def test_an_example_is_learned_from_unless_its_label_has_the_probability(
    known: float, batch_size: int
) -> None:
    net = network()
    for _ in range(2):
        train(net)
    seen = {True: 0, False: 0}
    for row in range(N_ROWS):
        loss = losses(net)[row]
        if abs(loss + np.log(known)) < 1e-4:
            continue
        before, learned = copied(net), net.ledger()["learned"]
        result = train(net, [row], known, batch_size=batch_size)
        learns = bool(loss > -np.log(known))
        seen[learns] += 1
        assert unchanged(net, before) == (not learns)
        assert net.ledger()["learned"] - learned == learns
        assert result.examples == 1
        assert result.loss_sum == pytest.approx(loss, rel=1e-4, abs=1e-5)
    assert min(seen.values()) >= 5


@pytest.mark.parametrize("batch_size", [0, 16])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_where_all_are_known_nothing_moves(name: str, way: str, batch_size: int) -> None:
    net = network(name=name, **WAYS[way])
    before, known = copied(net), 1e-30
    result = train(net, known=known, batch_size=batch_size, threads=1 + 2 * (batch_size > 0))
    assert unchanged(net, before)
    assert result.examples == net.ledger()["examples"] == net.step == N_ROWS
    assert net.ledger()["learned"] == 0
    for layer in net.ledger()["layers"]:
        assert layer["forward"] > 0
        assert layer["queries"] == N_ROWS
        assert (layer["backward"], layer["update"], layer["rehash"]) == (0, 0, 0)
    if way not in ("random", "scan", "tables", "bytes"):  # which predict with other neurons
        assert result.loss_sum == pytest.approx(losses(net).sum(), rel=1e-4)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("way", ["all", "winner_take_all", "by input", "wide, by input"])
def test_a_batch_moves_by_the_gradients_of_those_that_are_not_known(way: str, threads: int) -> None:
    net = network(**WAYS[way])
    for _ in range(3):
        train(net)
    x, y = examples()
    order = list(range(10, 40))
    loss = losses(net)[order]
    known = float(np.exp(-np.median(loss)))
    assert np.abs(loss + np.log(known)).min() > 1e-4
    before = twin.augmented(net)
    W = [w.astype(float) for w in before]
    total = [np.zeros_like(w) for w in W]
    for row, value in zip(order, loss, strict=True):
        traces = _core.trace(net, twin.dense(x), twin.labels(y, N_OUTPUTS), row)
        walk = twin.forward(W, ["relu", "linear"], x[row].astype(float), twin.chosen(traces))
        delta = twin.loss_and_delta("softmax", walk[-1].z, walk[-1].ids, y[row])[1]
        if value > -np.log(known):
            gradients = twin.backward(W, ["relu", "linear"], walk, delta / len(order))
            total = [t + g for t, g in zip(total, gradients, strict=True)]
    net.reset_ledger()
    result = train(net, order, known, rate=1.0, batch_size=len(order), threads=threads)
    assert net.ledger()["learned"] == (loss > -np.log(known)).sum() == len(order) // 2
    assert result.loss_sum == pytest.approx(loss.sum(), rel=1e-4)
    for b, a, e in zip(before, twin.augmented(net), total, strict=True):
        assert np.abs(e).max() > 1e-3
        np.testing.assert_allclose(b - a, e, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_bits_on_any_number_of_threads(name: str, way: str) -> None:
    how = {"name": name, "rebuild_every": 100, "rehash_every": 30, **WAYS[way]}
    nets = []
    for threads in (1, 2, 4):
        nets.append(network(**how))
        for _ in range(4):
            train(nets[-1], known=0.7, batch_size=12, threads=threads)
    one = nets[0]
    assert 12 < one.ledger()["learned"] < 4 * N_ROWS
    for other in nets[1:]:
        assert unchanged(other, copied(one))
        assert other.state() == one.state()
        assert other.ledger()["learned"] == one.ledger()["learned"]


@pytest.mark.parametrize("batch_size", [0, 8])
def test_known_examples_count_as_steps(batch_size: int) -> None:
    # The rate, the optimizer's clock and the draws of neurons go by examples, known or not.
    all_known, learning = network("random", "adam"), network("random", "adam")
    train(all_known, range(16), 1e-30, batch_size=batch_size)
    train(learning, range(16), batch_size=batch_size)
    assert all_known.state() == learning.state()


@pytest.mark.parametrize("batch_size", [0, 8])
def test_an_examples_weight_does_not_decide_whether_it_is_known(batch_size: int) -> None:
    weights = np.random.default_rng(0).choice([0.01, 1.0, 100.0], N_ROWS).astype(np.float32)
    net = network()
    for _ in range(3):
        train(net)
    learned = []
    for example_weights in (None, weights):
        net.reset_ledger()
        how = {"example_weights": example_weights, "batch_size": batch_size}
        train(net, known=0.8, rate=0.0, **how)
        learned.append(net.ledger()["learned"])
    assert 5 < learned[0] == learned[1] < N_ROWS - 5


def test_more_are_known_the_longer_the_training() -> None:
    net, learned = network("lsh"), []
    for _ in range(12):
        net.reset_ledger()
        train(net, known=0.9)
        learned.append(net.ledger()["learned"])
    assert learned[0] > 0.9 * N_ROWS
    assert learned[-1] < 0.6 * N_ROWS


@pytest.mark.parametrize("batch_size", [0, 8])
@pytest.mark.parametrize("known", [1e-30, 1.0])
def test_what_is_not_a_number_is_never_known(known: float, batch_size: int) -> None:
    net = network()
    net.tensors()["layers.1.bias"][...] = np.nan
    result = train(net, [7, 3], known, batch_size=batch_size)
    assert (result.bad_row, result.examples) == (7, 0)


@pytest.mark.parametrize("known", [0.0, -0.5, 1.5, np.nan])
def test_a_probability_out_of_range_is_refused(known: float) -> None:
    with pytest.raises(ValueError, match=r"known must be in \(0, 1\], got"):
        train(network(), known=known)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_only_softmax_says_what_is_known(loss: str) -> None:
    net = _core.Network(3, [twin.layer(2)], loss, twin.optimizer(), 0)
    y = twin.targets(loss, [[0.0, 1.0]] if loss == "squared" else [[1]], 2)
    with pytest.raises(ValueError, match="known must be 1 unless the loss is 'softmax'"):
        twin.train(net, twin.dense(np.ones((1, 3))), y, [0], known=0.9)
    assert twin.train(net, twin.dense(np.ones((1, 3))), y, [0], known=1.0).examples == 1


@pytest.mark.parametrize(
    ("batch_size", "threads"), [(0, 1), (0, 2), (1, 1), (7, 1), (7, 4), (80, 3)]
)
def test_rows_that_rest_are_left_out_once_and_those_that_are_known_rest_next(
    batch_size: int, threads: int
) -> None:
    net = network()
    known = float(np.exp(-np.median(losses(net))))
    resting = np.zeros(N_ROWS, np.uint8)
    resting[::3] = 1
    rested = resting.astype(bool)
    expected = (losses(net) <= -np.log(known)) & ~rested
    result = train(
        net, known=known, rate=1e-9, batch_size=batch_size, threads=threads, resting=resting
    )
    assert result.examples == net.ledger()["examples"] == N_ROWS
    assert net.ledger()["layers"][0]["queries"] == N_ROWS - rested.sum()
    assert 0 < expected.sum() < N_ROWS - rested.sum()
    np.testing.assert_array_equal(resting.astype(bool), expected)


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_of_which_some_rest_gives_the_same_bits_on_any_number_of_threads(way: str) -> None:
    found = []
    for threads in (1, 2, 4):
        net, resting = network(**WAYS[way]), np.zeros(N_ROWS, np.uint8)
        for _ in range(6):
            train(net, known=0.6, rate=0.3, batch_size=9, threads=threads, resting=resting)
        found.append((copied(net), net.ledger(), resting))
    assert 0 < found[0][2].sum() < N_ROWS
    for tensors, counts, resting in found[1:]:
        assert unchanged(net, tensors)
        assert counts == found[0][1]
        np.testing.assert_array_equal(resting, found[0][2])
    assert unchanged(net, found[0][0])


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_of_which_all_rest_changes_nothing(way: str) -> None:
    net = network(**WAYS[way])
    before, resting = copied(net), np.ones(N_ROWS, np.uint8)
    result = train(net, known=0.6, batch_size=8, threads=3, resting=resting)
    assert (result.examples, result.loss_sum, result.bad_row) == (N_ROWS, 0.0, -1)
    assert unchanged(net, before)
    assert not resting.any()


def test_rest_needs_a_number_for_each_row() -> None:
    with pytest.raises(ValueError, match="resting must have one number a row"):
        train(network(), known=0.6, resting=np.zeros(N_ROWS - 1, np.uint8))
