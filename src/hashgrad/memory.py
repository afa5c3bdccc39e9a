"""Bytes of memory: what a network will take, what the machine has, and how to say it."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from . import specification
from .layers import Dense
from .optimizers import Optimizer
from .selectors import LSH, Selector
from .specification import whole

_FLOAT = 4
_LINE = 16  # floats in a cache line, to which rows are padded
_PANEL = 64  # examples of a batch whose scores lie together
_FULLEST = 6  # slots of a bucket, in multiples of the mean; the core makes room for the fullest
_SIDE_BY_SIDE = 8  # examples that a thread predicts together
_ROOT = Path("/")


@dataclass(frozen=True)
class _Version:
    """Where a version of control groups keeps its numbers."""

    folder: str
    limit: str
    used: str
    spare: str  # in memory.stat: of files that were not used lately


_VERSIONS = {
    "": _Version("", "memory.max", "memory.current", "inactive_file"),
    "memory": _Version(
        "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    ),
}


@dataclass(frozen=True)
class Memory:
    """Bytes that a network takes; prints as words.

    Attributes:
        weights: of weights and biases, their rows padded to whole cache lines.
        optimizer: of its state beside them.
        hashes: of hash functions and of what they make of the neurons.
        tables: of hash tables, roughly: how full buckets get depends on the data.
        examples: of the examples that are under way, a batch or a few for each thread, roughly.

    >>> print(Memory(weights=3 * 2**20, optimizer=0, hashes=2**20, tables=0, examples=0))
    4.0 MiB (weights 3.0 MiB, hashes 1.0 MiB)
    """

    weights: int
    optimizer: int
    hashes: int
    tables: int
    examples: int

    @property
    def total(self) -> int:
        """The sum of all."""
        return sum(dataclasses.astuple(self))

    def to_dict(self) -> dict[str, int]:
        """The numbers, JSON-able."""
        return {**dataclasses.asdict(self), "total": self.total}

    def __str__(self) -> str:
        parts = dataclasses.asdict(self).items()
        words = ", ".join(f"{name} {in_words(size)}" for name, size in parts if size)
        return f"{in_words(self.total)} ({words})"


def needed(
    n_inputs: int,
    layers: Sequence[Dense],
    optimizer: Optimizer,
    *,
    batch_size: int = 1,
    threads: int = 1,
    arrangement: Sequence[Mapping[str, str]] | None = None,
) -> Memory:
    """What a network will take; nothing is allocated to find out.

    Args:
        n_inputs: columns of the input, at least 1.
        layers: as of `Network`.
        optimizer: as of `Network`.
        batch_size: as of `Network`.
        threads: as of `Network`, but at least 1.
        arrangement: how each layer is computed; None is as before planning.

    Example:
        >>> from hashgrad import SGD, Adam
        >>> in_words(needed(128, [Dense(200_000)], SGD()).weights)
        '109.9 MiB'
        >>> in_words(needed(128, [Dense(200_000)], Adam()).optimizer)
        '219.7 MiB'
        >>> in_words(needed(128, [Dense(200_000)], Adam(state="row")).optimizer)
        '55.7 MiB'
        >>> halves = Dense(200_000, active=LSH(0.001, pooled=True), dtype="bfloat16")
        >>> in_words(needed(128, [halves], Adam()).weights)
        '49.6 MiB'
    """
    ways = specification.first_arrangement(layers) if arrangement is None else arrangement
    kept = specification.moments(optimizer).values()
    each = sum({"F32": 4, "U16": 2, "I8": 1, "U8": 1}[kind] for kind in kept)  # bytes a weight
    by_row = specification.has_row_square(optimizer) + 2 * specification.has_row_units(optimizer)
    by_row += 2 * specification.has_row_update(optimizer)
    under_way = max(batch_size, _SIDE_BY_SIDE * threads)
    total = Memory(0, 0, 0, 0, 0)
    for layer, way in zip(layers, ways, strict=True):
        n, columns = layer.n, n_inputs + 1
        rows, across = (columns, n) if way["layout"] == "input" else (n, columns)
        padded = rows * whole(across, _LINE)
        halved = layer.dtype == "bfloat16"
        matrix = n * (2 * whole(n_inputs, 2 * _LINE) + _FLOAT) if halved else _FLOAT * padded
        hashes, tables = _hashes(layer.selector, n, n_inputs, way)
        seen = under_way * (0 if way["lookup"] == "tables" else n)  # evaluated, or scored by a scan
        if isinstance(layer.selector, LSH) and layer.selector.pooled:
            if way["lookup"] == "tables":  # which are for training alone
                seen = _SIDE_BY_SIDE * threads * n
            every = layer.selector.query_every
            asking = -(-batch_size // every) if every else 0
            least = asking * layer.selector.kept(n) + batch_size
            columns = whole(batch_size, _LINE if batch_size < _PANEL else _PANEL)
            pool = min(n, max(layer.selector.fill, least))
            seen += columns * pool
            in_pairs = layer.selector.precision == "bfloat16"
            if in_pairs:  # gradients, and weights twice, in half the bits
                seen += columns * -(-pool // 2)
            if in_pairs or halved:  # or weights as floats
                seen += pool * whole(n_inputs + 1, _LINE)
        part = Memory(
            weights=matrix,
            optimizer=each * padded + _FLOAT * rows * by_row,
            hashes=hashes,
            tables=tables,
            examples=_FLOAT * (seen + 3 * under_way * layer.selector.kept(n)),
        )
        pairs = zip(dataclasses.astuple(total), dataclasses.astuple(part), strict=True)
        total = Memory(*(a + b for a, b in pairs))
        n_inputs = n
    return total


def _hashes(selector: Selector, n: int, n_inputs: int, way: Mapping[str, str]) -> tuple[int, int]:
    """Bytes of a layer's hashes, and of its tables."""
    if not isinstance(selector, LSH) or way["code"] == "none":
        return 0, 0
    shapes = specification.hash_shapes(selector, n, n_inputs, way["code"])
    bytes_each = {"dirty": 1, "code": 1, "signature": 8}
    sizes = {
        name: bytes_each.get(name, _FLOAT) * math.prod(shape) for name, shape in shapes.items()
    }
    codes = 0
    if "sketch" in shapes:  # and, made from them, codes; a pooled layer keeps these alone
        width = shapes["sketch"][1]
        lengths = 2 if selector.transform == "none" else 1  # once more, halved, with tails
        codes = (
            whole(n, _LINE) * width
            if way["code"] == "bytes"
            else n * (width // 8 + lengths * _FLOAT)
        )
    elif "tail" in shapes:  # lengths and tails, halved
        codes = _FLOAT * n
    if selector.densified:  # likewise, lengths and the order of inputs
        n_codes = selector.bits * selector.tables // selector.bits_of_code
        bins = max(1, n_inputs // 2**selector.bits_of_code)
        orders = whole(n_codes, bins) // bins if selector.family == "dwta" else 0
        codes = _FLOAT * (n * ("norm" not in shapes) + n_inputs * orders)
    tables = 0
    if way["lookup"] == "tables":
        slots = max(8 * 2**selector.bits, _FULLEST * n)
        if selector.pooled:  # bounded buckets, with their neurons' lengths beside them
            slots = 2 * selector.bucket * 2**selector.bits
        tables = _FLOAT * selector.tables * (n + slots)
    return sum(sizes.values()) + codes, tables


def check_fits(memory: Memory, sizes: Sequence[int]) -> None:
    """Raise MemoryError unless there is room for a network; where nobody knows, there is.

    Args:
        memory: what it takes.
        sizes: of its layers, the input first.
    """
    available = available_memory_bytes()
    if available is not None and memory.total > available:
        raise too_large(sizes, f"{memory}, with {in_words(available)} available")


def too_large(sizes: Sequence[int], takes: object) -> MemoryError:
    """The error for a network of these sizes.

    >>> print(too_large([10, 5, 2], "3.0 TiB"))
    layers must fit in memory, got 10-5-2, which takes 3.0 TiB
    """
    return MemoryError(
        f"layers must fit in memory, got {'-'.join(map(str, sizes))}, which takes {takes}"
    )


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
    """Memory that a program could have now; None where the system does not say.

    It is the least of what the machine has left, and of what the control groups (of a container,
    say) that this process belongs to have left of their limits.

    >>> available_memory_bytes() is None or available_memory_bytes() > 0
    True
    """
    left = [_machine_left(), *_groups_left()]
    known = [n_bytes for n_bytes in left if n_bytes is not None]
    return max(0, min(known)) if known else None


def _machine_left() -> int | None:
    try:
        for line in (_ROOT / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _groups_left() -> Iterator[int | None]:
    """Bytes left in each control group of this process that limits memory, of both versions.

    Inside a container a group may be mounted as the root, where its path says otherwise; so all
    folders from the path's up to the root are looked into.
    """
    try:
        lines = (_ROOT / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        version = _VERSIONS["memory" if kinds else ""]
        folder = _ROOT / "sys/fs/cgroup" / version.folder
        inner = PurePosixPath(path.lstrip("/"))
        for group in (inner, *inner.parents):
            yield _group_left(folder / group, version)


def _group_left(folder: Path, version: _Version) -> int | None:
    """A group's limit less what it holds; files that the system would give up do not count."""
    try:
        limit = int((folder / version.limit).read_text())  # "max" is no limit
        used = int((folder / version.used).read_text())
        statistics = (folder / "memory.stat").read_text().split()
        spare = int(statistics[statistics.index(version.spare) + 1])
    except (OSError, ValueError):
        return None
    return limit - max(0, used - spare)


def in_words(n_bytes: int | None) -> str:
    """A number of bytes for people.

    >>> in_words(3 * 1024**3 // 2), in_words(None)
    ('1.5 GiB', 'unknown')
    """
    if n_bytes is None:
        return "unknown"
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
