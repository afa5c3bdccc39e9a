"""What is seldom asked for comes out right, or is refused; nothing is left half done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
import test_core_determinism as determinism
import test_core_gradients as gradients
from hashgrad import _core

X = np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32)
Y = twin.labels([[i % 4] for i in range(20)], 4)


def network(
    n: int = 100, selector: str = "all", name: str = "sgd", build: bool = True, **how: Any
) -> Any:
    layout = how.get("layout", "neuron")
    specs = [twin.layer(n, "relu", selector, 0.3, layout=layout), twin.layer(4, layout=layout)]
    net = _core.Network(20, specs, "softmax", twin.optimizer(name), 0)
    if build:
        net.build(twin.dense(X), twin.rows(0, 1, 2))
    return net


@pytest.mark.parametrize("n", [24, 100])
def test_random_by_input(n: int) -> None:
    x = gradients.examples()[0]
    net = gradients.network("random", "relu", "softmax", layout="input", n=n)
    for row in (0, 3):
        gradients.check(net, twin.csr(x), x, "softmax", "relu", row)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_where_one_of_many_numbers_is_infinite_the_largest_are_not_known(bad: float) -> None:
    for at in range(0, 1000, 7):
        z = np.random.default_rng(0).normal(size=1000).astype(np.float32)
        z[at] = bad
        assert not _core.kernel_largest(z, 50)[0], at


@pytest.mark.parametrize(("fraction", "bad"), [(0.005, np.inf), (0.999, -np.inf)])
def test_infinite_activations_are_chosen_among(fraction: float, bad: float) -> None:
    for seed in range(30):
        random = np.random.default_rng(seed)
        specs = [twin.layer(1000, "linear", "winner_take_all", fraction), twin.layer(4)]
        net = _core.Network(20, specs, "softmax", twin.optimizer(), seed)
        b = net.tensors()["layers.0.bias"]
        b[...] = 10 * random.standard_cauchy(1000) if bad > 0 else 0
        b[random.choice(1000, 3, replace=False)] = bad
        ids = _core.trace(net, twin.dense(X), Y, 0)[0]["ids"]
        assert len(ids) == int(fraction * 1000)
        if bad > 0:
            assert set(np.nonzero(np.isinf(b))[0]) <= set(ids)


def test_counts_of_a_wide_layer_by_input_do_not_depend_on_threads() -> None:
    how = {"layout": "input", "n": 150, "selector": "winner_take_all"}
    one = determinism.trained(determinism.network("sgd", **how), threads=1, batch_size=16)
    two = determinism.trained(determinism.network("sgd", **how), threads=2, batch_size=16)
    assert one.ledger() == two.ledger()


@pytest.mark.parametrize("known", [1.0, 0.26])
def test_counts_of_row_adagrad_do_not_depend_on_threads(known: float) -> None:
    ledgers = []
    for threads in (1, 2, 4):
        net = network(name="row_adagrad")
        size = 16 if known == 1 else 2  # a last batch of one, or one learner in a batch
        twin.train(net, twin.dense(X), Y, range(17), batch_size=size, threads=threads, known=known)
        ledgers.append(net.ledger())
    assert ledgers[0] == ledgers[1] == ledgers[2]


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_counts_do_not_depend_on_threads_that_have_no_part_of_a_layer(name: str) -> None:
    layers = [twin.layer(64, "relu", layout="input") for _ in range(2)] + [twin.layer(4)]
    ledgers = []
    for threads in (1, 3, 7):
        net = _core.Network(X.shape[1], layers, "softmax", twin.optimizer(name), 0)
        twin.train(net, twin.dense(X), Y, range(17), batch_size=8, threads=threads)
        ledgers.append(net.ledger())
    assert ledgers[0] == ledgers[1] == ledgers[2]


def test_a_way_that_is_refused_leaves_the_layer_as_it_was() -> None:
    net = network(selector="lsh", name="sgd", build=False)
    before, weight = net.arrangement(), net.tensors()["layers.0.weight"].copy()
    with pytest.raises(ValueError, match="layout must be 'neuron'"):
        net.arrange(0, "input", "scan", "bits")
    assert net.arrangement() == before
    np.testing.assert_array_equal(net.tensors()["layers.0.weight"], weight)


@pytest.mark.parametrize(
    "ask",
    [
        lambda net: net.compacted(),
        lambda net: net.tensors(),
        lambda net: net.arrange(0, "input", "exact", "none"),
        lambda net: net.sync_after_load(),
    ],
    ids=["compacted", "tensors", "arrange", "sync_after_load"],
)
def test_a_compact_network_does_nothing_but_predict(ask: Any) -> None:
    net = network(selector="lsh").compacted()
    scores = net.scores(twin.dense(X), False)
    with pytest.raises(RuntimeError, match="a compact network cannot be"):
        ask(net)
    np.testing.assert_array_equal(net.scores(twin.dense(X), False), scores)


def test_a_network_without_tables_has_no_compact_copy() -> None:
    with pytest.raises(RuntimeError, match="compacted must come after building"):
        network(selector="lsh", build=False).compacted()


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e-20, 3.4028234e38, -3.4028234e38])
def test_the_largest_of_equal_numbers_are_the_first_ones(value: float) -> None:
    z = np.full(700, value, dtype=np.float32)
    known, cut, above, equal, position = _core.kernel_largest(z, 50)
    if known:
        assert (cut, above, equal) == (np.float32(value), 0, 700)
        np.testing.assert_array_equal(position, np.arange(700))
    else:
        assert abs(value) > 1e38
