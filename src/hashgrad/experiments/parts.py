"""What every part of the experiments has in common."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hashgrad import datasets

from ..pages.page import Claim, Section
from .lab import Result
from .runs import GENERATED, Run
from .sizes import Size

COMMAND = "hashgrad reproduce"
DEPTH = 2  # hidden layers of all experiments but the accuracies and the study of depth


@dataclass(frozen=True)
class Part:
    """What a part found: its section of the report, and its rows of the claim ledger."""

    section: Section
    claims: tuple[Claim, ...]


@functools.cache
def why_missing(name: str) -> str:
    """Why a named data set cannot be had here; empty if it can."""
    if name in GENERATED:
        return ""
    try:
        datasets.load(name)
    except FileNotFoundError:
        return (
            f"{name} is not here: put its files into $HASHGRAD_DATA/{name}; `hashgrad train "
            f"{name}` says which they are."
        )
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


def recall_of(result: Result) -> float | None:
    """Mean recall of the layers that look up hashes; None if there is none, or the run diverged."""
    if result["diverged"]:
        return None
    layers = zip(result["recall"], result["arrangement"], strict=False)
    found = [recall for recall, way in layers if recall is not None and not way.startswith("exact")]
    return mean(found) if found else None


def accuracy_words(results: Sequence[Result]) -> str:
    """Mean accuracy, in brackets the least and the largest; or how many runs diverged.

    >>> runs = [{"accuracy": a, "diverged": False} for a in (0.97, 0.98)]
    >>> accuracy_words(runs), accuracy_words([{**runs[0], "diverged": True}])
    ('97.50 % (97.00–98.00)', 'diverged (1 of 1)')
    """
    lost = sum(result["diverged"] for result in results)
    if lost:
        return f"diverged ({lost} of {len(results)})"
    middle, least, most = spread([result["accuracy"] for result in results])
    if len(results) == 1:
        return percent(middle, 2)
    return f"{percent(middle, 2)} ({100 * least:.2f}–{100 * most:.2f})"


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
