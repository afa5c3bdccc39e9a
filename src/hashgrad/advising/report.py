"""Advice, and how it explains itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..load_average import busy
from ..selectors import Selector
from ..sparsification.result import micro
from ..sparsification.shares import compared
from .trials import Rounds, Trial
from .variants import DENSE, Variant

GAIN = 1.25  # times as many examples a second, where the score is no better
TOLERANCE = 0.5  # points of the score: as good


@dataclass(frozen=True)
class Task:
    """What was advised on.

    Attributes:
        sizes: inputs, neurons of each hidden layer, outputs.
        rows: to learn from.
        tuning: to choose a setting by.
        judging: to judge the finalists on.
        threads: of training; 0 is all cores.
    """

    sizes: tuple[int, ...]
    rows: int
    tuning: int
    judging: int
    threads: int


@dataclass(frozen=True)
class Judged:
    """The finalists on the same rows, which had no part in choosing them.

    Attributes:
        rows: how many.
        dense: score of the dense network, in [0, 1].
        lsh: score of the best setting of LSH.
        drop: points between the two; negative where LSH scores more.
        error: the drop's standard error, in points.
    """

    rows: int
    dense: float
    lsh: float
    drop: float
    error: float

    @classmethod
    def of(cls, dense: NDArray[np.bool_], lsh: NDArray[np.bool_]) -> Judged:
        """From which rows each of them answers rightly.

        >>> Judged.of(np.array([True, True]), np.array([True, False])).drop
        50.0
        """
        return cls(len(dense), float(dense.mean()), float(lsh.mean()), *compared(dense, lsh))

    @property
    def equal(self) -> bool:
        """Whether LSH loses no more than the tolerance, the standard error included."""
        return self.drop + self.error <= TOLERANCE

    @property
    def more(self) -> bool:
        """Whether LSH gains more than the tolerance and the standard error."""
        return self.drop + self.error < -TOLERANCE


@dataclass(frozen=True)
class Latencies:
    """Seconds of one prediction, as compact copies."""

    dense: float
    lsh: float


@dataclass(frozen=True)
class Advice:
    """What `hashgrad.advise` returns.

    Attributes:
        task: what was advised on.
        rounds: every trial.
        judged: the finalists on rows of their own; None where LSH has none.
        latencies: of the two finalists; None where they were not measured.
        wins_from: the least multiple of these widths at which LSH is estimated to train twice as
            fast as dense layers; None if none up to 32 is.
        seconds: what it took.
        load_average: of the machine, before anything was measured; None if it is not known.
    """

    task: Task
    rounds: Rounds
    judged: Judged | None
    latencies: Latencies | None
    wins_from: int | None
    seconds: float
    load_average: float | None = None

    @property
    def lsh_wins(self) -> bool:
        """Whether LSH is chosen."""
        best, dense = self.rounds.best, self.rounds.dense
        if best is None or self.judged is None:
            return False
        return self.judged.more or (self.judged.equal and best.rate >= GAIN * dense.rate)

    @property
    def variant(self) -> Variant:
        """The variant chosen."""
        best = self.rounds.best
        return best.variant if self.lsh_wins and best is not None else DENSE

    @property
    def selector(self) -> Selector:
        """For the hidden layers: `Dense(n, active=advice.selector)`."""
        return self.variant.selector

    @property
    def report(self) -> str:
        """What was measured, what is chosen, why, and what it would take for LSH to win."""
        task, rounds = self.task, self.rounds
        n = len({str(trial.variant) for trials in rounds.trials for trial in trials})
        threads = "all cores" if task.threads == 0 else f"{task.threads} thread(s)"
        lines = [
            f"Measured: {n} ways to train {'-'.join(map(str, task.sizes))} on {task.rows:,} rows, "
            f"{threads}, chosen by {task.tuning:,} others and judged on {task.judging:,} more; "
            f"{len(rounds.trials)} rounds, {self.seconds:.0f} s.",
            f"Chosen: {self.variant}.",
            f"Why: {self._why()}",
        ]
        if self.latencies is not None:
            lines.append(
                f"One prediction (compact copy): dense {micro(self.latencies.dense)}, LSH "
                f"{micro(self.latencies.lsh)}."
            )
        lines.append(f"{'More' if self.lsh_wins else 'For LSH to win'}: {self._what_else()}")
        if self.busy:
            lines.append(self.busy)
        return "\n".join(lines)

    @property
    def busy(self) -> str:
        """A sentence where other work had the processors; empty where it had not."""
        return busy(self.load_average, self.task.threads)

    def _why(self) -> str:
        best, dense, judged = self.rounds.best, self.rounds.dense, self.judged
        if best is None or judged is None:
            return (
                "no layer is wide enough for a share of its neurons to be a network; the dense one "
                f"takes {1e6 / dense.rate:.1f} µs an example."
            )
        ratio = best.rate / dense.rate
        faster = f"{ratio:.1f} times as many" if ratio >= 1 else f"only {ratio:.0%} as many"
        few = ""
        if 100 / judged.rows > TOLERANCE:
            few = f"; {judged.rows:,} rows cannot tell {TOLERANCE:g} points"
        return (
            f"after {dense.seconds:.1f} s of training each, {best.variant} scores {judged.lsh:.2%} "
            f"and dense {judged.dense:.2%}: {judged.drop:.2f} ± {judged.error:.2f} points lost (up "
            f"to {TOLERANCE:g} with the error counts as equal{few}); LSH learns from {faster} "
            f"examples a second, with {best.multiplications:.1%} of the multiplications of full "
            f"matrices, dense with {dense.multiplications:.1%}."
        )

    def _what_else(self) -> str:
        if self.lsh_wins:
            return (
                "this is equal time, not training to the end, where keeping few neurons often "
                "costs some tenths of a point; compare both on your own schedule before you decide "
                "for good."
            )
        sizes = self.task.sizes[1:-1]
        if self.wins_from is None:
            return (
                "by this machine's costs LSH would not train twice as fast even in layers 32 times "
                "as wide: the inputs are too sparse for it, or the dense layers skip enough zeros."
            )
        if self.wins_from == 1:
            return (
                "by this machine's costs LSH trains twice as fast here already, but it is not "
                "shown to learn as much; more rows held out, more time or a larger share may show "
                "it."
            )
        wide = "-".join(str(self.wins_from * n) for n in sizes)
        return (
            f"by this machine's costs LSH would train twice as fast from hidden layers of {wide} "
            f"on ({self.wins_from} times yours), at the same share."
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON-able values."""
        return {
            "selector": self.selector.to_dict(),
            "chosen": str(self.variant),
            "report": self.report,
            "task": {**asdict(self.task), "sizes": list(self.task.sizes)},
            "rounds": [[_trial(trial) for trial in trials] for trials in self.rounds.trials],
            "judged": None if self.judged is None else asdict(self.judged),
            "latencies": None if self.latencies is None else asdict(self.latencies),
            "wins_from": self.wins_from,
            "seconds": self.seconds,
            "load_average": self.load_average,
            "busy": self.busy,
        }

    def __str__(self) -> str:
        return self.report


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "variant": str(trial.variant),
        "selector": trial.variant.selector.to_dict(),
        "seconds": trial.seconds,
        "examples": trial.examples,
        "score": trial.score,
        "multiplications": trial.multiplications,
    }
