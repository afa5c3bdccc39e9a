"""The search for the peer's best settings: first how fast each runs, then how far each gets.

Each task has the test accuracy it runs to. A first pass times every batch size, optimizer,
precision and `torch.compile`. A second trains, with the fastest precision of each batch size and
optimizer, at every rate and number of epochs of a grid, and drops a trial once it is slower than
the best; a third repeats the few best with other seeds. The settings with the least median time
win. What is judged is the test accuracy, for the peer as for hashgrad: both are picked on what they
are measured at.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashgrad.atomic import write_atomically

from . import worker

PEERS = Path(__file__).with_name("peers.json")
SEEDS = (1, 2, 3)
RATES: dict[str, tuple[float, ...]] = {
    "adam": (1e-3, 2e-3, 3e-3, 5e-3, 8e-3),
    "sgd": (0.02, 0.05, 0.1, 0.2, 0.4),
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """What the peer is tuned for.

    Args:
        data: a named set.
        hidden: sizes of the hidden layers.
        target: test accuracy to run to; None for that of the best run of `longest` epochs, less
            `within`.
        epochs: lengths of schedules to try.
        batches, optimizers, rates: what to try.
        speed_seconds: for the timing of each way to run.
        finalists: the best trials, that are repeated with other seeds.
    """

    data: str
    hidden: tuple[int, ...]
    target: float | None = 0.975
    within: float = 0.005
    longest: float = 20
    epochs: tuple[float, ...] = (0.75, 1, 1.5, 2, 3)
    batches: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    optimizers: tuple[str, ...] = ("adam", "sgd")
    rates: dict[str, tuple[float, ...]] = field(default_factory=lambda: RATES)
    speed_seconds: float = 1.0
    finalists: int = 5


# Longer runs get smaller grids, around what won in the short ones.
TASKS = {
    "mnist-1000": Task("mnist", (1000, 1000)),
    "fashion-1000": Task(
        "fashion-mnist", (1000, 1000), target=None, epochs=(6, 8, 12, 16),
        batches=(256, 512, 1024), optimizers=("adam",), rates={"adam": (1e-3, 2e-3, 3e-3, 5e-3)},
    ),
    "mnist-4000": Task(
        "mnist", (4000, 4000), epochs=(1, 1.5, 2), batches=(128, 256, 512, 1024),
        optimizers=("adam",), rates={"adam": (1e-3, 2e-3, 3e-3)}, speed_seconds=3, finalists=3,
    ),
    "mnist-8000": Task(
        "mnist", (8000, 8000), epochs=(1, 1.5), batches=(256, 512, 1024), optimizers=("adam",),
        rates={"adam": (1e-3, 2e-3, 3e-3)}, speed_seconds=6, finalists=1,
    ),
}  # fmt: skip


def tune(names: list[str], threads: int, log: Path, say: Say) -> dict[str, Any]:
    """Find the peer's best settings for the named tasks; keep every trial in the file `log`.

    Returns:
        By task, `how` to run the peer, its `target`, and the `seconds` that it took.
    """
    found = _read(log)
    for name in names:
        search = _Search(name, threads, say)
        found[name] = search.everything()
        log.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(log, [as_json(found)])
        write_atomically(PEERS, [as_json(_read(PEERS) | {name: found[name]["best"]})])
    return {name: found[name]["best"] for name in names}


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def as_json(results: dict[str, Any]) -> bytes:
    """What a run or a search found, as a file."""
    return (json.dumps(results, indent=1) + "\n").encode()


class _Search:
    def __init__(self, name: str, threads: int, say: Say) -> None:
        self.name, self.threads, self._say = name, threads, say
        self.task = task = TASKS[name]
        self.settings = {"data": task.data, "hidden": list(task.hidden)}

    def say(self, text: str) -> None:
        self._say(f"{self.name}: {text}")

    def everything(self) -> dict[str, Any]:
        speeds = self._speeds()
        ways = self._fastest(speeds)
        long, target = self._target(ways)
        trials = self._trials(ways, target)
        repeats = self._repeats(trials, target)
        best = min(repeats, key=lambda row: row["median_seconds"])
        how = {
            key: best[key] for key in ("batch", "optimizer", "bf16", "compile", "rate", "epochs")
        }
        self.say(f"{best['median_seconds']:.2f} s with {how}")
        return {
            "best": {"how": how, "target": target, "seconds": best["median_seconds"]},
            "speeds": speeds,
            "longest": long,
            "trials": trials,
            "repeats": repeats,
        }

    def _speeds(self) -> list[dict[str, Any]]:
        task = self.task
        ways = [
            {"batch": batch, "optimizer": optimizer, "bf16": bf16, "compile": False}
            for batch, optimizer, bf16 in itertools.product(
                task.batches, task.optimizers, (False, True)
            )
        ]
        compiled = [
            {"batch": batch, "optimizer": task.optimizers[0], "bf16": bf16, "compile": True}
            for batch, bf16 in itertools.product(task.batches, (False, True))
        ]
        self.say(f"how fast {len(ways)} ways run, and {len(compiled)} compiled")
        return self._run("torch-speeds", trials=ways + compiled, seed=0, seconds=task.speed_seconds)

    def _fastest(self, speeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The fastest way to run each batch size with each optimizer.

        Compiling concerns the network, not the optimizer: where it pays for one optimizer, it is
        used for the other.
        """
        ways = []
        for batch, optimizer in itertools.product(self.task.batches, self.task.optimizers):
            first = self.task.optimizers[0]
            way = max(
                (row for row in speeds if row["batch"] == batch and row["optimizer"] == first),
                key=lambda row: row["examples_per_second"],
            )
            ways.append({**{key: way[key] for key in ("batch", "bf16", "compile")},
                         "optimizer": optimizer})  # fmt: skip
        return ways

    def _target(self, ways: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], float]:
        task = self.task
        if task.target is not None:
            return [], task.target
        trials = [
            {**way, "rate": rate, "epochs": task.longest}
            for way in ways
            for rate in (5e-4, *task.rates[way["optimizer"]])
        ]
        self.say(f"{len(trials)} runs of {task.longest} epochs")
        rows = self._run("torch-search", trials=trials, seed=0, target=2.0)
        top = max(rows, key=lambda row: row["final"])
        finals = [top["final"]]
        how = {key: top[key] for key in trials[0]}
        for seed in SEEDS[1:]:
            finals += [
                row["final"]
                for row in self._run("torch-search", trials=[how], seed=seed, target=2.0)
            ]
        return [*rows, {**how, "finals": finals}], statistics.median(finals) - task.within

    def _trials(self, ways: list[dict[str, Any]], target: float) -> list[dict[str, Any]]:
        trials = [
            {**way, "rate": rate, "epochs": epochs}
            for epochs in self.task.epochs
            for way in reversed(ways)  # large batches first: they are fast, and set the bar
            for rate in self.task.rates[way["optimizer"]]
        ]
        self.say(f"{len(trials)} trainings to {target:.4f}")
        return self._run("torch-search", trials=trials, seed=0, target=target)

    def _repeats(self, trials: list[dict[str, Any]], target: float) -> list[dict[str, Any]]:
        done = [row for row in trials if row["seconds"] is not None]
        if not done:
            raise RuntimeError(f"no setting of the peer's search reached {target:.4f}")
        top = sorted(done, key=lambda row: row["seconds"])[: self.task.finalists]
        rows = [{key: row[key] for key in row if key not in ("seconds", "final")}
                for row in top]  # fmt: skip
        times: list[list[float]] = [[] for _ in rows]
        for seed in SEEDS:
            self.say(f"the best {len(rows)} again, seed {seed}")
            again = self._run("torch-search", trials=rows, seed=seed, target=target, slack=3.0)
            for mine, row in zip(times, again, strict=True):
                mine.append(row["seconds"] or float("inf"))
        return [
            {**row, "seconds": [None if t == float("inf") else t for t in mine],
             "median_seconds": statistics.median(mine)}
            for row, mine in zip(rows, times, strict=True)
        ]  # fmt: skip

    def _run(self, name: str, **more: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = worker.run(name, self.threads, **self.settings, **more)
        return rows
