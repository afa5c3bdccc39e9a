"""How few neurons will do: the exact selection, tried on all layers together.

The exact best `k` of each hidden layer are kept, computed by NumPy. From the dense network on, one
layer's share after the other is lowered, always the one whose multiplications cost the fewest
answers: the path of these steps is the trade between accuracy and work, before any hashing.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dense_weights import DenseWeights, Floats, activate

Kept = tuple[int, ...]  # neurons of each hidden layer

SHARES = (
    1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09, 0.0625, 0.045, 0.03, 0.022, 0.015, 0.01, 0.007,
    0.005,
)  # fmt: skip
RANK = 32  # dimensions of a hash, as `hashgrad.LSH` has them
CANDIDATES = 1.5
_REMEMBERED = 3  # pre-activations of a layer, for as many choices below it


@dataclass(frozen=True)
class Step:
    """A place on the path: what is kept, and how the answers fare.

    Attributes:
        kept: neurons of each hidden layer.
        drop: points of accuracy lost against the dense network; below 0, gained.
        error: its standard error, in points.
    """

    kept: Kept
    drop: float
    error: float

    def within(self, max_drop: float) -> bool:
        """Whether the drop stays within the bound, its standard error included.

        >>> Step((10,), 0.3, 0.1).within(0.5), Step((10,), 0.45, 0.1).within(0.5)
        (True, False)
        """
        return self.drop + self.error <= max_drop


def compared(dense: NDArray[np.bool_], sparse: NDArray[np.bool_]) -> tuple[float, float]:
    """Points lost between two sets of answers to the same rows, and their standard error.

    The error counts one row more than were seen to differ: few rows say little even if none does.

    Args:
        dense: which rows the one answers rightly.
        sparse: which rows the other does.

    >>> drop, error = compared(np.array([True] * 4), np.array([True, True, True, False]))
    >>> drop, round(error, 1)
    (25.0, 35.4)
    """
    n = len(dense)
    lost, gained = int((dense & ~sparse).sum()), int((sparse & ~dense).sum())
    return 100 * (lost - gained) / n, 100 * math.sqrt(lost + gained + 1) / n


class ExactSelection:
    """A dense network's answers with the best `k` neurons of each hidden layer kept.

    Args:
        weights: the network.
        X: (n, n_inputs) rows, dense or CSR.
        y: (n,) outputs that are right.
    """

    def __init__(self, weights: DenseWeights, X: Any, y: NDArray[Any]) -> None:
        self.weights, self.X, self.y = weights, X, y
        self._z: OrderedDict[Kept, Floats] = OrderedDict()
        self._right: dict[Kept, NDArray[np.bool_]] = {}

    def right(self, kept: Kept) -> NDArray[np.bool_]:
        """Which rows are answered rightly."""
        if kept not in self._right:
            self._right[kept] = self._scores(kept).argmax(axis=1) == self.y
        return self._right[kept]

    def step(self, kept: Kept) -> Step:
        """How the answers fare with so many kept."""
        return Step(kept, *compared(self.right(self.weights.hidden), self.right(kept)))

    def entries(self) -> list[float]:
        """Numbers that each layer of the dense network reads that are not 0, on average."""
        hidden = self.weights.hidden
        rows = [self.X, *(self._outputs(hidden[:level]) for level in range(1, len(hidden) + 1))]
        return [(h.nnz if hasattr(h, "nnz") else np.count_nonzero(h)) / len(self.y) for h in rows]

    def _scores(self, below: Kept) -> Floats:
        """Pre-activations of the layer that comes after these."""
        if below in self._z:
            self._z.move_to_end(below)
            return self._z[below]
        level = len(below)
        W, b = self.weights.weights[level], self.weights.biases[level]
        h = self.X if level == 0 else self._outputs(below)
        z: Floats = np.asarray(h @ W.T)
        z += b
        self._z[below] = z
        alike = [key for key in self._z if len(key) == level]
        for key in alike[:-_REMEMBERED]:
            del self._z[key]
        return z

    def _outputs(self, kept: Kept) -> Floats:
        """Activations of the last of these layers, 0 where a neuron is not kept."""
        z, k = self._scores(kept[:-1]), kept[-1]
        h = activate(z, self.weights.activations[len(kept) - 1])
        if k < z.shape[1]:
            least = np.partition(z, z.shape[1] - k, axis=1)[:, z.shape[1] - k]
            h = np.where(z >= least[:, None], h, np.float32(0))
        return h


def multiplications(sizes: Sequence[int], entries: Sequence[float], kept: Sequence[int]) -> float:
    """About what an example takes: each layer by its inputs that are not 0, or by hashing.

    Args:
        sizes: neurons of each layer, the outputs last.
        entries: numbers that each layer reads that are not 0, nothing left out.
        kept: neurons of each hidden layer.

    >>> sizes, entries = [1000, 10], [100, 400]
    >>> multiplications(sizes, entries, [50]) < multiplications(sizes, entries, [400])
    True
    """
    total = 0.0
    active = entries[0]
    for number, (n, k) in enumerate(zip(sizes, (*kept, sizes[-1]), strict=True)):
        hashed = (active + n) * RANK + CANDIDATES * k * active
        total += min(active * n, hashed)
        if number + 1 < len(sizes):
            active = min(entries[number + 1], k)
    return total


def path(
    start: Step,
    step: Callable[[Kept], Step],
    cost: Callable[[Kept], float],
    most: float,
    say: Callable[[Step], None] = lambda step: None,
) -> list[Step]:
    """Steps from the dense network down, until every next one would lose more than `most` points.

    Args:
        start: the dense network.
        step: how the answers fare with so many kept.
        cost: what that takes.
        most: points.
        say: told of each step.

    >>> steps = path(Step((8,), 0.0, 0.0), lambda kept: Step(kept, 8.0 - kept[0], 0.0), sum, 4.0)
    >>> [step.kept for step in steps]
    [(8,), (6,), (4,)]
    """
    sizes, here, steps = start.kept, start, [start]
    grids = [sorted({max(1, round(share * n)) for share in SHARES}, reverse=True) for n in sizes]
    while True:
        tried = []
        for level, grid in enumerate(grids):
            at = grid.index(here.kept[level])
            if at + 1 == len(grid):
                continue
            kept = (*here.kept[:level], grid[at + 1], *here.kept[level + 1 :])
            saved = cost(here.kept) - cost(kept)
            found = step(kept)
            if found.drop <= most:
                lost = max(found.drop - here.drop, 0.0) + 1e-3
                tried.append((lost / max(saved, 1e-9), level, found))
        if not tried:
            return steps
        here = min(tried)[2]  # levels differ
        steps.append(here)
        say(here)
