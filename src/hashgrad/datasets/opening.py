"""Opening a data file, compressed or not, with errors that name it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20  # bytes


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, undoing gzip where its first two bytes announce it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the compressed data ends early or is damaged.
    """
    with path.open("rb") as plain:
        compressed = plain.read(2) == _GZIP_MAGIC
        plain.seek(0)
        if not compressed:
            yield plain
            return
        try:
            with gzip.GzipFile(fileobj=plain) as unzipped:
                yield cast("BinaryIO", unzipped)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: gzip data is cut short or damaged ({error})") from error


def read_up_to(stream: BinaryIO, n_bytes: int) -> bytearray:
    """Read at most n_bytes, never reserving more memory than the file really fills."""
    data = bytearray()
    while len(data) < n_bytes and (chunk := stream.read(min(_CHUNK, n_bytes - len(data)))):
        data += chunk
    return data


def existing(folder: Path, *names: str) -> Path | None:
    """Find the first of several file names in a folder, each plain or with `.gz`."""
    for name in names:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    return None
