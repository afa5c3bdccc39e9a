"""The Extreme Classification Repository's text: sparse rows with many labels each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .dataset import Features, Targets
from .opening import open_bytes

_LABELS = re.compile(rb"\d+(?:,\d+)*")
_FEATURES = re.compile(rb"\s*(?:\d+:[^\s:]+(?:\s+|$))*")


def is_xc(path: str | Path) -> bool:
    """Tell whether a text file starts with this format's header, three whole numbers."""
    with open_bytes(Path(path)) as stream:
        words = stream.readline(200).split()
    return len(words) == 3 and all(word.isdigit() for word in words)


def read_xc(path: str | Path) -> tuple[Features, Targets]:
    r"""Read CSR features (n, d) and a CSR indicator of labels (n, c), from plain text or gzip.

    The first line is "n d c". Each of the n lines after it is "l1,l2,... f1:v1 f2:v2 ...", with
    labels and features counted from 0; a line that starts with a space has no label.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the header is not three whole numbers, a line is malformed or names a label or
            feature outside the header's range, or there are more or fewer lines than n.

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
    path = Path(path)
    if not is_xc(path):
        raise ValueError(f"{path}: the first line must be 'rows features labels'")
    label_rows: list[npt.NDArray[Any]] = []
    index_rows: list[npt.NDArray[Any]] = []
    value_rows: list[npt.NDArray[Any]] = []
    with open_bytes(path) as stream:
        n_rows, n_features, n_labels = (int(word) for word in stream.readline().split())
        if max(n_features, n_labels) > np.iinfo(np.int32).max:
            raise ValueError(
                f"{path}: features and labels must be fewer than 2**31, "
                f"got {n_features} and {n_labels}"
            )
        for number, line in enumerate(stream, start=2):
            if len(label_rows) == n_rows:
                if line.strip():
                    raise ValueError(f"{path}: the header promises {n_rows} rows, got more")
                continue
            labels, indices, values = _parse(path, number, line)
            _check_ids(path, number, "label", labels, n_labels)
            _check_ids(path, number, "feature", indices, n_features)
            label_rows.append(labels)
            index_rows.append(indices)
            value_rows.append(values)
    if len(label_rows) < n_rows:
        raise ValueError(f"{path}: the header promises {n_rows} rows, got {len(label_rows)}")
    x = _csr(index_rows, value_rows, n_features, np.float32)
    y = _csr(label_rows, [np.ones(len(row), np.int8) for row in label_rows], n_labels, np.int8)
    return x, y


def _parse(
    path: Path, number: int, line: bytes
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    line = line.rstrip()
    words, _, pairs = (b"", b"", line) if line[:1].isspace() else line.partition(b" ")
    try:
        if (words and not _LABELS.fullmatch(words)) or not _FEATURES.fullmatch(pairs):
            raise ValueError
        labels = np.array(words.split(b",") if words else [], dtype=np.int64)
        # float64 holds every index exactly.
        numbers = np.array(pairs.replace(b":", b" ").split(), dtype=np.float64)
    except ValueError:
        shown = line[:40].decode(errors="replace")
        raise ValueError(
            f"{path}, line {number}: a line must read 'label,label,... feature:value ...', "
            f"got {shown!r}"
        ) from None
    return labels, numbers[0::2].astype(np.int64), numbers[1::2]


def _check_ids(path: Path, number: int, what: str, ids: npt.NDArray[Any], n_ids: int) -> None:
    if ids.size == 0:
        return
    if ids.max() >= n_ids:
        raise ValueError(
            f"{path}, line {number}: every {what} must be below {n_ids}, got {ids.max()}"
        )
    if len(np.unique(ids)) < len(ids):
        raise ValueError(f"{path}, line {number}: no {what} may occur twice")


def _csr(
    columns: list[npt.NDArray[Any]], values: list[npt.NDArray[Any]], width: int, dtype: Any
) -> Any:
    ends = np.concatenate(([0], np.cumsum([len(row) for row in columns], dtype=np.int64)))
    matrix = sparse.csr_matrix(
        (
            np.concatenate(values or [np.empty(0)]).astype(dtype),
            np.concatenate(columns or [np.empty(0)]).astype(np.int32),
            ends,
        ),
        shape=(len(columns), width),
    )
    matrix.sort_indices()
    return matrix
