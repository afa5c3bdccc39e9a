"""Parquet with list columns: a row's features, their values, and its labels."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import shown
from .bad_rows import BadRows, judging
from .dataset import Features, Targets
from .opening import is_compressed, open_bytes
from .row_files import aligned, read_whole
from .sparse_rows import Lists, Reasons, Rows, check_lists

COLUMNS = ("indices", "values", "labels")
_IMPLIED = COLUMNS[1]


class RowGroup(NamedTuple):
    """Rows that were written together."""

    place: int


class ParquetFile:
    """A file read row group by row group.

    Args:
        path: the file; one that is compressed as a whole is unpacked to a temporary file first.
        columns: the names of the columns of features, values and labels.
        n_features: how many features there are; None while it is not known.

    Attributes:
        n_labels: how many labels there are, None while it is not known.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: PyArrow is not installed.
        ValueError: not a Parquet file, or a column is missing or of the wrong type.
    """

    def __init__(
        self, path: Path, columns: Sequence[str] = COLUMNS, n_features: int | None = None
    ) -> None:
        self.paths = [path]
        self.first_index: int | None = 0
        self.n_features = n_features
        self.n_labels: int | None = None
        self.seekable = True
        self._columns = _checked_names(columns)
        pyarrow = _pyarrow(path)
        self._errors = (pyarrow.ArrowException, OSError)
        with ExitStack() as stack:
            source = stack.enter_context(_unpacked(path))
            self._file = self._guarded(
                lambda: pyarrow.parquet.ParquetFile(source, page_checksum_verification=True)
            )
            self._check_types(pyarrow)
            self._stack = stack.pop_all()

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def blocks(self, size: int = 0) -> Iterator[RowGroup]:
        """All row groups; their size is what it is."""
        return map(RowGroup, range(self._file.num_row_groups))

    def block(self, place: int, size: int = 0) -> RowGroup:
        """The row group with this number."""
        return RowGroup(place)

    def parse(self, block: RowGroup, judge: BadRows) -> Rows:
        """The good rows of a row group.

        Raises:
            ValueError: a row is bad and refused, or the group cannot be read.
        """
        indices, values, labels = self._columns
        names = [name for name in self._columns if name in self._names]
        table = self._guarded(lambda: self._file.read_row_group(block.place, columns=names))
        bad: Reasons = {}
        features = _lists(indices, table, bad)
        if values in self._names:
            beside = _lists(values, table, bad)
            for row in np.flatnonzero(features.sizes != beside.sizes):
                sizes = f"{features.sizes[row]} and {beside.sizes[row]}"
                bad.setdefault(
                    int(row), f"{indices} and {values} must be equally long, got {sizes}"
                )
            features = _emptied(features, bad)
            features = Lists(features.sizes, features.ids, _emptied(beside, bad).ids)
        else:
            features = Lists(features.sizes, features.ids, np.ones(len(features.ids)))
        targets = _lists(labels, table, bad)
        check_lists(features, "feature", bad, width=self.n_features)
        check_lists(targets, "label", bad, width=self.n_labels)
        numbers = np.arange(table.num_rows)
        place = f"row {{}} of row group {block.place}"
        return Rows(self.paths[0], place, numbers, features, targets).judged(bad, judge)

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except self._errors as error:
            why = str(error).partition("\n")[0]
            raise ValueError(f"{self.paths[0]}: not a Parquet file, or damaged ({why})") from error

    def _check_types(self, pyarrow: Any) -> None:
        types = pyarrow.types
        schema = self._file.schema_arrow
        self._names = schema.names
        for name, use in zip(self._columns, COLUMNS, strict=True):
            if name == _IMPLIED and name not in self._names:
                continue
            if self._names.count(name) != 1:
                listed = ", ".join(map(repr, self._names))
                raise ValueError(
                    f"{self.paths[0]}: there must be one column {name!r} for the {use}, "
                    f"got {shown(listed)}"
                )
            kind = schema.field(name).type
            lists = types.is_list(kind) or types.is_large_list(kind)
            fits = lists and (
                types.is_integer(kind.value_type)
                or (use == _IMPLIED and types.is_floating(kind.value_type))
            )
            if not fits:
                what = "numbers" if use == _IMPLIED else "whole numbers"
                raise ValueError(
                    f"{self.paths[0]}: column {name!r} must hold lists of {what}, got {kind}"
                )


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f'{path}: Parquet needs a package more: pip install "hashgrad[parquet]"'
        ) from None
    return pyarrow


def _checked_names(columns: Sequence[str]) -> tuple[str, ...]:
    words = isinstance(columns, (list, tuple)) and all(isinstance(name, str) for name in columns)
    if not words or len(columns) != len(COLUMNS) or len(set(columns)) != len(COLUMNS):
        raise ValueError(
            f"columns must be three names, of the {', '.join(COLUMNS)}, got {shown(columns)}"
        )
    return tuple(columns)


@contextmanager
def _unpacked(path: Path) -> Iterator[Any]:
    """The file, or a temporary one with what it holds: Parquet is read from its end."""
    with open_bytes(path) as stream:
        if not is_compressed(path):
            yield stream
            return
        with tempfile.TemporaryFile() as whole:
            shutil.copyfileobj(stream, whole)
            whole.seek(0)
            yield whole


def _lists(name: str, table: Any, bad: Reasons) -> Lists:
    """A column's lists; one that is missing, or misses an entry, is bad."""
    sizes, ids = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    begin = 0
    for chunk in table.column(name).chunks:
        lengths = chunk.value_lengths()
        flat = chunk.flatten()
        some = np.asarray(lengths.fill_null(0), dtype=np.int64)
        for missing in np.flatnonzero(np.asarray(chunk.is_null())):
            bad.setdefault(begin + int(missing), f"{name} must be a list, got null")
        for entry in np.flatnonzero(np.asarray(flat.is_null())):
            row = begin + int(np.searchsorted(np.cumsum(some), entry, side="right"))
            bad.setdefault(row, f"{name} must hold numbers, got null")
        sizes.append(some)
        # float64 holds every id below 2**53 exactly, and no smaller number for one above.
        ids.append(np.asarray(flat.fill_null(0), dtype=np.float64))
        begin += len(chunk)
    return Lists(np.concatenate(sizes), np.concatenate(ids))


