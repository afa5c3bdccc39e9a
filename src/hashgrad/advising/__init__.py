"""Advice for a user's data, layers and machine: does LSH pay, and with what settings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import planning
from ..calibration import Machine, machine
from ..checks import Interval, wrong_type
from ..data import Inputs, as_inputs, is_sparse
from ..defaults import check, default
from ..frames import as_column
from ..load_average import load_average
from ..optimizers import SGD
from ..selectors import LSH
from ..sparsification import latency
from .report import Advice, Judged, Latencies, Task
from .trials import Measure, Training, halving
from .variants import DENSE, FEWEST, Variant, of_lsh

__all__ = ["Advice", "advise"]

_SECONDS = Interval(0, closed="neither")
_WIDTH = Interval(1, 2**31 - 1, integer=True)
_SHARE_HELD = Interval(0, 1, closed="neither")
_FEWEST_HELD = 40  # rows to choose by and to judge on, together
_MOST_HELD = 20000
_TRIALS = 0.95  # of the time; the rest is for judging the finalists and timing them
_TIMED_ROWS = 600
_WIDER = (1, 2, 4, 8, 16, 32)  # times the user's widths


def advise(
    X: Any,
    y: Any,
    *,
    hidden: Sequence[int] = (1000, 1000),
    seconds: float = 60.0,
    held_out: float = 0.2,
    threads: int = default("threads"),
    seed: int = default("seed"),
    progress: bool = False,
    measure: Measure | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Advice:
    """Measure whether LSH beats dense layers here, and choose its settings.

    Networks with these hidden layers train on your rows, the dense one and sixteen settings of LSH
    (share kept; scans of bytes or bits, tables; bits, tables, probes, candidates), each from its
    birth for the same time; the better half goes on to twice the time, and so on. The best setting
    and the dense network then answer rows that had no part in this. LSH is chosen where it loses at
    most half a point there, the standard error of the difference included, and trains on at least
    1.25 times as many examples a second; or where it gains more than half a point and that error.

    Args:
        X: (n, d) numbers, dense or SciPy sparse.
        y: n labels 0, 1, ..., or an indicator matrix (n, labels) of several a row; arrays or
            columns of a frame.
        hidden: neurons of each hidden layer.
        seconds: about what all of it may take.
        held_out: share of the rows not to learn from, in (0, 1), 40 to 20,000 rows: one half to
            choose the setting by, the other to judge on. Half a point can be told from some
            thousands.
        threads: of training; 0 is all cores.
        seed: of everything random.
        progress: whether to tell on standard error what is being measured.
        measure: trains a variant for so many seconds, and tells which of the rows to judge on the
            finalists answer rightly; this machine by default.
        clock: seconds that have passed.

    Returns:
        The advice: `selector` for `Dense(n, active=...)`, `report`, `as_dict()`.

    Raises:
        TypeError: values of the wrong type.
        ValueError: wrong shapes, values or labels, or too few rows held out.

    Example:
        >>> import numpy as np
        >>> from hashgrad import advise
        >>> X = np.random.default_rng(0).normal(size=(200, 8))
        >>> advice = advise(X, (X[:, 0] > 0).astype(int), hidden=[8], seconds=0.1)
        >>> advice.selector.word
        'dense'

    Source: successive halving, Jamieson and Talwalkar (2016), arXiv 1502.07943.
    """
    seconds = _SECONDS.check("seconds", seconds)
    held_out = _SHARE_HELD.check("held_out", held_out)
    widths = _widths(hidden)
    check("seed", seed)
    load = load_average()
    began = clock()
    inputs = as_inputs(X)
    targets, loss, n_outputs = _targets(y, inputs.n_rows)
    train, tuning, judging = _cut(inputs, targets, held_out, seed)
    training = Training(
        train, tuning, judging, hidden=widths, n_outputs=n_outputs, loss=loss,
        threads=check("threads", threads), seed=seed,
    )  # fmt: skip

    def say(text: str) -> None:
        if progress:
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    costs = machine()  # measured before the clock matters
    left = max(_TRIALS * seconds - (clock() - began), 0.5 * seconds)
    measure_ = measure or training
    rounds = halving(of_lsh(widths), left, measure_, say, clock)
    best = rounds.best
    task = Task(
        sizes=(inputs.n_columns, *widths, n_outputs),
        rows=int(train[0].shape[0]),
        tuning=int(tuning[0].shape[0]),
        judging=int(judging[0].shape[0]),
        threads=training.threads,
    )
    return Advice(
        task=task,
        rounds=rounds,
        judged=None
        if best is None
        else Judged.of(measure_.right(DENSE), measure_.right(best.variant)),
        latencies=_latencies(training, judging[0])
        if measure is None and loss == "softmax"
        else None,
        wins_from=_wins_from(task, train[0], None if best is None else best.variant, costs),
        seconds=clock() - began,
        load_average=load,
    )


def _widths(hidden: Any) -> tuple[int, ...]:
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise wrong_type("hidden", "a sequence of integers", hidden)
    if not hidden:
        raise ValueError("hidden must name at least one layer, got none")
    return tuple(_WIDTH.check("hidden", n) for n in hidden)


def _targets(y: Any, n_rows: int) -> tuple[Any, str, int]:
    """The targets, their loss and the number of outputs."""
    y = as_column(y, "y")
    if is_sparse(y):
        return y.tocsr(), "logistic", int(y.shape[1])
    labels = np.asarray(y)
    if labels.ndim == 2:
        return labels, "logistic", int(labels.shape[1])
    if labels.dtype.kind not in "biu" or labels.shape != (n_rows,):
        raise ValueError(
            f"y must be one integer for each of the {n_rows} rows of X, or an indicator matrix, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0:
        raise ValueError(f"y must hold labels 0, 1, ..., got {labels.min()}")
    return labels.astype(np.int64), "softmax", max(2, int(labels.max()) + 1)


def _cut(
    inputs: Inputs, y: Any, share: float, seed: int
) -> tuple[tuple[Any, Any], tuple[Any, Any], tuple[Any, Any]]:
    """Rows to learn from, to choose by and to judge on, with their targets."""
    n = inputs.n_rows
    n_held = min(round(share * n), _MOST_HELD)
    if y.shape[0] != n:
        raise ValueError(f"y must have one row for each of the {n} rows of X, got {y.shape[0]}")
    if n_held < _FEWEST_HELD:
        raise ValueError(
            f"held_out must hold out at least {_FEWEST_HELD} rows, got {share:g} of {n} rows of X: "
            f"{n_held}"
        )
    if n_held >= n:
        raise ValueError(f"held_out must leave rows to learn from, got {share:g} of {n} rows of X")
    order = np.random.Generator(np.random.Philox(seed)).permutation(n)
    n_tuning = n_held // 2
    rest, tuning, judging = (
        np.sort(rows) for rows in (order[n_held:], order[:n_tuning], order[n_tuning:n_held])
    )
    X = inputs.matrix
    return (X[rest], y[rest]), (X[tuning], y[tuning]), (X[judging], y[judging])


def _latencies(training: Training, X: Any) -> Latencies | None:
    """Seconds of one prediction of the two finalists, as compact copies."""
    if training.dense is None or training.best is None:
        return None
    copies = [training.dense.compact(), training.best.compact()]
    rows = latency.rows_of(X, _TIMED_ROWS)
    return Latencies(*latency.seconds([copy.predict_one for copy in copies], rows))


def _wins_from(task: Task, X: Any, variant: Variant | None, costs: Machine) -> int | None:
    """The least multiple of the widths at which LSH is estimated to train twice as fast.

    None if there is none up to 32 times.
    """
    entries = (X.nnz if is_sparse(X) else np.count_nonzero(X)) / X.shape[0]
    chosen = Variant(LSH(0.05)) if variant is None else variant
    first = planning.Inputs.spread(task.sizes[0], entries)

    def nanoseconds(which: Variant, hidden: tuple[int, ...]) -> float:
        layers = which.layers(hidden, task.sizes[-1])
        return sum(ways[0].nanoseconds for ways in planning.plan(layers, SGD(), 0.0, first, costs))

    for times in _WIDER:
        hidden = tuple(times * n for n in task.sizes[1:-1])
        if chosen.selector.kept(max(hidden)) < FEWEST:
            continue
        if 2 * nanoseconds(chosen, hidden) <= nanoseconds(DENSE, hidden):
            return times
    return None
