"""The five optimizers, step by step against the twin and, where definitions coincide, PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import reference as twin
from hashgrad import _core

OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "row_adagrad"]
STATES = ["adam/bfloat16", "adam/row"]
FULL = ["adam//full", "adam/row/full"]
SELECTORS = ["all", "random", "adaptive", "winner_take_all", "lsh"]
N_INPUTS, N_HIDDEN, N_OUTPUTS, N_ROWS = 33, 20, 5, 32
NAMES = ["relu", "tanh", "linear"]


def examples(zeros: float = 0.5) -> tuple[np.ndarray, list[list[int]]]:
    """Inputs, some columns of which are always zero, and one label each."""
    random = np.random.default_rng(11)
    x = random.normal(size=(N_ROWS, N_INPUTS)) * (random.random((N_ROWS, N_INPUTS)) >= zeros)
    if zeros:
        x[:, [3, 17, 18, 32]] = 0
    return x.astype(np.float32), [[int(y)] for y in random.integers(N_OUTPUTS, size=N_ROWS)]


def network(
    selector: str, opt: Any, output: str = "all", layout: str = "neuron", n: int = N_HIDDEN
) -> Any:
    """Two hidden layers that select, and an output layer."""
    how = {"layout": layout, "lsh": twin.lsh(lookup="scan" if layout == "neuron" else "exact")}
    layers = [twin.layer(n, name, selector, 0.25, **how) for name in NAMES[:2]]
    layers.append(twin.layer(N_OUTPUTS, "linear", output, 0.4, **how))
    net = _core.Network(N_INPUTS, layers, "softmax", opt, 1)
    net.build(twin.dense(examples()[0]), np.arange(N_ROWS, dtype=np.uint32))
    return net


class Steps:
    """Trains the core and the twin side by side; the twin takes the core's active sets."""

    def __init__(self, net: Any, opt: Any, batch: Any, x: np.ndarray, y: list[list[int]]):
        self.net, self.batch, self.x, self.y = net, batch, x.astype(float), y
        self.W = [w.astype(float) for w in twin.augmented(net)]
        ways = [way["layout"] == "input" for way in net.arrangement()]
        self.rules = [
            twin.Optimizer(opt, w.shape, by_input, seed=1, layer=layer)
            for layer, (w, by_input) in enumerate(zip(self.W, ways, strict=True))
        ]
        self.touched = [np.zeros(w.shape, bool) for w in self.W]
        self.t = 0

    def step(self, order: list[int], rate: float, batch_size: int) -> None:
        y = twin.labels(self.y, N_OUTPUTS)
        gradients = [np.zeros_like(w) for w in self.W]
        touched = [np.zeros(w.shape, bool) for w in self.W]
        for k, row in enumerate(order):
            traces = _core.trace(self.net, self.batch, y, row, self.net.step + k)
            walk = twin.forward(self.W, NAMES, self.x[row], twin.chosen(traces))
            delta = twin.loss_and_delta("softmax", walk[-1].z, walk[-1].ids, self.y[row])[1]
            for total, g in zip(
                gradients, twin.backward(self.W, NAMES, walk, delta / len(order)), strict=True
            ):
                total += g
            for mask, passed in zip(touched, walk, strict=True):
                mask[passed.ids[passed.delta != 0]] |= passed.x != 0
        twin.train(self.net, self.batch, y, order, rate, batch_size=batch_size)
        self.t += 1
        for i, rule in enumerate(self.rules):
            rule.step(self.W[i], gradients[i], touched[i], rate, self.t)
            self.touched[i] |= touched[i]


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("batch_size", [0, 4])
@pytest.mark.parametrize("name", [*OPTIMIZERS, FULL[0]])
def test_steps_equal_the_twins(name: str, batch_size: int, l2: float) -> None:
    opt = twin.optimizer(name, l2=l2, momentum=0.7, beta1=0.8, beta2=0.95, epsilon=1e-4)
    x, y = examples()
    for batch, selector in ((twin.dense(x), "winner_take_all"), (twin.csr(x), "random")):
        net = network(selector, opt)
        steps = Steps(net, opt, batch, x, y)
        size = max(1, batch_size)
        for at in range(0, 12 * size, size):
            steps.step([row % N_ROWS for row in range(at, at + size)], 0.02, batch_size)
        for got, expected in zip(twin.augmented(net), steps.W, strict=True):
            np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("batch_size", [0, 4])
