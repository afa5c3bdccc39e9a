"""What the command line tells about the machine: versions, thread pools, where data may lie."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from hashgrad import _core, datasets
from hashgrad.calibration import Machine
from hashgrad.datasets.folders import VARIABLE, cache_folder

_TELLING_SECONDS = 2.0  # of training, from which the share of processors says something
_FAIR_SHARE = 0.7

PACKAGES = ("numpy", "scipy", "scikit-learn", "safetensors", "pooch", "typer", "rich")


def versions() -> dict[str, str]:
    """Versions of Python, the system and the packages underneath."""
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def thread_pools() -> list[dict[str, Any]]:
    """Pools of threads that libraries in this process keep (BLAS, OpenMP), as threadpoolctl tells.

    >>> all(pool["threads"] >= 1 for pool in thread_pools())
    True
    """
    import sklearn.neural_network  # noqa: F401 - brings its pools with it
    from threadpoolctl import threadpool_info

    return [
        {"library": pool["internal_api"], "threads": pool["num_threads"]}
        for pool in threadpool_info()
    ]


def pools_in_words(pools: list[dict[str, Any]]) -> str:
    """Those pools, and what to do where they stand in the way.

    >>> pools_in_words([{"library": "openblas", "threads": 8}])
    'openblas 8; where they work while hashgrad trains, set OMP_NUM_THREADS=1 or fewer --threads'
    """
    if all(pool["threads"] == 1 for pool in pools):
        return "none with more than one thread"
    listed = ", ".join(f"{pool['library']} {pool['threads']}" for pool in pools)
    return (
        f"{listed}; where they work while hashgrad trains, set OMP_NUM_THREADS=1 or fewer --threads"
    )


def crowding(threads: int, wall: float, processors: float) -> str:
    """A sentence where threads got too little of the processors; empty where they did not.

    Args:
        threads: that worked.
        wall: seconds that passed.
        processors: seconds of processors that this process got meanwhile.

    >>> crowding(2, 10.0, 11.0)
    'the 2 threads got 55% of the time that they asked for: something else runs here as well'
    >>> crowding(2, 10.0, 19.0)
    ''
    """
    share = processors / (wall * threads)
    if wall < _TELLING_SECONDS or share >= _FAIR_SHARE:
        return ""
    available = _core.hardware_threads()
    cause = (
        f"there are {available} processors"
        if threads > available
        else "something else runs here as well"
    )
    return f"the {threads} threads got {share:.0%} of the time that they asked for: {cause}"


def costs_in_words(machine: Machine) -> str:
    """A machine's costs, a line for each kernel: near the core, farther, in memory.

    >>> print(costs_in_words(Machine({"line.near": 0.5, "line.far": 1.75, "word": 0.2}, "")))
    line 0.5, 1.75
    word 0.2
    """
    lines: dict[str, list[str]] = {}
    for name, cost in machine.costs.items():
        lines.setdefault(name.partition(".")[0], []).append(f"{cost:.3g}")
    return "\n".join(f"{name} {', '.join(costs)}" for name, costs in lines.items())


def data_folder() -> dict[str, Any]:
    """The folder that `$HASHGRAD_DATA` names, and the sets with a name that it holds."""
    named = os.environ.get(VARIABLE)
    return {"path": named, "sets": _sets(Path(named))} if named else {"path": None, "sets": []}


def cached() -> dict[str, Any]:
    """The user's cache of data sets, and those in it."""
    folder = cache_folder("")
    return {"path": str(folder), "sets": _sets(folder)}


def _sets(folder: Path) -> list[str] | None:
    """The sets with a name for which there is a folder with files; None if it cannot be read."""
    try:
        found = {
            entry.name for entry in folder.iterdir() if entry.is_dir() and any(entry.iterdir())
        }
    except OSError:
        return None
    return [name for name in datasets.names() if name in found]
