"""The epoch loop: chunks, validation, early stopping, Ctrl-C, history.

The core trains a chunk of examples per call, about a fifth of a second's worth, so that progress
shows and Ctrl-C is heard. The order of an epoch depends on the seed and the epoch's number alone;
with the counters in `state.py`, a saved and loaded network goes on exactly where it stopped.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import _core, history, planning
from .calibration import machine
from .defaults import check
from .halves import finite
from .history import sample_rows
from .job import Job, Piece, stream
from .schedules import Constant
from .selectors import LSH
from .specification import core_schedule
from .state import restore, snapshot
from .watching import Watch, end_epoch

if TYPE_CHECKING:
    from .network import Network
    from .streaming import StreamJob

_CHUNK_SECONDS = 0.2
_FIRST_CHUNK = 64  # examples


class _NotFiniteError(FloatingPointError):
    """A network's own loss or weight, as against a FloatingPointError of the user's code."""


def plan(network: Network, batch: _core.Batch, sample: NDArray[np.uint32]) -> None:
    """Choose how to compute what the network's layers leave open, before their first training."""
    entries, lines = _core.density(batch, sample)
    network._ways = planning.plan(
        network.layers,
        network.optimizer,
        network.l2,
        planning.Inputs(network.n_inputs + 1, entries, lines),
        machine(),
    )
    planning.arrange(network._core, [ways[0] for ways in network._ways])


def run(network: Network, job: Job | StreamJob) -> None:
    """Train until the job's epochs are done, a callback or early stopping ends it, or Ctrl-C.

    Raises:
        FloatingPointError: the loss of an example, or a weight, became NaN or infinite.
    """
    state = network._state
    network.interrupted = False
    if state.epochs >= job.epochs:
        warnings.warn(
            f"{state.epochs} epochs are done already, epochs={job.epochs} asks for no more: "
            "epochs count from the network's birth",
            stacklevel=3,
        )
        return
    if not job.patience:  # what an interrupted fit found best must not undo this one
        state.forget_best()
    if network.history and network.history[-1].get("partial"):
        network.history.pop()
    if state.rows != job.n_rows:  # other data: the epoch under way starts again
        state.rows = job.n_rows
        state.begin_epoch()
    _prepare_rest(network, job)
    if state.position == 0:
        state.epoch_counts = network._counts()
    left = (job.epochs - state.epochs) * state.rows - state.position
    total = int(network._core.step) + left
    schedule = core_schedule(network.schedule, network.optimizer.rate, state.rows, total)
    with Watch(network, job) as watch:
        try:
            job.progress.start(left, job.epochs, state.epochs + 1)
            with _ctrl_c() as pressed:
                watch.begin()
                complete = _run_epochs(network, job, schedule, watch, pressed)
        except KeyboardInterrupt:  # from a callback, or a second Ctrl-C
            complete = False
        except _NotFiniteError:
            raise
        except BaseException:  # from a callback, or where the rows come from
            _break_off(network)
            raise
        finally:
            job.progress.stop()
        if complete:
            _restore_best(network)
        else:
            network.interrupted = True
            _break_off(network)


def _break_off(network: Network) -> None:
    """Leave the epoch under way so that training can go on from here, in memory or from a file."""
    network._core.end_epoch(complete=False)
    if network._state.position:
        network.history.append(history.record(network, None, {}))


def _refresh(network: Network, job: Job) -> None:
    """Bring hashes up to date, now that all rows have been seen."""
    last = network.layers[-1].selector
    if isinstance(last, LSH) and last.pooled and last.query_every == 0:  # may be made anew
        network._core.end_epoch(True, job.inputs.batch, sample_rows(network.seed, job.rows))
    else:
        network._core.end_epoch()


def one_pass(network: Network, job: Job) -> None:
    """One pass over the rows at the optimizer's own rate; no epoch, no history.

    Raises:
        FloatingPointError: as `run`.
    """
    state = network._state
    network.interrupted = False
    state.forget_best()  # of an interrupted fit: this pass comes after it
    order = _shuffled(job.rows, stream(network.seed, "pass", state.passes))
    state.passes += 1
    schedule = core_schedule(Constant(warmup=0), network.optimizer.rate, len(job.rows), 1)
    with _ctrl_c() as pressed:
        for result in chunks(network, job, order, 0, schedule, f"partial_fit {state.passes}"):
            if pressed() and result.bad_row < 0:
                network.interrupted = True
                break
    _refresh(network, job)


