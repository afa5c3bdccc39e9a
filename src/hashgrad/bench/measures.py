"""What is measured: each measure runs its contenders once, by turns, and says what came out.

A repeat of a measure gives a time for each contender. The result of a measure is the ratio of two
medians over the repeats: how many times faster than the peer, for most.
"""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashgrad import _core

from . import worker
from .tuning import PEERS

NEVER = 1e9  # seconds to an accuracy that a run did not reach; JSON has no infinity

Settings = Mapping[str, Any]
Found = dict[str, Any]


@dataclass(frozen=True)
class Measure(ABC):
    """One row of the results.

    Args:
        name: what the command line calls it.
        title: what it is, for people.
        asked: of the ratio: at least so much; or, if `below`, less.
        aim: what would be better still.
        below: whether less is better.
    """

    name: str
    title: str
    asked: float
    aim: float
    below: bool = field(default=False, kw_only=True)

    @abstractmethod
    def once(self, seed: int, folder: Path) -> Found:
        """One repeat: `seconds` by contender, and whatever else there is to tell.

        Args:
            seed: of everything random.
            folder: what one repeat may leave for the next.
        """

    @abstractmethod
    def ratio(self, seconds: Mapping[str, float]) -> float:
        """The number that is judged, of one repeat's times, or of their medians."""


@dataclass(frozen=True)
class TimeToAccuracy(Measure):
    """Seconds of training until the test accuracy is reached.

    Args:
        data: a named set.
        hidden: sizes of the hidden layers.
        ours: settings of hashgrad.
        peer: settings of PyTorch and the target, by default what tuning found.
        threads: of both.
    """

    data: str = "mnist"
    hidden: tuple[int, ...] = (1000, 1000)
    ours: Settings = field(default_factory=dict)
    peer: Settings | None = None
    threads: int = 2

    def once(self, seed: int, folder: Path) -> Found:
        """Run the contenders once."""
        peer = self.peer or tuned(self.name)
        target = peer["target"]
        common = {"data": self.data, "hidden": list(self.hidden), "seed": seed}
        contenders = {
            "pytorch": ("torch-training", peer["how"]),
            "hashgrad": ("hashgrad-training", self.ours),
        }
        found: Found = {"seconds": {}, "target": target, "runs": {}}
        for contender in in_turn(contenders, seed):
            run, how = contenders[contender]
            result = worker.run(run, self.threads, how=dict(how), **common)
            found["runs"][contender] = {"how": dict(how), **result}
            found["seconds"][contender] = reached(result["points"], target)
        found["seconds"] = {contender: found["seconds"][contender] for contender in contenders}
        return found

    def ratio(self, seconds: Mapping[str, float]) -> float:
        """How many times faster than PyTorch."""
        return faster(seconds["pytorch"], seconds["hashgrad"])


@dataclass(frozen=True)
class AgainstScikitLearn(Measure):
    """Seconds of training to the accuracy that `MLPClassifier` has after some epochs.

    The peer runs with its own defaults, on float32 rows, and is judged once, at its end; first,
    for that is what hashgrad is to reach.
    """

    data: str = "mnist"
    hidden: tuple[int, ...] = (1000, 1000)
    ours: Settings = field(default_factory=dict)
    epochs: int = 10
    threads: int = 2

    def once(self, seed: int, folder: Path) -> Found:
        """Run the contenders once."""
        common = {"data": self.data, "hidden": list(self.hidden), "seed": seed}
        how = {"max_iter": self.epochs}
        peer = worker.run("scikit-learn-training", self.threads, how=how, **common)
        seconds, target = peer["points"][-1]
        ours = worker.run("hashgrad-training", self.threads, how=dict(self.ours), **common)
        return {
            "seconds": {"scikit-learn": seconds, "hashgrad": reached(ours["points"], target)},
            "target": target,
            "runs": {
                "scikit-learn": {"how": how, **peer},
                "hashgrad": {"how": dict(self.ours), **ours},
            },
        }

    def ratio(self, seconds: Mapping[str, float]) -> float:
        """How many times faster than scikit-learn."""
        return faster(seconds["scikit-learn"], seconds["hashgrad"])


