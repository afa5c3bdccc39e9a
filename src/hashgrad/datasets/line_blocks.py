"""Text files, or several read in step, in blocks of whole lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .opening import open_bytes

BLOCK = 1 << 20  # bytes of text
LONGEST_LINE = 16 << 20  # bytes; a line that never ends must not fill the memory


@dataclass(frozen=True)
class Place:
    """Where a block begins: the byte in each file, and the number of its first line, from 1."""

    offsets: tuple[int, ...]
    number: int = 1


@dataclass(frozen=True)
class LineBlock:
    """Consecutive lines, without their line feeds: one list a file, equally long but at the end."""

    place: Place
    lines: tuple[list[bytes], ...]


def line_blocks(
    paths: Sequence[Path], place: Place | None = None, size: int = BLOCK
) -> Iterator[LineBlock]:
    r"""Read files in step from a place on: a block has the same lines of each.

    Args:
        paths: one or more files, plain or compressed.
        place: where to begin; None is the beginning.
        size: bytes of a block in the first file, up to the end of a line.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a line of more than 16 MiB, or damaged compressed data.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.txt")
        ...     _ = path.write_text("a\nb\nc\n")
        ...     [(block.place.number, block.lines) for block in line_blocks([path], size=3)]
        [(1, ([b'a', b'b'],)), (3, ([b'c'],))]
    """
    place = place or Place((0,) * len(paths))
    with ExitStack() as stack:
        streams = [stack.enter_context(open_bytes(path)) for path in paths]
        for stream, offset in zip(streams, place.offsets, strict=True):
            stream.seek(offset)
        while True:
            chunk = streams[0].read(size)
            if chunk and not chunk.endswith(b"\n"):
                chunk += _line(paths[0], place.number + chunk.count(b"\n"), streams[0])
            first = chunk.split(b"\n")
            if not first[-1]:
                first.pop()
            lines, offsets = [first], [place.offsets[0] + len(chunk)]
            for path, stream, offset in zip(paths[1:], streams[1:], place.offsets[1:], strict=True):
                wanted = len(first) or 1  # at the end of the first, see whether there is more
                some, length = _some_lines(path, place.number, stream, wanted)
                lines.append(some)
                offsets.append(offset + length)
            if not any(lines):
                return
            yield LineBlock(place, tuple(lines))
            place = Place(tuple(offsets), place.number + len(first))


def block_at(paths: Sequence[Path], place: Place, size: int = BLOCK) -> LineBlock:
    """The block that `line_blocks` found at a place, with the same size.

    Raises:
        ValueError: there are no such lines any more.
    """
    block = next(line_blocks(paths, place, size), None)
    if block is None:
        raise changed(paths[0])
    return block


def changed(path: Path) -> ValueError:
    """The error for a file that is no longer what it was."""
    return ValueError(f"{path}: the file must not change while it is used")


def _some_lines(path: Path, number: int, stream: BinaryIO, wanted: int) -> tuple[list[bytes], int]:
    lines: list[bytes] = []
    length = 0
    while len(lines) < wanted and (line := _line(path, number + len(lines), stream)):
        length += len(line)
        lines.append(line.removesuffix(b"\n"))
    return lines, length


def _line(path: Path, number: int, stream: BinaryIO) -> bytes:
    line = stream.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
        raise ValueError(
            f"{path}, line {number}: a line must be shorter than {LONGEST_LINE >> 20} MiB, got more"
        )
    return line
