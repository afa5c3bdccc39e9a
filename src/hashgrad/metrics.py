"""How good predictions are: accuracy; of ranked labels, precision, recall, nDCG; R squared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# What `evaluate` and records call scores, what people call them, and how to write each.
SCORES = {
    "accuracy": ("accuracy", "{:.2%}"),
    "precision_at_1": ("P@1", "{:.2%}"),
    "precision_at_3": ("P@3", "{:.2%}"),
    "precision_at_5": ("P@5", "{:.2%}"),
    "r2": ("R²", "{:.4f}"),
}


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
    return float(_hits(indptr, labels, ranked, k).mean())


def recall_at_k(
    indptr: NDArray[np.int64], labels: NDArray[np.int32], ranked: NDArray[Any], k: int
) -> float:
    """Share of the true labels among the k best-ranked, mean over rows that have labels: `R@k`.

    Where no row has any it is 0.

    Args:
        indptr: as in `precision_at_k`, like the rest.
        labels: the true labels.
        ranked: (n, at least k) predicted labels, best first.
        k: how many ranks count, at least 1.

    Raises:
        ValueError: fewer than k ranks.

    >>> import numpy as np
    >>> truth = np.array([0, 2, 3]), np.array([1, 4, 0], dtype=np.int32)
    >>> recall_at_k(*truth, np.array([[1, 2], [0, 4]]), k=1)
    0.75
    """
    found, sizes = _hits(indptr, labels, ranked, k).sum(axis=1), np.diff(indptr)
    some = sizes > 0
    return float(np.mean(found[some] / sizes[some])) if some.any() else 0.0


def ndcg_at_k(
    indptr: NDArray[np.int64], labels: NDArray[np.int32], ranked: NDArray[Any], k: int
) -> float:
    """Normalised discounted cumulative gain of the k best-ranked labels, mean over rows: `nDCG@k`.

    A true label at rank r (from 1) gains `1 / log2(1 + r)`; a row's gains are divided by those of
    its best possible ranking. A row without labels gains 0.

    Args:
        indptr: as in `precision_at_k`, like the rest.
        labels: the true labels.
        ranked: (n, at least k) predicted labels, best first.
        k: how many ranks count, at least 1.

    Raises:
        ValueError: fewer than k ranks.

    >>> import numpy as np
    >>> truth = np.array([0, 2, 3]), np.array([1, 4, 0], dtype=np.int32)
    >>> round(ndcg_at_k(*truth, np.array([[2, 1], [0, 4]]), k=2), 4)
    0.6934

    Source: Bhatia et al., the Extreme Classification Repository.
    """
    gains = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate(([0.0], np.cumsum(gains)))[np.minimum(np.diff(indptr), k)]
    found = _hits(indptr, labels, ranked, k) @ gains
    return float(np.mean(np.divide(found, best, out=np.zeros(len(ranked)), where=best > 0)))


def inverse_propensities(
    counts: ArrayLike, n_rows: int, a: float = 0.55, b: float = 1.5
) -> NDArray[np.float64]:
    """How much finding a label is worth, by how rare it is: `1 + C (N + b)**-a`.

    `C = (log(n_rows) - 1) (b + 1)**a`. True labels are missing from real data, and those of rare
    ones most often: dividing by the chance that one is there makes up for it.

    Args:
        counts: training rows of each label.
        n_rows: training rows, at least 3.
        a: 0.55; the Repository takes 0.5 for Wikipedia, 0.6 for Amazon.
        b: 1.5; the Repository takes 0.4 for Wikipedia, 2.6 for Amazon.

    Raises:
        ValueError: fewer than three rows.

    >>> inverse_propensities([0, 9, 900], 1000).round(2)
    array([8.82, 3.68, 1.23])

    Source: Jain, Prabhu and Varma (2016), "Extreme multi-label loss functions".
    """
    if n_rows < 3:
        raise ValueError(f"n_rows must be at least 3, got {n_rows}")
    scale = (np.log(n_rows) - 1) * (b + 1) ** a
    worth: NDArray[np.float64] = 1 + scale * (np.asarray(counts, np.float64) + b) ** -a
    return worth


def psp_at_k(
    indptr: NDArray[np.int64],
    labels: NDArray[np.int32],
    ranked: NDArray[Any],
    k: int,
    worth: NDArray[np.float64],
) -> float:
    """Propensity-scored precision of the k best-ranked labels: `PSP@k`, 1 for the best ranking.

    The worth of the true labels found, over that of the best k there were to find, all rows summed
    first.

    Args:
        indptr: as in `precision_at_k`, like the rest.
        labels: the true labels.
        ranked: (n, at least k) predicted labels, best first.
        k: how many ranks count, at least 1.
        worth: of each label; see `inverse_propensities`.

    Raises:
        ValueError: fewer than k ranks.

    >>> import numpy as np
    >>> truth = np.array([0, 2, 3]), np.array([1, 4, 0], dtype=np.int32)
    >>> worth = np.array([2.0, 1.0, 1.0, 1.0, 8.0])
    >>> psp_at_k(*truth, np.array([[1, 2], [0, 4]]), k=1, worth=worth)
    0.3

    Source: Jain, Prabhu and Varma (2016), "Extreme multi-label loss functions".
    """
    hits = _hits(indptr, labels, ranked, k)
    most = int(max(labels.max(initial=-1), ranked.max(initial=-1)))
    if np.ndim(worth) != 1 or len(worth) <= most:
        raise ValueError(
            f"worth must have a number for each label, more than {most}, got {np.shape(worth)}"
        )
    worth = np.asarray(worth)
    found = (worth[ranked[:, :k]] * hits).sum()
    rows = np.repeat(np.arange(len(ranked)), np.diff(indptr))
    order = np.lexsort((-worth[labels], rows))  # of each row, the most worthy first
    rank = np.arange(len(labels)) - np.asarray(indptr)[rows]
    best = worth[labels][order][rank < k].sum()
    return float(found / best) if best > 0 else 0.0


def _hits(
    indptr: NDArray[np.int64], labels: NDArray[np.int32], ranked: NDArray[Any], k: int
) -> NDArray[np.bool_]:
    """(n, k): whether each of the k best-ranked labels is true."""
    if ranked.ndim != 2 or len(ranked) != len(indptr) - 1:
        raise ValueError(
            f"ranked must have the shape ({len(indptr) - 1}, k), a row for each of indptr's, "
            f"got {ranked.shape}"
        )
    if not 1 <= k <= ranked.shape[1]:
        raise ValueError(f"k must be in [1, {ranked.shape[1]}], the ranks given, got {k}")
    rows = np.repeat(np.arange(len(ranked)), np.diff(indptr))
    width = 1 + max(int(labels.max(initial=0)), int(ranked.max(initial=0)))
    guesses = ranked[:, :k].astype(np.int64)
    keys = np.arange(len(ranked))[:, None] * width + guesses
    hits: NDArray[np.bool_] = np.isin(keys, rows * width + labels) & (guesses >= 0)
    return hits


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
