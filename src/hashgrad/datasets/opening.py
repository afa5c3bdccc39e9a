"""Opening a data file, compressed or not, with errors that name it."""

from __future__ import annotations

import gzip
import importlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20  # bytes
COMPRESSED = (".gz", ".zst")


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, undoing gzip or Zstandard where its first bytes announce it.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: Zstandard, and nothing installed that undoes it.
        ValueError: the compressed data ends early or is damaged.
    """
    with path.open("rb") as plain:
        kind = _compression(plain.read(4))
        plain.seek(0)
        if kind is None:
            yield plain
            return
        zstd = _zstd(path) if kind == "zstd" else None
        damaged: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
        if zstd is not None:
            damaged += (zstd.ZstdError,)
        opened: Any = gzip.GzipFile(fileobj=plain) if zstd is None else zstd.ZstdFile(plain)
        try:
            # Both are slow where they are asked for a line.
            with opened, io.BufferedReader(opened, _CHUNK) as unpacked:
                yield cast("BinaryIO", unpacked)
        except damaged as error:
            raise ValueError(f"{path}: {kind} data is cut short or damaged ({error})") from error


def is_compressed(path: Path) -> bool:
    """Tell whether `open_bytes` undoes a compression, so that no byte is reached but by the last.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with path.open("rb") as plain:
        return _compression(plain.read(4)) is not None


def _compression(start: bytes) -> str | None:
    if start.startswith(_GZIP_MAGIC):
        return "gzip"
    return "zstd" if start == _ZSTD_MAGIC else None


def _zstd(path: Path) -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f'{path}: Zstandard needs a package more: pip install "hashgrad[zst]"'
        ) from None


def read_up_to(stream: BinaryIO, n_bytes: int) -> bytearray:
    """Read at most n_bytes, never reserving more memory than the file really fills."""
    data = bytearray()
    while len(data) < n_bytes and (chunk := stream.read(min(_CHUNK, n_bytes - len(data)))):
        data += chunk
    return data


def existing(folder: Path, *names: str) -> Path | None:
    """Find the first of several file names in a folder, each plain or with `.gz` or `.zst`."""
    for name in names:
        for ending in ("", *COMPRESSED):
            candidate = folder / (name + ending)
            if candidate.is_file():
                return candidate
    return None


def uncompressed_name(path: Path) -> Path:
    """The path without an ending that says how the file is compressed.

    >>> uncompressed_name(Path("rows.txt.gz")).name
    'rows.txt'
    """
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