def _emptied(lists: Lists, bad: Reasons) -> Lists:
    """The lists, those of bad rows empty."""
    good = np.ones(len(lists.sizes), dtype=bool)
    good[list(bad)] = False
    return Lists(np.where(good, lists.sizes, 0), lists.ids[np.repeat(good, lists.sizes)])


def read_parquet(
    paths: Sequence[str | Path],
    *,
    columns: Sequence[str] = COLUMNS,
    n_features: int | None = None,
    bad_rows: str | BadRows = "refuse",
) -> list[tuple[Features, Targets]]:
    """Read Parquet files that belong together into CSR rows and indicators of labels.

    A row has a list of whole numbers in the column `indices`, the features that are not zero, one
    as long in `values`, and one in `labels`; features and labels are counted from 0. Without a
    column `values` every value is 1. The files share their widths, the largest number found.

    Args:
        paths: training file, and perhaps test file; one compressed as a whole is unpacked to a
            temporary file.
        columns: the names of the three columns, if they are others.
        n_features: width of the rows; None takes the largest index found.
        bad_rows: `"refuse"` the first bad row, `"skip"` them all, or a `BadRows`. A row is bad if
            it lacks a list or a number, has indices and values of different length, a value that
            is not finite in float32, a negative index or label, or one twice.

    Returns:
        For each file CSR float32 (n, d), and a CSR indicator (n, labels).

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: PyArrow is not installed.
        ValueError: not a Parquet file, a column is missing or of another type, a file has no row,
            or a row is bad and refused (the message names file, row group and row).

    Example:
        >>> import tempfile, pyarrow, pyarrow.parquet
        >>> table = pyarrow.table({"indices": [[0, 2], [1]], "labels": [[3], []]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.parquet")
        ...     pyarrow.parquet.write_table(table, path)
        ...     [(x, y)] = read_parquet([path])
        >>> x.toarray(), y.toarray()
        (array([[1., 0., 1.],
               [0., 1., 0.]], dtype=float32), array([[0, 0, 0, 1],
               [0, 0, 0, 0]], dtype=int8))
    """
    parts = []
    with judging(bad_rows) as judge:
        for path in map(Path, paths):
            with ParquetFile(path, columns, n_features) as file:
                parts.append(read_whole(file, judge))
    return aligned(parts, n_features)