@pytest.mark.parametrize("name", [*OPTIMIZERS, FULL[0]])
def test_steps_of_weights_by_input_equal_the_twins(name: str, batch_size: int, l2: float) -> None:
    opt = twin.optimizer(name, l2=l2, momentum=0.7, beta1=0.8, beta2=0.95, epsilon=1e-4)
    x, y = examples()
    ways = ((twin.dense(x), "winner_take_all"), (twin.csr(x), "adaptive"), (twin.csr(x), "all"))
    for batch, selector in ways:
        for n in (N_HIDDEN, 70):  # narrow, and in two parts
            net = network(selector, opt, layout="input", n=n)
            steps = Steps(net, opt, batch, x, y)
            size = max(1, batch_size)
            for at in range(0, 12 * size, size):
                steps.step([row % N_ROWS for row in range(at, at + size)], 0.02, batch_size)
            for got, expected in zip(twin.augmented(net), steps.W, strict=True):
                np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5)


WAYS = [(name, "neuron", selector) for name in OPTIMIZERS + STATES + FULL for selector in SELECTORS]
WAYS += [
    (name, "input", selector) for name in OPTIMIZERS + STATES + FULL for selector in SELECTORS[2:]
]


@pytest.mark.parametrize("batch_size", [0, 3])
@pytest.mark.parametrize(("name", "layout", "selector"), WAYS)
def test_only_active_neurons_and_nonzero_inputs_change(
    name: str, layout: str, selector: str, batch_size: int
) -> None:
    opt = twin.optimizer(name, l2=0.01)
    x, y = examples()
    for batch, output in ((twin.dense(x), "all"), (twin.csr(x), selector)):
        net = network(selector, opt, output, layout)
        before = twin.augmented(net)
        state = {k: v.copy() for k, v in net.tensors().items() if "moment" in k}
        steps = Steps(net, opt, batch, x, y)
        for at in range(0, 6, max(1, batch_size)):
            steps.step(list(range(at, at + max(1, batch_size))), 0.05, batch_size)
        for i, (b, a) in enumerate(zip(before, twin.augmented(net), strict=True)):
            changed = b.view(np.uint32) != a.view(np.uint32)
            assert not (changed & ~steps.touched[i]).any()
            assert changed[steps.touched[i]].mean() > 0.5
        for key, value in state.items():
            moved = net.tensors()[key] != value
            assert not (moved & ~steps.touched[int(key.split(".")[1])]).any()
        assert not (steps.touched[0][:, [3, 17, 18, 32]]).any()


@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("name", ["momentum", "adagrad", "adam", *STATES])
def test_zero_gradients_leave_momentum_at_rest(name: str, layout: str) -> None:
    net = network("all", twin.optimizer(name), layout=layout)
    x, y = examples()
    twin.train(net, twin.dense(x), twin.labels(y, N_OUTPUTS), range(8))
    before = twin.augmented(net)
    nothing = twin.labels([[] for _ in y], N_OUTPUTS)  # no labels: no loss, no gradient
    result = twin.train(net, twin.dense(x), nothing, range(8))
    assert result.loss_sum == 0
    assert result.examples == 8
    for b, a in zip(before, twin.augmented(net), strict=True):
        np.testing.assert_array_equal(a, b)


def torch_network(net: Any) -> tuple[list[torch.Tensor], Any]:
    """The same weights in torch, and its forward pass."""
    W = [torch.tensor(w.astype(float), requires_grad=True) for w in twin.augmented(net)]

    def scores(x: torch.Tensor) -> torch.Tensor:
        for w, act in zip(W, [torch.tanh, torch.sigmoid, lambda z: z], strict=True):
            x = act(x @ w[:, :-1].T + w[:, -1])
        return x

    return W, scores