@dataclass(frozen=True)
class Latency(Measure):
    """Seconds of the prediction of one row, by the fastest precision and threads of each.

    Both networks are trained in the first repeat and kept for the others. A copy counts only if its
    accuracy is within `within` of the peer's as trained.
    """

    data: str = "mnist"
    hidden: tuple[int, ...] = (1000, 1000)
    ours: Settings = field(default_factory=dict)
    peer: Settings = field(default_factory=dict)
    within: float = 0.003
    rows: int = 2000
    threads: int = 2

    def once(self, seed: int, folder: Path) -> Found:
        """Run the contenders once."""
        shape = {"data": self.data, "hidden": list(self.hidden)}
        paths = {
            "torch": str(folder / f"{self.name}.pt"),
            "hashgrad": str(folder / f"{self.name}.hashgrad"),
        }
        trained = folder / f"{self.name}.json"
        if not trained.exists():
            hows = {"torch": self.peer, "hashgrad": self.ours}
            accuracies = {
                contender: worker.run(
                    f"{contender}-train-and-save", self.threads, how=dict(hows[contender]),
                    seed=1, path=path, **shape,
                )["accuracy"]
                for contender, path in paths.items()
            }  # fmt: skip
            trained.write_text(json.dumps(accuracies))
        accuracies = json.loads(trained.read_text())
        runs: Found = {}
        for contender in in_turn(paths, seed):
            for threads in (1, self.threads) if contender == "torch" else (1,):
                result = worker.run(
                    f"{contender}-latency", threads, path=paths[contender], rows=self.rows, **shape
                )
                for way, row in result.items():
                    runs[f"{contender} {way}, {threads} threads"] = row
        least = accuracies["torch"] - self.within
        fastest = {
            name: min(
                (
                    row["seconds"]
                    for way, row in runs.items()
                    if way.startswith(contender) and row["accuracy"] >= least
                ),
                default=NEVER,
            )
            for name, contender in (("pytorch", "torch"), ("hashgrad", "hashgrad"))
        }
        return {"seconds": fastest, "target": least, "trained": accuracies, "runs": runs}

    def ratio(self, seconds: Mapping[str, float]) -> float:
        """How many times faster than PyTorch."""
        return faster(seconds["pytorch"], seconds["hashgrad"])


@dataclass(frozen=True)
class Threads(Measure):
    """Seconds of training one example on one thread, and on 2, 4 … as many as there are."""

    data: str = "mnist"
    hidden: tuple[int, ...] = (1000, 1000)
    ours: Settings = field(default_factory=dict)
    rows: int = 60000

    def once(self, seed: int, folder: Path) -> Found:
        """Run the contenders once."""
        counts = [1, 2]
        while counts[-1] * 2 <= _core.hardware_threads():
            counts.append(counts[-1] * 2)
        runs = {
            _threads(n): worker.run(
                "hashgrad-cost", n, data=self.data, hidden=list(self.hidden), how=dict(self.ours),
                seed=seed, rows=self.rows,
            )
            for n in in_turn(counts, seed)
        }  # fmt: skip
        seconds = {name: runs[name]["seconds"] for name in map(_threads, counts)}
        return {"seconds": seconds, "runs": runs}

    def ratio(self, seconds: Mapping[str, float]) -> float:
        """The speed-up of two threads."""
        return seconds[_threads(1)] / seconds[_threads(2)]


@dataclass(frozen=True)
class Widths(Measure):
    """Seconds of training one example, from narrow to wide at one number of active neurons."""

    data: str = "mnist"
    widths: tuple[int, ...] = (1000, 2000, 4000, 8000)
    ours: Settings = field(default_factory=dict)
    rows: int = 20000

    def once(self, seed: int, folder: Path) -> Found:
        """Run the contenders once."""
        runs = {
            str(n): worker.run(
                "hashgrad-cost", 1, data=self.data, hidden=[n, n], how=dict(self.ours), seed=seed,
                rows=self.rows,
            )
            for n in in_turn(self.widths, seed)
        }  # fmt: skip
        return {"seconds": {str(n): runs[str(n)]["seconds"] for n in self.widths}, "runs": runs}

    def ratio(self, seconds: Mapping[str, float]) -> float:
        """How much more the widest takes."""
        return seconds[str(self.widths[-1])] / seconds[str(self.widths[0])]


