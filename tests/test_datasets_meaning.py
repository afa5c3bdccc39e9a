"""What targets mean, and what a `Dataset` holds together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from hashgrad.datasets import Dataset, load
from hashgrad.datasets.targets import read_targets

# Targets


@pytest.mark.parametrize(
    ("y", "encoded", "n_classes", "classes"),
    [
        ([0, 1, 2, 1], [0, 1, 2, 1], 3, None),
        ([1.0, 3.0], [1, 3], 4, None),
        ([True, False], [1, 0], 2, None),
        ([[1], [0]], [1, 0], 2, None),
        ([-1, 1, -1], [0, 1, 0], 2, [-1, 1]),
        ([-1, -1], [0, 0], 2, [-1, 1]),
        ([-5, 7, 7], [0, 1, 1], 2, [-5, 7]),
        (["dog", "cat"], [1, 0], 2, ["cat", "dog"]),
    ],
)
def test_labels_are_numbered(
    y: list[Any], encoded: list[int], n_classes: int, classes: list[Any] | None
):
    read = read_targets("toy", np.array(y))
    assert read.task == "classification"
    assert read.y_train.tolist() == encoded
    assert read.y_train.dtype == np.int32
    assert read.n_classes == n_classes
    assert (None if read.classes is None else read.classes.tolist()) == classes


def test_labels_of_the_test_rows_count_as_well():
    assert read_targets("toy", np.array([0, 1]), np.array([4])).n_classes == 5
    read = read_targets("toy", np.array(["b", "c"]), np.array(["a"]))
    assert (read.y_train.tolist(), read.y_test.tolist()) == ([1, 2], [0])


def test_given_classes_fix_the_numbering():
    read = read_targets("toy", np.array(["dog"]), classes=["dog", "cat", "bat"])
    assert read.y_train.tolist() == [0]
    assert read.n_classes == 3
    with pytest.raises(ValueError, match=r"one of \['dog', 'cat'\], got cow in row 1"):
        read_targets("toy", np.array(["cat", "cow"]), classes=["dog", "cat"])
    with pytest.raises(ValueError, match="at most 2 labels, got 3"):
        read_targets("toy", np.eye(3, dtype=int), classes=range(2))
    assert read_targets("toy", np.eye(3, dtype=int), classes=range(5)).y_train.shape == (3, 5)


@pytest.mark.parametrize("y", [[0.5, 1], [1e300, 0], [[0.0, 1.0]]])
def test_other_numbers_are_a_regression(y: list[Any]):
    with np.errstate(over="ignore"):
        read = read_targets("toy", np.array(y))
    assert read.task == "regression"
    assert read.y_train.dtype == np.float32
    assert read.n_classes == 0


@pytest.mark.parametrize("y", [np.eye(3, dtype=int), sparse.eye(3), np.eye(3) > 0])
def test_indicators_are_multilabel(y: Any):
    read = read_targets("toy", y)
    assert (read.task, read.n_classes) == ("multilabel", 3)
    assert read.y_train.format == "csr"
    assert read.y_train.toarray().tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        ([0, np.nan], None, "every target must be finite, got nan in row 1"),
        ([0.5, np.inf], "regression", "every target must be finite, got inf in row 1"),
        ([1, 2.5], "classification", "labels must be whole numbers, got 2.5 in row 1"),
        ([3, 1_000_000], None, "labels must be below 1,000,000, got 1000000"),
        ([[1, 2]], "multilabel", "must hold zeros and ones only, got 2"),
        ([1, 0], "multilabel", r"must be an indicator \(rows, labels\), got shape \(2,\)"),
        ([[1, 0]], "classification", r"labels must have one dimension, got shape \(1, 2\)"),
        (["a"], "regression", "targets of a regression must be numbers"),
    ],
)
def test_targets_that_do_not_fit_are_refused(y: list[Any], task: Any, message: str):
    with pytest.raises(ValueError, match=rf"toy: .*{message}"):
        read_targets("toy", np.array(y), task=task)


# Dataset

X = np.arange(20, dtype=np.float32).reshape(10, 2)
Y = np.arange(10) % 2


def toy(**fields: Any) -> Dataset:
    return Dataset(
        **{
            **{"name": "toy", "task": "classification", "x_train": X, "y_train": Y, "n_classes": 2},
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task": "classify"}, "task must be one of .* did you mean 'classification'"),
        ({"x_train": X.astype(np.float64)}, "x_train must be float32 .* got float64"),
        ({"x_train": X[:3]}, "equally many rows, got 3 and 10"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "at least one row"),
        ({"x_test": X}, "must come together, got x_test only"),
        ({"y_test": Y}, "must come together, got y_test only"),
        ({"x_test": X[:, :1], "y_test": Y}, "the 2 features of x_train, got 1"),
        ({"n_classes": 1}, r"y_train must lie in 0\.\.0, got 1"),
        ({"y_train": Y - 1}, r"y_train must lie in 0\.\.1, got -1"),
        ({"task": "multilabel"}, "must be a CSR indicator with 2 columns"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(fields: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        toy(**fields)


def test_a_data_set_says_what_it_is():
    assert repr(toy()) == (
        "Dataset('toy', classification, 10 training rows, no test rows, 2 features, 2 classes)"
    )
    many = toy(
        task="multilabel",
        x_train=sparse.csr_matrix(X),
        y_train=sparse.csr_matrix(np.eye(10, 5, dtype=np.int8)),
        x_test=sparse.csr_matrix(X[:1]),
        y_test=sparse.csr_matrix((1, 5), dtype=np.int8),
        n_classes=5,
    )
    assert repr(many) == (
        "Dataset('toy', multilabel, 10 training rows, 1 test row, 2 sparse features, 5 labels)"
    )


@pytest.mark.parametrize(("y", "n_outputs"), [(X[:, 0], 1), (X, 2)])
def test_a_regression_has_an_output_for_every_target(y: np.ndarray, n_outputs: int):
    assert toy(task="regression", y_train=y, n_classes=0).n_outputs == n_outputs


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_hold_out_splits_the_rows_by_the_seed(make: Any):
    data = toy(x_train=make(X)).hold_out(0.3, seed=1)
    assert (data.x_train.shape, data.x_test.shape) == ((7, 2), (3, 2))
    rows = [
        np.asarray(x.todense() if sparse.issparse(x) else x)[:, 0] // 2
        for x in (data.x_train, data.x_test)
    ]
    assert sorted(np.concatenate(rows)) == list(range(10))
    np.testing.assert_array_equal(data.y_test, Y[rows[1].astype(int)])
    again, other = (toy(x_train=make(X)).hold_out(0.3, seed) for seed in (1, 2))
    assert again.x_test.sum() == data.x_test.sum()
    assert other.x_test.sum() != data.x_test.sum()


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5, np.nan])
def test_hold_out_refuses_shares_outside_the_open_interval(share: float):
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\), got"):
        toy().hold_out(share)


def test_hold_out_needs_rows_to_spare():
    with pytest.raises(ValueError, match="must leave a training row, got 1 rows"):
        toy(x_train=X[:1], y_train=Y[:1]).hold_out(0.5)
    with pytest.raises(ValueError, match="needs a set without test rows"):
        toy(x_test=X, y_test=Y).hold_out(0.5)


def test_a_share_to_hold_out_can_be_given_to_load(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez(path, X=X, y=Y)
    data = load(path, test=0.2, seed=3, train_size=5)
    assert (data.x_train.shape, data.x_test.shape) == ((5, 2), (2, 2))
    np.testing.assert_array_equal(data.x_test, load(path, test=0.2, seed=3).x_test)
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\), got 1"):
        load(path, test=1)


def test_sizes_beyond_the_rows_are_refused(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez(path, X=X, y=Y)
    with pytest.raises(ValueError, match=r"train_size of .*a\.npz must be .* \[1, 10\], got 11"):
        load(path, train_size=11)
    with pytest.raises(ValueError, match=r"test_size does not apply: .*a\.npz has no such rows"):
        load(path, test_size=1)
    with pytest.raises(TypeError, match=r"train_size of .* must be an integer, got 2\.5"):
        load(path, train_size=2.5)
