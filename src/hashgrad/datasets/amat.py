"""`.amat`, the text of Larochelle et al. (2007): a row a line, the label last."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .opening import open_bytes


def read_amat(path: str | Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    r"""Read the features (n, d) and the labels (n,) of an `.amat` file, perhaps compressed.

    Values are separated by white space; every line has d + 1 of them. Lines that start with `#`
    and blank lines are skipped.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line has a word that is no number, or not as many values as the first line
            (the message names the line), or there is no line at all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.amat")
        ...     _ = path.write_text("0.5 0 1\n1 0.25 0\n")
        ...     read_amat(path)
        (array([[0.5 , 0.  ],
               [1.  , 0.25]], dtype=float32), array([1., 0.], dtype=float32))

    Source: Larochelle, Erhan, Courville, Bergstra and Bengio, "An empirical evaluation of deep
    architectures on problems with many factors of variation", ICML 2007, accompanying data.
    """
    path = Path(path)
    first = _first_row(path)
    try:
        with open_bytes(path) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8")
            table: npt.NDArray[Any] = np.loadtxt(text, dtype=np.float32, ndmin=2)
    except ValueError as error:
        raise ValueError(_bad_line(path, len(first)) or f"{path}: {error}") from error
    # Copies, so that the rows lie densely; the table itself is freed on return.
    return np.ascontiguousarray(table[:, :-1]), np.ascontiguousarray(table[:, -1])


def _first_row(path: Path) -> list[bytes]:
    with open_bytes(path) as stream:
        for line in stream:
            words = line.split(b"#")[0].split()
            if len(words) > 1:
                return words
            if words:
                raise ValueError(
                    f"{path}: a row must hold one feature or more and then the label, "
                    f"got {words[0].decode(errors='replace')!r} alone"
                )
    raise ValueError(f"{path}: the file must hold one row or more, got none")


def _bad_line(path: Path, n_columns: int) -> str | None:
    """Find the line that NumPy stumbled over; read again only after a failure."""
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            words = line.split(b"#")[0].split()
            if wrong := next((word for word in words if not _is_number(word)), None):
                shown = wrong.decode(errors="replace")
                return f"{path}, line {number}: every value must be a number, got {shown!r}"
            if words and len(words) != n_columns:
                return (
                    f"{path}, line {number}: every line must hold {n_columns} values "
                    f"as the first does, got {len(words)}"
                )
    return None


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
