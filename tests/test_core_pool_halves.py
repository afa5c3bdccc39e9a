"""Pooled outputs whose weights are bfloat16: reckoned with as floats, stored rounded at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core
from test_core_pool import (
    KEPT,
    N_HIDDEN,
    N_INPUTS,
    N_OUTPUTS,
    N_ROWS,
    OPTIMIZERS,
    ORDER,
    examples,
    network,
    same_on_any_number_of_threads,
    step,
    train,
)

can = pytest.mark.skipif(not _core.has_bfloat16(), reason="this processor has no AVX512-BF16")


def halves(loss: str = "softmax", opt: Any = None, **how: Any) -> Any:
    return network(loss, opt, dtype="bfloat16", **how)


def upper(x: np.ndarray) -> np.ndarray:
    """Floats, cut off to bfloat16."""
    return twin.from_bfloat16(twin.to_bfloat16(x, np.zeros(x.shape, np.uint32)))


# ---- rows ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("level")
def test_rows_are_rounded_up_or_down_by_the_twins_bits() -> None:
    x = np.random.default_rng(0).normal(size=160).astype(np.float32)
    for key in (0, 1, 0x9ABCDEF1, 2**32 - 1):
        expected = twin.to_bfloat16(x, twin.random_bits(np.arange(160), key))
        np.testing.assert_array_equal(_core.kernel_narrow(x, key), expected)
        np.testing.assert_array_equal(_core.kernel_widen(expected), twin.from_bfloat16(expected))


@pytest.mark.usefixtures("level")
def test_what_has_no_lower_half_is_never_rounded() -> None:
    x = upper(np.random.default_rng(1).normal(size=512).astype(np.float32))
    x[:4] = [0, -0.0, np.inf, -np.inf]
    for key in range(40):
        back = _core.kernel_widen(_core.kernel_narrow(x, twin.mix(key) % 2**32))
        np.testing.assert_array_equal(back, x)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n_rows", [1, 3, 4, 7, 30])
def test_products_with_rows_are_those_of_the_floats(n_rows: int, sparse: bool) -> None:
    random = np.random.default_rng(n_rows)
    w = upper(random.normal(size=(40, 96)).astype(np.float32))
    x = (random.normal(size=96) * (random.random(96) < 0.3)).astype(np.float32)
    rows = random.choice(40, n_rows, replace=False).astype(np.uint32)
    bits = twin.to_bfloat16(w, np.zeros(w.shape, np.uint32))
    got = _core.kernel_dot_half_rows(bits, rows, x, sparse)
    twin.close(got, w[rows].astype(float) @ x, np.abs(w[rows]) @ np.abs(x))


# ---- training ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "n_hidden", [N_HIDDEN, 31, 32, 16]
)  # with room for a bias in a line, or none
def test_steps_equal_the_twins(name: str, l2: float, loss: str, n_hidden: int) -> None:
    if name == "row_adagrad":
        l2 = 0.0
    opt = twin.optimizer(name, l2=l2, momentum=0.7, beta1=0.8, beta2=0.95, epsilon=1e-4)
    net = halves(loss, opt, n_hidden=n_hidden, fill=20)
    W = [w.astype(float) for w in twin.augmented(net)]
    assert np.array_equal(upper(W[1].astype(np.float32)), W[1])
    rules = [
        twin.Optimizer(opt, w.shape, seed=3, layer=layer, halved=layer == 1)
        for layer, w in enumerate(W)
    ]
    random = np.random.default_rng(0)
    for t, n in enumerate([8, 19, 1, 33, 70], start=1):
        rows = random.choice(N_ROWS, n, replace=n > N_ROWS).astype(np.uint32)
        train(net, rows, n, rate=0.02)
        step(net, rules, W, rows, 0.02, t, loss)
        for got, expected in zip(twin.augmented(net), W, strict=True):
            twin.same_steps(got, expected, "bfloat16")
        W[1] = twin.augmented(net)[1].astype(float)  # roundings that differ do not add up


def test_steps_too_small_for_eight_bits_hold_on_average() -> None:
    net = halves(opt=twin.optimizer("sgd"), fill=N_OUTPUTS, query_every=0)
    exact = network("softmax", twin.optimizer("sgd"), fill=N_OUTPUTS, query_every=0)
    tensors = net.tensors()
    for key, value in exact.tensors().items():
        if key == "layers.1.weight":
            value[...] = twin.from_bfloat16(tensors[key])
        elif "lsh" not in key:
            value[...] = tensors[key]
    before = twin.augmented(exact)[1][:, :-1]
    small = []
    for _ in range(200):
        old = twin.augmented(exact)[1][:, :-1]
        for each in (net, exact):
            train(each, rate=5e-4, batch_size=N_ROWS)
        step_taken = np.abs(twin.augmented(exact)[1][:, :-1] - old)
        quarter = 2**-10 * np.abs(old)  # of what is between two numbers, at most
        small.append(step_taken < quarter)
    assert np.mean(small) > 0.9  # the nearest would have stood still
    wanted, moved = (twin.augmented(each)[1][:, :-1] - before for each in (exact, net))
    slope = (moved * wanted).sum() / (wanted**2).sum()
    assert slope == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=can)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_bits_on_any_number_of_threads(name: str, precision: str) -> None:
    how = {"fill": 30, "precision": precision}
    same_on_any_number_of_threads(lambda: halves(opt=twin.optimizer(name), **how))


@can
@pytest.mark.parametrize("n_hidden", [N_HIDDEN, 31, 32, 16])
@pytest.mark.parametrize("n", [7, 70])
def test_products_of_bfloat16_take_weights_as_they_lie(n: int, n_hidden: int) -> None:
    # A pooled layer of floats whose weights have no lower halves rounds none of them.
    nets = [
        network(
            "softmax", n_hidden=n_hidden, fill=60, query_every=0, precision="bfloat16", dtype=dtype
        )
        for dtype in ("bfloat16", "float32")
    ]
    nets[1].tensors()["layers.1.weight"][...] = twin.augmented(nets[0])[1][:, :-1]
    rows = np.tile(ORDER, 2)[:n]
    before = twin.augmented(nets[0])
    results = [train(net, rows, n, rate=0.1, threads=2) for net in nets]
    assert np.array_equal(nets[0].pool(), nets[1].pool())
    assert results[0].loss_sum == results[1].loss_sum
    after = [twin.augmented(net) for net in nets]
    assert np.array_equal(after[0][0], after[1][0])  # what came down to the hidden layer
    assert np.array_equal(after[0][1][:, -1], after[1][1][:, -1])  # biases
    assert np.abs(after[0][1] - after[1][1]).max() <= 2**-7 * np.abs(before[1]).max()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["simhash", "dwta"])
@pytest.mark.parametrize("lookup", ["scan", "tables"])
def test_it_learns_what_a_dense_network_learns(lookup: str, family: str, precision: str) -> None:
    x, y = examples()
    how: dict[str, Any] = {"lookup": lookup, "precision": precision, "fill": 20}
    if family == "dwta" or lookup == "tables":
        how |= {"code": "bits", "bits": 2, "tables": 64, "probes": 1, "bucket": 64}
    if family == "dwta":
        how |= {"family": family, "code_bits": 2}
    net = halves("logistic", twin.optimizer("adam/row"), rehash_every=50, **how)
    for _ in range(150):
        train(net, rate=0.01)
    best = net.topk(twin.csr(x), 1, True)[0][:, 0]
    assert np.mean([int(b) in labels for b, labels in zip(best, y, strict=True)]) > 0.95
    hashed = net.topk(twin.csr(x), 1, False)[0][:, 0]
    assert np.mean(hashed == best) > 0.8


def test_scores_are_of_the_weights_as_they_are_kept() -> None:
    net = halves()
    W = [w.astype(float) for w in twin.augmented(net)]
    W[1][:, -1] = np.linspace(-9, 9, N_OUTPUTS)
    net.tensors()["layers.1.bias"][...] = W[1][:, -1]
    x, _ = examples()
    hidden = np.maximum(np.column_stack([x, np.ones(N_ROWS)]) @ W[0].T, 0)
    z = np.column_stack([hidden, np.ones(N_ROWS)]) @ W[1].T
    scores = net.scores(twin.csr(x), True)
    kept = np.isfinite(scores)
    assert (kept.sum(axis=1) == KEPT).all()
    np.testing.assert_allclose(scores[kept], z[kept], rtol=1e-4, atol=1e-4)
    best, score = net.topk(twin.csr(x), 1, False)
    np.testing.assert_allclose(score[:, 0], z[np.arange(N_ROWS), best[:, 0]], rtol=1e-4, atol=1e-4)


def test_a_compact_copy_is_of_these_weights() -> None:
    net = halves()
    for _ in range(20):
        train(net, rate=0.05)
    x, _ = examples()
    exact, near = (each.scores(twin.csr(x), True) for each in (net, net.compacted()))
    both = np.isfinite(exact) & np.isfinite(near)
    assert both.sum() > 0.8 * KEPT * N_ROWS
    assert np.abs(near[both] - exact[both]).max() < 0.05 * np.abs(exact[both]).max()


def test_a_step_counts_the_random_bits() -> None:
    nets = [
        halves(query_every=0, fill=N_OUTPUTS),
        network("softmax", query_every=0, fill=N_OUTPUTS),
    ]
    for net in nets:
        train(net, ORDER[:20], 20)
    here, there = (net.ledger()["layers"][1] for net in nets)
    stride = -(-(N_HIDDEN + 1) // 16) * 16
    assert here.pop("update") - there.pop("update") == N_OUTPUTS * stride
    assert here == there


def test_it_goes_with_pools_alone() -> None:
    spec = twin.layer(9, dtype="bfloat16")
    with pytest.raises(ValueError, match="dtype must be 'float32' unless pooled is set"):
        _core.Network(N_INPUTS, [spec], "softmax", twin.optimizer(), 0)
    with pytest.raises(ValueError, match="dtype must be one of float32, bfloat16, got 'int8'"):
        twin.layer(9, dtype="int8")
