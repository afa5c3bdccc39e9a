"""Gradients: every selector, activation and loss against PyTorch and against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import reference as twin
from hashgrad import _core

SELECTORS = ["all", "random", "adaptive", "winner_take_all", "lsh"]
ACTIVATIONS = ["relu", "tanh", "sigmoid", "linear"]
LOSSES = ["softmax", "logistic", "squared"]
N_INPUTS, N_HIDDEN, N_OUTPUTS, N_ROWS = 20, 24, 6, 12
LAYOUTS = {  # beside "neuron" and "input" throughout
    "input below": ["input", "neuron", "neuron"],
    "input between": ["neuron", "input", "neuron"],
    "input above": ["neuron", "neuron", "input"],
}
LABELS = [[0], [5, 2], [1], [3, 4, 0], [2], [1], [4], [5], [0, 1], [3], [2, 5], [4]]


def examples(zeros: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Inputs with some zeros, and values to regress on."""
    random = np.random.default_rng(7)
    x = random.normal(size=(N_ROWS, N_INPUTS)) * (random.random((N_ROWS, N_INPUTS)) > zeros)
    return x.astype(np.float32), random.normal(size=(N_ROWS, N_OUTPUTS)).astype(np.float32)


def targets(loss: str, y: np.ndarray) -> tuple[Any, Any]:
    """The core's targets and the twin's, row by row."""
    mine = y.astype(float) if loss == "squared" else LABELS
    return twin.targets(loss, mine, N_OUTPUTS), mine


def network(
    selector: str,
    activation: str,
    loss: str,
    output: str = "all",
    layout: str = "neuron",
    n: int = N_HIDDEN,
) -> Any:
    """Two hidden layers by the same selector; biases are drawn too, so that they count.

    The layout of each layer's weights; by input, a hashed layer evaluates all its neurons.
    """
    hashing = twin.lsh(lookup="scan" if layout == "neuron" else "exact")
    wide = {"selector": selector, "fraction": 0.3, "alpha": 1.5, "beta": -0.5, "lsh": hashing}
    layouts = LAYOUTS.get(layout, [layout] * 3)
    specs = [twin.layer(n, activation, layout=where, **wide) for where in layouts[:2]]
    specs.append(twin.layer(N_OUTPUTS, "linear", output, 0.4, layout=layouts[2], lsh=hashing))
    net = _core.Network(N_INPUTS, specs, loss, twin.optimizer(), 3)
    random = np.random.default_rng(5)
    for i in range(3):
        bias = net.tensors()[f"layers.{i}.bias"]
        bias[...] = 0.3 * random.normal(size=bias.shape)
    batch = twin.dense(examples()[0])
    net.build(batch, np.arange(N_ROWS, dtype=np.uint32))
    return net


def gradient_by_torch(
    W: list[np.ndarray], activation: str, loss: str, x: np.ndarray, y: Any, active: twin.Active
) -> list[np.ndarray]:
    """Autograd in float64 with the active sets imposed."""
    act = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}.get(activation)
    weights = [torch.tensor(w.astype(float), requires_grad=True) for w in W]
    h = torch.tensor(x.astype(float))
    for w, (ids, gain) in zip(weights[:-1], active[:-1], strict=True):
        z = w[ids, :-1] @ h + w[ids, -1]
        a = torch.tensor(gain) * (act(z) if act else z)
        h = torch.zeros(len(w), dtype=torch.float64).index_put((torch.tensor(ids),), a)
    ids = active[-1][0]
    z = weights[-1][ids, :-1] @ h + weights[-1][ids, -1]
    if loss == "squared":
        out = torch.zeros(N_OUTPUTS, dtype=torch.float64).index_put((torch.tensor(ids),), z)
        value = 0.5 * ((out - torch.tensor(y)) ** 2).sum()
    else:
        hit = torch.tensor(np.isin(ids, y).astype(float))
        if loss == "softmax":
            value = torch.nn.functional.cross_entropy(z, hit / len(y))
        else:
            entropy = torch.nn.functional.binary_cross_entropy_with_logits
            value = entropy(z, hit, reduction="sum")
    value.backward()
    return [w.grad.numpy() for w in weights]


