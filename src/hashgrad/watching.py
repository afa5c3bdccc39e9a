"""Who is told of a training, of what and when: its progress, then its callbacks, in order."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from . import history, ledger
from .callbacks.callback import Callback
from .job import Job, Record

if TYPE_CHECKING:
    from .network import Network
    from .streaming import StreamJob

_LIVE_ROWS = 16  # rows on which a live progress shows the recall,
_LIVE_PRODUCTS = 2 * 10**8  # of about so many multiplications at most,
_LIVE_SHARE = 0.02  # and of so much of the time


class Watch:
    """One training's watchers; leaving the context tells them that it has ended.

    Args:
        network: what is trained.
        job: whose watchers.
    """

    def __init__(self, network: Network, job: Job | StreamJob) -> None:
        self._network, self._job = network, job
        self._began: list[Callback] = []
        self._selection: Callable[[float, float], None] | None = getattr(
            job.progress, "selection", None
        )
        self._recall = 1.0
        self._measure_at = 0.0

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *error: Any) -> None:
        """Call `on_train_end` of all that began, whether or not one of them fails."""
        endings = ExitStack()
        for callback in reversed(self._began):  # the stack calls the last one first
            endings.push(self._ending(callback))
        endings.__exit__(*error)

    def begin(self) -> None:
        """Training begins."""
        for callback in self._job.callbacks:
            callback.on_train_begin(self._network, self._job.epochs)
            self._began.append(callback)

    def _ending(self, callback: Callback) -> Callable[..., None]:
        """What tells a callback of the end; what the hook returns cannot suppress the error."""

        def end(kind: Any, error: BaseException | None, trace: Any) -> None:
            callback.on_train_end(self._network, error)

        return end

    def chunk(self, piece: Job, examples: int, loss: float) -> None:
        """So many more examples of a piece are done; `loss` is their mean."""
        self._job.progress.update(examples, loss)
        if self._selection is not None:
            self._selection(*self._live(piece))
        for callback in self._job.callbacks:
            callback.on_chunk(self._network, examples, loss)

    def _live(self, piece: Job) -> tuple[float, float]:
        """The epoch's share of active neurons so far, and a recall that is seldom measured."""
        network, start = self._network, time.perf_counter()
        if start >= self._measure_at:
            found = history.recall(network, piece, _LIVE_ROWS, _LIVE_PRODUCTS)
            self._recall = history.mean_recall(network, found)
            end = time.perf_counter()
            self._measure_at = end + (end - start) / _LIVE_SHARE
        counts = ledger.combine(network._counts(), network._state.epoch_counts, -1)
        return ledger.active_fraction(counts, network.layers), self._recall


def end_epoch(network: Network, job: Job, record: Record) -> bool:
    """An epoch is done; whether a callback ends the training with it."""
    job.progress.epoch(record)
    stops = [callback.on_epoch_end(network, record) is True for callback in job.callbacks]
    return any(stops)
