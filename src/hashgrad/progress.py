"""Progress of a training run: a live bar on a terminal, one plain line an epoch anywhere else.

Everything goes to standard error, so standard output stays free for results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from .metrics import SCORES

__all__ = ["EpochProgress", "LiveProgress", "PlainProgress", "default_progress", "epoch_line"]

# What a bar shows beside loss and selection, from so many columns of the terminal on.
_EXTRAS = {"speed": 96, "left": 72}


class EpochProgress(Protocol):
    """What a training run tells its watcher; any object with these four methods will do.

    One that has a method `selection(active_fraction, recall)` is told of the choice of neurons,
    too, after each `update`: the share kept in this epoch so far, and a recall that is measured on
    some rows every now and then. It does not change what is learned.
    """

    def start(self, total_examples: int, epochs: int, first_epoch: int = 1) -> None:
        """Begin: `total_examples` are ahead, in epochs `first_epoch` to `epochs`."""

    def update(self, examples: int, loss: float) -> None:
        """Report `examples` more trained on, with the mean `loss` of just these."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """End an epoch, with its record of the history."""

    def stop(self) -> None:
        """End the run, finished or not; may be called twice."""


def epoch_line(record: Mapping[str, Any], epochs: int, examples_per_second: float) -> str:
    """Write one epoch's record as one line.

    Args:
        record: an epoch's record of `Network.history`; keys it lacks are left out of the line.
        epochs: epochs of the whole run.
        examples_per_second: training speed in this epoch; 0 if unknown.

    Example:
        >>> epoch_line({"epoch": 3, "loss": 0.0712, "accuracy": 0.9761, "seconds": 34.2}, 15, 5000)
        'epoch  3/15  loss 0.0712  accuracy 97.61%  5,000 examples/s  34.2 s'
    """
    epoch, width = record.get("epoch", 0), len(str(epochs))
    parts = [f"epoch {epoch:>{width}}/{epochs}"]
    if record.get("loss") is not None:
        parts.append(f"loss {record['loss']:.4f}")
    for key, (name, form) in SCORES.items():
        if record.get(key) is not None:
            parts.append(f"{name} {form.format(record[key])}")
            break
    if record.get("multiplications_fraction") is not None:
        parts.append(f"multiplications {record['multiplications_fraction']:.2%}")
    if record.get("active_fraction") is not None:
        parts.append(f"active {record['active_fraction']:.1%}")
    if record.get("selection_recall") is not None:
        parts.append(f"recall {record['selection_recall']:.2f}")
    if examples_per_second > 0:
        parts.append(f"{examples_per_second:,.0f} examples/s")
    if record.get("seconds") is not None:
        parts.append(f"{record['seconds']:.1f} s")
    return "  ".join(parts)


class _Clock:
    """Examples and training seconds, evaluation between the epochs not counted."""

    def __init__(self) -> None:
        self.examples = 0
        self.seconds = 0.0
        self._mark = time.perf_counter()
        self._epoch_start = (0, 0.0)

    def add(self, examples: int) -> None:
        now = time.perf_counter()
        self.examples += examples
        self.seconds += now - self._mark
        self._mark = now

    def end_epoch(self) -> float:
        """Examples per second of the epoch that ends here; what follows is the next one's."""
        examples = self.examples - self._epoch_start[0]
        seconds = self.seconds - self._epoch_start[1]
        self._epoch_start = (self.examples, self.seconds)
        self._mark = time.perf_counter()
        return examples / seconds if seconds > 0 else 0.0


class PlainProgress:
    """One line an epoch, for logs and pipes.

    Args:
        console: where to write; standard error by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console if console is not None else Console(stderr=True)
        self._clock = _Clock()
        self._epochs = 0

    def start(self, total_examples: int, epochs: int, first_epoch: int = 1) -> None:
        """See `EpochProgress.start`."""
        self._clock = _Clock()
        self._epochs = epochs

    def update(self, examples: int, loss: float) -> None:
        """See `EpochProgress.update`."""
        self._clock.add(examples)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """See `EpochProgress.epoch`."""
        line = epoch_line(record, self._epochs, self._clock.end_epoch())
        # A log's reader greps: never wrap, never style.
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """See `EpochProgress.stop`."""


class LiveProgress:
    """A bar that moves while the network learns, and a line for every epoch done.

    Args:
        console: the terminal; standard error by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console if console is not None else Console(stderr=True)
        self._clock = _Clock()
        self._epochs = 0
        self._trend: float | None = None
        self._bar: Progress | None = None

    def start(self, total_examples: int, epochs: int, first_epoch: int = 1) -> None:
        """See `EpochProgress.start`."""
        self.stop()
        self._clock = _Clock()
        self._epochs = epochs
        self._trend = None
        extras = [name for name, width in _EXTRAS.items() if self._console.width >= width]
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[selection]}"),
            *(TextColumn(f"{{task.fields[{name}]}}") for name in extras),
            console=self._console,
            transient=True,
        )
        fields: dict[str, Any] = dict.fromkeys(("loss", "selection", "speed", "left"), "")
        self._bar.add_task(f"epoch {first_epoch}/{epochs}", total=max(total_examples, 1), **fields)
        self._bar.start()

    def update(self, examples: int, loss: float) -> None:
        """See `EpochProgress.update`."""
        self._clock.add(examples)
        # Single chunks jump about; the eye wants the trend.
        self._trend = loss if self._trend is None else 0.9 * self._trend + 0.1 * loss
        if self._bar is None:
            return
        task = self._bar.tasks[0]
        done, seconds = self._clock.examples, self._clock.seconds
        fields: dict[str, Any] = {"loss": f"loss {self._trend:.4f}"}
        if done and seconds > 0:
            fields["speed"] = f"{done / seconds:,.0f} examples/s"
        if done and task.elapsed and task.total:
            # Elapsed time holds the evaluations too, and those are still to come as well.
            minutes, rest = divmod(round(task.elapsed * max(task.total / done - 1, 0)), 60)
            fields["left"] = f"{minutes}:{rest:02d} left"
        self._bar.update(task.id, completed=done, **fields)

    def selection(self, active_fraction: float, recall: float) -> None:
        """See `EpochProgress`."""
        if self._bar is not None:
            words = f"active {active_fraction:.1%} recall {recall:.2f}"
            self._bar.update(self._bar.tasks[0].id, selection=words)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """See `EpochProgress.epoch`."""
        line = epoch_line(record, self._epochs, self._clock.end_epoch())
        self._console.print(line, markup=False, highlight=False)
        if self._bar is None:
            return
        upcoming = min(int(record.get("epoch", 0)) + 1, self._epochs)
        self._bar.update(self._bar.tasks[0].id, description=f"epoch {upcoming}/{self._epochs}")

    def stop(self) -> None:
        """See `EpochProgress.stop`."""
        if self._bar is not None:
            self._bar.stop()


def default_progress() -> EpochProgress:
    """Choose the watcher that suits standard error: live on a terminal, plain otherwise."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
