"""What `sparsify` found: the network, the curve as data and picture, and what it says of them."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from ..network import Network
from ..prediction import Predicts
from .shares import Kept

SPARSE, DENSE = "sparse", "leave it dense"


@dataclass(frozen=True)
class Point:
    """A network that was tried, on the rows that chose.

    Attributes:
        kept: neurons of each hidden layer.
        ways: how each of them finds its neurons.
        share: of all hidden neurons, those kept.
        accuracy: in [0, 1].
        drop: points of accuracy below the dense network; negative, above.
        error: the drop's standard error, in points.
        seconds: median for one row, of the compact copy.
        multiplications: of one row, hashing included.
    """

    kept: Kept
    ways: tuple[str, ...]
    share: float
    accuracy: float
    drop: float
    error: float
    seconds: float
    multiplications: float

    def within(self, max_drop: float) -> bool:
        """Whether the drop stays within the bound, its standard error included."""
        return self.drop + self.error <= max_drop


@dataclass(frozen=True)
class Stated:
    """What holds of the network returned, on the rows that did not choose, but may reject.

    Attributes:
        rows: how many.
        looks: networks that were judged on them, the fastest first; each but the one returned, if
            it is sparse, lost too much.
        dense_accuracy: of the model as given, in [0, 1].
        accuracy: of the network returned.
        drop: points between the two.
        error: the drop's standard error, in points.
        seconds: median for one row of the network returned, as `predictor`.
        dense_seconds: the same of the fastest dense network of hashgrad.
        given_seconds: the same of the model as given, if it can be asked; else None.
    """

    rows: int
    looks: int
    dense_accuracy: float
    accuracy: float
    drop: float
    error: float
    seconds: float
    dense_seconds: float
    given_seconds: float | None


@dataclass(frozen=True)
class Sparsified:
    """What `hashgrad.sparsify` returns.

    Attributes:
        verdict: `"sparse"` or `"leave it dense"`.
        reason: why, in a sentence.
        network: a `Network` with the model's weights: sparse, or dense if that is the verdict. It
            can be saved, and trained on.
        predictor: the network in its fastest form, whose latency is stated: its compact copy, or,
            where that is no faster, the dense network itself.
        curve: what was tried, the dense network first.
        stated: accuracy and latency on rows that had no part in the choice, except to reject
            networks that lost more than `max_drop` there.
        max_drop: what was asked, in points; the drop itself is within it, its error stated beside.
        labels: whether accuracy is against labels; else agreement with the model's own answers.
        source: what was given, in words.
        classes: what the outputs stand for; None for their numbers.
    """

    verdict: str
    reason: str
    network: Network
    predictor: Predicts
    curve: tuple[Point, ...]
    stated: Stated
    max_drop: float
    labels: bool
    source: str
    classes: tuple[Any, ...] | None = None

    @property
    def report(self) -> str:
        """The result in a few lines."""
        stated, what = self.stated, "accuracy" if self.labels else "agreement with the model"
        rejected = stated.looks - (self.verdict == SPARSE)
        but = f" except to reject {rejected}" if rejected else ""
        lines = [
            f"{self.verdict}: {self.reason}",
            f"{what} {stated.accuracy:.2%}, dense {stated.dense_accuracy:.2%}: {stated.drop:.2f} ± "
            f"{stated.error:.2f} points lost on {stated.rows:,} rows that had no part in the "
            f"choice{but}, {stated.looks} network{'' if stated.looks == 1 else 's'} judged on them",
            f"one row takes {micro(stated.seconds)}, dense {micro(stated.dense_seconds)}"
            + (
                f", {self.source} as given {micro(stated.given_seconds)}"
                if stated.given_seconds is not None
                else ""
            ),
        ]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """All but the networks, as JSON-able values."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "source": self.source,
            "max_drop": self.max_drop,
            "labels": self.labels,
            "stated": asdict(self.stated),
            "curve": [
                {**asdict(point), "kept": list(point.kept), "ways": list(point.ways)}
                for point in self.curve
            ],
        }

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the curve into a file: accuracy against active share, and against latency.

        Args:
            path: where to; its suffix says the format, as Matplotlib knows them (.svg, .png).

        Raises:
            ModuleNotFoundError: Matplotlib is not installed; the message says how to get it.
            ValueError: an unknown format.
            OSError: the file cannot be written.
        """
        from .picture import draw

        draw(self, path)

    def __str__(self) -> str:
        return self.report


def micro(seconds: float) -> str:
    """Seconds as microseconds, three digits.

    >>> micro(0.000123456), micro(2.5e-06)
    ('123 µs', '2.5 µs')
    """
    value = seconds * 1e6
    return f"{value:,.0f} µs" if value >= 100 else f"{value:.3g} µs"
