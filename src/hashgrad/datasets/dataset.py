"""What every data set is once loaded: training rows, test rows, and what the targets mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..checks import Interval, one_of

Task: TypeAlias = Literal["classification", "multilabel", "regression"]
# Dense float32 (n, d), or CSR of float32.
Features: TypeAlias = Any
# Integer labels (n,), float32 targets (n,) or (n, t), or a CSR indicator (n, n_classes).
Targets: TypeAlias = Any


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test rows of one learning problem, in the types the networks take.

    Args:
        name: what the set is called in messages.
        task: `"classification"`, `"multilabel"` or `"regression"`.
        x_train: float32 array (n, d), or CSR matrix of float32.
        y_train: classification: integer labels (n,) in 0..n_classes-1; multilabel: CSR indicator
            (n, n_classes); regression: float32 (n,) or (n, t).
        x_test: test rows with the same d, or None where the set has none.
        y_test: their targets, or None.
        n_classes: classes of a classification, labels of a multilabel set, 0 in regression.
        classes: the label that each class index stands for, None where it is the index itself.
        first_index: number of the first feature in svmlight files, which are read by it; None
            where the set is not of such files.

    Raises:
        ValueError: rows of x and y differ in number, test and training rows differ in width,
            a label lies outside 0..n_classes-1, or there is no training row.

    Example:
        >>> x = np.eye(3, dtype=np.float32)
        >>> Dataset("toy", "classification", x, np.array([0, 1, 1]), n_classes=2)
        Dataset('toy', classification, 3 training rows, no test rows, 3 features, 2 classes)
    """

    name: str
    task: Task
    x_train: Features
    y_train: Targets
    x_test: Features | None = None
    y_test: Targets | None = None
    n_classes: int = 0
    classes: npt.NDArray[Any] | None = None
    first_index: int | None = None

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise one_of("task", self.task, get_args(Task))
        if (self.x_test is None) != (self.y_test is None):
            given = "x_test" if self.y_test is None else "y_test"
            raise ValueError(f"{self.name}: x_test and y_test must come together, got {given} only")
        if self.x_train.shape[0] == 0:
            raise ValueError(f"{self.name}: x_train must have at least one row, got none")
        self._check_part("train", self.x_train, self.y_train)
        if self.x_test is not None:
            self._check_part("test", self.x_test, self.y_test)

    def _check_part(self, part: str, x: Features, y: Targets) -> None:
        if len(x.shape) != 2 or x.dtype != np.float32:
            raise ValueError(
                f"{self.name}: x_{part} must be float32 with two dimensions, "
                f"got {x.dtype} of shape {x.shape}"
            )
        if x.shape[0] != y.shape[0]:
            raise ValueError(
                f"{self.name}: x_{part} and y_{part} must have equally many rows, "
                f"got {x.shape[0]} and {y.shape[0]}"
            )
        if x.shape[1] != self.n_features:
            raise ValueError(
                f"{self.name}: x_test must have the {self.n_features} features of x_train, "
                f"got {x.shape[1]}"
            )
        if self.task == "classification" and y.size:
            low, high = int(y.min()), int(y.max())
            if low < 0 or high >= self.n_classes:
                raise ValueError(
                    f"{self.name}: y_{part} must lie in 0..{self.n_classes - 1}, "
                    f"got {low if low < 0 else high}"
                )
        if self.task == "multilabel" and (
            not sparse.issparse(y) or y.shape[1:] != (self.n_classes,)
        ):
            raise ValueError(
                f"{self.name}: y_{part} must be a CSR indicator with {self.n_classes} columns, "
                f"got {type(y).__name__} of shape {y.shape}"
            )

    @property
    def n_rows(self) -> int:
        """Training rows."""
        return int(self.x_train.shape[0])

    @property
    def n_features(self) -> int:
        """Width d of every row."""
        return int(self.x_train.shape[1])

    @property
    def n_outputs(self) -> int:
        """Outputs a network needs: the classes or labels, or the targets of a regression."""
        if self.task != "regression":
            return self.n_classes
        return 1 if self.y_train.ndim == 1 else int(self.y_train.shape[1])

    def hold_out(self, share: float, seed: int = 0) -> Dataset:
        """Move a random share of the training rows into the test rows of a new set.

        Args:
            share: part of the training rows to hold out, in (0, 1); at least one row moves.
            seed: of the draw; the same seed holds out the same rows.

        Raises:
            ValueError: share outside (0, 1), too few rows, or the set has test rows already.

        Example:
            >>> x = np.eye(5, dtype=np.float32)
            >>> Dataset("toy", "regression", x, x[:, 0]).hold_out(0.4).x_test.shape
            (2, 5)
        """
        if self.x_test is not None:
            raise ValueError(f"{self.name}: hold_out needs a set without test rows")
        share = Interval(0, 1, closed="neither").check("share", share)
        n_rows = int(self.x_train.shape[0])
        n_test = max(1, round(share * n_rows))
        if n_test >= n_rows:
            raise ValueError(
                f"{self.name}: holding out a share of {share} must leave a training row, "
                f"got {n_rows} rows in all"
            )
        order = np.random.default_rng(seed).permutation(n_rows)
        # Sorted, so that both parts keep the file's order and sparse rows copy in one sweep.
        test, train = np.sort(order[:n_test]), np.sort(order[n_test:])
        return replace(
            self,
            x_train=self.x_train[train],
            y_train=self.y_train[train],
            x_test=self.x_train[test],
            y_test=self.y_train[test],
        )

    def first_rows(self, n_train: int | None = None, n_test: int | None = None) -> Dataset:
        """Keep the first rows only; None keeps them all.

        Args:
            n_train: training rows to keep, 1 or more.
            n_test: test rows to keep, 1 or more.

        Raises:
            TypeError: a number of rows is not a whole number.
            ValueError: more rows are asked for than there are, or fewer than one.

        Example:
            >>> x = np.eye(5, dtype=np.float32)
            >>> Dataset("toy", "regression", x, x[:, 0]).first_rows(2)
            Dataset('toy', regression, 2 training rows, no test rows, 5 features, 1 target)
        """
        n_test_rows = 0 if self.x_test is None else int(self.x_test.shape[0])
        for argument, wanted, available in (
            ("train_size", n_train, int(self.x_train.shape[0])),
            ("test_size", n_test, n_test_rows),
        ):
            if wanted is None:
                continue
            if available == 0:
                raise ValueError(f"{argument} does not apply: {self.name} has no such rows")
            Interval(1, available, integer=True).check(f"{argument} of {self.name}", wanted)
        kept = self
        if n_train is not None:
            kept = replace(kept, x_train=self.x_train[:n_train], y_train=self.y_train[:n_train])
        if n_test is not None:
            x_test, y_test = cast("Any", self.x_test), cast("Any", self.y_test)
            kept = replace(kept, x_test=x_test[:n_test], y_test=y_test[:n_test])
        return kept

    def __repr__(self) -> str:
        test = "no test rows" if self.x_test is None else _count(self.x_test.shape[0], "test row")
        kind = "sparse feature" if sparse.issparse(self.x_train) else "feature"
        nouns = {"classification": "class", "multilabel": "label", "regression": "target"}
        return (
            f"Dataset({self.name!r}, {self.task}, {_count(self.x_train.shape[0], 'training row')}, "
            f"{test}, {_count(self.n_features, kind)}, "
            f"{_count(self.n_outputs, nouns[self.task])})"
        )


def _count(number: int, noun: str) -> str:
    plural = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{plural}"
