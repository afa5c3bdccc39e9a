"""Advice, and how it explains itself."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..selectors import Selector
from ..sparsification.result import micro
from .trials import Rounds, Trial
from .variants import DENSE, Variant

GAIN = 1.25  # times as many examples a second, where the score is no better
TOLERANCE = 0.005  # of the score: as good


@dataclass(frozen=True)
class Task:
    """What was advised on.

    Attributes:
        sizes: inputs, neurons of each hidden layer, outputs.
        rows: to learn from.
        held: to judge on.
        threads: of training; 0 is all cores.
    """

    sizes: tuple[int, ...]
    rows: int
    held: int
    threads: int


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
        latencies: of the two finalists; None where they were not measured.
        wins_from: the least multiple of these widths at which LSH is estimated to train twice as
            fast as dense layers; None if none up to 32 is.
        seconds: what it took.
    """

    task: Task
    rounds: Rounds
    latencies: Latencies | None
    wins_from: int | None
    seconds: float

    @property
    def lsh_wins(self) -> bool:
        """Whether LSH is chosen."""
        best, dense = self.rounds.best, self.rounds.dense
        if best is None:
            return False
        if best.score > dense.score + self._within:
            return True
        return best.score >= dense.score - self._within and best.rate >= GAIN * dense.rate

    @property
    def _within(self) -> float:
        """Scores nearer than this are taken for equal."""
        p = min(max(self.rounds.dense.score, 0.01), 0.99)
        return max(TOLERANCE, math.sqrt(p * (1 - p) / self.task.held))

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
            f"{threads}, judged on {task.held:,} others; {len(rounds.trials)} rounds, "
            f"{self.seconds:.0f} s.",
            f"Chosen: {self.variant}.",
            f"Why: {self._why()}",
        ]
        if self.latencies is not None:
            lines.append(
                f"One prediction (compact copy): dense {micro(self.latencies.dense)}, LSH "
                f"{micro(self.latencies.lsh)}."
            )
        lines.append(f"{'More' if self.lsh_wins else 'For LSH to win'}: {self._what_else()}")
        return "\n".join(lines)

    def _why(self) -> str:
        best, dense = self.rounds.best, self.rounds.dense
        if best is None:
            return (
                "no layer is wide enough for a share of its neurons to be a network; the dense one "
                f"takes {1e6 / dense.rate:.1f} µs an example."
            )
        ratio = best.rate / dense.rate
        faster = f"{ratio:.1f} times as many" if ratio >= 1 else f"only {ratio:.0%} as many"
        return (
            f"after {dense.seconds:.1f} s of training each, {best.variant} scores {best.score:.2%} "
            f"and dense {dense.score:.2%} (nearer than {100 * self._within:.1f} points counts as "
            f"equal); LSH learns from {faster} examples a second, with {best.multiplications:.1%} "
            f"of the multiplications of full matrices, dense with {dense.multiplications:.1%}."
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
                "by this machine's costs LSH trains twice as fast here already, but it learns less "
                "from an example; more time or a larger share may close that."
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
            "latencies": None if self.latencies is None else asdict(self.latencies),
            "wins_from": self.wins_from,
            "seconds": self.seconds,
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
