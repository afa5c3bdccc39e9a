"""Trials: a network of each variant, trained from its birth for the same time and judged.

Successive halving: all variants train a short time, the better half twice as long, and so on. The
dense network trains in every round, so that each comparison is at equal time; every trial begins
anew, so that one network at a time is in memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..data import as_inputs, is_sparse
from ..network import Network
from .variants import DENSE, Variant

_FIRST_ROWS = 128  # of a trial; then as many as fill its slices
_SLICES = 8  # of a trial's time, after which the clock is read
_SHORTEST = 0.05  # seconds of a trial


@dataclass(frozen=True)
class Trial:
    """What came of training one variant for a while.

    Attributes:
        variant: which.
        seconds: of training.
        examples: trained on in that time.
        score: on the rows to choose by: accuracy, or precision at 1.
        multiplications: of training, as a share of what full matrices take.
    """

    variant: Variant
    seconds: float
    examples: int
    score: float
    multiplications: float

    @property
    def rate(self) -> float:
        """Examples a second."""
        return self.examples / self.seconds


class Measure(Protocol):
    """Trains variants, and judges the finalists."""

    def __call__(self, variant: Variant, seconds: float) -> Trial:
        """Train the variant from its birth for so many seconds."""

    def right(self, variant: Variant) -> NDArray[np.bool_]:
        """Which of the rows to judge on a finalist answers rightly, after its longest trial."""


@dataclass(frozen=True)
class Rounds:
    """All trials, round by round; the last round is the longest."""

    trials: tuple[tuple[Trial, ...], ...]

    @property
    def last(self) -> tuple[Trial, ...]:
        """The trials of the last round, the dense one first."""
        return self.trials[-1]

    @property
    def dense(self) -> Trial:
        """The dense network's longest trial."""
        return self.last[0]

    @property
    def best(self) -> Trial | None:
        """The best other trial of the last round; None if there is none."""
        return max(self.last[1:], key=lambda trial: trial.score, default=None)


def halving(
    variants: Sequence[Variant],
    seconds: float,
    measure: Callable[[Variant, float], Trial],
    say: Callable[[str], None] = lambda text: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Rounds:
    """Rounds of trials within the budget.

    Args:
        variants: those that compete with the dense network.
        seconds: budget of time, of training and all else; a round that would not end in it is left
            out, the first excepted.
        measure: trains a variant for so many seconds.
        say: told of each trial.
        clock: seconds that have passed.
    """
    began = clock()
    counts = [len(variants)]
    while counts[-1] > 1:
        counts.append(-(-counts[-1] // 2))
    unit = sum((count + 1) * 2**number for number, count in enumerate(counts))
    each = max(seconds / unit, _SHORTEST)
    left, rounds = list(variants), []
    for number, count in enumerate(counts):
        round_began = clock()
        took = each * 2**number
        found = []
        for variant in (DENSE, *left[:count]):
            found.append(measure(variant, took))
            say(f"{variant}: {found[-1].score:.2%} after {took:.2f} s, {found[-1].rate:,.0f}/s")
        rounds.append(tuple(found))
        best = sorted(found[1:], key=lambda trial: -trial.score)
        left = [trial.variant for trial in best]
        spent = clock() - round_began
        # the next round has about half as many trials, of twice the time
        coming = 2 * spent * (-(-count // 2) + 1) / (count + 1)
        if clock() - began + coming > 1.1 * seconds + _SHORTEST:
            break
    return Rounds(tuple(rounds))


class Training:
    """Trains variants on this machine, and judges them.

    Args:
        train: rows to learn from, and their targets.
        tuning: rows to choose by, and their targets.
        judging: rows to judge the finalists on, and their targets.
        hidden: neurons of each hidden layer.
        n_outputs: outputs.
        loss: of the networks.
        threads: of training.
        seed: of everything random.
    """

    def __init__(
        self,
        train: tuple[Any, Any],
        tuning: tuple[Any, Any],
        judging: tuple[Any, Any],
        *,
        hidden: tuple[int, ...],
        n_outputs: int,
        loss: str,
        threads: int,
        seed: int,
    ) -> None:
        self.train, self.tuning, self.judging = train, tuning, judging
        self.hidden = hidden
        self.n_outputs, self.loss, self.threads, self.seed = n_outputs, loss, threads, seed
        self.dense: Network | None = None  # of its last trial
        self.best: Network | None = None  # of the others, of the best of the longest trials
        self._best = (0.0, 0.0)

    def __call__(self, variant: Variant, seconds: float) -> Trial:
        """Train the variant from its birth for so many seconds."""
        X, y = self.train
        network = Network(
            int(X.shape[1]),
            variant.layers(self.hidden, self.n_outputs),
            loss=self.loss,
            threads=self.threads,
            seed=self.seed,
        )
        random = np.random.default_rng(self.seed)
        state, examples = network._state, 0
        order, at, size = random.permutation(X.shape[0]), 0, _FIRST_ROWS
        while state.seconds < seconds:
            if at >= len(order):
                order, at = random.permutation(X.shape[0]), 0
            rows = order[at : at + size]
            network.partial_fit(X[rows], y[rows])
            at, examples = at + len(rows), examples + len(rows)
            if network.interrupted:
                raise KeyboardInterrupt
            speed = examples / max(state.seconds, 1e-9)
            left = max(seconds - state.seconds, seconds / (4 * _SLICES))
            size = max(1, math.ceil(speed * min(seconds / _SLICES, left)))
        report = network.report().to_dict()
        score = next(iter(network.evaluate(*self.tuning).values()))
        if variant.dense:
            self.dense = network
        elif (seconds, score) > self._best:
            self.best, self._best = network, (seconds, score)
        return Trial(
            variant, state.seconds, examples, float(score), report["multiplications_fraction"]
        )

    def right(self, variant: Variant) -> NDArray[np.bool_]:
        """Which of the rows to judge on a finalist answers rightly, after its longest trial."""
        network = self.dense if variant.dense else self.best
        if network is None:
            raise RuntimeError(f"{variant} must be trained before it is judged")
        X, y = self.judging
        best = network._best(as_inputs(X), False)
        if not is_sparse(y):
            found = best == y if y.ndim == 1 else y[np.arange(len(y)), best] != 0
            return np.asarray(found)
        places = (np.arange(len(best)), best)
        answers = csr_array((np.ones(len(best)), places), shape=y.shape)
        return np.asarray(y.multiply(answers).sum(axis=1) != 0).ravel()
