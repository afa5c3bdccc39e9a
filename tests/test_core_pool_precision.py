"""Pools whose products are taken of bfloat16: the kernels, a step, and processors that cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core
from test_core_pool import (
    N_HIDDEN,
    N_OUTPUTS,
    N_ROWS,
    OPTIMIZERS,
    ORDER,
    examples,
    network,
    same_bits,
    same_on_any_number_of_threads,
    train,
)

RATE = 0.5
can = pytest.mark.skipif(not _core.has_bfloat16(), reason="the processor has no AVX512-BF16")


def rounded(x: Any) -> np.ndarray:
    """To the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32).astype(float)


@can
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(1, 1, 1), (7, 5, 16), (6, 300, 33), (13, 257, 128), (4, 512, 65), (50, 1100, 144)],
)
def test_products_of_matrices(m: int, k: int, n: int) -> None:
    random = np.random.default_rng([m, k, n])
    a, b = (random.normal(size=shape).astype(np.float32) for shape in ((m, k), (k, n)))
    size = np.abs(a) @ np.abs(b)
    got = _core.kernel_multiply_pairs(a, b)
    twin.close(got, rounded(a) @ rounded(b), 4 * size)
    turned = np.ascontiguousarray(a.T)
    assert np.array_equal(_core.kernel_multiply_pairs(turned, b, turned=True), got)
    if k > 200:  # and they are not those of floats
        error = np.abs(got - a.astype(float) @ b).mean()
        assert 1e-5 < error / size.mean() < 2**-8


def test_who_can_is_known_by_level() -> None:
    before = _core.simd_level()
    try:
        for level in set(_core.simd_levels()) - {"avx512"}:
            _core.set_simd_level(level)
            assert not _core.has_bfloat16()
            with pytest.raises(ValueError, match="has no products of bfloat16"):
                _core.kernel_multiply_pairs(np.ones((1, 1), "f4"), np.ones((1, 1), "f4"))
    finally:
        _core.set_simd_level(before)


def test_who_cannot_goes_on_in_float32() -> None:
    before = _core.simd_level()
    try:
        for level in set(_core.simd_levels()) - {"avx512"}:
            _core.set_simd_level(level)
            nets = [network(fill=20, precision=word) for word in ("float32", "bfloat16")]
            for net in nets:
                train(net)
            same_bits(*nets)
    finally:
        _core.set_simd_level(before)


