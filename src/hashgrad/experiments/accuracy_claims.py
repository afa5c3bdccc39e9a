"""What the accuracies say of the paper's claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..pages.page import Claim
from .lab import Result
from .methods import share_of
from .parts import command, mean, percent, points, recall_of, why_missing
from .sizes import Size

POINT = 0.01  # of accuracy
MULTIPLICATIONS = (0.05, 0.02)  # shares of the dense network's, at which LSH is judged
Cell = tuple[str, int]  # data set and hidden layers
Choice = tuple[str, int, str, float]  # a cell, a method and its share
Found = dict[Choice, list[Result]]
Gaps = Mapping[Cell, float | None]  # None: a run came to nothing


@dataclass(frozen=True)
class Cells:
    """The runs at the smallest share, LSH's at others, and the dense network's.

    Args:
        size: of the session.
        cells: the networks and sets that were run.
        found: their results, one a seed.
    """

    size: Size
    cells: list[Cell]
    found: Found

    def of(self, cell: Cell, method: str, share: float | None = None) -> list[Result]:
        """The runs of a method, at the smallest share unless told otherwise."""
        at = share_of(method, self.size.share if share is None else share)
        choice = (*cell, method, at)
        return self.found[choice]

    def accuracy(self, cell: Cell, method: str, share: float | None = None) -> float | None:
        """Mean over the seeds; None if one of them diverged."""
        results = self.of(cell, method, share)
        if any(result["diverged"] for result in results):
            return None
        return mean([result["accuracy"] for result in results])

    def gap(self, cell: Cell, share: float | None = None, to: str = "NN") -> float | None:
        """LSH's accuracy less another method's; None if a run of either diverged."""
        ours, theirs = self.accuracy(cell, "LSH", share), self.accuracy(cell, to)
        return None if ours is None or theirs is None else ours - theirs

    def multiplied(self, cell: Cell, method: str, share: float | None = None) -> float | None:
        """Mean share of the multiplications of a dense network; None if a run diverged."""
        results = self.of(cell, method, share)
        if any(result["diverged"] for result in results):
            return None
        return mean([result["multiplications_fraction"] for result in results])

    def within(self, cell: Cell, most: float) -> float | None:
        """The largest share at which LSH needs at most so many of dense's multiplications."""
        shares = (self.size.share, *self.size.lsh_shares)
        costs = {share: self.multiplied(cell, "LSH", share) for share in shares}
        fit = [share for share, cost in costs.items() if cost is not None and cost <= most]
        return max(fit, default=None)

    @property
    def absent(self) -> list[str]:
        """The sets that are not here."""
        return [name for name in self.size.sets if why_missing(name)]


def claims(runs: Cells) -> tuple[Claim, ...]:
    """The claims that the accuracies are about."""
    if not runs.cells:
        return ()
    how = command(runs.size, "accuracy")
    return (
        _multiplications(runs, how),
        _average(
            runs,
            "At 5 % of the neurons, accuracy stays within a point of the dense network's.",
            "within 1 % on average",
            "LSH − NN",
            {cell: runs.gap(cell) for cell in runs.cells},
        ),
        *(_at_most(runs, most) for most in MULTIPLICATIONS),
        _above_dropout(runs, how),
        _average(
            runs,
            "Hashing chooses about as well as computing every activation (WTA).",
            "LSH close to WTA (its figures)",
            "LSH − WTA",
            {cell: runs.gap(cell, to="WTA") for cell in runs.cells},
            also=f"; recall of the largest activations {_recall(runs)}",
        ),
    )


