"""From a dense network and a sample to a sparse network that is faster, or to none.

The sample is cut in two. One half chooses: the path of `shares`, then real networks along it, whose
accuracy and latency are measured. The other half has no part in that, except to reject, fastest
first, the networks that lose more than was allowed: what is stated of the network returned is
measured on it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data import Inputs
from ..network import Network
from ..prediction import Predicts
from . import latency, shares
from .dense_weights import DenseWeights
from .networks import EXACT, WAYS, Way, make, multiplications
from .result import DENSE, SPARSE, Point, Sparsified, Stated, micro
from .shares import Kept, Step, compared

GAIN = 1.25  # a sparse network must be so many times faster than the dense one to be worth it
_PATH_ROWS = 2000  # rows for the path: each step computes the layers anew
_TUNED_ROWS = 10000  # rows that choose, at most
_TIMED_ROWS = 240
_STATED_ROWS = 1200  # rows for the latency that is stated
_BEYOND = 4  # times the drop allowed: how far down the curve goes
_POINTS = 7  # places of the path that become networks

Say = Callable[[str], None]
Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Half:
    """Rows and the outputs that are right."""

    inputs: Inputs
    y: NDArray[np.int64]

    def first(self, n: int) -> Half:
        """The first rows."""
        return Half(self.inputs.block(0, min(n, len(self.y))), self.y[:n])

    def right(self, network: Predicts) -> Right:
        """Which rows a network answers rightly."""
        return np.asarray(network._best(self.inputs, False) == self.y)

    def rows(self, n: int) -> list[NDArray[np.float32]]:
        """Single rows, for latencies."""
        return latency.rows_of(self.inputs.matrix, n)


def halves(inputs: Inputs, y: NDArray[np.int64], seed: int) -> tuple[Half, Half]:
    """The rows that choose and those that judge, drawn at random."""
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(y))
    n = min(len(y) // 2, _TUNED_ROWS)

    def half(rows: NDArray[np.int64]) -> Half:
        rows = np.sort(rows)
        return Half(inputs.take(rows), y[rows])

    return half(order[:n]), half(order[n:])


class Search:
    """One search.

    Args:
        weights: the dense network.
        tuning: rows that choose.
        judging: rows that judge.
        max_drop: points of accuracy that may be lost.
        seed: of hash functions.
        stopwatch: gives the seconds of each function for a row.
        say: told what is being done.
    """

    def __init__(
        self,
        weights: DenseWeights,
        tuning: Half,
        judging: Half,
        *,
        max_drop: float,
        seed: int,
        stopwatch: latency.Stopwatch,
        say: Say,
    ) -> None:
        self.weights, self.tuning, self.judging = weights, tuning, judging
        self.max_drop, self.seed, self.stopwatch, self.say = max_drop, seed, stopwatch, say
        self.rows = tuning.rows(_TIMED_ROWS)
        self.dense_network, self.dense, self.dense_seconds = self._fastest_dense()
        self.dense_right = tuning.right(self.dense_network)

    def _network(self, kept: Kept, ways: Sequence[Way]) -> Network:
        return make(self.weights, kept, ways, self.tuning.inputs, self.seed)

    def _fastest_dense(self) -> tuple[Network, Predicts, float]:
        """The dense network, whichever of it and its compact copy is faster, and its seconds."""
        network = self._network(self.weights.hidden, [EXACT] * len(self.weights.hidden))
        forms: list[Predicts] = [network, network.compact()]
        seconds = self.stopwatch([form.predict_one for form in forms], self.rows)
        best = min(range(len(forms)), key=seconds.__getitem__)
        return network, forms[best], seconds[best]

    def path(self) -> list[Step]:
        """What to keep, from the dense network down, by the exact selection."""
        few = self.tuning.first(_PATH_ROWS)
        exact = shares.ExactSelection(self.weights, few.inputs.matrix, few.y)
        entries = exact.entries()
        return shares.path(
            exact.step(self.weights.hidden),
            exact.step,
            lambda kept: shares.multiplications(self.weights.sizes, entries, kept),
            max(_BEYOND * self.max_drop, 1.0),
            lambda step: self.say(f"kept {_listed(step.kept)}: {step.drop:.2f} points lost"),
        )

    def point(self, kept: Kept, ways: Sequence[Way]) -> Point:
        """Make a network, and measure it on the rows that choose."""
        network = self._network(kept, ways)
        copy = network.compact()
        right = self.tuning.right(copy)
        took = multiplications(copy, len(right))
        dense, seconds = self.stopwatch([self.dense.predict_one, copy.predict_one], self.rows)
        point = self._point(kept, ways, right, seconds / dense * self.dense_seconds, took)
        self.say(
            f"kept {_listed(kept)} ({', '.join(point.ways)}): {point.drop:.2f} points lost, "
            f"{micro(point.seconds)} a row"
        )
        return point

    def _point(
        self, kept: Kept, ways: Sequence[Way], right: Right, seconds: float, took: float
    ) -> Point:
        drop, error = compared(self.dense_right, right)
        return Point(
            kept=kept,
            ways=tuple(
                str(way) if k < n else "all"
                for way, k, n in zip(ways, kept, self.weights.hidden, strict=True)
            ),
            share=sum(kept) / sum(self.weights.hidden),
            accuracy=float(right.mean()),
            drop=drop,
            error=error,
            seconds=seconds,
            multiplications=took,
        )

    def curve(self) -> dict[Point, list[Way]]:
        """The networks that were measured, the dense one first, and how their layers work."""
        hidden = self.weights.hidden
        plain = [EXACT] * len(hidden)
        fresh = self._network(hidden, plain)
        right = self.tuning.right(fresh)
        took = multiplications(fresh, len(right))
        tried = {self._point(hidden, plain, right, self.dense_seconds, took): plain}
        path = self.path()
        some, last = _some(path, self.max_drop)
        if not some:
            return tried
        chosen = self._ways(path[last].kept, tried)
        for place in some:
            for ways in [plain, chosen] if chosen != plain else [plain]:
                if not any(point.kept == place and ways == w for point, w in tried.items()):
                    tried[self.point(place, ways)] = ways
        return tried

    def _ways(self, kept: Kept, tried: dict[Point, list[Way]]) -> list[Way]:
        """How each layer finds its neurons fastest, layer by layer, at one place of the path."""
        ways = [EXACT] * len(kept)
        best = self.point(kept, ways)
        tried[best] = list(ways)
        for level, way in itertools.product(range(len(kept)), WAYS[1:]):
            if kept[level] == self.weights.hidden[level]:
                continue
            other = [*ways[:level], way, *ways[level + 1 :]]
            found = self.point(kept, other)
            tried[found] = list(other)
            if found.seconds < best.seconds and found.drop <= max(2 * self.max_drop, best.drop):
                best, ways = found, other
        return ways

    def run(self, given: latency.Answer | None, labels: bool) -> Sparsified:
        """The search, and the verdict.

        Args:
            given: the model as given, for one row; None if it cannot be asked.
            labels: whether accuracy is against labels.
        """
        tried = self.curve()
        dense, *others = tried
        good = sorted(
            (point for point in others if point.within(self.max_drop)), key=lambda p: p.seconds
        )
        fast = [point for point in good if point.seconds * GAIN <= dense.seconds]
        dense_right = self.judging.right(self.dense_network)
        looks, network, predictor, right = 0, self.dense_network, self.dense, dense_right
        for point in fast:
            found = self._network(point.kept, tried[point])
            copy = found.compact()
            looks += 1
            if compared(dense_right, self.judging.right(copy))[0] <= self.max_drop:
                network, predictor, right = found, copy, self.judging.right(copy)
                break
        rows = self.judging.rows(_STATED_ROWS)
        answers = [predictor.predict_one, self.dense.predict_one]
        seconds = self.stopwatch([*answers, given] if given else answers, rows)
        drop, error = compared(dense_right, right)
        sparse = network is not self.dense_network
        stated = Stated(
            rows=len(right),
            looks=looks,
            dense_accuracy=float(dense_right.mean()),
            accuracy=float(right.mean()),
            drop=drop,
            error=error,
            seconds=seconds[0],
            dense_seconds=seconds[1] if sparse else seconds[0],
            given_seconds=seconds[2] if given else None,
        )
        reason = (
            self._sparse_reason(network, stated)
            if sparse
            else self._dense_reason(dense, others, good, fast)
        )
        return Sparsified(
            verdict=SPARSE if sparse else DENSE,
            reason=reason,
            network=network,
            predictor=predictor,
            curve=tuple(sorted(tried, key=lambda point: (point is not dense, -point.share))),
            stated=stated,
            max_drop=self.max_drop,
            labels=labels,
            source=self.weights.source,
            classes=self.weights.classes,
        )

    def _sparse_reason(self, network: Network, stated: Stated) -> str:
        kept = [layer.selector.kept(layer.n) for layer in network.layers[:-1]]
        times = stated.dense_seconds / stated.seconds
        return (
            f"{_listed(kept)} of {_listed(self.weights.hidden)} hidden neurons answer a row "
            f"{times:.1f} times faster than all of them"
        )

    def _dense_reason(
        self, dense: Point, others: list[Point], good: list[Point], fast: list[Point]
    ) -> str:
        if 100 / len(self.tuning.y) > self.max_drop:
            return (
                f"{len(self.tuning.y)} rows to choose by cannot tell {self.max_drop:g} points; "
                f"give at least {2 * math.ceil(100 / self.max_drop)} rows"
            )
        if fast:
            return (
                f"on the rows kept for judging, each of {len(fast)} fast networks lost more than "
                f"{self.max_drop:g} points"
            )
        if not good:
            least = min(others, key=lambda point: point.drop + point.error, default=None)
            tried = "" if least is None else (
                f"; {_listed(least.kept)} of {_listed(self.weights.hidden)} hidden neurons lose "
                f"{least.drop:.2f} ± {least.error:.2f}"
            )  # fmt: skip
            return f"no share of the neurons stays within {self.max_drop:g} points{tried}"
        return (
            f"the fastest sparse network within {self.max_drop:g} points takes "
            f"{micro(good[0].seconds)} a row, the dense one {micro(dense.seconds)}; less than "
            f"{GAIN:g} times faster is not worth it"
        )


def _some(path: Sequence[Step], max_drop: float) -> tuple[list[Kept], int]:
    """Places of the path to make networks of, and the index of the last within the drop."""
    within = [at for at, step in enumerate(path) if at and step.within(max_drop)]
    if not within:
        return [step.kept for step in path[1:_POINTS]], min(1, len(path) - 1)
    last = within[-1]
    near = {at for at in (last - 2, last - 1, last, last + 1, last + 2) if 0 < at < len(path)}
    spread = {round(at) for at in np.linspace(1, len(path) - 1, _POINTS - 3)}
    return [path[at].kept for at in sorted(near | spread)], last


def _listed(kept: Iterable[int]) -> str:
    return "-".join(str(k) for k in kept)
