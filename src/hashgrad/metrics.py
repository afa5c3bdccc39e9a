"""How good predictions are: accuracy, precision at k, and R squared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def accuracy(y: ArrayLike, predicted: ArrayLike) -> float:
    """Share of rows whose predicted label is the true one.

    Args:
        y: n true labels.
        predicted: n predicted labels.

    Raises:
        ValueError: different lengths, or no rows.

    >>> accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """
    true, guess = _same_shape(y, predicted)
    return float(np.mean(true == guess))


def precision_at_k(
    indptr: NDArray[np.int64], labels: NDArray[np.int32], ranked: NDArray[Any], k: int
) -> float:
    """Share of the k best-ranked labels that are true, mean over rows: `P@k`.

    A row with fewer than k true labels cannot reach 1; a rank without a label (-1) counts as
    wrong.

    Args:
        indptr: n + 1 row starts of `labels`.
        labels: the true labels of row i are `labels[indptr[i]:indptr[i + 1]]`.
        ranked: (n, at least k) predicted labels, best first.
        k: how many ranks count, at least 1.

    Raises:
        ValueError: fewer than k ranks.

    >>> import numpy as np
    >>> truth = np.array([0, 2, 3]), np.array([1, 4, 0], dtype=np.int32)
    >>> precision_at_k(*truth, np.array([[1, 2], [0, 4]]), k=1)
    1.0
    >>> precision_at_k(*truth, np.array([[1, 2], [0, 4]]), k=2)
    0.5

    Source: Bhatia et al., the Extreme Classification Repository.
    """
    if not 1 <= k <= ranked.shape[1]:
        raise ValueError(f"k must be in [1, {ranked.shape[1]}], the ranks given, got {k}")
    rows = np.repeat(np.arange(len(ranked)), np.diff(indptr))
    width = 1 + max(int(labels.max(initial=0)), int(ranked.max(initial=0)))
    guesses = ranked[:, :k].astype(np.int64)
    keys = np.arange(len(ranked))[:, None] * width + guesses
    hits = np.isin(keys, rows * width + labels) & (guesses >= 0)
    return float(hits.mean())


def r2(y: ArrayLike, predicted: ArrayLike) -> float:
    """Coefficient of determination, `1 - sum (y - p)**2 / sum (y - mean y)**2`.

    With several outputs, their mean. A constant output scores 1 if met exactly, else 0.

    Args:
        y: (n,) or (n, o) true values.
        predicted: the same shape.

    Raises:
        ValueError: different shapes, or no rows.

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    true, guess = (a.astype(np.float64) for a in _same_shape(y, predicted))
    residual = np.sum((true - guess) ** 2, axis=0)
    total = np.sum((true - true.mean(axis=0)) ** 2, axis=0)
    constant = np.where(residual == 0, 1.0, 0.0)
    return float(
        np.mean(np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), constant))
    )


def _same_shape(y: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    true, guess = np.asarray(y), np.asarray(predicted)
    if true.shape != guess.shape or true.size == 0:
        raise ValueError(
            f"y and predicted must have the same shape and at least one row, "
            f"got {true.shape} and {guess.shape}"
        )
    return true, guess
