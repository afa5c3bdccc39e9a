"""`load`: a data set from its name or from files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy.typing as npt

from ..checks import Interval, one_of, shown
from .amat import read_amat
from .bad_rows import BadRows, judging
from .dataset import Dataset, Features, Task
from .idx import idx_files
from .named import NAMED_SETS, from_idx_folder, from_norb_folder, from_xc_folder, is_xc_folder
from .norb import norb_files
from .npz import read_npz
from .opening import uncompressed_name
from .parquet import COLUMNS, read_parquet
from .svmlight import read_files
from .targets import read_targets
from .xc import is_xc, read_xc

_SVMLIGHT = (".svm", ".svmlight", ".libsvm", ".txt")
_TABLES = (".csv", ".tsv")
_PARQUET = (".parquet", ".pq")
_SUFFIXES = (".npz", ".amat", *_SVMLIGHT, *_PARQUET)


def load(
    name_or_path: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | float | None = None,
    seed: int = 0,
    train_size: int | None = None,
    test_size: int | None = None,
    task: Task | None = None,
    classes: Sequence[Any] | npt.NDArray[Any] | None = None,
    n_features: int | None = None,
    first_index: int | None = None,
    columns: Sequence[str] | None = None,
    bad_rows: str | BadRows = "refuse",
) -> Dataset:
    """Load a data set by its name, or from files.

    Names: `mnist`, `fashion-mnist` (from `$HASHGRAD_DATA/<name>/`, the user's cache, or downloaded
    into it), `mnist8m` (the digits of `mnist` deformed, by the seed), `digits`, `convex`,
    `rectangles`, `rectangles-image` (generated from the seed), `norb`, `bibtex`, `delicious`,
    `eurlex57k` (from `$HASHGRAD_DATA/<name>/` or the cache).

    Files: `.npz` with x_train, y_train, x_test, y_test or with X, y; `.svm`, `.svmlight`,
    `.libsvm`, `.txt` in svmlight format, or `.txt` in the format of the Extreme Classification
    Repository, `..._X_Xf.txt` with its labels in `..._X_Y.txt` beside it; `.parquet`, `.pq` with
    columns of lists; `.amat`; all but `.npz` also with `.gz` or `.zst`. A folder holds the four IDX
    files of a set such as MNIST, the four .mat files of small NORB, train.txt and test.txt, or the
    Repository's trn_X_Xf.txt, trn_X_Y.txt, tst_X_Xf.txt and tst_X_Y.txt. To read a folder called
    mnist, write "./mnist".

    What the targets mean is read off them (`targets.read_targets`) unless `task` says it. Labels
    that are whole numbers from 0 up are kept; others are numbered in sorted order, and
    `Dataset.classes` lists them: pass that list as `classes`, the width as `n_features`, and
    `Dataset.first_index` as `first_index`, when loading further data for a model trained already.

    Args:
        name_or_path: name, file or folder.
        test: a second file of the same format with test rows; or a share of the rows to hold out,
            in (0, 1). None takes the set's own test rows; a single file then has none.
        seed: of generated sets, of `digits`' split and of a share held out.
        train_size: training rows: of generated sets as many as wanted, of others the first ones.
        test_size: test rows, likewise.
        task: `"classification"`, `"multilabel"` or `"regression"`, for files.
        classes: the label of each class index, for files.
        n_features: width that the rows must have; sparse text and Parquet are widened to it.
        first_index: number of the first feature in svmlight files, 0 or 1; None is 1, unless a
            feature 0 occurs.
        columns: names of a Parquet file's columns of features, values and labels; None is
            indices, values, labels.
        bad_rows: of sparse text and Parquet: `"refuse"` the first bad row, `"skip"` bad rows and
            warn of them, or a `BadRows`.

    Raises:
        ModuleNotFoundError: PyArrow or a package for Zstandard is needed and not installed.
        ValueError: unknown name (the message offers the nearest), malformed file, a bad row that
            is refused, an argument out of range or one that does not apply.
        FileNotFoundError: no such file, or a named set is neither here nor within reach.

    Example:
        >>> load("rectangles", train_size=1000, test_size=100, seed=1)
        Dataset('rectangles', classification, 1,000 training rows, 100 test rows,
                784 features, 2 classes)
    """
    seed = Interval(0, integer=True).check("seed", seed)
    if task is not None and task not in get_args(Task):
        raise one_of("task", task, get_args(Task))
    how = _How(task, classes, n_features, first_index, columns)
    with judging(bad_rows) as judge:
        if isinstance(name_or_path, str) and name_or_path in NAMED_SETS:
            refused = {
                "test": test,
                "task": task,
                "classes": classes,
                "first_index": first_index,
                "columns": columns,
                "bad_rows": "skip" if judge.policy == "skip" else None,
            }
            for argument, value in refused.items():
                if value is not None:
                    raise ValueError(
                        f"{argument} is for files, {name_or_path!r} is a set with a name"
                    )
            dataset = NAMED_SETS[name_or_path].make(train_size, test_size, seed)
        else:
            dataset = _from_path(_as_path(name_or_path), test, how, judge)
            if test is not None and not isinstance(test, (str, os.PathLike)):
                dataset = dataset.hold_out(test, seed)
            dataset = dataset.first_rows(train_size, test_size)
    if n_features is not None and dataset.n_features != n_features:
        raise ValueError(
            f"{dataset.name} must have n_features={n_features}, got {dataset.n_features} features"
        )
    return dataset


def names() -> tuple[str, ...]:
    """List the names that `load` knows.

    Example:
        >>> "rectangles" in names()
        True
    """
    return tuple(NAMED_SETS)


def _as_path(name_or_path: str | os.PathLike[str]) -> Path:
    path = Path(name_or_path)
    if os.fspath(name_or_path) and path.exists():
        return path
    # A bare word is a misspelt name; with a folder or a known ending it is a path.
    if (
        isinstance(name_or_path, str)
        and len(path.parts) < 2
        and _format(path)
        not in (
            *_SUFFIXES,
            *_TABLES,
        )
    ):
        raise one_of("data set", name_or_path, NAMED_SETS)
    raise FileNotFoundError(f"{path}: no such file or folder")


def _format(path: Path) -> str:
    return uncompressed_name(path).suffix.lower()


def kind_of(path: Path) -> str | None:
    """What kind of file it is, None if of no kind that is read.

    Args:
        path: a file; its first line is looked at where its name leaves it open.

    Returns:
        `"npz"`, `"amat"`, `"parquet"`, `"svmlight"` or `"xc"`.
    """
    ending = _format(path)
    if ending in _PARQUET:
        return "parquet"
    if ending == ".txt" and is_xc(path):
        return "xc"
    if ending in _SVMLIGHT:
        return "svmlight"
    return ending[1:] if ending in (".npz", ".amat") else None


@dataclass(frozen=True)
class _How:
    """What the user says of files."""

    task: Task | None
    classes: Sequence[Any] | npt.NDArray[Any] | None
    n_features: int | None
    first_index: int | None
    columns: Sequence[str] | None

    def refuse_for(self, what: str, judge: BadRows, *allowed: str) -> None:
        """Raise ValueError if the user says something that is not allowed here."""
        homes = {
            "classes": "single files",
            "first_index": "svmlight files",
            "columns": "Parquet files",
        }
        for argument, home in homes.items():
            if argument not in allowed and getattr(self, argument) is not None:
                got = f"{shown(getattr(self, argument))} for {what}"
                raise ValueError(f"{argument} is for {home}, got {got}")
        if "bad_rows" not in allowed and judge.policy != "refuse":
            raise ValueError(
                f"bad_rows is for sparse text and Parquet files, got 'skip' for {what}"
            )


def _from_path(
    path: Path, test: str | os.PathLike[str] | float | None, how: _How, judge: BadRows
) -> Dataset:
    if path.is_dir():
        if test is not None:
            raise ValueError(f"test is for single files, {path} is a folder")
        dataset = _from_folder(path, how, judge)
        if how.task not in (None, dataset.task):
            raise ValueError(
                f"task must be {dataset.task!r} for the folder {path}, got {how.task!r}"
            )
        return dataset
    paths = [path]
    if isinstance(test, (str, os.PathLike)):
        paths.append(Path(test))
        if not paths[1].is_file():
            raise FileNotFoundError(f"test must be a file or a share of the rows, got {test!r}")
        if kind_of(paths[1]) != kind_of(path):
            raise ValueError(f"test must have the format of {path}, got {paths[1]}")
    parts, first_index = _read(paths, how, judge)
    if len(parts) > 1 and (test is not None) and len(paths) == 1:
        raise ValueError(f"test does not apply: {path} has test rows of its own, got test={test!r}")
    (x_train, y_train), (x_test, y_test) = (*parts, (None, None))[:2]
    meaning = read_targets(str(path), y_train, y_test, task=how.task, classes=how.classes)
    return Dataset(
        str(path),
        meaning.task,
        x_train,
        meaning.y_train,
        x_test,
        meaning.y_test,
        n_classes=meaning.n_classes,
        classes=meaning.classes,
        first_index=first_index,
    )


def _from_folder(folder: Path, how: _How, judge: BadRows) -> Dataset:
    is_xc = is_xc_folder(folder)
    how.refuse_for(f"the folder {folder}", judge, *(["bad_rows"] if is_xc else []))
    if is_xc:
        return from_xc_folder(str(folder), folder, judge)
    if any(idx_files(folder).values()):
        return from_idx_folder(str(folder), folder)
    if any(norb_files(folder).values()):
        return from_norb_folder(str(folder), folder)
    raise FileNotFoundError(
        f"{folder}: a folder must hold the four IDX files of a set (train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte), the four .mat "
        "files of small NORB, train.txt and test.txt, or trn_X_Xf.txt, trn_X_Y.txt, tst_X_Xf.txt "
        "and tst_X_Y.txt, each perhaps compressed"
    )


def _read(
    paths: list[Path], how: _How, judge: BadRows
) -> tuple[list[tuple[Features, Any]], int | None]:
    """Read (x, y) of training and test rows from files of one format; svmlight's first index."""
    kind = kind_of(paths[0])
    more = {"parquet": ["columns"], "svmlight": ["first_index"], "xc": []}
    allowed = ["classes", *(["bad_rows", *more[kind]] if kind in more else [])]
    how.refuse_for(str(paths[0]), judge, *allowed)
    if kind == "npz":
        parts = [part for path in paths for part in read_npz(path)]
        if len(parts) > 2 or (len(paths) == 2 and len(parts) != 2):
            raise ValueError(f"{paths[0]} and {paths[1]}: a file has test rows of its own")
        return list(parts), None
    if kind == "amat":
        return [read_amat(path) for path in paths], None
    if kind == "xc":
        return [read_xc(path, bad_rows=judge) for path in paths], None
    if kind == "parquet":
        columns = COLUMNS if how.columns is None else how.columns
        return read_parquet(paths, columns=columns, n_features=how.n_features, bad_rows=judge), None
    if kind == "svmlight":
        multilabel = None if how.task is None else how.task == "multilabel"
        return read_files(paths, multilabel, how.n_features, how.first_index, judge)
    recipe = ""
    if _format(paths[0]) in _TABLES:
        comma = ", delimiter=','" if _format(paths[0]) == ".csv" else ""
        recipe = (
            "; to convert a table of numbers with the label last: "
            f"t = numpy.loadtxt({str(paths[0])!r}{comma}), "
            "numpy.savez('data.npz', X=t[:, :-1], y=t[:, -1])"
        )
    raise ValueError(
        f"{paths[0]}: the file name must end in one of {', '.join(_SUFFIXES)} "
        f"(all but .npz also in .gz, .zst), got {''.join(paths[0].suffixes) or 'no ending'}{recipe}"
    )
