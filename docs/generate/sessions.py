"""The committed results of the benchmarks, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

from hashgrad.bench.measures import NEVER

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
SCORES = ("P@1", "P@3", "P@5", "PSP@1", "PSP@3", "PSP@5")


def sessions() -> list[dict[str, Any]]:
    """What `hashgrad bench` wrote, the oldest session first."""
    found = [_read(path) for path in (RESULTS / "results.json", *RESULTS.glob("*/results.json"))]
    kept = [one for one in found if "measures" in one]
    return sorted(kept, key=lambda one: one["circumstances"]["date"])


def measures() -> dict[str, dict[str, Any]]:
    """Each measure of the sessions, with the circumstances of its session."""
    return {
        name: {**row, "circumstances": session["circumstances"]}
        for session in sessions()
        for name, row in session["measures"].items()
    }


def races() -> dict[str, dict[str, Any]]:
    """The measures of time to an accuracy."""
    return {name: row for name, row in measures().items() if _is_race(row)}


def reached(row: Mapping[str, Any], who: str) -> int:
    """In how many repeats a contender came to the accuracy that was asked."""
    return sum(repeat["seconds"][who] < NEVER for repeat in row["repeats"])


def many_labels() -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """The session of `benchmarks/many_labels.py`, and each contender's seconds and scores.

    Seconds are medians of the rounds, scores their means, all at the end of training.
    """
    session = _read(RESULTS / "many-labels" / "results.json")
    contenders = [who for who, curve in session["rounds"][0].items() if isinstance(curve, list)]
    found = {}
    for who in contenders:
        last = [entry[who][-1] for entry in session["rounds"]]
        scores = {score: mean(one[score] for one in last) for score in SCORES}
        found[who] = {"seconds": median(one["seconds"] for one in last), **scores}
    return session, found


def _is_race(row: Mapping[str, Any]) -> bool:
    runs = row["repeats"][0].get("runs") or {}
    return bool(runs) and all("points" in run for run in runs.values())


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
