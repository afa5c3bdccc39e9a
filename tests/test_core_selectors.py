"""What each selector chooses, and what prediction makes of it."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

N_INPUTS, N, N_OUTPUTS = 20, 40, 5


def x(n: int = 8) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(n, N_INPUTS)).astype(np.float32)


def y(n: int = 8) -> Any:
    return twin.labels([[i % N_OUTPUTS] for i in range(n)], N_OUTPUTS)


def network(selector: str, fraction: float = 0.2, activation: str = "linear", **how: Any) -> Any:
    hidden = twin.layer(N, activation, selector, fraction, **how)
    net = _core.Network(N_INPUTS, [hidden, twin.layer(N_OUTPUTS)], "softmax", twin.optimizer(), 6)
    net.build(twin.dense(x()), np.arange(8, dtype=np.uint32))
    return net


def ids(net: Any, row: int, step: int = 0) -> list[int]:
    return _core.trace(net, twin.dense(x()), y(), row, step)[0]["ids"].tolist()


def scores_by_twin(net: Any, active: Any, activation: str) -> np.ndarray:
    """All rows' scores with the active set that `active` makes of a row's z."""
    W = [w.astype(float) for w in twin.augmented(net)]
    out = []
    for row in x().astype(float):
        z = W[0] @ np.append(row, 1)
        sets = [active(z), (np.arange(N_OUTPUTS), np.ones(N_OUTPUTS))]
        out.append(twin.forward(W, [activation, "linear"], row, sets)[-1].z)
    return np.array(out)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("selector", ["random", "winner_take_all", "lsh"])
def test_as_many_neurons_are_kept_as_the_fraction_says(selector: str, fraction: float) -> None:
    kept = ids(network(selector, fraction), 0)
    assert len(kept) == len(set(kept)) == max(1, int(fraction * N + 0.5))
    assert set(kept) <= set(range(N))


def test_random_choice_is_uniform() -> None:
    net, draws = network("random", 0.25), 2000
    counts = np.bincount([i for step in range(draws) for i in ids(net, 0, step)], minlength=N)
    expected = draws * 0.25
    chi_square = ((counts - expected) ** 2 / (expected * 0.75)).sum()
    assert 20 < chi_square < 70  # 39 degrees of freedom: 39 +- 9
    pairs = [(0, 1), (5, 39)]  # and neurons come together as often as chance has it
    for a, b in pairs:
        both = sum({a, b} <= set(ids(net, 0, step)) for step in range(draws))
        assert both / draws == pytest.approx(10 * 9 / (40 * 39), abs=0.025)


def test_random_choice_does_not_look_at_the_input() -> None:
    net = network("random")
    assert ids(net, 0, 7) == ids(net, 1, 7) != ids(net, 0, 8)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, -1.0), (3.0, 0.5)])
def test_adaptive_keeps_each_neuron_with_its_probability(alpha: float, beta: float) -> None:
    net, draws = network("adaptive", alpha=alpha, beta=beta), 1500
    counts = np.bincount([i for step in range(draws) for i in ids(net, 2, step)], minlength=N)
    z = twin.augmented(net)[0] @ np.append(x()[2], 1)
    p = twin.sigmoid(alpha * z + beta)
    sigma = np.sqrt(p * (1 - p) / draws) + 1e-3
    assert (np.abs(counts / draws - p) < 5 * sigma).all()
    assert np.ptp(p) > 0.4


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.6])
def test_winner_take_all_keeps_the_exact_top(fraction: float) -> None:
    net = network("winner_take_all", fraction)
    W = twin.augmented(net)[0].astype(float)
    for row in range(8):
        z = W @ np.append(x()[row], 1)
        assert sorted(ids(net, row)) == twin.top_k(z, int(fraction * N + 0.5)).tolist()


@pytest.mark.parametrize("selector", ["winner_take_all", "lsh"])
def test_ties_go_to_the_lower_number(selector: str) -> None:
    net = network(selector, 0.25, lsh=twin.lsh(candidates=10.0))
    net.tensors()["layers.0.weight"][...] = 0
    net.tensors()["layers.0.bias"][...] = 0
    net.tensors()["layers.0.bias"][[3, 30]] = 1
    net.tensors()["layers.0.bias"][5:20] = -1
    assert sorted(ids(net, 0)) == [0, 1, 2, 3, 4, 20, 21, 22, 23, 30]


def test_negative_numbers_are_ordered_too() -> None:
    net = network("winner_take_all", 0.1)
    net.tensors()["layers.0.weight"][...] = 0
    net.tensors()["layers.0.bias"][...] = -np.arange(1.0, N + 1)
    assert sorted(ids(net, 0)) == [0, 1, 2, 3]


def test_random_predicts_with_every_neuron_scaled_to_what_training_saw() -> None:
    net = network("random", activation="tanh")
    gain = float(_core.trace(net, twin.dense(x()), y(), 0)[0]["gain"][0]) * 8 / N
    expected = scores_by_twin(net, lambda z: (np.arange(N), np.full(N, gain)), "tanh")
    np.testing.assert_allclose(net.scores(twin.dense(x()), False), expected, atol=1e-5)


def test_adaptive_predicts_with_every_neuron_times_its_probability() -> None:
    net = network("adaptive", activation="relu", alpha=1.5, beta=-0.5)
    expected = scores_by_twin(net, lambda z: (np.arange(N), twin.sigmoid(1.5 * z - 0.5)), "relu")
    np.testing.assert_allclose(net.scores(twin.dense(x()), False), expected, atol=1e-5)


def test_winner_take_all_predicts_with_its_winners() -> None:
    net = network("winner_take_all", activation="tanh")
    expected = scores_by_twin(net, lambda z: (twin.top_k(z, 8), np.ones(8)), "tanh")
    np.testing.assert_allclose(net.scores(twin.dense(x()), False), expected, atol=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "logistic", "squared"])
def test_outputs_that_were_not_selected_have_no_score(loss: str) -> None:
    top = twin.layer(10, "linear", "winner_take_all", 0.3)
    net = _core.Network(N_INPUTS, [top], loss, twin.optimizer(), 0)
    scores = net.scores(twin.dense(x()), False)
    W = twin.augmented(net)[0].astype(float)
    for got, row in zip(scores, x(), strict=True):
        z = W @ np.append(row, 1)
        expected = np.full(10, 0.0 if loss == "squared" else -np.inf)
        kept = twin.top_k(z, 3)
        expected[kept] = z[kept]
        np.testing.assert_allclose(got, expected, atol=1e-5)
    index, score = net.topk(twin.dense(x()), 3, False)
    top3 = np.argsort(-np.where(scores == 0, -np.inf, scores), axis=1)[:, :3]
    np.testing.assert_array_equal(index, top3)
    np.testing.assert_array_equal(score, np.take_along_axis(scores, top3, axis=1))


@pytest.mark.parametrize("selector", ["winner_take_all", "lsh"])
def test_as_many_of_the_best_are_found_as_are_asked_for(selector: str) -> None:
    top = twin.layer(10, "linear", selector, 0.3, lsh=twin.lsh(candidates=2.0))
    net = _core.Network(N_INPUTS, [top], "softmax", twin.optimizer(), 0)
    net.build(twin.dense(x()), np.arange(len(x()), dtype=np.uint32), 1)
    W = twin.augmented(net)[0].astype(float)
    for k in (5, 10):  # 10 and 20 candidates: all there are
        index, score = net.topk(twin.dense(x()), k, False)
        z = np.column_stack([x(), np.ones(len(x()))]) @ W.T
        np.testing.assert_array_equal(index, np.argsort(-z, axis=1)[:, :k])
        np.testing.assert_allclose(score, -np.sort(-z, axis=1)[:, :k], atol=1e-5)


def test_topk_puts_the_lower_number_first_among_equals() -> None:
    net = _core.Network(1, [twin.layer(6)], "softmax", twin.optimizer(), 0)
    net.tensors()["layers.0.weight"][...] = 0
    net.tensors()["layers.0.bias"][...] = [1, 3, 2, 3, 1, 3]
    index, score = net.topk(twin.dense([[0.0]]), 6, False)
    assert index.tolist() == [[1, 3, 5, 2, 0, 4]]
    assert score.tolist() == [[3, 3, 3, 2, 1, 1]]
    for k in (0, 7):
        with pytest.raises(ValueError, match=rf"k must be in \[1, 6\], got {k}"):
            net.topk(twin.dense([[0.0]]), k, False)


def test_many_callers_may_predict_at_once() -> None:
    net, batch = network("lsh", activation="relu"), twin.dense(x())
    alone = net.scores(batch, False)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: net.scores(batch, False, 2), range(40)))
    assert all(np.array_equal(alone, scores) for scores in together)
    assert net.prediction_ledger()["examples"] == 41 * 8


@pytest.mark.parametrize("threads", [-1, 1025])
def test_a_number_of_threads_out_of_range_is_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=rf"threads must be in \[0, 1024\], got {threads}"):
        network("all").scores(twin.dense(x()), False, threads)


def test_zero_threads_means_all_of_them() -> None:
    net = network("all")
    assert _core.hardware_threads() >= 1
    np.testing.assert_array_equal(
        net.scores(twin.dense(x()), False, 0), net.scores(twin.dense(x()), False, 1)
    )


def test_hashed_layers_must_be_built_first() -> None:
    specs = [twin.layer(N, selector="lsh"), twin.layer(N_OUTPUTS)]
    net = _core.Network(N_INPUTS, specs, "softmax", twin.optimizer(), 0)
    assert not net.built
    for call in (
        lambda: net.scores(twin.dense(x()), False),
        lambda: twin.train(net, twin.dense(x()), y(), [0]),
    ):
        with pytest.raises(RuntimeError, match="not built yet"):
            call()


def test_inputs_must_have_as_many_columns_as_the_network() -> None:
    with pytest.raises(ValueError, match=r"X must have n_inputs = 20 columns, got 7"):
        network("all").scores(twin.dense(x()[:, :7]), False)


def test_the_last_layer_must_be_linear() -> None:
    with pytest.raises(
        ValueError, match=r"activation of the last layer must be 'linear'.*got 'relu'"
    ):
        _core.Network(3, [twin.layer(2, "relu")], "softmax", twin.optimizer(), 0)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5, np.nan])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\], got"):
        network("winner_take_all", fraction)


def test_batches_and_views_keep_what_they_look_into() -> None:
    net = network("all")
    batch, expected = twin.csr(x()), net.scores(twin.csr(x()), False)
    weight = net.tensors()["layers.0.weight"]
    copy = weight.copy()
    gc.collect()
    np.testing.assert_array_equal(net.scores(batch, False), expected)
    del net
    gc.collect()
    np.testing.assert_array_equal(weight, copy)