def _run_epochs(
    network: Network,
    job: Job | StreamJob,
    schedule: _core.ScheduleSpec,
    watch: Watch,
    pressed: Callable[[], bool],
) -> bool:
    """Whether training came to its own end; False after Ctrl-C."""
    state = network._state
    while state.epochs < job.epochs:
        where = f"epoch {state.epochs + 1}"
        with contextlib.closing(_pieces(network, job)) as pieces:
            for piece, order, position in pieces:
                if pressed():
                    return False
                resting = state.resting
                for result in chunks(network, piece, order, position, schedule, where, resting):
                    state.position += result.examples
                    state.loss_sum += result.loss_sum
                    state.rested += result.rested
                    if result.examples:
                        walked = result.examples - result.rested
                        loss = result.loss_sum / walked if walked else state.loss
                        watch.chunk(piece, result.examples, loss or 0.0)
                    if pressed() and result.bad_row < 0:
                        return False
        if close_epoch(network, piece, schedule):
            return True
    return True


def _pieces(network: Network, job: Job | StreamJob) -> Generator[Piece]:
    """The pieces of the epoch under way; what it takes to have them is training, too."""
    state = network._state
    with contextlib.closing(job.pieces(network.seed, state.epochs, state.position)) as pieces:
        while True:
            start = time.perf_counter()
            piece = next(pieces, None)
            state.seconds += time.perf_counter() - start
            if piece is None:
                return
            yield piece


def _prepare_rest(network: Network, job: Job | StreamJob) -> None:
    """See to it that only rows of these very data rest, and none if none is to."""
    state = network._state
    if network.known is None or not isinstance(job, Job):
        state.resting, state.data = None, 0
        return
    data = job.fingerprint()
    if state.resting is None or state.data != data:
        state.resting, state.data = np.zeros(job.inputs.n_rows, dtype=np.uint8), data


def _shuffled(rows: NDArray[np.uint32], random: np.random.Generator) -> NDArray[np.uint32]:
    return np.ascontiguousarray(random.permutation(rows), dtype=np.uint32)