@dataclass(frozen=True)
class AgainstFloor(Measure):
    """Seconds of training one example, against the least that its bytes and products take."""

    data: str = "mnist"
    hidden: tuple[int, ...] = (1000, 1000)
    ours: Settings = field(default_factory=dict)
    rows: int = 60000

    def once(self, seed: int, folder: Path) -> Found:
        """Run the contenders once."""
        run = worker.run(
            "hashgrad-cost", 1, data=self.data, hidden=list(self.hidden), how=dict(self.ours),
            seed=seed, rows=self.rows,
        )  # fmt: skip
        floor = sum(phase["nanoseconds"] for phase in run["floor"].values()) * 1e-9
        return {"seconds": {"floor": floor, "measured": run["seconds"]}, "runs": {"hashgrad": run}}

    def ratio(self, seconds: Mapping[str, float]) -> float:
        """The share of the time that is the floor."""
        return seconds["floor"] / seconds["measured"]


@dataclass(frozen=True)
class Choices(Measure):
    """Seconds of training one example as planned, against every fixed way to compute it.

    Args:
        shapes: (data, hidden sizes, neurons kept) of each network.
        ways: (layout, lookup) that a layer may have.
        rows: examples to train on.
    """

    shapes: tuple[tuple[str, tuple[int, ...], int], ...] = ()
    ways: tuple[tuple[str, str], ...] = (
        ("neuron", "scan"), ("neuron", "exact"), ("input", "exact"),
    )  # fmt: skip
    rows: int = 10000

    def once(self, seed: int, folder: Path) -> Found:
        """Run the contenders once."""
        seconds: dict[str, float] = {}
        for data, hidden, kept in self.shapes:
            auto = [("auto", "auto")] * len(hidden)
            for ways in in_turn([auto, *itertools.product(self.ways, repeat=len(hidden))], seed):
                how = {
                    "kept": kept,
                    "layouts": [w[0] for w in ways],
                    "lookups": [w[1] for w in ways],
                }
                run = worker.run(
                    "hashgrad-cost", 1, data=data, hidden=list(hidden), how=how, seed=seed,
                    rows=self.rows,
                )  # fmt: skip
                name = "auto" if ways == auto else ", ".join(map("-".join, ways))
                seconds[f"{data} {'-'.join(map(str, hidden))} of {kept}: {name}"] = run["seconds"]
        return {"seconds": seconds}

    def ratio(self, seconds: Mapping[str, float]) -> float:
        """The least, over the shapes, of the best fixed way's time over the planned one's."""
        shapes = {name.partition(": ")[0] for name in seconds}
        return min(
            min(s for name, s in seconds.items() if name.startswith(shape + ": "))
            / seconds[f"{shape}: auto"]
            for shape in shapes
        )


def tuned(name: str) -> Settings:
    """How to run the peer in a measure, and to what accuracy, as tuning found it."""
    known = json.loads(PEERS.read_text())
    if name not in known:
        raise ValueError(f"{PEERS} must say how to run the peer in {name!r}: run with --tune first")
    found: Settings = known[name]
    return found


def faster(peer: float, ours: float) -> float:
    """How many times faster we are; 0 if either never got there, for then nothing is shown.

    >>> faster(3.0, 2.0), faster(NEVER, 2.0), faster(3.0, NEVER)
    (1.5, 0.0, 0.0)
    """
    return 0.0 if max(peer, ours) >= NEVER else peer / ours


def in_turn(contenders: Any, seed: int) -> list[Any]:
    """The contenders, every other repeat in the opposite order.

    >>> in_turn("ab", 0), in_turn("ab", 1)
    (['a', 'b'], ['b', 'a'])
    """
    listed = list(contenders)
    return listed[::-1] if seed % 2 else listed


def reached(points: list[tuple[float, float]], target: float) -> float:
    """Seconds of the first point at the target; NEVER if there is none.

    >>> reached([(1.0, 0.90), (2.0, 0.96), (3.0, 0.98)], 0.95)
    2.0
    """
    return min((seconds for seconds, accuracy in points if accuracy >= target), default=NEVER)


def _threads(n: int) -> str:
    return f"{n} thread{'' if n == 1 else 's'}"
