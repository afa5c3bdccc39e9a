"""The history in a file beside the training: a row or a line an epoch, to be watched as it grows.

A file that cannot be made is an error before anything is trained. One that cannot be written later
(a full disk) costs a warning, not the training: what it lacks is tried again after each epoch.
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
        try:
            self._append(self._due)
        except OSError as error:
            if not self._warned:
                warnings.warn(
                    f"{self.path} cannot be written ({error.strerror or error}): training goes on, "
                    "and epochs that it lacks are tried again; Network.history has them all",
                    RuntimeWarning,
                    stacklevel=2,
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


class CSVLogger(_FileLogger):
    """The numbers of each epoch as a row of a CSV file, under a line of names.

    The columns are the record's numbers: `epoch`, `seconds`, `loss`, the scores,
    `learning_rate`, `multiplications`, ..., and of layer n `layer_n.active_fraction`,
    `layer_n.recall` and so on. A number that an epoch does not have is an empty cell; a network
    that goes on with a file may bring new columns.

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
        self._columns = list(rows.fieldnames or [])
        found: list[dict[str, Any]] = []
        for row in rows:
            number = row.get("epoch") or ""
            if not number.isdecimal() or None in row:
                raise self._wrong(f"no row of an epoch in line {rows.line_num}")
            found.append({**row, "epoch": int(number)})
        return found

    def _write(self, records: list[dict[str, Any]]) -> None:
        if not records:
            self._columns = []
        write_atomically(self.path, [self._text(records, heads=bool(records)).encode()])

    def _append(self, records: list[dict[str, Any]]) -> None:
        rows = [scalars(record) for record in records]
        new = [name for name in dict.fromkeys(k for row in rows for k in row)
               if name not in self._columns]  # fmt: skip
        if not new:
            self._grow(self._text(rows))
            return
        earlier = self._records() if self._columns else []
        self._columns += new
        write_atomically(self.path, [self._text([*earlier, *rows], heads=True).encode()])

    def _text(self, rows: list[dict[str, Any]], heads: bool = False) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
        if heads:
            writer.writeheader()
        writer.writerows(rows)
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
