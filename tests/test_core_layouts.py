"""Weights by neuron and by input: two ways to lie in memory, of one network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

SELECTORS = ["all", "adaptive", "winner_take_all", "lsh"]
N_INPUTS, N_OUTPUTS, N_ROWS = 37, 5, 60


def examples() -> tuple[np.ndarray, Any]:
    """Inputs with many zeros around five centres."""
    random = np.random.default_rng(41)
    centres = random.normal(size=(N_OUTPUTS, N_INPUTS))
    y = random.integers(N_OUTPUTS, size=N_ROWS)
    x = (centres[y] + random.normal(size=(N_ROWS, N_INPUTS))).clip(0)
    return x.astype(np.float32), twin.labels([[int(label)] for label in y], N_OUTPUTS)


def network(layout: str, selector: str = "winner_take_all", n: int = 90, **how: Any) -> Any:
    hashing = twin.lsh(lookup="exact", **how.pop("lsh", {}))
    wide = {"selector": selector, "fraction": 0.3, "lsh": hashing, "layout": layout}
    specs = [twin.layer(n, "relu", **wide), twin.layer(n, "tanh", **wide)]
    specs.append(twin.layer(N_OUTPUTS, layout=layout))
    opt = twin.optimizer(how.get("name", "sgd"), l2=how.get("l2", 0.0))
    net = _core.Network(N_INPUTS, specs, "softmax", opt, 3)
    if how.get("build", True):
        net.build(twin.dense(examples()[0]), twin.rows(*range(20)))
    return net


def copied(net: Any) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in net.tensors().items()}


def test_both_layouts_start_from_the_same_weights() -> None:
    by_neuron, by_input = network("neuron").tensors(), network("input").tensors()
    assert by_neuron.keys() == by_input.keys()
    for name, value in by_neuron.items():
        np.testing.assert_array_equal(value, by_input[name])


@pytest.mark.parametrize("n", [20, 90, 200])
@pytest.mark.parametrize("selector", SELECTORS)
def test_both_layouts_score_alike(selector: str, n: int) -> None:
    x = examples()[0]
    by_neuron, by_input = (network(layout, selector, n) for layout in ("neuron", "input"))
    for batch in (twin.dense(x), twin.csr(x)):
        for exact in (False, True):
            expected = by_neuron.scores(batch, exact)
            np.testing.assert_allclose(by_input.scores(batch, exact), expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [0, 7])
@pytest.mark.parametrize(
    ("name", "l2"),
    [("sgd", 0.0), ("sgd", 0.01), ("momentum", 0.0), ("adagrad", 0.0), ("adam", 0.1)],
)
@pytest.mark.parametrize("n", [20, 90])
@pytest.mark.parametrize("selector", ["all", "adaptive"])
def test_both_layouts_learn_the_same(
    selector: str, n: int, name: str, l2: float, batch_size: int
) -> None:
    x, y = examples()
    how = {"n": n, "name": name, "l2": l2}
    nets = [network(layout, selector, **how) for layout in ("neuron", "input")]
    before = twin.augmented(nets[0])
    losses = []
    for net in nets:
        order = list(range(N_ROWS)) * 2
        result = twin.train(net, twin.csr(x), y, order, 0.005, batch_size=batch_size)
        assert result.examples == len(order)
        losses.append(result.loss_sum)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    for start, a, b in zip(before, *map(twin.augmented, nets), strict=True):
        moved = np.abs(a - start).max()
        assert moved > 0.003
        np.testing.assert_allclose(a, b, atol=2e-3 * moved)


@pytest.mark.parametrize("n", [1, 16, 17, 200])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_arranging_turns_the_weights_and_leaves_them_as_they_are(name: str, n: int) -> None:
    net = network("neuron", n=n, name=name)
    random = np.random.default_rng(n)
    for value in net.tensors().values():
        value[...] = random.normal(size=value.shape)
    before = {k: v for k, v in copied(net).items() if "optimizer" not in k}
    for layout in ("input", "neuron", "neuron"):
        for layer in range(3):
            net.arrange(layer, layout, "exact", "none")
        assert [way["layout"] for way in net.arrangement()] == [layout] * 3
        after = net.tensors()
        for key, value in before.items():
            np.testing.assert_array_equal(after[key], value)


def test_an_arranged_network_trains_as_one_made_so() -> None:
    x, y = examples()
    made, arranged = network("input", name="momentum"), network("neuron", name="momentum")
    for layer in range(3):
        arranged.arrange(layer, "input", "exact", "none")
    for net in (made, arranged):
        twin.train(net, twin.csr(x), y, range(N_ROWS), 0.01, batch_size=4)
    for key, value in made.tensors().items():
        np.testing.assert_array_equal(value, arranged.tensors()[key])
    assert made.ledger() == arranged.ledger()


def test_a_hashed_layer_can_be_arranged_to_evaluate_all_and_back() -> None:
    x = examples()[0]
    settings = {"projection": "subspace", "code": "auto"}
    net = network("neuron", "lsh", lsh=settings, build=False)
    ways = [("neuron", "scan", "bytes"), ("neuron", "tables", "bits"), ("input", "exact", "none")]
    for layout, lookup, code in [*ways, ways[0]]:
        for layer in range(2):
            net.arrange(layer, layout, lookup, code)
        way = {"layout": layout, "lookup": lookup, "code": code}
        assert net.arrangement()[:2] == [way, way]
        assert net.built == (lookup == "exact")  # there is nothing to build
    net.build(twin.dense(x), twin.rows(*range(30)))
    recall = [layer["recall"] for layer in net.recall(twin.dense(x), twin.rows(*range(30)))]
    assert 0.4 < recall[0] < 1  # chance: a third
    assert np.isfinite(net.scores(twin.dense(x), False)).all()


def test_arranging_comes_before_training_and_building() -> None:
    x, y = examples()
    trained, built = network("neuron"), network("neuron", "lsh", build=False)
    twin.train(trained, twin.dense(x), y, [0])
    built.arrange(0, "neuron", "scan", "bits")
    built.build(twin.dense(x), twin.rows(0, 1, 2))
    for net in (trained, built):
        before = copied(net)
        with pytest.raises(RuntimeError, match="arrange must come before training and building"):
            net.arrange(0, "input", "exact", "none")
        for key, value in net.tensors().items():
            np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ((3, "input", "exact", "none"), "layer must be one of the network's"),
        ((0, "column", "exact", "none"), "layout must be one of neuron, input, got 'column'"),
        ((0, "input", "all", "none"), "lookup must be one of auto, exact, scan, tables, got 'all'"),
        ((0, "neuron", "scan", "words"), "code must be one of auto, bits, bytes, got 'words'"),
    ],
)
def test_a_way_that_is_none_is_refused(how: Any, rule: str) -> None:
    net = network("neuron")
    with pytest.raises(ValueError, match=rule):
        net.arrange(*how)
    assert np.isfinite(net.scores(twin.dense(examples()[0]), False)).all()


def test_what_needs_rows_of_neurons_is_refused_by_input() -> None:
    hashed = twin.layer(20, selector="lsh", layout="input", lsh=twin.lsh(lookup="scan"))
    with pytest.raises(ValueError, match="layout must be 'neuron' where neurons are hashed"):
        _core.Network(N_INPUTS, [hashed, twin.layer(2)], "softmax", twin.optimizer(), 0)
