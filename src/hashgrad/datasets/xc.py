"""The Extreme Classification Repository's text: sparse rows with many labels each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .bad_rows import BadRows, judging
from .dataset import Features, Targets
from .line_blocks import BLOCK, LineBlock, Place, block_at, changed, line_blocks
from .opening import existing, is_compressed, open_bytes, uncompressed_name
from .row_files import read_whole
from .sparse_rows import (
    MOST_IDS,
    Lists,
    Reasons,
    Rows,
    check_lists,
    parse_labels,
    parse_pairs,
    split_head,
)

_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})(?:[ \t]+(\d{1,18}))?[ \t\r]*\n?")
_LONGEST_HEADER = 200  # bytes
_FEATURES_END, _LABELS_END = "X_Xf.txt", "X_Y.txt"


def _header(path: Path) -> tuple[list[int], int]:
    """The two or three numbers of a file's first line, none if it is no header; its length."""
    with open_bytes(path) as stream:
        line = stream.readline(_LONGEST_HEADER)
    found = _HEADER.fullmatch(line)
    return [int(word) for word in found.groups() if word] if found else [], len(line)


def is_xc(path: str | Path) -> bool:
    """Tell whether a text file starts with a header of this format, two or three whole numbers."""
    return bool(_header(Path(path))[0])


def labels_beside(path: Path) -> Path | None:
    """The labels of a features file `..._X_Xf.txt`: `..._X_Y.txt` beside it, plain or compressed.

    None where the name is another, or no such file is there.
    """
    name = uncompressed_name(path).name
    if not name.endswith(_FEATURES_END):
        return None
    return existing(path.parent, name.removesuffix(_FEATURES_END) + _LABELS_END)


class XcFiles:
    """One file of rows, or two, of features and of labels, read block by block.

    Args:
        path: the file of rows, or of features.
        labels: the file of labels; None looks beside `path`, if that has features alone.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a header is malformed or promises too much, the headers differ in rows, or
            there are no labels where some are needed.
    """

    def __init__(self, path: Path, labels: Path | None = None) -> None:
        numbers, length = _header(path)
        if len(numbers) == 2 and labels is None:
            labels = labels_beside(path)
            if labels is None:
                raise ValueError(
                    f"{path}: a file of features alone (its first line is 'rows features') must be "
                    f"called ..._{_FEATURES_END}, with its labels beside it in ..._{_LABELS_END}, "
                    f"got no such pair"
                )
        rule = "rows features labels" if labels is None else "rows features"
        if len(numbers) != len(rule.split()):
            raise ValueError(f"{path}: the first line must be '{rule}'")
        self.paths, lengths = [path], [length]
        if labels is not None:
            counts, length = _header(labels)
            if len(counts) != 2:
                raise ValueError(f"{labels}: the first line must be 'rows labels'")
            if counts[0] != numbers[0]:
                raise ValueError(
                    f"{labels}: there must be a row for each of the {numbers[0]} of {path}, "
                    f"got {counts[0]}"
                )
            numbers.append(counts[1])
            self.paths.append(labels)
            lengths.append(length)
        self.n_rows = numbers[0]
        if max(numbers[1:]) > MOST_IDS:
            raise ValueError(
                f"{path}: features and labels must be fewer than 2**31, "
                f"got {numbers[1]} and {numbers[2]}"
            )
        self.first_index: int | None = 0
        self.n_features: int | None = numbers[1]
        self.n_labels: int | None = numbers[2]
        self.seekable = not any(is_compressed(one) for one in self.paths)
        self._body = Place(tuple(lengths), 2)

    def blocks(self, size: int = BLOCK) -> Iterator[LineBlock]:
        """All rows, in the order of the file.

        Args:
            size: bytes of a block, in the first file.

        Raises:
            ValueError: there are fewer rows than the header promises, or more.
        """
        left = self.n_rows
        for block in line_blocks(self.paths, self._body, size):
            kept = []
            for path, lines in zip(self.paths, block.lines, strict=True):
                if any(line.strip() for line in lines[left:]):
                    raise ValueError(f"{path}: the header promises {self.n_rows} rows, got more")
                kept.append(lines[:left])
                if len(kept[0]) != len(kept[-1]):
                    short = self.paths[len(kept[0]) > len(kept[-1])]
                    got = self.n_rows - left + min(len(kept[0]), len(kept[-1]))
                    raise ValueError(f"{short}: the header promises {self.n_rows} rows, got {got}")
            left -= len(kept[0])
            if kept[0]:
                yield LineBlock(block.place, tuple(kept))
        if left:
            raise ValueError(
                f"{self.paths[0]}: the header promises {self.n_rows} rows, got {self.n_rows - left}"
            )

    def block(self, place: Place, size: int = BLOCK) -> LineBlock:
        """The block that `blocks` found there."""
        block = block_at(self.paths, place, size)
        left = self.n_rows + self._body.number - place.number
        kept = tuple(lines[:left] for lines in block.lines)  # blank lines may follow the last row
        if len({len(lines) for lines in kept}) > 1:
            raise changed(self.paths[0])
        return LineBlock(block.place, kept)

    def parse(self, block: LineBlock, judge: BadRows) -> Rows:
        """The good rows of a block.

        Raises:
            ValueError: a row is bad, and refused.
        """
        bad: Reasons = {}
        lines = [[line.rstrip(b" \t\r") for line in some] for some in block.lines]
        if len(lines) == 1:
            heads, texts = zip(*map(split_head, lines[0]), strict=True)
            labels = parse_labels(list(heads), bad)
            check_lists(labels, "label", bad, width=self.n_labels)
        else:
            texts = tuple(lines[0])
            wrong: Reasons = {}
            labels = self._labels(lines[1], wrong)
            bad |= {row: f"{why} (in {self.paths[1].name})" for row, why in wrong.items()}
        features = parse_pairs(list(texts), bad)
        check_lists(features, "feature", bad, width=self.n_features)
        numbers = block.place.number + np.arange(len(texts))
        return Rows(self.paths[0], "line {}", numbers, features, labels).judged(bad, judge)

    def _labels(self, texts: list[bytes], bad: Reasons) -> Lists:
        pairs = parse_pairs(texts, bad, "label:1")
        check_lists(pairs, "label", bad, width=self.n_labels)
        assert pairs.values is not None
        rows = pairs.rows()
        for entry in np.flatnonzero(pairs.values != 1):
            reason = f"every label must have the value 1, got {pairs.values[entry]:g}"
            bad.setdefault(int(rows[entry]), reason)
        return Lists(pairs.sizes, pairs.ids)


