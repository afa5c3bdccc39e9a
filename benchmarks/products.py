"""A made-up catalogue in the shape of Amazon-670K: rows of words, and the products that they mean.

Every label likes `LIKED` features. Labels come in clusters of `twins`, which share `SHARED` of
these; where `twins` is 1, all are the label's own. A row has a main label, drawn by a Zipf law,
and some others: of the main label's cluster (`KIN`), or drawn like it. Its features are many that
the main label likes, some that the others do, and noise from a Zipf law over all features; their
values say how often they were drawn, in rows of length 1. So with twins the cluster is easy to
tell, and few features tell which of its labels are meant; without, nothing is like anything. Of
the training rows' labels the most frequent is in 3 % (clustered) or 7 % of the rows, and 14 % or
23 % of all labels are in none: frequent ones are more so than in Amazon's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

FEATURES, LABELS, ROWS, TEST_ROWS = 135_909, 670_091, 490_000, 10_000
TWINS = {"clustered": 8, "independent": 1}  # labels in a cluster
LIKED, SHARED = 40, 24
KIN = 0.75
OTHERS = {"clustered": (8, 0.65), "independent": (6, 0.7)}  # a row's others: binomial
FROM_OTHERS = {"clustered": 58, "independent": 38}  # features drawn for a row
FROM_MAIN, NOISE = 32, 10
EXPONENT = 0.8  # of the labels' law; flatter ones leave most labels too few rows to learn from
CHUNK = 20_000


@dataclass(frozen=True)
class Products:
    """CSR rows and indicators of their labels."""

    x: Any
    y: Any
    x_test: Any
    y_test: Any


def make(
    variant: str = "clustered",
    n_labels: int = LABELS,
    n_rows: int = ROWS,
    n_test: int = TEST_ROWS,
    seed: int = 0,
    n_features: int = FEATURES,
) -> Products:
    """Rows to train on and rows to judge by, all from a seed."""
    world = World(variant, n_labels, n_features, np.random.default_rng([seed, 0]))
    x, y = world.rows(n_rows, np.random.default_rng([seed, 1]))
    x_test, y_test = world.rows(n_test, np.random.default_rng([seed, 2]))
    return Products(x, y, x_test, y_test)


class World:
    """What labels like, and how often they are meant."""

    def __init__(self, variant: str, n_labels: int, n_features: int, random: Any) -> None:
        self.n_labels, self.n_features, self.twins = n_labels, n_features, TWINS[variant]
        self.others = OTHERS[variant]
        self.from_others = FROM_OTHERS[variant]
        self.shared = SHARED if self.twins > 1 else 0
        clusters = -(-n_labels // self.twins)
        self.cluster_likes = random.integers(0, n_features, (clusters, self.shared), dtype=np.int32)
        self.label_likes = random.integers(
            0, n_features, (n_labels, LIKED - self.shared), dtype=np.int32
        )
        self.by_rank = random.permutation(n_labels).astype(np.int32)
        self.label_law = law(n_labels, EXPONENT)
        self.feature_law = law(n_features, 1.0)

    def rows(self, n: int, random: Any) -> tuple[Any, Any]:
        """So many rows, and their labels."""
        parts = list(self._parts(n, random))
        return sparse.vstack([x for x, _ in parts]).tocsr(), sparse.vstack(
            [y for _, y in parts]
        ).tocsr()

    def _parts(self, n: int, random: Any) -> Iterator[tuple[Any, Any]]:
        for at in range(0, n, CHUNK):
            m = min(CHUNK, n - at)
            labels, others = self._labels(m, random), random.binomial(*self.others, m)[:, None]
            features = self._features(labels, others, random)
            x = counted(features, np.ones(features.shape, bool), self.n_features)
            norms = np.sqrt(np.add.reduceat(x.data**2, x.indptr[:-1]))
            x.data /= np.repeat(norms, np.diff(x.indptr))
            y = counted(labels, np.arange(labels.shape[1]) <= others, self.n_labels)
            y.data[:] = 1
            yield x, y

    def _labels(self, m: int, random: Any) -> Any:
        shape = (m, self.others[0])
        main = self.by_rank[drawn(self.label_law, (m, 1), random)]
        kin = main // self.twins * self.twins + random.integers(0, self.twins, shape)
        far = self.by_rank[drawn(self.label_law, shape, random)]
        near = (random.random(shape) < KIN) & (self.twins > 1)
        others = np.where(near, np.minimum(kin, self.n_labels - 1), far)
        return np.concatenate([main, others], axis=1)

    def _features(self, labels: Any, others: Any, random: Any) -> Any:
        m = len(labels)
        some = random.random((m, LIKED)).argpartition(FROM_MAIN, axis=1)[:, :FROM_MAIN]
        mains = self._likes(np.repeat(labels[:, :1], FROM_MAIN, axis=1), some)
        which = np.ceil(random.random((m, self.from_others)) * others).astype(int)
        some = random.integers(0, LIKED, which.shape)
        others = self._likes(np.take_along_axis(labels, which, 1), some)
        noise = drawn(self.feature_law, (m, NOISE), random)
        return np.concatenate([mains, others, noise], axis=1)

    def _likes(self, labels: Any, number: Any) -> Any:
        own = self.label_likes[labels, np.maximum(number - self.shared, 0)]
        if not self.shared:
            return own
        shared = self.cluster_likes[labels // self.twins, np.minimum(number, self.shared - 1)]
        return np.where(number < self.shared, shared, own)


def law(n: int, exponent: float) -> Any:
    """The distribution function of a Zipf law."""
    weights = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    return np.cumsum(weights) / weights.sum()


def drawn(distribution: Any, shape: tuple[int, int], random: Any) -> Any:
    """Numbers with that distribution."""
    found = np.searchsorted(distribution, random.random(shape), side="right")
    return np.minimum(found, len(distribution) - 1)


def counted(columns: Any, there: Any, n_columns: int) -> Any:
    """How often each column is named in each row, as a CSR matrix."""
    indptr = np.zeros(len(columns) + 1, np.int64)
    np.cumsum(there.sum(1), out=indptr[1:])
    indices = columns[there].astype(np.int32)
    found = sparse.csr_matrix(
        (np.ones(len(indices), np.float32), indices, indptr), shape=(len(columns), n_columns)
    )
    found.sum_duplicates()
    return found