def gradients(
    W: list[np.ndarray], pool: np.ndarray, rows: Any, loss: str, half: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the pool's weights, of the hidden layer's weights, and the sum of sizes of the first."""
    x, y = examples()
    of = rounded if half else (lambda value: np.asarray(value, dtype=float))
    inputs = np.column_stack([x[rows], np.ones(len(rows))])
    before = inputs @ W[0].T
    hidden = np.column_stack([np.maximum(before, 0), np.ones(len(rows))])
    z = of(hidden[:, :-1]) @ of(W[1][pool, :-1]).T + W[1][pool, -1]
    deltas = [
        twin.loss_and_delta(loss, z[e], pool, y[row])[1] / len(rows) for e, row in enumerate(rows)
    ]
    delta = np.array(deltas)
    top = of(delta).T @ of(hidden)
    towards = (of(delta) @ of(W[1][pool]))[:, :-1] * (before > 0)
    return top, towards.T @ inputs, np.abs(delta).T @ np.abs(hidden)


@can
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("n_hidden", [N_HIDDEN, 32])  # the bias alone in its pair, or not
@pytest.mark.parametrize("fill", [21, 40])
@pytest.mark.parametrize("n", [1, 8, 19, 33, 70, 128])  # a panel of examples, or several
def test_a_step_is_the_twins(n: int, fill: int, n_hidden: int, loss: str) -> None:
    net = network(loss, n_hidden=n_hidden, fill=fill, precision="bfloat16", query_every=0)
    rows = np.random.default_rng(n).choice(N_ROWS, n, replace=n > N_ROWS).astype(np.uint32)
    W = [w.astype(float) for w in twin.augmented(net)]
    train(net, rows, n, rate=RATE)
    pool = net.pool().astype(int)
    moved = [(a - b) / RATE for a, b in zip(W, twin.augmented(net), strict=True)]
    top, below, size = gradients(W, pool, rows, loss, half=True)
    others = np.setdiff1d(np.arange(N_OUTPUTS), pool)
    assert not moved[1][others].any()
    # Here and there a number lies between two others, and is rounded the other way.
    error = np.abs(moved[1][pool] - top)
    assert (error <= 2**-8 * size + 1e-6).all()
    assert np.quantile(error / size.max(), 0.9) < 1e-5
    error = np.abs(moved[0] - below) / np.abs(below).max()
    assert error.max() < 2**-8
    assert np.quantile(error, 0.9) < 1e-4
    if n > 8:
        floats = gradients(W, pool, rows, loss, half=False)
        assert np.abs(moved[1][pool] - floats[0]).mean() > 20 * np.abs(moved[1][pool] - top).mean()
        assert np.abs(moved[0] - floats[1]).mean() > 5 * np.abs(moved[0] - below).mean()


@can
@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_bits_on_any_number_of_threads(name: str, layout: str) -> None:
    how = {"fill": 30, "precision": "bfloat16"}
    same_on_any_number_of_threads(lambda: network("softmax", twin.optimizer(name), layout, **how))


@can
def test_a_pooled_layer_that_is_the_first() -> None:
    # Inputs are the examples' own, and no gradient goes further down.
    x, _ = examples()
    nets = []
    for precision in ("float32", "bfloat16"):
        hashing = twin.lsh(pooled=True, fill=N_OUTPUTS, query_every=0, precision=precision)
        top = twin.layer(N_OUTPUTS, "linear", "lsh", 0.1, lsh=hashing)
        net = _core.Network(x.shape[1], [top], "logistic", twin.optimizer(), 3)
        net.build(twin.csr(x), ORDER)
        train(net, batch_size=10, rate=1.0)
        nets.append(twin.augmented(net)[0])
    error = np.abs(nets[1] - nets[0]).max()
    assert 1e-6 < error < 0.02 * np.abs(nets[0]).max()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns_what_a_dense_network_learns(precision: str) -> None:
    x, y = examples()
    net = network(opt=twin.optimizer("adam"), rehash_every=50, precision=precision)
    for _ in range(150):
        train(net, rate=0.01)
    best = net.topk(twin.csr(x), 1, False)[0][:, 0]
    assert np.mean([int(b) in labels for b, labels in zip(best, y, strict=True)]) > 0.95


@can
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_weights_of_examples_and_of_outputs_and_corrections_go_with_it(loss: str) -> None:
    random = np.random.default_rng(2)
    weights: dict[str, Any] = {"example_weights": random.random(N_ROWS).astype(np.float32)}
    if loss == "logistic":
        weights |= {"output_weights": random.random(N_OUTPUTS).astype(np.float32), "inverse": True}
    else:
        weights |= {"chance": np.full(N_OUTPUTS, 0.2, np.float32), "known": 0.5}
    moved = []
    for precision in ("float32", "bfloat16"):
        net = network(loss, fill=60, precision=precision, query_every=0)
        before = twin.augmented(net)
        result = train(net, rate=0.2, **weights)
        after = twin.augmented(net)
        moved.append([a - b for a, b in zip(after, before, strict=True)])
        assert result.bad_row == -1
    for near, exact in zip(*moved, strict=True):
        assert 0 < np.abs(near - exact).max() < 0.03 * np.abs(exact).max()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pool_of_one_neuron(precision: str) -> None:
    x, _ = examples()
    net = network(query_every=0, precision=precision)
    before = twin.augmented(net)[1]
    twin.train(net, twin.csr(x), twin.labels([[7]] * N_ROWS, N_OUTPUTS), ORDER[:20], batch_size=20)
    assert net.pool().tolist() == [7]
    moved = (twin.augmented(net)[1] != before).any(axis=1)
    assert np.flatnonzero(moved).tolist() == [7]


def test_what_is_counted_does_not_depend_on_it() -> None:
    nets = [network(precision=word, query_every=0) for word in ("float32", "bfloat16")]
    for net in nets:
        train(net, ORDER[:20], 20)
    assert nets[0].ledger() == nets[1].ledger()


def test_it_goes_with_pools_alone() -> None:
    with pytest.raises(ValueError, match="precision must be 'float32' unless pooled is set"):
        network(pooled=False, precision="bfloat16")
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, got 'half'"):
        network(precision="half")