def gradient_by_core(net: Any, batch: Any, y: Any, row: int) -> list[np.ndarray]:
    """What one step of plain SGD at rate 1 takes from the weights."""
    before = twin.augmented(net)
    twin.train(net, batch, y, [row], 1.0)
    return [b.astype(float) - a for b, a in zip(before, twin.augmented(net), strict=True)]


def check(net: Any, batch: Any, x: np.ndarray, loss: str, activation: str, row: int) -> None:
    """One example's gradient, three ways."""
    y, mine = targets(loss, examples()[1])
    traces = _core.trace(net, batch, y, row, net.step)
    active = twin.chosen(traces)
    W = [w.astype(float) for w in twin.augmented(net)]
    got = gradient_by_core(net, batch, y, row)
    expected = gradient_by_torch(W, activation, loss, x[row], mine[row], active)
    names = [activation, activation, "linear"]
    walk = twin.forward(W, names, x[row].astype(float), active)
    delta = twin.loss_and_delta(loss, walk[-1].z, walk[-1].ids, mine[row])[1]
    by_twin = twin.backward(W, names, walk, delta)
    for i, (g, e) in enumerate(zip(got, expected, strict=True)):
        np.testing.assert_allclose(by_twin[i], e, atol=1e-12)
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=3e-6 * max(1, np.abs(e).max()))
        np.testing.assert_allclose(traces[i]["z"], walk[i].z, rtol=1e-4, atol=1e-5)
        near = 3e-6 * max(1, np.abs(walk[i].delta).max(initial=0))
        np.testing.assert_allclose(traces[i]["delta"], walk[i].delta, rtol=1e-3, atol=near)
    random = np.random.default_rng(row)
    for i in range(3):  # and by nudging single weights of active neurons
        for r in random.choice(active[i][0], 4):
            c = random.integers(W[i].shape[1])
            values = []
            for nudge in (1e-6, -1e-6):
                moved = [w.copy() for w in W]
                moved[i][r, c] += nudge
                values.append(twin.loss_of(moved, names, loss, x[row], mine[row], active))
            slope = (values[0] - values[1]) / 2e-6
            np.testing.assert_allclose(got[i][r, c], slope, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("selector", SELECTORS)
def test_gradient_equals_torch_and_finite_differences(
    selector: str, activation: str, loss: str
) -> None:
    net = network(selector, activation, loss)
    x = examples()[0]
    for row, batch in ((0, twin.dense(x)), (3, twin.csr(x))):
        check(net, batch, x, loss, activation, row)


@pytest.mark.parametrize("layout", ["input", *LAYOUTS])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("selector", ["all", "adaptive", "winner_take_all", "lsh"])
def test_gradient_is_the_same_however_weights_lie(
    selector: str, activation: str, layout: str
) -> None:
    if selector == "lsh" and layout in LAYOUTS:
        selector = "winner_take_all"  # nothing is hashed here in either layout
    x = examples()[0]
    for n in (N_HIDDEN, 100):  # narrow, and in several parts
        net = network(selector, activation, "softmax", layout=layout, n=n)
        for row, batch in ((0, twin.dense(x)), (3, twin.csr(x))):
            check(net, batch, x, "softmax", activation, row)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ["random", "adaptive", "winner_take_all", "lsh"])
def test_gradient_of_a_selected_output_layer(output: str, loss: str) -> None:
    net = network("winner_take_all", "relu", loss, output)
    x = examples()[0]
    for row in (1, 3):
        check(net, twin.csr(x), x, loss, "relu", row)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ["adaptive", "winner_take_all", "lsh"])
def test_gradient_of_a_selected_output_layer_by_input(output: str, loss: str) -> None:
    net = network("winner_take_all", "relu", loss, output, "input")
    x = examples()[0]
    for row in (1, 3):
        check(net, twin.csr(x), x, loss, "relu", row)


@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("zeros", [0.0, 0.97])
def test_gradient_on_full_and_nearly_empty_inputs(zeros: float, layout: str) -> None:
    x = examples(zeros)[0]
    for selector in ("all", "winner_take_all"):
        net = network(selector, "tanh", "softmax", layout=layout)
        for row in range(3):
            check(net, twin.csr(x), x, "softmax", "tanh", row)


