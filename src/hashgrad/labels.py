"""What users pass as y and as weights, checked and turned into the core's targets.

Shapes: `n` rows, `o` outputs of the last layer.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .checks import Interval, one_of, shown
from .data import Floats, finite_rows, gather, is_sparse, numbers

_WEIGHT = Interval(0, closed="left")
Labels = NDArray[np.int64]
NO_LABELS: Labels = np.empty(0, np.int64)


@dataclass(frozen=True)
class Targets:
    """Checked answers of n rows: `values` (n, o) of a regression, or labels.

    Row i has the labels `labels[indptr[i]:indptr[i + 1]]`, or `labels[i]` alone where
    `indptr` is None.
    """

    n_rows: int
    n_outputs: int
    labels: NDArray[np.int32] | None = None
    indptr: NDArray[np.int64] | None = None
    values: Floats | None = None

    @functools.cached_property
    def targets(self) -> _core.Targets:
        """The answers as the core reads them: checked once more, not copied."""
        if self.values is not None:
            return _core.Targets.values(self.values)
        assert self.labels is not None
        return _core.Targets.labels(self.indptr, self.labels, self.n_outputs)

    def prior(self, loss: str) -> Floats:
        """The o output biases that are best where nothing is known of the inputs.

        Softmax: `log p` of each label; logistic: its log-odds; squared: the mean. Every label
        counts half a row more than it has, so that one without rows is not ruled out.

        >>> as_targets([0, 0, 0, 1], "softmax", 2).prior("softmax").round(2)
        array([-0.36, -1.2 ], dtype=float32)
        """
        if self.values is not None:
            return np.asarray(self.values.mean(axis=0), dtype=np.float32)
        assert self.labels is not None
        shares = None
        if loss == "softmax" and self.indptr is not None:  # a row's labels share its target
            sizes = np.diff(self.indptr)
            shares = np.repeat(1 / np.maximum(sizes, 1), sizes)
        counts = np.bincount(self.labels, weights=shares, minlength=self.n_outputs) + 0.5
        p = counts / (counts.sum() if loss == "softmax" else self.n_rows + 1)
        return np.asarray(np.log(p if loss == "softmax" else p / (1 - p)), dtype=np.float32)

    def chances(self, n_rows: int) -> Floats:
        """The o chances that one of so many rows has the label, by the labels' frequencies.

        A label that no row has counts as one that half a row has.

        >>> as_targets([0, 0, 0, 1], "softmax", 3).chances(2).round(2)
        array([0.94, 0.44, 0.23], dtype=float32)
        """
        assert self.labels is not None
        counts = np.bincount(self.labels, minlength=self.n_outputs)
        shares = np.minimum(1, np.maximum(counts, 0.5) / self.n_rows)
        return np.asarray(1 - (1 - shares) ** n_rows, dtype=np.float32)

    def without(self, retired: Labels, name: str = "y") -> Targets:
        """The same for the outputs that are left when labels are retired: labels become outputs.

        Args:
            retired: labels, ascending; rows with several labels lose those.
            name: what messages call the targets.

        Raises:
            ValueError: a row's one label is retired.

        >>> as_targets([[0, 2], [1, 3]], "logistic", 4).without(np.array([1])).labels
        array([0, 1, 2], dtype=int32)
        """
        if not retired.size:
            return self
        assert self.labels is not None
        left = ~np.isin(self.labels, retired)
        if self.indptr is None and not left.all():
            row = int(np.flatnonzero(~left)[0])
            raise ValueError(
                f"{name} must not hold retired labels, got {self.labels[row]} in row {row}"
            )
        labels = self.labels[left]
        labels -= np.searchsorted(retired, labels).astype(np.int32)
        indptr = self.indptr
        if indptr is not None:
            indptr = np.concatenate(([0], np.cumsum(left)))[indptr]
        return Targets(self.n_rows, self.n_outputs - len(retired), labels=labels, indptr=indptr)

    def take(self, rows: NDArray[Any]) -> Targets:
        """A copy of some rows, in the given order."""
        if self.values is not None:
            return Targets(len(rows), self.n_outputs, values=self.values[rows])
        assert self.labels is not None
        if self.indptr is None:
            return Targets(len(rows), self.n_outputs, labels=self.labels[rows])
        starts, picked = gather(self.indptr, rows)
        return Targets(len(rows), self.n_outputs, labels=self.labels[picked], indptr=starts)


def prior_of_unseen(loss: str, n_rows: int, n_outputs: int) -> float:
    """The prior (see `Targets.prior`) of a label that none of the rows has.

    >>> y = as_targets([0, 0, 0, 1], "softmax", 3)
    >>> bool(np.isclose(prior_of_unseen("softmax", 4, 3), y.prior("softmax")[2]))
    True
    """
    p = 0.5 / (n_rows + (0.5 * n_outputs if loss == "softmax" else 1))
    return math.log(p if loss == "softmax" else p / (1 - p))


def as_targets(
    y: Any,
    loss: str,
    n_outputs: int,
    n_rows: int | None = None,
    name: str = "y",
    retired: Labels = NO_LABELS,
) -> Targets:
    """Check a user's y for a loss and convert it.

    Args:
        y: softmax: n integers in [0, o), or several labels a row, among which the target is shared
            out evenly: a SciPy sparse indicator matrix (n, o) or a list of n lists. Logistic: an
            indicator matrix (n, o) of 0 and 1, dense or SciPy sparse, or a list of n lists of
            labels; for one output also n values 0 or 1. Squared: n floats for one output, else
            (n, o).
        loss: `"softmax"`, `"logistic"` or `"squared"`.
        n_outputs: o, the size of the last layer, retired labels counted.
        n_rows: the number of rows X has.
        name: its name in messages.
        retired: labels without an output, ascending.

    Returns:
        The targets of the outputs that are not retired; see `Targets.without`.

    Raises:
        TypeError: it does not hold numbers, or labels that are not integers.
        ValueError: wrong shape or length, missing or infinite values, labels out of range; the
            message names the row.

    >>> as_targets([0, 3], "softmax", n_outputs=3)
    Traceback (most recent call last):
    ValueError: y must hold labels from 0 to 2 (the last layer has 3 outputs), got 3 in row 1
    """
    if loss == "squared":
        answers = _values(y, n_outputs, name)
    elif loss == "softmax" and not is_sparse(y) and not _is_list_of_lists(y):
        answers = _classes(y, n_outputs, name)
    else:
        answers = _label_sets(y, n_outputs, name, loss)
    if answers.n_rows == 0:
        raise ValueError(f"{name} must have at least one row, got none")
    if n_rows is not None and answers.n_rows != n_rows:
        raise ValueError(
            f"{name} must have as many rows as X, got {answers.n_rows} and {n_rows} in X"
        )
    return answers.without(retired, name)


def _values(y: Any, n_outputs: int, name: str) -> Targets:
    if is_sparse(y):
        raise TypeError(f"{name} must be a dense array for the squared loss, got a sparse matrix")
    array = numbers(y, name)
    if array.ndim == 1 and n_outputs == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != n_outputs:
        rule = "(n,) or (n, 1)" if n_outputs == 1 else f"(n, {n_outputs})"
        raise ValueError(f"{name} must have the shape {rule}, got {array.shape}")
    return Targets(len(array), n_outputs, values=finite_rows(array, name))


def _classes(y: Any, n_outputs: int, name: str) -> Targets:
    array = numbers(y, name)
    if array.ndim != 1:
        hint = "; use y.ravel()" if array.shape[1:] == (1,) else ""
        raise ValueError(f"{name} must have the shape (n,), got {array.shape}{hint}")
    return Targets(len(array), n_outputs, labels=_checked_labels(array, None, n_outputs, name))


def _checked_labels(
    labels: NDArray[Any], indptr: NDArray[np.int64] | None, n_outputs: int, name: str
) -> NDArray[np.int32]:
    """Labels as int32; every one must be an integer in [0, n_outputs)."""

    def row(where: int) -> int:
        return where if indptr is None else int(np.searchsorted(indptr, where, "right")) - 1

    if labels.dtype.kind == "f":
        missing = np.flatnonzero(~np.isfinite(labels))
        if missing.size:
            raise ValueError(
                f"{name} must not have missing labels, got {labels[missing[0]]} in row "
                f"{row(int(missing[0]))}"
            )
        broken = np.flatnonzero(labels != np.floor(labels))
        if broken.size:
            raise ValueError(
                f"{name} must hold whole numbers as labels, got {labels[broken[0]]} in row "
                f"{row(int(broken[0]))}"
            )
    outside = np.flatnonzero((labels < 0) | (labels >= n_outputs))
    if outside.size:
        raise ValueError(
            f"{name} must hold labels from 0 to {n_outputs - 1} (the last layer has {n_outputs} "
            f"outputs), got {int(labels[outside[0]])} in row {row(int(outside[0]))}"
        )
    return np.ascontiguousarray(labels, dtype=np.int32)


def _label_sets(y: Any, n_outputs: int, name: str, loss: str) -> Targets:
    """Labels of a multi-label y as CSR: sorted and without repeats in each row."""
    if not is_sparse(y) and _is_list_of_lists(y):
        if loss == "softmax":
            _refuse_one_hot(y, n_outputs, name)
        return _from_lists(y, n_outputs, name)
    if not is_sparse(y):
        array = numbers(y, name)
        array = array[:, None] if array.ndim == 1 and n_outputs == 1 else array
        y, shape, entries = array, array.shape, array
    else:
        y = y.tocsr(copy=True)
        y.sum_duplicates()
        shape, entries = y.shape, y.data
    if len(shape) != 2 or shape[1] != n_outputs:
        raise ValueError(
            f"{name} must be an indicator matrix (n, {n_outputs}) or a list of lists of labels, "
            f"got shape {shape}"
        )
    strange = np.argwhere((entries != 0) & (entries != 1))
    if strange.size:
        where = tuple(int(i) for i in strange[0])
        row = where[0] if len(where) == 2 else int(np.searchsorted(y.indptr, where[0], "right")) - 1
        raise ValueError(f"{name} must hold only 0 and 1, got {entries[where]} in row {row}")
    if is_sparse(y):
        y.eliminate_zeros()
        indptr, labels = y.indptr.astype(np.int64), y.indices.astype(np.int32)
    else:
        rows, labels = (part.astype(np.int32) for part in np.nonzero(y))
        indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=shape[0]))))
    return Targets(shape[0], n_outputs, labels=labels, indptr=indptr.astype(np.int64))


def _refuse_one_hot(y: Any, n_outputs: int, name: str) -> None:
    for row, labels in enumerate(y):
        if len(set(labels)) < len(labels) or len(labels) >= max(2, n_outputs):
            raise ValueError(
                f"{name} must list the labels of each row, some and none twice (a one-hot matrix "
                f"must be sparse), got {shown(labels)} in row {row}"
            )


def _is_list_of_lists(y: Any) -> bool:
    if isinstance(y, np.ndarray):
        return y.dtype == object and y.ndim == 1
    return isinstance(y, (list, tuple)) and all(
        isinstance(row, (list, tuple, set, frozenset)) or getattr(row, "ndim", 0) == 1 for row in y
    )


def _from_lists(y: Any, n_outputs: int, name: str) -> Targets:
    sets = []
    for row, labels in enumerate(y):
        try:
            array = np.asarray(sorted(set(labels)))
        except TypeError:
            raise TypeError(
                f"{name} must be a list of lists of labels, got {shown(labels)} in row {row}"
            ) from None
        if array.size and array.dtype.kind not in "iufb":
            raise TypeError(f"{name} must hold integer labels, got {shown(labels)} in row {row}")
        sets.append(array)
    indptr = np.concatenate(([0], np.cumsum([len(labels) for labels in sets]))).astype(np.int64)
    joined = np.concatenate(sets) if sets else np.empty(0)
    labels = _checked_labels(joined, indptr, n_outputs, name)
    return Targets(len(sets), n_outputs, labels=labels, indptr=indptr)


def as_row_weights(sample_weight: Any, n_rows: int) -> Floats | None:
    """Check weights of examples: n finite numbers, none negative, not all zero.

    Raises:
        TypeError: they are not numbers.
        ValueError: wrong shape, or a value that is negative or not finite, naming the row.

    >>> as_row_weights([1.0, -1.0], 2)
    Traceback (most recent call last):
    ValueError: sample_weight must be >= 0, got -1 in row 1
    """
    if sample_weight is None:
        return None
    array = numbers(sample_weight, "sample_weight")
    if array.shape != (n_rows,):
        raise ValueError(f"sample_weight must have the shape ({n_rows},), got {array.shape}")
    weights = finite_rows(array[:, None], "sample_weight")[:, 0]
    negative = np.flatnonzero(weights < 0)
    if negative.size:
        raise ValueError(
            f"sample_weight must be >= 0, got {weights[negative[0]]:g} in row {int(negative[0])}"
        )
    if not weights.any():
        raise ValueError("sample_weight must not be zero in every row")
    return np.ascontiguousarray(weights)


def as_class_weights(
    class_weight: Any, answers: Targets, loss: str, retired: Labels = NO_LABELS
) -> Floats | None:
    """Check weights of classes: None, `"balanced"`, a dict label -> weight, or o numbers.

    `"balanced"` weighs class c by `n / (classes present * rows of c)`, as scikit-learn does;
    classes without rows and labels missing from a dict weigh 1. The result is of the outputs that
    are left without the `retired` labels, which a dict or the o numbers may still name.

    Raises:
        TypeError: something else.
        ValueError: a squared loss, an unknown word or label, a wrong length, a weight that is
            negative or not finite.

    >>> as_class_weights({5: 2.0}, as_targets([0, 1], "softmax", 3), "softmax")
    Traceback (most recent call last):
    ValueError: class_weight must have labels from 0 to 2, got 5
    """
    if class_weight is None:
        return None
    if loss == "squared" or answers.labels is None:
        raise ValueError("class_weight must be None with the squared loss, which has no classes")
    n_outputs = answers.n_outputs + len(retired)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise one_of("class_weight", class_weight, ["balanced"])
        counts = np.bincount(answers.labels, minlength=answers.n_outputs)
        present = max(1, int(np.count_nonzero(counts)))
        weights = np.where(counts > 0, counts.sum() / (present * np.maximum(counts, 1)), 1.0)
        return weights.astype(np.float32)
    if isinstance(class_weight, dict):
        weights = np.ones(n_outputs)
        for label, weight in class_weight.items():
            if label not in range(n_outputs):
                raise ValueError(
                    f"class_weight must have labels from 0 to {n_outputs - 1}, got {shown(label)}"
                )
            weights[int(label)] = _WEIGHT.check(f"class_weight[{label}]", weight)
        return np.delete(weights, retired).astype(np.float32)
    array = numbers(class_weight, "class_weight")
    if array.shape != (n_outputs,):
        raise ValueError(f"class_weight must have the shape ({n_outputs},), got {array.shape}")
    for label, weight in enumerate(array.tolist()):
        _WEIGHT.check(f"class_weight[{label}]", weight)
    return np.delete(array, retired).astype(np.float32)