def chunks(
    network: Network,
    job: Job,
    order: NDArray[np.uint32],
    position: int,
    schedule: _core.ScheduleSpec,
    where: str,
    resting: NDArray[np.uint8] | None = None,
) -> Iterator[_core.TrainResult]:
    """Train on `order[position:]` a chunk at a time; yields each chunk's result.

    `resting`: per row of X, 1 where it was known, and rests when its turn comes; None if none does.

    Raises:
        FloatingPointError: a loss was not finite, or a weight when all rows were done.
    """
    _check_workers(network)
    state, core = network._state, network._core
    batch, targets = job.inputs.batch, job.targets.targets
    start = time.perf_counter()
    hashed = any(way["code"] != "none" for way in core.arrangement())
    # Once a network without hashes is planned, nothing is estimated from a sample.
    estimates = core.step == 0 or any(isinstance(layer.selector, LSH) for layer in network.layers)
    sample = sample_rows(network.seed, job.rows) if estimates else job.rows[:1]
    if core.step == 0 and not network._ways and not (hashed and core.built):
        plan(network, batch, sample)
    if core.step == 0 and network.prior:
        core.tensors()[f"layers.{len(network.layers) - 1}.bias"][...] = job.targets.take(
            job.rows
        ).prior(network.loss)
    if not core.built:
        core.build(batch, sample, network._n_threads)
    batch_size = network.batch_size if network.batch_size > 1 else 0  # 0: asynchronous
    last = network.layers[-1].selector
    chance = None
    if isinstance(last, LSH) and last.correction == "log-q":
        chance = job.targets.take(job.rows).chances(batch_size - 1)
    size = max(_FIRST_CHUNK // network.batch_size, 1) * network.batch_size
    while position < len(order):
        chunk = order[position : position + size]
        result = core.train(
            batch,
            targets,
            chunk,
            schedule,
            batch_size,
            network._n_threads,
            job.row_weights,
            job.class_weights,
            sample,
            network.known or 1.0,
            resting,
            network.simulated_workers,
            chance,
            isinstance(last, LSH) and last.correction == "inverse",
        )
        seconds = time.perf_counter() - start
        state.seconds += seconds
        position += result.examples
        yield result
        if result.bad_row >= 0:
            raise _NotFiniteError(
                f"the loss became NaN or infinite in {where} at row {result.bad_row}: lower the "
                f"learning rate (rate={network.optimizer.rate:g}) or scale X; the network "
                f"{_after_a_bad_row(network)}"
            )
        speed = min(_CHUNK_SECONDS / max(seconds, 1e-9), 4.0)  # grow by 4 at most: first calls lie
        size = max(int(size * speed) // network.batch_size, 1) * network.batch_size
        start = time.perf_counter()
    _check_weights(network, where)


def _check_workers(network: Network) -> None:
    """Raise unless the network's training can be simulated, if that is asked for."""
    workers = check("simulated_workers", network.simulated_workers)
    plain = network.optimizer.word == "sgd" and network.l2 == 0 and network.known is None
    if workers and not (plain and network.batch_size == 1):
        raise ValueError(
            "simulated_workers need optimizer 'sgd', l2=0, known=None and batch_size=1, "
            f"got simulated_workers={workers} with optimizer {network.optimizer.word!r}, "
            f"l2={network.l2:g}, known={network.known}, batch_size={network.batch_size}"
        )


def _after_a_bad_row(network: Network) -> str:
    """What of a network's training the row at which it stopped leaves standing, in words."""
    if network.batch_size > 1:
        return "stands as it was before that row's batch"
    if network._n_threads > 1:
        return "keeps what its other threads learned from their rows until they stopped"
    return "stands as it was before that row"


def _check_weights(network: Network, where: str) -> None:
    """Raise FloatingPointError unless all weights and biases are finite.

    The last update of a weight may overflow without any later loss to show it.
    """
    tensors = network._core.tensors()
    for number in range(len(network.layers)):
        for kind in ("weight", "bias"):
            if not finite(tensors[f"layers.{number}.{kind}"]).all():
                raise _NotFiniteError(
                    f"the {kind} of layers[{number}] became NaN or infinite in {where}: lower the "
                    f"learning rate (rate={network.optimizer.rate:g}) or scale X"
                )


def close_epoch(network: Network, job: Job, schedule: _core.ScheduleSpec) -> bool:
    """Close the epoch: tables, scores, record, callbacks. Whether training should stop."""
    state = network._state
    start = time.perf_counter()
    _refresh(network, job)
    state.seconds += time.perf_counter() - start
    scores = network._scores(*job.validation) if job.validation else {}
    record = history.record(network, job, scores, rate=schedule.at(int(network._core.step)))
    network.history.append(record)
    state.epochs += 1
    state.begin_epoch()
    state.epoch_counts = network._counts()
    stop = job.patience > 0 and _is_stale(network, next(iter(scores.values())), job.patience)
    return end_epoch(network, job, record) or stop


def _is_stale(network: Network, score: float, patience: int) -> bool:
    """Keep the tensors of the best epoch; whether the best is `patience` epochs old."""
    state = network._state
    if state.best_epoch == 0 or score > state.best_score:
        state.best_epoch, state.best_score = state.epochs, score
        state.best = snapshot(network)
    return state.epochs - state.best_epoch >= patience


def _restore_best(network: Network) -> None:
    state = network._state
    if state.best_epoch not in (0, state.epochs):
        restore(network, state.best)
        state.resting = None  # by what a later epoch knew
    state.forget_best()


@contextlib.contextmanager
def _ctrl_c() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a note that the loop reads between chunks.

    A KeyboardInterrupt raised as the core returns would lose the chunk's result. A second Ctrl-C
    raises at once. Handlers of the user's own are left alone, as are threads other than the main.
    """
    presses = 0

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            raise KeyboardInterrupt

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: presses > 0
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
