"""Losses at their edges: huge scores, several labels or none, and numbers that are no numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

N_INPUTS, N_OUTPUTS = 6, 4


def linear(loss: str, logits: list[float] | None = None) -> Any:
    """One linear layer; given logits, it gives exactly these for the input of all zeros."""
    net = _core.Network(N_INPUTS, [twin.layer(N_OUTPUTS)], loss, twin.optimizer(), 0)
    if logits is not None:
        net.tensors()["layers.0.bias"][...] = logits
    return net


def loss_at(loss: str, logits: list[float], y: Any) -> tuple[float, np.ndarray]:
    """The loss of these logits, and its derivative by each."""
    net = linear(loss, logits)
    x, wanted = twin.dense(np.zeros((1, N_INPUTS))), twin.targets(loss, [y], N_OUTPUTS)
    delta = _core.trace(net, x, wanted, 0)[-1]["delta"]
    return twin.train(net, x, wanted, [0], 0.0).loss_sum, delta


@pytest.mark.parametrize(
    ("logits", "y"),
    [
        ([1e4, 0, -1e4, 5], [0]),
        ([1e4, 0, -1e4, 5], [2]),
        ([-1e4, -1e4, -1e4, -1e4], [3]),  # a maximum that started at zero would divide by zero
        ([3e38, -3e38, 0, 0], [0]),
        ([200, 199, 198, 0], [1, 2]),
        ([0.5, -1, 2, 0], [0, 1, 2, 3]),
    ],
)
def test_softmax_is_stable_and_shares_the_target_among_labels(logits: Any, y: Any) -> None:
    value, delta = loss_at("softmax", logits, y)
    z = np.array(logits, np.float32).astype(float)
    expected = twin.loss_and_delta("softmax", z, np.arange(N_OUTPUTS), y)
    assert value == pytest.approx(expected[0], rel=1e-5, abs=1e-6 * max(1, np.abs(z).max()))
    np.testing.assert_allclose(delta, expected[1], atol=1e-6)
    assert delta.sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("logits", [[1e4, -1e4, 100, -100], [1e30, -1e30, 0, -0.0]])
@pytest.mark.parametrize("y", [[], [0], [1, 3], [0, 1, 2, 3]])
def test_logistic_is_stable(logits: Any, y: Any) -> None:
    value, delta = loss_at("logistic", logits, y)
    z = np.array(logits, np.float32).astype(float)
    expected = twin.loss_and_delta("logistic", z, np.arange(N_OUTPUTS), y)
    assert value == pytest.approx(expected[0], rel=1e-5, abs=1e-6 * np.abs(z).max())
    np.testing.assert_allclose(delta, expected[1], atol=1e-6)


def test_squared_error_counts_outputs_that_were_not_selected_as_zero() -> None:
    top = twin.layer(N_OUTPUTS, "linear", "winner_take_all", 0.5)
    net = _core.Network(N_INPUTS, [top], "squared", twin.optimizer(), 0)
    net.tensors()["layers.0.bias"][...] = [1, 5, -2, 3]
    y = twin.targets("squared", [[1, 2, 3, 4]], N_OUTPUTS)
    result = twin.train(net, twin.dense(np.zeros((1, N_INPUTS))), y, [0], 0.0)
    assert result.loss_sum == pytest.approx(0.5 * (1 + 9 + 9 + 1))  # outputs 1 and 3 are kept


def test_a_row_without_labels_teaches_softmax_nothing() -> None:
    value, delta = loss_at("softmax", [1.0, 2, 3, 4], [])
    assert value == 0
    assert not delta.any()


def overflowing(loss: str) -> tuple[Any, Any]:
    """Six rows, the fourth of which is finite but too large for the weights it meets."""
    x = np.random.default_rng(0).normal(size=(6, N_INPUTS))
    x[3] = 3e38
    y = np.ones((6, N_OUTPUTS)) if loss == "squared" else [[1]] * 6
    return twin.dense(x), twin.targets(loss, y, N_OUTPUTS)


@pytest.mark.parametrize("loss", ["softmax", "logistic", "squared"])
def test_a_loss_that_is_no_number_stops_training_and_names_its_row(loss: str) -> None:
    x, y = overflowing(loss)
    net = linear(loss)
    net.tensors()["layers.0.weight"][...] *= 10
    result = twin.train(net, x, y, [5, 4, 3, 2, 1], 0.01)
    assert (result.bad_row, result.examples) == (3, 2)
    assert np.isfinite(result.loss_sum)
    assert np.isfinite(twin.augmented(net)[0]).all()
    assert net.step == 2


def test_a_bad_batch_changes_nothing() -> None:
    x, y = overflowing("softmax")
    net = linear("softmax")
    net.tensors()["layers.0.weight"][...] *= 10
    before = twin.augmented(net)[0]
    result = twin.train(net, x, y, [5, 4, 3, 2], 0.01, batch_size=4)
    assert (result.bad_row, result.examples) == (3, 0)
    np.testing.assert_array_equal(twin.augmented(net)[0], before)


@pytest.mark.parametrize("selector", ["all", "winner_take_all", "lsh"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "linear"])
@pytest.mark.parametrize("bad", [[np.nan, 0], [-np.nan, 0], [np.inf, -np.inf]])
def test_a_hidden_activation_that_is_no_number_is_never_overlooked(
    bad: list[float], activation: str, selector: str
) -> None:
    # What x86 makes of infinity minus infinity is a NaN whose sign bit is set.
    hashing = twin.lsh(candidates=100.0)
    hidden = twin.layer(20, activation, selector, 0.2, lsh=hashing)
    net = _core.Network(2, [hidden, twin.layer(3)], "softmax", twin.optimizer(), 0)
    x = twin.dense([[10.0, 10.0]])
    net.build(x, twin.rows(0))
    net.tensors()["layers.0.weight"][7] = bad
    result = twin.train(net, x, twin.labels([[1]], 3), [0])
    assert (result.bad_row, result.examples) == (0, 0)


def test_one_bad_row_stops_all_threads() -> None:
    x, y = overflowing("softmax")
    net = linear("softmax")
    net.tensors()["layers.0.weight"][...] *= 10
    result = twin.train(net, x, y, [0, 1, 2, 4, 5] * 40 + [3] + [0, 1, 2] * 100_000, threads=4)
    assert result.bad_row == 3
    assert 197 <= result.examples < 300_200


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_inputs_and_values_must_be_finite(bad: float) -> None:
    x = np.ones((4, 3))
    x[2, 1] = bad
    for make in (twin.dense, twin.csr):
        with pytest.raises(ValueError, match=r"X: row 2: values must be finite, got -?(nan|inf)"):
            make(x)
    with pytest.raises(ValueError, match=r"y: row 2: values must be finite, got -?(nan|inf)"):
        _core.Targets.values(x.astype(np.float32))


CSR = {"indptr": [0, 1, 3], "indices": [0, 1, 2], "n_columns": 4}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"indices": [0, 1, 4]}, r"X: row 1: column must be in \[0, 4\), got 4"),
        ({"indices": [-1, 1, 2]}, r"X: row 0: column must be in \[0, 4\), got -1"),
        ({"indices": [0, 2, 2]}, r"X: row 1: columns must be sorted and unique, got 2 before 2"),
        ({"indices": [0, 2, 1]}, r"X: row 1: columns must be sorted and unique, got 2 before 1"),
        ({"indptr": [0, 2, 1]}, r"X: row 1: indptr must rise"),
        ({"indptr": [0, 1, 9]}, r"X: row 1: indptr must rise"),
        ({"indptr": [-1, 1, 3]}, r"X: row 0: indptr must rise"),
        ({"indptr": []}, r"indptr must hold n_rows \+ 1 offsets"),
        ({"indices": [0, 1]}, r"indices and values must be equally long, got 2 and 3"),
    ],
)
def test_csr_arrays_are_checked_on_entry(change: dict[str, Any], rule: str) -> None:
    given = {**CSR, **change}
    indptr, indices = np.array(given["indptr"], np.int64), np.array(given["indices"], np.int32)
    with pytest.raises(ValueError, match=rule):
        _core.Batch.csr(indptr, indices, np.ones(3, np.float32), given["n_columns"])


def test_labels_out_of_range_are_refused_with_their_row() -> None:
    for label in (-1, 4):
        with pytest.raises(ValueError, match=rf"y: row 1: label must be in \[0, 4\), got {label}"):
            twin.labels([[0], [3, label]], 4)


def test_targets_must_fit_loss_rows_and_outputs() -> None:
    net, x = linear("softmax"), twin.dense(np.zeros((3, N_INPUTS)))
    for y, rule in (
        (twin.labels([[0]] * 2, N_OUTPUTS), "equally many rows, got 3 and 2"),
        (twin.labels([[0]] * 3, 9), "n_outputs = 4 outputs, got 9"),
        (_core.Targets.values(np.zeros((3, 4), np.float32)), "values for the squared loss"),
    ):
        with pytest.raises(ValueError, match=rule):
            twin.train(net, x, y, [0])
    with pytest.raises(ValueError, match=r"order must name rows in \[0, 3\), got 3"):
        twin.train(net, x, twin.labels([[0]] * 3, N_OUTPUTS), [3])
