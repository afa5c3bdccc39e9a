"""What the core's kernels cost on this machine: measured once, then kept in the user's cache.

The environment variable `HASHGRAD_CALIBRATION` names a file to take instead (as `hashgrad doctor
--json` or `save` writes it), or is `off` for the costs of the reference machine below: then choices
depend neither on the machine nor on what else it did while it was measured.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from . import _core
from .atomic import write_atomically

VARIABLE = "HASHGRAD_CALIBRATION"
OFF = "off"
_MEETING_TRIES = 20  # of 5 ms
_TOGETHER = 2000.0  # nanoseconds: less, and the two threads did run at the same time
_REVISION = 4  # of what is measured; costs kept by another one are measured anew

# Where working sets of each size end: a core's own cache, the processor's, memory.
SIZES = {"near": 1 << 18, "middle": 1 << 22, "far": 1 << 26}

# Nanoseconds, AMD EPYC (Zen 5, AVX-512), 2026-11-24; `core/calibrate.h` says what each is. A "word"
# was then counted, not matched with numbers.
REFERENCE = {
    "stream.near": 0.28, "stream.middle": 0.51, "stream.far": 1.19,
    "line.near": 0.35, "line.middle": 0.64, "line.far": 1.83,
    "entry.near": 0.25, "entry.middle": 0.40, "entry.far": 2.36,
    "step.near": 1.05, "step.middle": 1.11, "step.far": 4.6,
    "column.near": 0.50, "column.middle": 0.57, "column.far": 1.63,
    "learn.near": 0.38, "learn.middle": 0.51, "learn.far": 1.00,
    "scan.near": 0.083, "scan.middle": 0.25,
    "word": 0.18, "choose": 0.35, "project": 0.40, "bucket": 5.1, "row": 2.2,
    "product": 0.0056, "meet": 200.0,
}  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Costs in nanoseconds by name, and where they came from."""

    costs: dict[str, float]
    source: str

    def cost(self, name: str, n_bytes: float | None = None) -> float:
        """Nanoseconds of one `name`; of those that read memory, in a working set of `n_bytes`.

        >>> machine = Machine(REFERENCE, "reference")
        >>> machine.cost("line", 1 << 18) < machine.cost("line", 1 << 24)
        True
        """
        if n_bytes is None:
            return self.costs[name]
        known = [(size, self.costs[f"{name}.{at}"]) for at, size in SIZES.items()
                 if f"{name}.{at}" in self.costs]  # fmt: skip
        if n_bytes <= known[0][0]:
            return known[0][1]
        for (small, low), (large, high) in itertools.pairwise(known):
            if n_bytes <= large:
                share = math.log(n_bytes / small) / math.log(large / small)
                return low + (high - low) * share
        return known[-1][1]


def machine() -> Machine:
    """This machine's costs: from the variable, the cache, or measured now and kept.

    Raises:
        ValueError: the variable names a file that holds no costs.
        OSError: that file cannot be read.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked.lower() == OFF:
        return Machine(REFERENCE, "reference")
    if asked:
        return load(Path(asked))
    if not _known:
        with contextlib.suppress(OSError, ValueError):  # none yet, or not whole: measure again
            _known.append(load(cache_file()))
    return _known[0] if _known else measure()


_known: list[Machine] = []  # the one machine that this process runs on


def meeting() -> float:
    """Nanoseconds that two threads take to meet, as it is just now.

    The least of a few tries: a process that has waited begins with its threads on one processor.
    """
    least = math.inf
    for _ in range(_MEETING_TRIES):
        least = min(least, _core.meeting_time() * 1e9)
        if least < _TOGETHER:
            break
    return least


def measure() -> Machine:
    """Measure this machine's costs, and keep them in the user's cache if it can be written."""
    costs = dict(_core.calibrate())
    _known[:] = [Machine(costs, "measured now")]
    with contextlib.suppress(OSError):  # a cache is not worth an error
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        save(_known[0], cache_file())
    return _known[0]


def save(machine: Machine, path: Path) -> None:
    """Write a machine's costs as JSON."""
    write_atomically(path, [json.dumps({"calibration": machine.costs}, indent=1).encode()])


def load(path: Path) -> Machine:
    """Read costs that `save` or `hashgrad doctor --json` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it does not hold a positive number for every cost.
    """
    try:
        costs = json.loads(path.read_text())["calibration"]
        whole = costs.keys() >= REFERENCE.keys() and all(
            isinstance(costs[name], (int, float)) and 0 <= costs[name] < math.inf for name in costs
        )
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise ValueError(
            f"{VARIABLE}: a calibration must have a number of nanoseconds for each of "
            f"{', '.join(REFERENCE)}, got {os.fspath(path)!r}"
        )
    return Machine({name: float(costs[name]) for name in REFERENCE}, os.fspath(path))


def cache_file() -> Path:
    """The file in the user's cache that holds this processor's costs."""
    import hashlib  # both take a tenth of the package's own time to import

    import platformdirs

    here = (_REVISION, processor(), _core.simd_level(), _core.hardware_threads())
    text = f"{here} {sorted(REFERENCE)}"
    name = f"calibration-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    return Path(platformdirs.user_cache_dir("hashgrad"), name)


def processor() -> str:
    """The processor's own name, as far as the system tells it.

    >>> len(processor()) > 0
    True
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