@pytest.mark.parametrize("output", ["random", "winner_take_all", "lsh"])
def test_true_labels_are_always_among_the_outputs_in_training(output: str) -> None:
    net = network("all", "relu", "logistic", output)
    batch, (y, _) = twin.dense(examples()[0]), targets("logistic", examples()[1])
    for row, wanted in enumerate(LABELS):
        ids = _core.trace(net, batch, y, row, row)[-1]["ids"]
        assert set(wanted) <= set(ids.tolist())
        assert len(set(ids.tolist())) == len(ids)
        assert len(ids) <= 2 + len(wanted)  # 0.4 of 6 outputs is 2


def test_labels_are_not_forced_into_predictions() -> None:
    net = network("all", "relu", "logistic", "lsh")
    scores = net.scores(twin.dense(examples()[0]), False)
    assert (np.isfinite(scores).sum(axis=1) == 2).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_example_and_output_weights_scale_the_gradient(loss: str) -> None:
    x, values = examples()
    y, mine = targets(loss, values)
    random = np.random.default_rng(2)
    per_row = random.uniform(0.2, 3, N_ROWS).astype(np.float32)
    per_output = random.uniform(0.2, 3, N_OUTPUTS).astype(np.float32)
    row, names = 3, ["tanh", "tanh", "linear"]
    net = network("all", "tanh", loss)
    active = twin.chosen(_core.trace(net, twin.dense(x), y, row))
    before = twin.augmented(net)
    weights = {"example_weights": per_row, "output_weights": per_output}
    result = twin.train(net, twin.dense(x), y, [row], 1.0, **weights)
    W = [w.astype(float) for w in before]
    walk = twin.forward(W, names, x[row], active)
    value, delta = twin.loss_and_delta(loss, walk[-1].z, walk[-1].ids, mine[row], per_output)
    expected = twin.backward(W, names, walk, delta * per_row[row])
    assert result.loss_sum == pytest.approx(per_row[row] * value, rel=1e-5)
    for b, a, e in zip(before, twin.augmented(net), expected, strict=True):
        np.testing.assert_allclose(b - a, e, rtol=1e-4, atol=5e-6)


def check_batch(net: Any, loss: str, order: list[int], threads: int = 1) -> None:
    """One step of plain SGD on a batch, against the mean of its examples' gradients."""
    x, values = examples()
    y, mine = targets(loss, values)
    names = ["relu", "relu", "linear"]
    before = twin.augmented(net)
    W = [w.astype(float) for w in before]
    total = [np.zeros_like(w) for w in W]
    losses = 0.0
    for k, row in enumerate(order):
        active = twin.chosen(_core.trace(net, twin.dense(x), y, row, k))
        walk = twin.forward(W, names, x[row], active)
        value, delta = twin.loss_and_delta(loss, walk[-1].z, walk[-1].ids, mine[row])
        losses += value
        for t, g in zip(total, twin.backward(W, names, walk, delta / len(order)), strict=True):
            t += g
    how = {"batch_size": len(order), "threads": threads}
    result = twin.train(net, twin.dense(x), y, order, 1.0, **how)
    assert result.loss_sum == pytest.approx(losses, rel=1e-5)
    for b, a, e in zip(before, twin.augmented(net), total, strict=True):
        np.testing.assert_allclose(b - a, e, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_moves_by_the_mean_of_its_examples_gradients(loss: str) -> None:
    check_batch(network("winner_take_all", "relu", loss), loss, [2, 0, 7, 3, 9])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n", [N_HIDDEN, 100])
@pytest.mark.parametrize("layout", ["input", *LAYOUTS])
@pytest.mark.parametrize("selector", ["all", "adaptive", "winner_take_all"])
def test_a_batch_moves_by_the_mean_gradient_however_weights_lie(
    selector: str, layout: str, n: int, threads: int
) -> None:
    net = network(selector, "relu", "softmax", layout=layout, n=n)
    check_batch(net, "softmax", [2, 0, 7, 3, 9, 2, 11], threads)