def read_xc(
    path: str | Path, labels: str | Path | None = None, *, bad_rows: str | BadRows = "refuse"
) -> tuple[Features, Targets]:
    r"""Read CSR features (n, d) and a CSR indicator of labels (n, c).

    One file, perhaps compressed: the first line is "n d c". Each of the n lines after it is
    "l1,l2,... f1:v1 f2:v2 ...", with labels and features counted from 0; a line that starts with a
    blank has no label.

    Two files: the first line of one is "n d", of the other "n c"; the n lines after it are
    "f1:v1 f2:v2 ..." and "l1:1 l2:1 ...", a line of the one for each of the other.

    Args:
        path: the file of rows, or that of features.
        labels: the file of labels; of features called `..._X_Xf.txt`, None is `..._X_Y.txt` beside
            it.
        bad_rows: `"refuse"` the first bad row, `"skip"` them all, or a `BadRows`. A row is bad if
            it is malformed, has a value that is not finite in float32, a label or feature outside
            the header's range, or one twice.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a header is not whole numbers, a row is bad and refused (the message names file
            and line), there are more or fewer rows than n, or none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.txt")
        ...     _ = path.write_text("2 3 4\n0,3 1:0.5\n 0:1 2:2\n")
        ...     x, y = read_xc(path)
        >>> x.toarray(), y.toarray()
        (array([[0. , 0.5, 0. ],
               [1. , 0. , 2. ]], dtype=float32), array([[1, 0, 0, 1],
               [0, 0, 0, 0]], dtype=int8))

    Source: Bhatia et al., "The extreme classification repository", data format.
    """
    with judging(bad_rows) as judge:
        files = XcFiles(Path(path), None if labels is None else Path(labels))
        return read_whole(files, judge)