def _multiplications(runs: Cells, how: str) -> Claim:
    shares = [runs.multiplied(cell, "LSH") for cell in runs.cells]
    known = [share for share in shares if share is not None]
    dense = [runs.multiplied(cell, "NN") for cell in runs.cells]
    of_own = [
        ours / theirs
        for ours, theirs in zip(shares, dense, strict=True)
        if ours is not None and theirs is not None
    ]
    return Claim(
        text="A training step needs about 5 % of the dense network's multiplications.",
        paper="5 % of the multiplications, forward and backward",
        ours=(
            f"{percent(mean(known), 2)} on average, at most {percent(max(known), 2)}, hashing and "
            "the upkeep of hashes counted"
            if known
            else "every run diverged"
        ),
        held=bool(known) and len(known) == len(shares) and max(known) <= 0.05,
        command=how,
        note=(
            "Of full matrices, zeros counted. Our own dense runs skip inputs that are zero: of "
            f"what they multiply, it is {percent(mean(of_own), 1)} on average."
            if of_own
            else ""
        ),
    )


def _average(
    runs: Cells, text: str, paper: str, what: str, gaps: Gaps, also: str = "", dear: str = ""
) -> Claim:
    """A claim that accuracies differ by less than a point on average."""
    known = {cell: gap for cell, gap in gaps.items() if gap is not None}
    diverged = [named(cell) for cell, gap in gaps.items() if gap is None]
    behind = [f"{named(cell)} ({points(gap)})" for cell, gap in known.items() if gap < -POINT]
    average = mean(list(known.values())) if known else -1.0
    notes = [
        f"More than a point behind: {', '.join(behind)}." if behind else "",
        f"Diverged: {', '.join(diverged)}." if diverged else "",
        dear,
        f"Not here: {', '.join(runs.absent)}." if runs.absent else "",
    ]
    holds = bool(known) and not diverged and not dear and average >= -POINT
    return Claim(
        text=text,
        paper=paper,
        ours=(
            f"{what}: {points(average)} over {len(known)} networks and sets{also}"
            if known
            else "no network is so cheap at any share tried"
        ),
        held=None if holds and set(runs.absent) - {"norb"} else holds,
        command=command(runs.size, "accuracy"),
        note=" ".join(filter(None, notes)),
    )


def _at_most(runs: Cells, most: float) -> Claim:
    at = {cell: runs.within(cell, most) for cell in runs.cells}
    dear = [named(cell) for cell, share in at.items() if share is None]
    return _average(
        runs,
        f"With at most {percent(most, 0)} of the multiplications, accuracy stays within a point "
        "of the dense network's.",
        "within 1 % on average" if most == MULTIPLICATIONS[0] else "not claimed: our aim",
        "LSH − NN",
        {cell: runs.gap(cell, share) for cell, share in at.items() if share is not None},
        also=", each at the largest share of neurons tried that costs no more",
        dear=f"No share tried is so cheap: {', '.join(dear)}." if dear else "",
    )


def _above_dropout(runs: Cells, how: str) -> Claim:
    above = {}
    for cell in runs.cells:
        gaps = [runs.gap(cell, to=method) for method in ("VD", "AD")]
        ours = runs.accuracy(cell, "LSH")
        # Dropout that diverges is no rival; LSH that does has lost.
        known = [gap for gap in gaps if gap is not None]
        above[cell] = min(known, default=1.0) if ours is not None else -1.0
    lost = [f"{named(cell)} ({points(gap)})" for cell, gap in above.items() if gap <= 0]
    return Claim(
        text="At 5 % of the neurons, LSH beats random and adaptive dropout.",
        paper="above VD and AD (its figures)",
        ours=(
            f"above both in {len(above) - len(lost)} of {len(above)} networks and sets, by "
            f"{points(min(above.values()))} at least"
        ),
        held=not lost,
        command=how,
        note=f"Not in: {', '.join(lost)}." if lost else "Means of the seeds are compared.",
    )


def _recall(runs: Cells) -> str:
    found = [recall_of(result) for cell in runs.cells for result in runs.of(cell, "LSH")]
    known = [recall for recall in found if recall is not None]
    return f"{mean(known):.3f}" if known else "unknown"


def named(cell: Cell) -> str:
    """A network and its set, for people.

    >>> named(("mnist", 2))
    'mnist with 2 hidden layers'
    """
    return f"{cell[0]} with {cell[1]} hidden layers"
