"""Rows of a file that need not fit in memory: shuffled, and read ahead of their use."""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..checks import Interval, one_of
from .bad_rows import BadRows, judging
from .dataset import Features, Targets
from .line_blocks import BLOCK
from .loading import kind_of
from .parquet import COLUMNS, ParquetFile
from .row_files import RowFile, no_rows
from .sparse_rows import stacked
from .svmlight import FIRST_INDEX, SvmlightFile
from .weighting import WEIGHTINGS, Weighting
from .xc import XcFiles

BUFFER = 64 << 20  # bytes
_T = TypeVar("_T")


class RowStream:
    r"""A multi-label file, read again for every epoch, with the rows of a buffer in memory.

    The file is read through once when the stream is made: that finds bad rows, counts the others
    and finds what is not said: widths, the first index, a weighting. Each epoch then takes the
    file's blocks (1 MiB of text, or a row group of Parquet) in a random order, fills the buffer
    with them, shuffles its rows, hands them out and fills it again, on a thread of its own while
    those before are in use. A file compressed as a whole is read from its beginning, its blocks in
    their order: then rows move within the buffer alone, and a file sorted by label wants shuffling
    first. The order depends on the seed and the epoch's number, the buffer and the file.

    Args:
        path: svmlight, Parquet, or text of the Extreme Classification Repository (one file, or
            `..._X_Xf.txt` with `..._X_Y.txt` beside it), perhaps compressed.
        seed: of the order, 0 or more.
        buffer: bytes of the rows that are shuffled together, as matrices, 1 or more. About six
            times as many are in use: those handed out, the next ones, copies in the making.
        n_features: width of the rows; None takes the header's, or the largest index found.
        first_index: number of the first feature of svmlight, 0 or 1; None is 1, unless a feature 0
            occurs.
        columns: of Parquet, as `load` takes them.
        weighting: what to weigh rows with: a `Weighting`, or the name of one that is fitted to the
            file; None leaves them as they are.
        bad_rows: `"refuse"` the first, `"skip"` them all and warn, or a `BadRows`.

    Attributes:
        n_rows: rows that are not bad.
        n_features: width of the rows.
        n_labels: width of the indicators.
        first_index: number of the first feature in the file.
        weighting: the `Weighting`, or None.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: a package is missing that the format needs.
        TypeError: a number is not whole.
        ValueError: a file of another format, one without rows, a bad row that is refused, or an
            argument out of range.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.svm")
        ...     _ = path.write_text("0,2 1:1\n1 2:1\n2 1:1 3:1\n")
        ...     stream = RowStream(path, seed=1)
        ...     shapes = [(x.shape, y.shape) for x, y in stream.rows(epoch=0)]
        >>> stream, shapes
        (RowStream('...toy.svm', 3 rows, 3 features, 3 labels), [((3, 3), (3, 3))])
    """

    def __init__(
        self,
        path: str | Path,
        *,
        seed: int = 0,
        buffer: int = BUFFER,
        n_features: int | None = None,
        first_index: int | None = None,
        columns: Sequence[str] | None = None,
        weighting: str | Weighting | None = None,
        bad_rows: str | BadRows = "refuse",
    ) -> None:
        self.path = Path(path)
        self.seed = Interval(0, integer=True).check("seed", seed)
        self.buffer = Interval(1, integer=True).check("buffer", buffer)
        self._width = n_features  # None while it is not known
        self._first: int | None = FIRST_INDEX.check("first_index", first_index)
        if isinstance(weighting, str) and weighting not in WEIGHTINGS:
            raise one_of("weighting", weighting, WEIGHTINGS)
        self._columns = COLUMNS if columns is None else columns
        self._places: list[Any] = []
        with judging(bad_rows) as judge:
            self._policy = judge.policy
            self._scan(judge, weighting)

    @contextmanager
    def _opened(self) -> Iterator[RowFile]:
        kind = kind_of(self.path)
        if kind == "xc":
            yield XcFiles(self.path)
        elif kind == "svmlight":
            # Where the features end depends on where they begin.
            width = None if self._first is None else self._width
            yield SvmlightFile(self.path, True, self._first, width)
        elif kind == "parquet":
            with ParquetFile(self.path, self._columns, self._width) as file:
                yield file
        else:
            raise ValueError(
                f"{self.path}: a stream must be svmlight, Parquet or a text of the Extreme "
                f"Classification Repository, got {''.join(self.path.suffixes) or 'no ending'}"
            )

    def _scan(self, judge: BadRows, weighting: str | Weighting | None) -> None:
        """Read the file once: what is in it, and where its blocks begin."""
        found = np.zeros(0, dtype=np.int64)
        self.n_rows, n_features, n_labels, lowest = 0, 0, 0, 1
        judge.begin(self.path)
        self._places.clear()
        with self._opened() as file:
            self._seekable = file.seekable
            for block in file.blocks(BLOCK):
                self._places.append(block.place)
                x, y = file.parse(block, judge).matrices()
                self.n_rows += x.shape[0]
                n_features, n_labels = max(n_features, x.shape[1]), max(n_labels, y.shape[1])
                lowest = min(lowest, int(x.indices.min(initial=1)))
                if weighting == "tfidf":
                    counts = np.bincount(x.indices[x.data != 0], minlength=len(found))
                    counts[: len(found)] += found
                    found = counts
            if self.n_rows == 0:
                raise no_rows(self.path, judge)
            first = lowest if file.first_index is None else file.first_index
            width, wanted = file.n_features, self._width
            if width is None:
                width = max(0, n_features - first, wanted or 0)
            self.n_labels = n_labels if file.n_labels is None else file.n_labels
        if wanted not in (None, width):
            raise ValueError(f"{self.path} must have n_features={wanted}, got {width} features")
        self.n_features = self._width = width
        self.first_index = self._first = first
        if isinstance(weighting, str):
            found = np.pad(found[first:], (0, max(0, width - len(found[first:]))))
            counted = (self.n_rows, found) if weighting == "tfidf" else ()
            weighting = Weighting(weighting, *counted)
        self.weighting: Weighting | None = weighting

    def widen(self, n_labels: int) -> None:
        """Give indicators this width, if theirs is less."""
        self.n_labels = max(self.n_labels, n_labels)

    def rows(self, epoch: int = 0) -> Generator[tuple[Features, Targets]]:
        """All rows of an epoch, a buffer at a time.

        Args:
            epoch: 0 or more; each has an order of its own.

        Returns:
            Iterator of CSR float32 (b, n_features) and a CSR indicator (b, n_labels).

        Raises:
            TypeError: epoch is no whole number.
            ValueError: epoch is negative, or the file is no longer what it was.
        """
        epoch = Interval(0, integer=True).check("epoch", epoch)
        return _ahead(lambda stopped: self._fill(epoch, stopped))

    def _fill(self, epoch: int, stopped: threading.Event) -> Iterator[tuple[Features, Targets]]:
        root = np.random.SeedSequence([self.seed, zlib.crc32(b"rows"), epoch])
        random = np.random.default_rng(root)
        judge, parts = BadRows(self._policy), []
        n_rows = n_bytes = waiting = 0
        judge.begin(self.path)
        with self._opened() as file:
            blocks = file.blocks(BLOCK)
            if self._seekable:
                order = random.permutation(len(self._places))
                blocks = (file.block(self._places[place], BLOCK) for place in order)
            for block in blocks:
                if stopped.is_set():
                    return
                some = file.parse(block, judge)
                part = some.matrices(self.n_features, self.n_labels, self.first_index)
                parts.append(part)
                waiting += part[0].shape[0]
                n_bytes += sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in part)
                if n_bytes >= self.buffer and waiting:
                    yield self._shuffled(parts, random)
                    n_rows, n_bytes, waiting = n_rows + waiting, 0, 0
            if waiting:
                yield self._shuffled(parts, random)
        n_rows += waiting
        if n_rows != self.n_rows:
            raise ValueError(
                f"{self.path}: the file must not change while it is used; it had {self.n_rows} "
                f"rows, got {n_rows}"
            )

    def _shuffled(self, parts: list[Any], random: np.random.Generator) -> tuple[Features, Targets]:
        x, y = stacked([x for x, _ in parts]), stacked([y for _, y in parts])
        parts.clear()  # before the copies below are made
        order = random.permutation(x.shape[0])
        x, y = x[order], y[order]
        return (x if self.weighting is None else self.weighting.apply(x)), y

    def __repr__(self) -> str:
        counts = f"{self.n_rows:,} rows, {self.n_features:,} features, {self.n_labels:,} labels"
        return f"RowStream({str(self.path)!r}, {counts})"


def _ahead(make: Callable[[threading.Event], Iterator[_T]]) -> Generator[_T]:
    """The items of an iterator, each made on another thread while the one before it is in use."""
    taken, stopped = threading.Semaphore(0), threading.Event()
    ready: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def work() -> None:
        try:
            for item in make(stopped):
                ready.put((True, item))
                del item  # it is the other thread's to keep
                taken.acquire()
                if stopped.is_set():
                    return
            ready.put((False, None))
        except BaseException as error:  # raised again where the item is waited for
            ready.put((False, error))

    def items() -> Generator[_T]:
        thread = threading.Thread(target=work, name="hashgrad-rows", daemon=True)
        thread.start()
        try:
            while True:
                one_more, item = ready.get()
                if not one_more:
                    break
                taken.release()
                yield item
                del item
            if item is not None:
                raise item
        finally:
            stopped.set()
            taken.release()
            thread.join()

    return items()
