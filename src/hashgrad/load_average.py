"""Whether other work had the processors when something was timed."""

from __future__ import annotations

import os

_IDLE = 0.5  # of load average, which the user's own preparations leave behind


def load_average() -> float | None:
    """Processes that ran or waited for a processor, a mean over the last minute; None if unknown.

    Windows does not know it, and some containers hide it.
    """
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def busy(load: float | None, threads: int, cores: int | None = None) -> str:
    """A sentence where less was free than the threads that were timed; empty where it was enough.

    Args:
        load: the load average before anything was timed; None if unknown.
        threads: that were timed; 0 is all cores.
        cores: of the machine, which the load is of; None: as many as it has.

    >>> busy(3.2, 1, 2)[:82]
    'The machine was busy: a load average of 3.2 on 2 cores before 1 thread was timed; '
    >>> busy(0.4, 2, 2), busy(1.0, 1, 2), busy(None, 1, 2)
    ('', '', '')
    """
    cores = cores or os.cpu_count() or 1
    wanted = threads or cores
    if load is None or load <= max(0, cores - wanted) + _IDLE:
        return ""
    machine = "1 core" if cores == 1 else f"{cores} cores"
    timed = "1 thread was" if wanted == 1 else f"{wanted} threads were"
    return (
        f"The machine was busy: a load average of {load:.1f} on {machine} before {timed} "
        "timed; take times as upper bounds, and measure again when it is idle."
    )
