"""What the tests of the benchmarks share."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashgrad.bench import worker

RACE = {"pytorch": 4.0, "hashgrad": 1.0}
HOW = {"batch": 32, "optimizer": "adam", "rate": 1e-3, "epochs": 1, "bf16": False}


def times(pytorch: float, hashgrad: float) -> dict[str, float]:
    return {"pytorch": pytorch, "hashgrad": hashgrad}


@dataclass
class Fake:
    """A measure whose repeats are given; an exception among them is raised."""

    name: str = "fake"
    title: str = "a race"
    asked: float = 2.0
    aim: float = 4.0
    below: bool = False
    repeats: list[Any] = field(default_factory=list)
    runs: list[tuple[int, Path]] = field(default_factory=list)

    def once(self, seed: int, folder: Path) -> dict[str, Any]:
        assert folder.is_dir()
        self.runs.append((seed, folder))
        found = self.repeats[len(self.runs) - 1]
        if isinstance(found, BaseException):
            raise found
        return {"seconds": dict(found)}

    def ratio(self, seconds: Mapping[str, float]) -> float:
        return seconds["pytorch"] / seconds["hashgrad"]


class Answering:
    """Stands for `worker.run`: checks the settings, remembers who was asked, answers plausibly."""

    def __init__(self, **instead: Any) -> None:
        self.asked: list[tuple[str, int, dict[str, Any]]] = []
        self.instead = {name.replace("_", "-"): answer for name, answer in instead.items()}

    def __call__(self, name: str, threads: int, **settings: Any) -> Any:
        self.asked.append((name, threads, settings))
        inspect.signature(worker.RUNS[name]).bind(threads=threads, **settings)
        json.dumps(settings)  # as a process of its own gets them
        answer = {**_ANSWERS, **self.instead}[name]
        return answer(threads, settings) if callable(answer) else answer

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.asked]


_ANSWERS: dict[str, Any] = {
    "hashgrad-training": {"points": [[1.0, 0.5], [2.0, 0.99]]},
    "torch-training": {"points": [[3.0, 0.5], [6.0, 0.99]]},
    "scikit-learn-training": {"points": [[8.0, 0.9]]},
    "hashgrad-cost": lambda threads, _: {
        "seconds": 1e-4 / threads,
        "floor": {"forward": {"nanoseconds": 4e4}, "update": {"nanoseconds": 1e4}},
    },
    "hashgrad-train-and-save": {"accuracy": 0.97},
    "torch-train-and-save": {"accuracy": 0.97},
    "hashgrad-latency": {
        "float32": {"seconds": 4e-5, "accuracy": 0.97},
        "compact": {"seconds": 2e-5, "accuracy": 0.969},
    },
    "torch-latency": lambda threads, _: {
        "float32": {"seconds": 2e-4 / threads, "accuracy": 0.97},
        "int8": {"seconds": 1e-6, "accuracy": 0.3},
    },
}
