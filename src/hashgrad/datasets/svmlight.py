"""svmlight / libsvm text: a target, then `index:value` for every feature that is not zero."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from .dataset import Features, Targets
from .opening import open_bytes

_LINES_TO_GUESS_FROM = 1000


def read_svmlight(
    paths: Sequence[str | Path], *, multilabel: bool | None = None, n_features: int | None = None
) -> list[tuple[Features, Targets]]:
    r"""Read svmlight files that belong together, plain or gzip, into CSR rows and targets.

    The files share one width, and one start of counting: the first column is feature 1, unless a
    feature 0 occurs in one of them. With several labels a line starts with `label,label,...`, whole
    numbers from 0 up, and may have none.

    Args:
        paths: training file, and perhaps test file.
        multilabel: whether lines carry lists of labels; None looks for a comma, or for a line
            without a label, in the first 1,000 lines of each file.
        n_features: width of the rows; None takes the largest index found.

    Returns:
        For each file CSR float32 (n, d), and float64 targets (n,) or a CSR indicator (n, labels).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is malformed (the message names file and line), a feature lies beyond
            n_features, or a file has no row.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.svm")
        ...     _ = path.write_text("+1 1:0.5 3:2\n-1 2:1  # a comment\n")
        ...     [(x, y)] = read_svmlight([path])
        >>> x.toarray(), y
        (array([[0.5, 0. , 2. ],
               [0. , 1. , 0. ]], dtype=float32), array([ 1., -1.]))

    Source: Joachims, SVM-light; Chang and Lin, LIBSVM. Parsed by scikit-learn.
    """
    from sklearn.datasets import load_svmlight_files

    files = [Path(path) for path in paths]
    if multilabel is None:
        multilabel = any(_looks_multilabel(path) for path in files)
    try:
        with ExitStack() as stack:
            streams = [stack.enter_context(open_bytes(path)) for path in files]
            flat = load_svmlight_files(
                streams, n_features=n_features, dtype=np.float32, multilabel=multilabel
            )
    except (ValueError, OverflowError) as error:
        found = next(filter(None, (_bad_line(path, multilabel) for path in files)), None)
        names = ", ".join(map(str, files))
        raise ValueError(found or f"{names}: not readable as svmlight ({error})") from error
    rows, targets = [sparse.csr_matrix(x) for x in flat[::2]], flat[1::2]
    for path, x in zip(files, rows, strict=True):
        if x.shape[0] == 0:
            raise ValueError(f"{path}: the file must hold one row or more, got none")
    if multilabel:
        targets = _indicators(files, targets)
    return list(zip(rows, targets, strict=True))


def _looks_multilabel(path: Path) -> bool:
    with open_bytes(path) as stream:
        for line in islice(stream, _LINES_TO_GUESS_FROM):
            words = line.split(b"#")[0].split()
            if words and (b"," in words[0] or b":" in words[0]):
                return True
    return False


def _indicators(files: list[Path], labels: Sequence[Sequence[tuple[float, ...]]]) -> list[Any]:
    """Turn a tuple of labels for every row into one indicator a file, all of the same width."""
    flat = [np.concatenate([np.asarray(row) for row in rows]) for rows in labels]
    for path, values in zip(files, flat, strict=True):
        wrong = values[(values < 0) | (values != np.trunc(values)) | (values >= 2**31)]
        if wrong.size:
            raise ValueError(
                f"{path}: labels must be whole numbers from 0 up and below 2**31, got {wrong[0]}"
            )
    width = 1 + max((int(values.max()) for values in flat if values.size), default=-1)
    indicators = []
    for rows, values in zip(labels, flat, strict=True):
        ends = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
        ones = np.ones(len(values), dtype=np.int8)
        indicator = sparse.csr_matrix((ones, values.astype(np.int32), ends), (len(rows), width))
        indicator.sum_duplicates()  # sorts as well
        indicator.data[:] = 1
        indicators.append(indicator)
    return indicators


def _bad_line(path: Path, multilabel: bool) -> str | None:
    """Find the line that the parser stumbled over; read again only after a failure."""
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            content = line.split(b"#")[0].decode(errors="replace")
            words = content.split()
            unlabelled = multilabel and ":" in content.partition(" ")[0]
            features = words if unlabelled else words[1:]
            try:
                for label in "" if unlabelled else words[0].split("," if multilabel else None):
                    float(label)
                last = -1
                for word in features:
                    index, _, value = word.partition(":")
                    if index == "qid":
                        continue
                    float(value)
                    if int(index) <= last:
                        return (
                            f"{path}, line {number}: feature indices must rise along a line, "
                            f"from 0 up, got {word!r}"
                        )
                    last = int(index)
            except ValueError:
                shown = content.strip()
                shown = shown if len(shown) <= 40 else shown[:40] + "..."
                hint = "" if multilabel else " (lists of labels need task='multilabel')"
                return (
                    f"{path}, line {number}: a line must read 'target index:value ...'{hint}, "
                    f"got {shown!r}"
                )
    return None
