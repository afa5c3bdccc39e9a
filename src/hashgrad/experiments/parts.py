"""What every part of the experiments has in common."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hashgrad import datasets

from .page import Claim, Section
from .runs import Run
from .sizes import Size

COMMAND = "hashgrad reproduce"


@dataclass(frozen=True)
class Part:
    """What a part found: its section of the report, and its rows of the claim ledger."""

    section: Section
    claims: tuple[Claim, ...]


@functools.cache
def why_missing(name: str) -> str:
    """Why a named data set cannot be had here; empty if it can."""
    try:
        datasets.load(name)
    except FileNotFoundError as error:
        return str(error)
    return ""


def study_set(size: Size) -> str:
    """The data set of all experiments but the accuracies: the first that is here.

    Raises:
        FileNotFoundError: none is here.
    """
    for name in size.study:
        if not why_missing(name):
            return name
    raise FileNotFoundError(why_missing(size.study[0]))


def study_run(
    size: Size,
    data: str,
    depth: int,
    method: str,
    share: float,
    rate: float,
    examples: int,
    **how: Any,
) -> Run:
    """A run of the other experiments, on the rows that they use."""
    shape = {"width": size.width, "rows": size.study_rows, "judged": size.judged}
    return Run(data, depth, method, share, rate, examples, **{**shape, **how})


def command(size: Size, part: str) -> str:
    """What repeats a part.

    >>> from .sizes import QUICK
    >>> command(QUICK, "depth")
    'hashgrad reproduce --quick --only depth'
    """
    return f"{COMMAND} --{size.name} --only {part}"


def mean(values: Sequence[float]) -> float:
    """The mean of some numbers."""
    return statistics.fmean(values)


def percent(value: float, digits: int = 1) -> str:
    """A share for people.

    >>> percent(0.0512), percent(0.98765, 2)
    ('5.1 %', '98.77 %')
    """
    return f"{100 * value:.{digits}f} %"


def points(difference: float) -> str:
    """A difference of accuracies, with its sign.

    >>> points(-0.0123)
    '−1.23 points'
    """
    return f"{'−' if difference < 0 else '+'}{abs(100 * difference):.2f} points"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, least and largest.

    >>> spread([1.0, 2.0, 6.0])
    (3.0, 1.0, 6.0)
    """
    return mean(values), min(values), max(values)
