"""Seconds that a network takes for one row: all of them on the same rows, by turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..data import Floats

Answer = Callable[[Any], Any]  # of one row
Stopwatch = Callable[[Sequence[Answer], Sequence[Any]], list[float]]

ROUNDS = 6
_WARMING = 8  # rows of each turn that are not timed: what another left in the caches is gone then


def seconds(answers: Sequence[Answer], rows: Sequence[Any]) -> list[float]:
    """The median time of each for a row.

    Every other round goes in the opposite order; what is timed comes after a few rows that are not.

    Args:
        answers: functions of one row.
        rows: what they are called with.
    """
    times: list[list[float]] = [[] for _ in answers]
    clock = time.perf_counter
    share = max(1, len(rows) // ROUNDS)
    for turn in range(ROUNDS):
        mine = [rows[at % len(rows)] for at in range(turn * share, (turn + 1) * share)]
        order = range(len(answers)) if turn % 2 == 0 else reversed(range(len(answers)))
        for number in order:
            answer = answers[number]
            for row in mine[:_WARMING]:
                answer(row)
            for row in mine:
                start = clock()
                answer(row)
                times[number].append(clock() - start)
    return [statistics.median(each) for each in times]


def rows_of(X: Any, most: int) -> list[Floats]:
    """The first rows, each by itself, as `predict_one` wants them."""
    some = X[:most]
    dense = np.asarray(some.todense() if hasattr(some, "todense") else some, dtype=np.float32)
    return [np.ascontiguousarray(row) for row in dense]
