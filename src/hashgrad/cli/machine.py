"""What the command line tells about the machine: memory, versions, where data may lie."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

from hashgrad import datasets
from hashgrad.datasets.folders import VARIABLE, cache_folder

PACKAGES = ("numpy", "scipy", "scikit-learn", "safetensors", "pooch", "typer", "rich")


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


def versions() -> dict[str, str]:
    """Versions of Python, the system and the packages underneath."""
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def processor() -> str:
    """The processor's own name, as far as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


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
