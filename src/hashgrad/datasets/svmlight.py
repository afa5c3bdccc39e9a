"""svmlight / libsvm text: a target, then `index:value` for every feature that is not zero."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..checks import Interval
from .bad_rows import BadRows, judging
from .dataset import Features, Targets
from .line_blocks import BLOCK, LineBlock, Place, block_at, line_blocks
from .opening import is_compressed
from .row_files import aligned, read_whole
from .sparse_rows import (
    NUMBER,
    Lists,
    Reasons,
    Rows,
    check_lists,
    excerpt,
    parse_labels,
    parse_pairs,
    split_head,
)

FIRST_INDEX = Interval(0, 1, integer=True, optional=True)
_LINES_TO_GUESS_FROM = 1000
_TARGET = re.compile(NUMBER)
_QUERY = re.compile(rb"[ \t]*qid:\d+(?![^ \t])")


class SvmlightFile:
    """A file read block by block.

    Args:
        path: the file.
        multilabel: whether lines carry lists of labels.
        first_index: number of the first feature, 0 or 1; None while it is not known.
        n_features: how many there are; None while it is not known.

    Attributes:
        n_labels: how many labels there are, None while it is not known.
        seekable: whether `block` finds a place quickly.
    """

    def __init__(
        self,
        path: Path,
        multilabel: bool,
        first_index: int | None = None,
        n_features: int | None = None,
    ) -> None:
        self.paths = [path]
        self.first_index, self.n_features = first_index, n_features
        self.n_labels: int | None = None
        self.seekable = not is_compressed(path)
        self.multilabel = multilabel

    def blocks(self, size: int = BLOCK) -> Iterator[LineBlock]:
        """All lines, in the order of the file; of about `size` bytes each."""
        return line_blocks(self.paths, None, size)

    def block(self, place: Place, size: int = BLOCK) -> LineBlock:
        """The block that `blocks` found there."""
        return block_at(self.paths, place, size)

    def parse(self, block: LineBlock, judge: BadRows) -> Rows:
        """The good rows of a block.

        Raises:
            ValueError: a row is bad, and refused.
        """
        heads, texts, numbers = [], [], []
        for number, line in enumerate(block.lines[0], start=block.place.number):
            content = line.partition(b"#")[0].strip(b" \t\r")
            if not content:
                continue
            head, text = split_head(content)
            if self.multilabel and b":" in head:  # no label
                head, text = b"", content
            heads.append(head)
            texts.append(text[query.end() :] if (query := _QUERY.match(text)) else text)
            numbers.append(number)
        bad: Reasons = {}
        targets = parse_labels(heads, bad) if self.multilabel else _targets(heads, bad)
        if isinstance(targets, Lists):
            check_lists(targets, "label", bad, width=self.n_labels)
        features = parse_pairs(texts, bad, "index:value")
        check_lists(
            features,
            "feature",
            bad,
            first=self.first_index or 0,
            width=self.n_features,
            rising=True,
        )
        rows = Rows(self.paths[0], "line {}", np.array(numbers, dtype=np.int64), features, targets)
        return rows.judged(bad, judge)


def _targets(words: list[bytes], bad: Reasons) -> npt.NDArray[np.float64]:
    values = np.zeros(len(words))
    for row, word in enumerate(words):
        if _TARGET.fullmatch(word):
            values[row] = float(word)
            if not np.isfinite(values[row]):
                bad.setdefault(row, f"every target must be finite, got {excerpt(word)}")
        else:
            hint = " (lists of labels need task='multilabel')" if b"," in word else ""
            bad.setdefault(row, f"every target must be a number, got {excerpt(word)}{hint}")
    return values


def looks_multilabel(path: Path) -> bool:
    """Tell whether an early line has a comma, or no word, before its features.

    Early are the first 1,000 lines, or those of the first block.
    """
    for block in line_blocks([path]):
        for line in block.lines[0][:_LINES_TO_GUESS_FROM]:
            head, _ = split_head(line.partition(b"#")[0].strip(b" \t\r"))
            if b"," in head or b":" in head:
                return True
        return False
    return False


def read_svmlight(
    paths: Sequence[str | Path],
    *,
    multilabel: bool | None = None,
    n_features: int | None = None,
    first_index: int | None = None,
    bad_rows: str | BadRows = "refuse",
) -> list[tuple[Features, Targets]]:
    r"""Read svmlight files that belong together, perhaps compressed, into CSR rows and targets.

    The files share one width, and one number of the first feature. With several labels a line
    starts with `label,label,...`, whole numbers from 0 up, and may have none. What follows a `#`
    is a comment; a `qid:number` before the features is left out.

    Args:
        paths: training file, and perhaps test file.
        multilabel: whether lines carry lists of labels; None looks for a comma, or for a line
            without a label, in the first 1,000 lines of each file, or its first MiB.
        n_features: width of the rows; None takes the largest index found.
        first_index: number of the first feature, 0 or 1; None is 1, unless a feature 0 occurs in
            one of the files. State it where a file is read by itself that belongs to another.
        bad_rows: `"refuse"` the first bad row, `"skip"` them all, or a `BadRows`. A row is bad if
            it is malformed, has a number that is not finite (a value: in float32), a feature
            outside the range or not above the one before it, or a label twice.

    Returns:
        For each file CSR float32 (n, d), and float64 targets (n,) or a CSR indicator (n, labels).

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: first_index is no whole number.
        ValueError: a row is bad and refused (the message names file and line), a file has no row,
            or first_index is neither 0 nor 1.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.svm")
        ...     _ = path.write_text("+1 1:0.5 3:2\n-1 2:1  # a comment\n")
        ...     [(x, y)] = read_svmlight([path])
        >>> x.toarray(), y
        (array([[0.5, 0. , 2. ],
               [0. , 1. , 0. ]], dtype=float32), array([ 1., -1.]))

    Source: Joachims, SVM-light; Chang and Lin, LIBSVM.
    """
    return read_files(paths, multilabel, n_features, first_index, bad_rows)[0]


def read_files(
    paths: Sequence[str | Path],
    multilabel: bool | None,
    n_features: int | None,
    first_index: int | None,
    bad_rows: str | BadRows,
) -> tuple[list[tuple[Features, Targets]], int]:
    """What `read_svmlight` returns, and the number of the first feature."""
    first_index = FIRST_INDEX.check("first_index", first_index)
    names = [Path(path) for path in paths]
    if multilabel is None:
        multilabel = any(looks_multilabel(path) for path in names)
    files = [SvmlightFile(path, multilabel, first_index) for path in names]
    with judging(bad_rows) as judge:
        parts = None
        if first_index is None:
            parts = [read_whole(file, judge) for file in files]
            first_index = min(int(x.indices.min(initial=1)) for x, _ in parts)
            for x, _ in parts:
                x.indices -= first_index
                x.resize((x.shape[0], max(0, x.shape[1] - first_index)))
        if parts is None or n_features is not None:  # now that the range is known
            for file in files:
                file.first_index, file.n_features = first_index, n_features
            parts = [read_whole(file, judge) for file in files]
    return aligned(parts, n_features), first_index
