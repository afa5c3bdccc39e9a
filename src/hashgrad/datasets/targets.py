"""What the y of a user's file means: which task, how many classes, which label is which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .dataset import Targets, Task

# Labels that are kept as they stand make an output layer of max + 1 neurons.
MAX_KEPT_LABEL = 1_000_000


class Meaning(NamedTuple):
    """Targets ready for a `Dataset`."""

    task: Task
    y_train: Targets
    y_test: Targets | None
    n_classes: int
    classes: npt.NDArray[Any] | None


def read_targets(
    source: str,
    y_train: Any,
    y_test: Any | None = None,
    *,
    task: Task | None = None,
    classes: Sequence[Any] | npt.NDArray[Any] | None = None,
) -> Meaning:
    """Turn targets as a file holds them into labels, indicators or float targets.

    Without `task`, a sparse, or a 2-D integer or Boolean y is multilabel; a 1-D y of whole numbers
    or of strings is a classification; everything else is a regression. Labels that are whole
    numbers from 0 up are kept as they stand, -1 and +1 become 0 and 1, and any other labels become
    their position among the sorted distinct labels of training and test rows.

    Args:
        source: what to call the data in messages.
        y_train: (n,) or (n, t) array, or sparse indicator.
        y_test: the same for the test rows, or None.
        task: says what y is where its form does not.
        classes: the label that each class index stands for, where a model has fixed it already;
            of a multilabel y, its length is the number of labels.

    Raises:
        ValueError: a label is missing, unknown, above a million or not a whole number where one is
            needed, or an indicator has a value besides 0 and 1.

    Example:
        >>> read_targets("toy", np.array([1.0, -1.0, 1.0])).y_train
        array([1, 0, 1], dtype=int32)
    """
    parts = [_tidy(y) for y in (y_train, y_test) if y is not None]
    task = task or _guess(parts)
    read: list[Any]
    n_classes, named = 0, None
    if task == "regression":
        read = [_floats(source, y) for y in parts]
    elif task == "multilabel":
        read, n_classes = _indicators(source, parts, classes)
    else:
        read, n_classes, named = _labels(source, parts, classes)
    return Meaning(task, read[0], read[1] if len(read) > 1 else None, n_classes, named)


def _tidy(y: Any) -> Any:
    """Make y a sparse matrix or an array; a single column becomes one dimension."""
    if sparse.issparse(y):
        return y
    array = np.asarray(y)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _is_whole(y: npt.NDArray[Any]) -> bool:
    if y.dtype.kind == "f":
        return bool(np.all((y == np.trunc(y)) & (np.abs(y) < 2**53)))
    return y.dtype.kind in "iub"


def _guess(parts: list[Any]) -> Task:
    first = parts[0]
    if sparse.issparse(first) or (first.ndim == 2 and first.dtype.kind in "iub"):
        return "multilabel"
    if first.ndim == 1 and all(y.dtype.kind in "US" or _is_whole(y) for y in parts):
        return "classification"
    return "regression"


def _refuse_missing(source: str, y: npt.NDArray[Any]) -> None:
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y.reshape(len(y), -1)).all(axis=1))[0])
        raise ValueError(f"{source}: every target must be finite, got {y[row]} in row {row}")


def _floats(source: str, y: Any) -> npt.NDArray[np.float32]:
    if sparse.issparse(y) or y.dtype.kind not in "iubf" or y.ndim > 2:
        raise ValueError(
            f"{source}: targets of a regression must be numbers in one or two dimensions, "
            f"got {y.dtype} of shape {y.shape}"
        )
    _refuse_missing(source, y)
    return np.ascontiguousarray(y, dtype=np.float32)


def _indicators(
    source: str, parts: list[Any], classes: Sequence[Any] | npt.NDArray[Any] | None
) -> tuple[list[Any], int]:
    width = max(int(y.shape[1]) if len(y.shape) == 2 else 0 for y in parts)
    if classes is not None:
        if width > len(classes):
            raise ValueError(f"{source}: y must have at most {len(classes)} labels, got {width}")
        width = len(classes)
    read = []
    for y in parts:
        if len(y.shape) != 2:
            raise ValueError(
                f"{source}: a multilabel y must be an indicator (rows, labels), got shape {y.shape}"
            )
        values = y.data if sparse.issparse(y) else y
        wrong = values[~np.isin(values, (0, 1))]
        if wrong.size:
            raise ValueError(
                f"{source}: a multilabel y must hold zeros and ones only, got {wrong[0]}"
            )
        indicator = sparse.csr_matrix(y, dtype=np.int8)
        indicator.eliminate_zeros()
        indicator.resize((indicator.shape[0], width))
        read.append(indicator)
    return read, width


def _labels(
    source: str, parts: list[Any], classes: Sequence[Any] | npt.NDArray[Any] | None
) -> tuple[list[npt.NDArray[np.int32]], int, npt.NDArray[Any] | None]:
    for y in parts:
        if sparse.issparse(y) or y.ndim != 1:
            raise ValueError(f"{source}: labels must have one dimension, got shape {y.shape}")
        _refuse_missing(source, y)
        if y.dtype.kind not in "US" and not _is_whole(y):
            row = next(row for row in range(len(y)) if not _is_whole(y[row : row + 1]))
            raise ValueError(
                f"{source}: labels must be whole numbers, got {y[row]} in row {row}; "
                "task='regression' takes any number"
            )
    if any(y.dtype.kind == "f" for y in parts):
        parts = [y.astype(np.int64) for y in parts]
    if classes is not None:
        named = np.asarray(classes)
        return [_position(source, y, named) for y in parts], len(named), named

    distinct = np.unique(np.concatenate(parts))
    if distinct.dtype.kind in "iub" and distinct.size and distinct[0] >= 0:
        if distinct[-1] >= MAX_KEPT_LABEL:
            raise ValueError(
                f"{source}: labels must be below {MAX_KEPT_LABEL:,}, got {distinct[-1]}; "
                "give classes=, the list of labels in use"
            )
        return [y.astype(np.int32) for y in parts], int(distinct[-1]) + 1, None
    if np.array_equal(np.union1d(distinct, [-1, 1]), [-1, 1]):
        distinct = np.array([-1, 1])  # also where a file holds one sign only
    return [_position(source, y, distinct) for y in parts], len(distinct), distinct


def _position(source: str, y: npt.NDArray[Any], classes: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    order = np.argsort(classes)
    place = np.minimum(np.searchsorted(classes, y, sorter=order), len(classes) - 1)
    position = order[place]
    wrong = np.flatnonzero(classes[position] != y)
    if wrong.size:
        raise ValueError(
            f"{source}: every label must be one of {classes.tolist()}, "
            f"got {y[wrong[0]]} in row {wrong[0]}"
        )
    return cast("npt.NDArray[np.int32]", position.astype(np.int32))
