"""A session of measures: repeats by turns, then medians, ratios and their spread."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hashgrad import __version__, _core, calibration

from .measures import Measure

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")

Say = Callable[[str], None]


def run(measures: Sequence[Measure], repeats: int, say: Say) -> dict[str, Any]:
    """Run every measure `repeats` times, round by round.

    Args:
        measures: what to run.
        repeats: rounds; in every other one the contenders go in the opposite order.
        say: is told, in a line, what came out of each run.

    Returns:
        `measures` by name, with all repeats; and where, when and with what it was run. After Ctrl-C
        (`interrupted`), or a run that failed (`failure` is its message), what was measured until
        then.
    """
    where = circumstances()
    rounds: dict[str, list[dict[str, Any]]] = {measure.name: [] for measure in measures}
    interrupted, failure = False, None
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number in range(repeats):
                for measure in measures:
                    found = measure.once(number + 1, Path(folder))
                    found["meeting_nanoseconds"] = _meeting()
                    rounds[measure.name].append(found)
                    say(f"{number + 1}/{repeats}  {measure.title}: {in_words(measure, found)}")
        except KeyboardInterrupt:
            interrupted = True
        except RuntimeError as error:
            failure = str(error)
    return {
        "circumstances": where,
        "interrupted": interrupted,
        "failure": failure,
        "measures": {
            measure.name: summary(measure, rounds[measure.name])
            for measure in measures
            if rounds[measure.name]
        },
    }


def in_words(measure: Measure, found: dict[str, Any]) -> str:
    """One repeat in a line."""
    times = ", ".join(f"{who} {time_text(seconds)}" for who, seconds in found["seconds"].items())
    return f"{times}: {measure.ratio(found['seconds']):.3g}"


def summary(measure: Measure, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of a measure's repeats, the ratio of the medians, and the least and largest ratio."""
    medians = {
        who: statistics.median(found["seconds"][who] for found in rounds)
        for who in rounds[0]["seconds"]
    }
    ratios = sorted(measure.ratio(found["seconds"]) for found in rounds)
    ratio = measure.ratio(medians)
    return {
        "title": measure.title,
        "seconds": medians,
        "ratio": ratio,
        "ratios": ratios,
        "asked": measure.asked,
        "aim": measure.aim,
        "below": measure.below,
        "holds": ratio < measure.asked if measure.below else ratio >= measure.asked,
        "repeats": rounds,
    }


def circumstances() -> dict[str, Any]:
    """Machine, versions, commit and date of a run."""
    versions = {"hashgrad": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": commit(),
        "processor": calibration.processor(),
        "hardware_threads": _core.hardware_threads(),
        "simd": _core.simd_level(),
        "system": platform.system(),
        "versions": versions,
        "meeting_nanoseconds": _meeting(),
    }


def _meeting() -> float | None:
    return calibration.meeting() if _core.hardware_threads() > 1 else None


def commit() -> str | None:
    """The commit that the package's sources are at, with a plus if they are changed."""
    words = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


def time_text(seconds: float) -> str:
    """A time for people.

    >>> time_text(0.0000123), time_text(2.345), time_text(1e9)
    ('12.3 µs', '2.35 s', 'never')
    """
    if seconds >= 1e9:
        return "never"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def rule_text(row: Mapping[str, Any], bound: str) -> str:
    """What is asked of a ratio, or aimed at.

    >>> rule_text({"asked": 4, "below": True}, "asked")
    '< 4'
    """
    return f"{'<' if row['below'] else '≥'} {row[bound]:g}"
