"""Bytes of memory: what this process has taken, what the machine has, and how to say it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def peak_memory_bytes() -> int | None:
    """The most memory this process has held so far; None where the system does not say.

    >>> peak_memory_bytes() > 1_000_000
    True
    """
    # Linux's getrusage also counts what the process was forked from; /proc does not.
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def total_memory_bytes() -> int | None:
    """The machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def available_memory_bytes() -> int | None:
    """Memory that a new program could have now; None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def in_words(n_bytes: int | None) -> str:
    """A number of bytes for people.

    >>> in_words(3 * 1024**3 // 2), in_words(None)
    ('1.5 GiB', 'unknown')
    """
    if n_bytes is None:
        return "unknown"
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
