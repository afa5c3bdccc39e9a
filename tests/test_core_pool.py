"""Pooled output layers: what is in a pool, and that its steps are the twin's on those neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "row_adagrad"]
OPTIMIZERS += ["adam/bfloat16", "adam/row", "adam/8-bit"]
OPTIMIZERS += ["adam//full", "adam/row/full", "adam/8-bit/full"]
N_INPUTS, N_HIDDEN, N_OUTPUTS, N_ROWS, KEPT = 21, 24, 90, 50, 3
NAMES = ["relu", "linear"]
ORDER = np.arange(N_ROWS, dtype=np.uint32)


def examples(none: bool = False) -> tuple[np.ndarray, list[list[int]]]:
    """Inputs with half their entries at zero, one to four labels each; or none, here and there."""
    random = np.random.default_rng(5)
    x = random.normal(size=(N_ROWS, N_INPUTS)) * (random.random((N_ROWS, N_INPUTS)) < 0.5)
    sizes = random.integers(0 if none else 1, 5, size=N_ROWS)
    y = [sorted(int(i) for i in random.choice(N_OUTPUTS, n, replace=False)) for n in sizes]
    return x.astype(np.float32), y


def network(
    loss: str = "logistic",
    opt: Any = None,
    layout: str = "neuron",
    n_hidden: int = N_HIDDEN,
    dtype: str = "float32",
    **lsh: Any,
) -> Any:
    """A dense hidden layer and a pooled output layer, hashed nearly exactly."""
    near = {"projection": "subspace", "code": "bytes", "rank": n_hidden + 1}
    hashing = twin.lsh(**{**near, "pooled": True, "rehash_every": 1, **lsh})
    top = twin.layer(N_OUTPUTS, "linear", "lsh", KEPT / N_OUTPUTS, lsh=hashing, dtype=dtype)
    hidden = twin.layer(n_hidden, "relu", layout=layout)
    net = _core.Network(N_INPUTS, [hidden, top], loss, opt or twin.optimizer(), 3)
    net.build(twin.csr(examples()[0]), ORDER)
    return net


def train(net: Any, rows: Any = ORDER, batch_size: int = 8, **how: Any) -> Any:
    x, y = examples(how.pop("none", False))
    wanted = twin.labels(y, N_OUTPUTS)
    return twin.train(net, twin.csr(x), wanted, rows, batch_size=batch_size, **how)


def same_bits(*nets: Any) -> None:
    """All have the same weights, state and hashes, the same last pool, and counted the same."""
    for other in nets[1:]:
        for key, value in nets[0].tensors().items():
            assert np.array_equal(value, other.tensors()[key]), key
        assert nets[0].ledger() == other.ledger()
        assert np.array_equal(nets[0].pool(), other.pool())


def same_on_any_number_of_threads(make: Any) -> None:
    """Trains networks, one for each number of threads, in batches of several sizes."""
    nets = []
    for threads in (1, 2, 3, 5):
        net = make()
        for size in (16, 37, 101):
            rows = np.tile(ORDER, 1 + size // N_ROWS)
            train(net, rows, batch_size=size, threads=threads, none=True, rate=0.05)
        nets.append(net)
    same_bits(*nets)


# ---- what is in it -------------------------------------------------------------------------------


@pytest.mark.parametrize("lookup", ["scan", "tables"])
def test_a_pool_has_every_label_and_the_best_wrong_outputs_of_each_example(lookup: str) -> None:
    x, y = examples()
    bits = {"code": "bits", "bits": 4, "tables": 60, "probes": 8} if lookup == "tables" else {}
    net = network(lookup=lookup, **bits)
    W = [w.astype(float) for w in twin.augmented(net)]
    train(net, ORDER[:8])
    pool = set(net.pool().tolist())
    assert net.pool().tolist() == sorted(pool)
    hits, most = 0, 0
    for row in range(8):
        assert set(y[row]) <= pool
        hidden = np.maximum(W[0] @ np.append(x[row], 1), 0)
        z = W[1] @ np.append(hidden, 1)
        z[y[row]] = -np.inf
        hits += len(set(twin.top_k(z, KEPT).tolist()) & pool)
        most += KEPT + 2 * len(y[row])
    assert hits >= (0.95 if lookup == "scan" else 0.7) * 8 * KEPT
    assert len(pool) <= most < N_OUTPUTS


def test_a_pool_is_filled_up_at_random_and_differently_each_time() -> None:
    net = network(fill=60)
    pools = []
    for at in range(0, 32, 8):
        train(net, ORDER[at : at + 8])
        pools.append(frozenset(net.pool().tolist()))
    assert {len(pool) for pool in pools} == {60}
    assert len(set(pools)) == 4
    train(net := network(fill=10**6), ORDER[:8])
    assert net.pool().tolist() == list(range(N_OUTPUTS))


# ---- what it learns ------------------------------------------------------------------------------


def step(net: Any, rules: Any, W: Any, rows: Any, rate: float, t: int, loss: str, **w: Any) -> None:
    """The twin takes the step that the core has just taken with its pool."""
    x, y = examples()
    pool = net.pool().astype(int)
    gradients = [np.zeros_like(w) for w in W]
    everyone, output_weights = np.arange(len(W[0])), w.get("output_weights")
    for row in rows:
        active = [(everyone, np.ones(len(everyone))), (pool, np.ones(len(pool)))]
        walk = twin.forward(W, NAMES, x[row].astype(float), active)
        delta = twin.loss_and_delta(loss, walk[-1].z, walk[-1].ids, y[row], output_weights)[1]
        delta = delta * (1.0 if w.get("example_weights") is None else w["example_weights"][row])
        for total, g in zip(
            gradients, twin.backward(W, NAMES, walk, delta / len(rows)), strict=True
        ):
            total += g
    for i, rule in enumerate(rules):
        rule.step(W[i], gradients[i], gradients[i] != 0, rate, t)


@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("n_hidden", [N_HIDDEN, 32])  # or the bias has a line of its own
def test_steps_equal_the_twins(name: str, l2: float, loss: str, layout: str, n_hidden: int) -> None:
    if name == "row_adagrad":
        l2 = 0.0  # `Network` refuses it: a row without a gradient would decay without bounds
    opt = twin.optimizer(name, l2=l2, momentum=0.7, beta1=0.8, beta2=0.95, epsilon=1e-4)
    net = network(loss, opt, layout, n_hidden, fill=20)
    W = [w.astype(float) for w in twin.augmented(net)]
    rules = [
        twin.Optimizer(opt, w.shape, by_input, seed=3, layer=layer)
        for layer, (w, by_input) in enumerate(zip(W, [layout == "input", False], strict=True))
    ]
    random = np.random.default_rng(0)
    for t, n in enumerate([8, 19, 1, 33, 70, 128], start=1):  # a panel of examples, or several
        rows = random.choice(N_ROWS, n, replace=n > N_ROWS).astype(np.uint32)
        train(net, rows, n, rate=0.02)
        step(net, rules, W, rows, 0.02, t, loss)
        for got, expected in zip(twin.augmented(net), W, strict=True):
            twin.same_steps(got, expected, opt.state)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_weights_of_examples_and_of_outputs_weigh(loss: str) -> None:
    random = np.random.default_rng(2)
    weights: dict[str, Any] = {"example_weights": random.random(N_ROWS).astype(np.float32)}
    if loss == "logistic":
        weights["output_weights"] = random.random(N_OUTPUTS).astype(np.float32)
    net = network(loss)
    W = [w.astype(float) for w in twin.augmented(net)]
    rules = [twin.Optimizer(twin.optimizer(), w.shape) for w in W]
    result = train(net, ORDER[:9], 9, rate=0.5, **weights)
    before = [w.copy() for w in W]
    step(net, rules, W, ORDER[:9], 0.5, 1, loss, **weights)
    for got, expected in zip(twin.augmented(net), W, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5)
    x, y = examples()
    pool, everyone = net.pool().astype(int), np.arange(N_HIDDEN)
    total = 0.0
    for row in ORDER[:9]:
        active = [(everyone, np.ones(N_HIDDEN)), (pool, np.ones(len(pool)))]
        last = twin.forward(before, NAMES, x[row].astype(float), active)[-1]
        value = twin.loss_and_delta(loss, last.z, last.ids, y[row], weights.get("output_weights"))
        total += value[0] * weights["example_weights"][row]
    assert result.loss_sum == pytest.approx(total, rel=1e-5)


def test_everything_in_the_pool_is_dense_training() -> None:
    pooled = network(fill=N_OUTPUTS)
    layers = [twin.layer(N_HIDDEN, "relu"), twin.layer(N_OUTPUTS)]
    dense = _core.Network(N_INPUTS, layers, "logistic", twin.optimizer(), 3)
    for _ in range(3):
        train(pooled), train(dense)
    for got, expected in zip(twin.augmented(pooled), twin.augmented(dense), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lookup", ["scan", "tables"])
@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_bits_on_any_number_of_threads(name: str, layout: str, lookup: str) -> None:
    bits = {"code": "bits"} if lookup == "tables" else {}
    how = {"lookup": lookup, "fill": 30, **bits}
    same_on_any_number_of_threads(lambda: network("softmax", twin.optimizer(name), layout, **how))


def test_it_learns_what_a_dense_network_learns() -> None:
    x, y = examples()
    net = network(opt=twin.optimizer("adam"), rehash_every=50)
    for _ in range(150):
        train(net, rate=0.01)
    best = net.topk(twin.csr(x), 1, False)[0][:, 0]
    assert np.mean([int(b) in labels for b, labels in zip(best, y, strict=True)]) > 0.95


# ---- edges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_examples_that_are_known_do_not_move_anything(threads: int) -> None:
    net = network("softmax")
    before = twin.augmented(net)
    result = train(net, known=1e-30, threads=threads)
    assert all(np.array_equal(a, b) for a, b in zip(before, twin.augmented(net), strict=True))
    assert result.examples == N_ROWS
    assert net.ledger()["learned"] == 0
    counted = net.ledger()["layers"][0]
    assert counted["backward"] == counted["update"] == 0


def test_examples_without_labels_learn_nothing_from_softmax() -> None:
    x, _ = examples()
    net = network("softmax")
    before = twin.augmented(net)
    none = twin.labels([[]] * N_ROWS, N_OUTPUTS)
    result = twin.train(net, twin.csr(x), none, ORDER, batch_size=8)
    assert all(np.array_equal(a, b) for a, b in zip(before, twin.augmented(net), strict=True))
    assert result.loss_sum == 0


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_no_number_stops_training_before_it_spoils_weights(
    loss: str, value: float
) -> None:
    net = network(loss)
    net.tensors()["layers.1.weight"][examples()[1][20][0], 0] = value
    result = train(net)
    assert 0 <= result.bad_row < N_ROWS
    assert np.isfinite(twin.augmented(net)[0]).all()


@pytest.mark.parametrize(("n_hidden", "stride", "back"), [(24, 32, 32), (32, 48, 32)])
def test_what_is_counted_is_what_is_multiplied(n_hidden: int, stride: int, back: int) -> None:
    net = network(n_hidden=n_hidden)
    train(net, ORDER[:20], 20)
    top, pool = net.ledger()["layers"][1], len(net.pool())
    assert top["forward"] == 20 * pool * (n_hidden + 1)
    assert top["backward"] == 20 * pool * back  # towards the bias nothing
    assert top["update"] == 20 * pool * stride + pool * stride
    assert top["candidates"] == top["active"] == 20 * pool
    assert (top["queries"], top["rerank"]) == (20, 0)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"lookup": "exact"}, "lookup must be 'scan' or 'tables' where pooled is set, got 'exact'"),
        ({"rehash": "incremental"}, "rehash must be 'rows' where pooled is set"),
        ({"pooled": False, "fill": 9}, "fill must be 0 unless pooled is set, got 9"),
        ({"pooled": False, "query_every": 0}, "query_every must be 1 unless pooled is set, got 0"),
    ],
)
def test_what_does_not_go_with_a_pool_is_refused(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        network(**change)


def test_a_hidden_layer_has_no_pool() -> None:
    hidden = twin.layer(9, "relu", "lsh", 0.5, lsh=twin.lsh(pooled=True))
    with pytest.raises(ValueError, match="pooled must be left to the last layer"):
        _core.Network(4, [hidden, twin.layer(3)], "softmax", twin.optimizer(), 0)


# ---- kernels -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 1, 1), (7, 5, 16), (6, 300, 33), (13, 257, 128), (4, 512, 65)]
)
def test_products_of_matrices(m: int, k: int, n: int) -> None:
    random = np.random.default_rng([m, k, n])
    a, b = (random.normal(size=shape).astype(np.float32) for shape in ((m, k), (k, n)))
    size = np.abs(a) @ np.abs(b)
    twin.close(_core.kernel_multiply(a, b), a.astype(float) @ b, 4 * size)
    turned = np.ascontiguousarray(a.T)
    assert np.array_equal(
        _core.kernel_multiply(turned, b, turned=True), _core.kernel_multiply(a, b)
    )
    some = random.integers(m, size=2 * m + 1).astype(np.uint32)
    assert np.array_equal(
        _core.kernel_multiply(a, b, a_rows=some), _core.kernel_multiply(a[some], b)
    )
    some = random.integers(k, size=k).astype(np.uint32)
    assert np.array_equal(
        _core.kernel_multiply(a, b, b_rows=some), _core.kernel_multiply(a, b[some])
    )


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 700])
def test_probabilities_of_sixteen_examples(n: int, spread: float) -> None:
    z = (np.random.default_rng(n).normal(size=(n, 16)) * spread).astype(np.float32)
    exact = z.astype(float)
    p, top, total = _core.kernel_probabilities("softmax", z)
    e = np.exp(exact - exact.max(axis=0))
    np.testing.assert_allclose(p, e / e.sum(axis=0), rtol=1e-5, atol=1e-35)
    np.testing.assert_array_equal(top, z.max(axis=0))
    np.testing.assert_allclose(total, e.sum(axis=0), rtol=1e-5)
    p, _, total = _core.kernel_probabilities("logistic", z)
    np.testing.assert_allclose(p, twin.sigmoid(exact), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, np.logaddexp(0, exact).sum(axis=0), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_what_is_no_number_stays_none(loss: str) -> None:
    z = np.zeros((70, 16), np.float32)
    z[5, 3], z[69, 4] = np.nan, np.nan
    _, _, total = _core.kernel_probabilities(loss, z)
    assert np.flatnonzero(np.isnan(total)).tolist() == [3, 4]
