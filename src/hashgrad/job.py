"""One call of `fit`, checked before anything is trained."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .callbacks.callback import Callback, Watcher, checked_callbacks
from .checks import shown, wrong_type
from .data import Floats, Inputs, as_inputs
from .defaults import check
from .labels import NO_LABELS, Labels, Targets, as_class_weights, as_row_weights, as_targets

_FINGERPRINT_ROWS = 64  # of the inputs; all labels are looked at
_PURPOSES = ("order", "sample", "validation", "pass", "labels")

Record = dict[str, Any]


class Progress(Protocol):
    """A watcher of training; see `hashgrad.progress.EpochProgress`."""

    def start(self, total_examples: int, epochs: int, first_epoch: int = 1) -> None:
        """Training begins."""

    def update(self, examples: int, loss: float) -> None:
        """So many more examples are done; `loss` is their mean."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """An epoch is done."""

    def stop(self) -> None:
        """Training has ended."""


class Silence:
    """The watcher that says nothing."""

    def start(self, total_examples: int, epochs: int, first_epoch: int = 1) -> None:
        """Say nothing."""

    def update(self, examples: int, loss: float) -> None:
        """Say nothing."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Say nothing."""

    def stop(self) -> None:
        """Say nothing."""


# A job, the order of its rows, and how many of them are done.
Piece: TypeAlias = "tuple[Job, NDArray[np.uint32], int]"


@dataclass(frozen=True)
class Job:
    """The data and settings of one call, in the core's types."""

    inputs: Inputs
    targets: Targets
    rows: NDArray[np.uint32]  # the training rows
    epochs: int = 1
    validation: tuple[Inputs, Targets] | None = None
    patience: int = 0
    row_weights: Floats | None = None
    class_weights: Floats | None = None
    callbacks: tuple[Callback, ...] = ()
    progress: Progress = field(default_factory=Silence)

    @property
    def n_rows(self) -> int:
        """How many rows an epoch has."""
        return len(self.rows)

    def pieces(self, seed: int, epoch: int, position: int) -> Generator[Piece]:
        """An epoch from a position on, in pieces that follow each other: here one, of all rows."""
        order = stream(seed, "order", epoch).permutation(self.rows)
        yield self, np.ascontiguousarray(order, dtype=np.uint32), position

    def fingerprint(self) -> int:
        """A number that tells these rows and labels from others: of all labels, and some rows."""
        some = self.rows[:: max(1, len(self.rows) // _FINGERPRINT_ROWS)]
        inputs, number = self.inputs.take(some), self.inputs.n_rows
        parts = [self.rows, self.targets.labels, inputs.dense, *(inputs.csr or ())]
        for part in parts:
            if part is not None:
                number = zlib.crc32(np.ascontiguousarray(part).tobytes(), number)
        return number


def stream(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """The random stream of a purpose: the same whenever and wherever it is drawn.

    >>> int(stream(0, "order", 3).integers(100)) == int(stream(0, "order", 3).integers(100))
    True
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(_PURPOSES.index(purpose), number))
    return np.random.Generator(np.random.Philox(sequence))


def prepare(
    X: Any,
    y: Any,
    *,
    n_inputs: int,
    n_outputs: int,
    loss: str,
    seed: int,
    retired: Labels = NO_LABELS,
    epochs: int = 1,
    validation: Any = None,
    early_stopping: int = 0,
    class_weight: Any = None,
    sample_weight: Any = None,
    callbacks: Sequence[Watcher] = (),
    progress: Any = False,
) -> Job:
    """Check everything that `Network.fit` is given; see there for the arguments.

    `n_outputs` counts the labels, those `retired` included; the job is about the outputs left.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: wrong shapes, values or labels, or settings that do not go together.
    """
    epochs = check("epochs", epochs)
    patience = check("early_stopping", early_stopping)
    watchers = checked_callbacks(callbacks)
    inputs = as_inputs(X, n_inputs)
    targets = as_targets(y, loss, n_outputs, inputs.n_rows, retired=retired)
    rows = np.arange(inputs.n_rows, dtype=np.uint32)
    held_out: tuple[Inputs, Targets] | None = None
    if isinstance(validation, (tuple, list)):
        held_out = given_rows(validation, n_inputs, n_outputs, loss, retired)
    elif validation is not None:
        share = check("validation", validation)
        kept, apart_rows = _split(rows, share, seed)
        rows, held_out = kept, (inputs.take(apart_rows), targets.take(apart_rows))
    if patience and held_out is None:
        raise ValueError(f"early_stopping={patience} needs validation, got validation=None")
    row_weights = as_row_weights(sample_weight, inputs.n_rows)
    class_weights = as_class_weights(class_weight, targets, loss, retired)
    if class_weights is not None and targets.indptr is None:  # one class a row: weigh the row
        by_class = class_weights[targets.labels]
        row_weights = by_class if row_weights is None else row_weights * by_class
        class_weights = None
    if class_weights is not None and loss == "softmax":
        raise ValueError(
            "class_weight must be None with several labels a row and the softmax loss, got "
            f"{shown(class_weight)}"
        )
    return Job(
        inputs=inputs,
        targets=targets,
        rows=rows,
        epochs=epochs,
        validation=held_out,
        patience=patience,
        row_weights=row_weights,
        class_weights=class_weights,
        callbacks=watchers,
        progress=watcher(progress),
    )


def _split(
    rows: NDArray[np.uint32], share: float, seed: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Rows to train on and rows to hold out, both in their own order."""
    n = max(1, round(share * len(rows)))
    if n >= len(rows):
        raise ValueError(
            f"validation must leave rows to train on, got the share {share} of {len(rows)} rows"
        )
    shuffled = stream(seed, "validation").permutation(rows)
    return np.sort(shuffled[n:]), np.sort(shuffled[:n])


def given_rows(
    validation: tuple[Any, Any] | list[Any],
    n_inputs: int,
    n_outputs: int,
    loss: str,
    retired: Labels = NO_LABELS,
) -> tuple[Inputs, Targets]:
    """Validation rows that the user gives as `(X, y)`; see `Network.fit`."""
    if len(validation) != 2:
        raise ValueError(f"validation must be (X, y) or a share, got {len(validation)} values")
    apart = as_inputs(validation[0], n_inputs, "validation X")
    return apart, as_targets(
        validation[1], loss, n_outputs, apart.n_rows, "validation y", retired=retired
    )


def watcher(progress: Any) -> Progress:
    """What watches training: see `Network.fit`."""
    if progress is None or progress is False:
        return Silence()
    if progress is True:
        from .progress import default_progress  # loads rich

        return default_progress()
    missing = [m for m in ("start", "update", "epoch", "stop") if not hasattr(progress, m)]
    if missing:
        raise wrong_type("progress", f"a bool or an object with {', '.join(missing)}", progress)
    given: Progress = progress
    return given
