"""The history in a file beside the training: a row or a line an epoch, to be watched as it grows.

A file that cannot be made is an error before anything is trained. One that cannot be written later
(a full disk, a file spoilt by something else) costs a warning, not the training: what it lacks is
tried again after each epoch, and at the end. Nothing is buffered, so that Ctrl-C, or the end of the
process, costs no epoch that is done.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import write_atomically
from .callback import Callback
from .scalars import finite, scalars

if TYPE_CHECKING:
    from ..network import Network


class _FileLogger(Callback):
    """What the formats share: which epochs a file keeps, and how it grows.

    A network with epochs behind it goes on with the file, where that has epochs up to its own; what
    the file says of later ones, which the network has not seen, is taken out. Any other network
    begins the file anew.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._due: list[dict[str, Any]] = []  # records that the file does not have yet
        self._warned = False

    def on_train_begin(self, network: Network, epochs: int) -> None:
        """Keep of the file what belongs to this network's training.

        Raises:
            OSError: the file cannot be read or written.
            ValueError: the network goes on, and the file is none to go on with.
        """
        self._due, self._warned = [], False
        there = network.epochs > 0 and self.path.is_file()
        kept = self._records() if there else []
        self._write([record for record in kept if record["epoch"] <= network.epochs])

    def on_epoch_end(self, network: Network, record: dict[str, Any]) -> None:
        """Append the epoch, and those that could not be written before."""
        self._due.append(record)
        self._catch_up()

    def on_train_end(self, network: Network, error: BaseException | None) -> None:
        """Append the epochs that could not be written before."""
        if self._due:
            self._catch_up()

    def _catch_up(self) -> None:
        try:
            self._append(self._due)
        except (OSError, ValueError) as error:
            if not self._warned:
                reason = getattr(error, "strerror", None) or error
                warnings.warn(
                    f"{self.path} cannot be written ({reason}): training goes on, "
                    "and epochs that it lacks are tried again; Network.history has them all",
                    RuntimeWarning,
                    stacklevel=3,
                )
            self._warned = True
        else:
            self._due = []

    def _whole_lines(self) -> str:
        """The file's text; without a last line that was broken off."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise self._wrong("a file that is not text") from None
        return text[: text.rfind("\n") + 1]

    def _grow(self, text: str) -> None:
        """Append to the file: all of the text or nothing."""
        with self.path.open("ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            left = memoryview(text.encode())
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(before)
                raise

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"{self.path} must be a log to go on with, got {what}")

    def _records(self) -> list[dict[str, Any]]:
        """What the file holds; ValueError unless it is of this kind."""
        raise NotImplementedError

    def _write(self, records: list[dict[str, Any]]) -> None:
        """Begin the file with these."""
        raise NotImplementedError

    def _append(self, records: list[dict[str, Any]]) -> None:
        """Add these to the file."""
        raise NotImplementedError


_OF_EVERY_EPOCH = ("epoch", "seconds", "loss")  # the columns that a file begins with


class CSVLogger(_FileLogger):
    """The numbers of each epoch as a row of a CSV file, under a line of names.

    The columns are the record's numbers: `epoch`, `seconds`, `loss`, the scores,
    `learning_rate`, `multiplications`, ..., and of layer n `layer_n.active_fraction`,
    `layer_n.recall` and so on. A number that an epoch does not have is an empty cell; a network
    that goes on with a file may bring new columns. Before the first epoch is done, the file has
    the names `epoch,seconds,loss`.

    Args:
        path: the file; begun anew by a network without epochs, continued by any other.

    Raises:
        OSError: when training begins, the file cannot be written.
        ValueError: when training goes on, the file is no such log.

    Example:
        >>> import tempfile
        >>> from hashgrad import Dense, Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = CSVLogger(Path(folder, "log.csv"))
        ...     net = Network(2, [Dense(8), Dense(2)])
        ...     _ = net.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=2, callbacks=[log])
        ...     [line.split(",")[0] for line in log.path.read_text().splitlines()]
        ['epoch', '1', '2']
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._columns: list[str] = []

    def _records(self) -> list[dict[str, Any]]:
        rows = csv.DictReader(io.StringIO(self._whole_lines(), newline=""))
        found: list[dict[str, Any]] = []
        try:
            for row in rows:
                number = row.get("epoch") or ""
                if not number.isdecimal() or None in row:
                    raise self._wrong(f"no row of an epoch in line {rows.line_num}")
                found.append({**row, "epoch": int(number)})
        except csv.Error as error:
            raise self._wrong(f"{error} in line {rows.line_num}") from None
        self._columns = list(rows.fieldnames or [])
        return found

    def _write(self, records: list[dict[str, Any]]) -> None:
        if not records:
            self._columns = list(_OF_EVERY_EPOCH)
        self._replace(records, self._columns)

    def _append(self, records: list[dict[str, Any]]) -> None:
        rows = [scalars(record) for record in records]
        names = dict.fromkeys(name for row in rows for name in row)
        if names.keys() <= set(self._columns):
            self._grow(_table(rows, self._columns))
            return
        earlier = self._records() if self.path.is_file() else []
        columns = list(dict.fromkeys([*self._columns, *names]))
        self._replace([*earlier, *rows], columns)
        self._columns = columns  # the file has them only now

    def _replace(self, rows: list[dict[str, Any]], columns: list[str]) -> None:
        head = dict(zip(columns, columns, strict=True))
        write_atomically(self.path, [_table([head, *rows], columns).encode()])


def _table(rows: list[dict[str, Any]], columns: list[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()


class JSONLLogger(_FileLogger):
    """Each epoch's whole record as a line of JSON.

    Args:
        path: the file; begun anew by a network without epochs, continued by any other.

    Raises:
        OSError: when training begins, the file cannot be written.
        ValueError: when training goes on, the file is no such log.

    Example:
        >>> import tempfile
        >>> from hashgrad import Dense, Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = JSONLLogger(Path(folder, "log.jsonl"))
        ...     net = Network(2, [Dense(8), Dense(2)])
        ...     _ = net.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=2, callbacks=[log])
        ...     [json.loads(line)["epoch"] for line in log.path.read_text().splitlines()]
        [1, 2]
    """

    def _records(self) -> list[dict[str, Any]]:
        records = []
        for number, line in enumerate(self._whole_lines().splitlines(), start=1):
            try:
                record = json.loads(line)
                good = isinstance(record, dict) and type(record.get("epoch")) is int
            except ValueError:
                good = False
            if not good:
                raise self._wrong(f"no record of an epoch in line {number}")
            records.append(record)
        return records

    def _write(self, records: list[dict[str, Any]]) -> None:
        write_atomically(self.path, [_lines(records).encode()])

    def _append(self, records: list[dict[str, Any]]) -> None:
        self._grow(_lines(records))


def _lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(finite(record), allow_nan=False) + "\n" for record in records)
