"""What the readers of sparse rows have in common: files of rows, read whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .bad_rows import BadRows
from .dataset import Features, Targets
from .sparse_rows import Rows, stacked


class RowFile(Protocol):
    """A file, or two in step, of sparse rows, read block by block.

    A width or a first index that is None is not known yet: then rows are judged without it, and
    columns are numbered as in the file.
    """

    paths: list[Path]
    first_index: int | None  # number of the first feature
    n_features: int | None
    n_labels: int | None
    seekable: bool  # whether `block` finds a place quickly

    def blocks(self, size: int = ...) -> Iterator[Any]:
        """All blocks in the order of the file, of about `size` bytes; each has a `place`."""

    def block(self, place: Any, size: int = ...) -> Any:
        """The block that `blocks` found there, with the same size."""

    def parse(self, block: Any, judge: BadRows) -> Rows:
        """The good rows of a block; ValueError if a bad one is refused."""


def read_whole(file: RowFile, judge: BadRows) -> tuple[Features, Targets]:
    """All good rows of a file, columns as wide as they are known to be.

    Raises:
        ValueError: a row is bad and refused, or there is no row.
    """
    path = file.paths[0]
    judge.begin(path)
    first = file.first_index or 0
    parts = [
        file.parse(block, judge).matrices(file.n_features, file.n_labels, first)
        for block in file.blocks()
    ]
    if not any(x.shape[0] for x, _ in parts):
        raise no_rows(path, judge)
    targets = [y for _, y in parts]
    together = np.concatenate(targets) if targets[0].ndim == 1 else stacked(targets)
    return stacked([x for x, _ in parts]), together


def no_rows(path: Path, judge: BadRows) -> ValueError:
    """The error for a file without a good row."""
    skipped = f" ({judge})" if judge.count else ""
    return ValueError(f"{path}: the file must hold one row or more, got none{skipped}")


def aligned(
    parts: list[tuple[Features, Targets]], n_features: int | None = None
) -> list[tuple[Features, Targets]]:
    """Files that belong together, with one width of rows, and one of indicators."""
    width = max(x.shape[1] for x, _ in parts) if n_features is None else n_features
    labels = max(y.shape[1] if y.ndim == 2 else 0 for _, y in parts)
    for x, y in parts:
        x.resize((x.shape[0], width))
        if y.ndim == 2:
            y.resize((y.shape[0], labels))
    return parts