@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("batch_size", [0, 4])
@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "adam"])
def test_dense_training_equals_torch(name: str, batch_size: int, layout: str) -> None:
    # Nothing is zero, so every weight moves at every step and lazy optimizers are torch's own.
    settings = {"momentum": 0.0 if name == "adagrad" else 0.9, "epsilon": 1e-6}
    shapes = ((N_HIDDEN, "tanh"), (N_HIDDEN, "sigmoid"), (N_OUTPUTS, "linear"))
    net = _core.Network(
        N_INPUTS,
        [twin.layer(n, activation, layout=layout) for n, activation in shapes],
        "softmax",
        twin.optimizer(name, **settings),
        1,
    )
    x, y = examples(zeros=0)
    W, scores = torch_network(net)
    rate = 0.01
    opt = {
        "sgd": lambda: torch.optim.SGD(W, lr=rate),
        "momentum": lambda: torch.optim.SGD(W, lr=rate, momentum=0.9),
        "adagrad": lambda: torch.optim.Adagrad(W, lr=rate, eps=1e-6),
        "adam": lambda: torch.optim.Adam(W, lr=rate, betas=(0.9, 0.999), eps=1e-6),
    }[name]()
    size = max(1, batch_size)
    for at in range(0, 24, size):
        opt.zero_grad()
        wanted = torch.tensor([y[row][0] for row in range(at, at + size)])
        rows = torch.tensor(x[at : at + size].astype(float))
        torch.nn.functional.cross_entropy(scores(rows), wanted).backward()
        opt.step()
    twin.train(
        net, twin.dense(x), twin.labels(y, N_OUTPUTS), range(24), rate, batch_size=batch_size
    )
    for got, expected in zip(twin.augmented(net), W, strict=True):
        np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-3, atol=3e-5)


@pytest.mark.parametrize("name", OPTIMIZERS + STATES)
def test_every_optimizer_lowers_the_loss(name: str) -> None:
    net = network("all", twin.optimizer(name))
    x, y = examples()
    batch, wanted = twin.dense(x), twin.labels(y, N_OUTPUTS)
    losses = [twin.train(net, batch, wanted, range(N_ROWS), 0.01).loss_sum for _ in range(12)]
    assert losses[-1] < 0.7 * losses[0]


def test_unknown_optimizer_is_refused_with_the_valid_names() -> None:
    with pytest.raises(ValueError, match=r"optimizer must be one of sgd, momentum.*got 'sdg'"):
        twin.optimizer("sdg")


def schedule(**settings: Any) -> Any:
    return twin.filled(_core.ScheduleSpec(), rate=0.2, **settings)


def test_schedules_follow_their_formulas() -> None:
    steps = np.arange(0, 1200, 37)
    got = {
        name: np.array([s.at(int(step)) for step in steps])
        for name, s in {
            "constant": schedule(name="constant"),
            "step": schedule(name="step", factor=0.5, period_steps=100),
            "exponential": schedule(name="exponential", factor=0.5, period_steps=100),
            "cosine": schedule(name="cosine", total_steps=1000, floor=0.1),
        }.items()
    }
    np.testing.assert_allclose(got["constant"], 0.2)
    np.testing.assert_allclose(got["step"], 0.2 * 0.5 ** (steps // 100))
    np.testing.assert_allclose(got["exponential"], 0.2 * 0.5 ** (steps / 100))
    done = np.minimum(1, steps / 1000)
    np.testing.assert_allclose(got["cosine"], 0.02 + 0.09 * (1 + np.cos(np.pi * done)))


@pytest.mark.parametrize("name", ["constant", "step", "exponential", "cosine"])
def test_warm_up_rises_evenly_to_the_rate(name: str) -> None:
    s = schedule(name=name, warmup_steps=10, total_steps=100, period_steps=1000)
    np.testing.assert_allclose([s.at(k) for k in range(10)], 0.02 * np.arange(1, 11))
    assert s.at(10) == pytest.approx(0.2)


def test_the_rate_is_read_at_every_example() -> None:
    net = _core.Network(1, [twin.layer(1)], "squared", twin.optimizer(), 0)
    net.tensors()["layers.0.weight"][...] = 0
    step = schedule(name="step", factor=0.5, period_steps=1)
    batch = twin.dense([[1.0]])
    for k in range(4):
        before = float(net.tensors()["layers.0.bias"][0])
        score = 2 * before  # weight and bias move together
        net.train(
            batch,
            twin.targets("squared", [[1.0]], 1),
            twin.rows(0),
            step,
            0,
            1,
            None,
            None,
            twin.rows(0),
        )
        moved = float(net.tensors()["layers.0.bias"][0]) - before
        assert moved == pytest.approx(0.2 * 0.5**k * (1 - score), rel=1e-5)
