"""Part 1: accuracy against the share of active neurons, five methods beside each other.

Source: Spring and Shrivastava (2016), section 6, figures of accuracy by share.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from .lab import Lab, NotRunError, Result
from .methods import METHODS, share_of
from .page import Claim, Figure, Line, Panel, Section, Table
from .parts import Part, command, mean, percent, points, spread, why_missing
from .runs import Run
from .sizes import Size

NAME = "accuracy"
MULTIPLICATIONS = (0.05, 0.02)  # shares of the dense network's, at which LSH is judged
Cell = tuple[str, int]  # data set and hidden layers
Choice = tuple[str, int, str, float]  # a cell, a method and its share
Found = dict[Choice, list[Result]]


def run(lab: Lab, size: Size) -> Part:
    """Pick rates on a validation split, then train every method at every share."""
    cells = [
        (data, depth)
        for data, depth in itertools.product(size.sets, size.depths)
        if not why_missing(data)
    ]
    few = choices(cells, (size.share,)) + [
        (*cell, "LSH", share) for cell in cells for share in size.lsh_shares
    ]
    rates = pick_rates(lab, size, few)
    at_small = _train(
        lab, size, rates, size.cells, size.seeds, f"{percent(size.share, 0)} and dense"
    )
    sweep: Found = {}
    for cell in cells:
        try:
            its_rates = pick_rates(lab, size, choices([cell], size.shares))
            sweep |= _train(lab, size, its_rates, size.sweep, 1, "shares")
            rates |= its_rates
        except NotRunError:  # the report shows the networks that are done
            break
    return Part(_section(size, cells, at_small, sweep, rates), _claims(size, cells, at_small))


def _of(cell: Cell, method: str, share: float) -> Choice:
    return (*cell, method, share)


def choices(cells: list[Cell], shares: Sequence[float]) -> list[Choice]:
    """Every method at every share in every cell; the dense network has one share."""
    return [
        (*cell, method, share)
        for cell in cells
        for method in METHODS
        for share in (shares if method != "NN" else (1.0,))
    ]


def pick_rates(lab: Lab, size: Size, among: list[Choice]) -> dict[Choice, float]:
    """The rate of the best validation accuracy, by method, share and cell, from one small grid."""
    rows, examples = size.tuning
    trials = {
        (choice, rate): Run(
            *choice, rate, examples, width=size.width, judged=size.judged, rows=rows, validate=True
        )
        for choice in among
        for rate in size.rates
    }
    results = lab.train(trials.values(), f"{NAME}: rates")
    return {
        choice: max(size.rates, key=lambda rate: results[trials[choice, rate]]["accuracy"])
        for choice in among
    }


def _train(
    lab: Lab,
    size: Size,
    rates: Mapping[Choice, float],
    amount: tuple[int | None, int],
    seeds: int,
    label: str,
) -> Found:
    rows, examples = amount
    wanted = {
        choice: [
            Run(*choice, rate, examples, width=size.width, judged=size.judged, rows=rows, seed=seed)
            for seed in range(seeds)
        ]
        for choice, rate in rates.items()
    }
    results = lab.train(itertools.chain(*wanted.values()), f"{NAME}: {label}")
    return {choice: [results[run] for run in runs] for choice, runs in wanted.items()}


def _section(
    size: Size, cells: list[Cell], at_small: Found, sweep: Found, rates: Mapping[Choice, float]
) -> Section:
    absent = [why_missing(data) for data in size.sets if why_missing(data)]
    figure = Figure(
        name="accuracy-by-share",
        title="Accuracy against the share of active neurons",
        sentence=(
            "Test accuracy of each method at each share of active neurons; the dashed line is the "
            f"dense network. {_amount(size.sweep)}, one seed."
        ),
        x_label="share of active neurons",
        y_label="test accuracy",
        panels=tuple(_panel(size, cell, sweep) for cell in cells if _of(cell, "NN", 1.0) in sweep),
        x_log=True,
        x_ticks=size.shares,
        x_percent=True,
        y_percent=True,
    )
    grid = ", ".join(f"{rate:g}" for rate in size.rates)
    return Section(
        name=NAME,
        title="Accuracy against active share",
        sentence=(
            "Five methods on the paper's networks, plain SGD on single examples. The rate of each "
            f"method, share and network is the one of {grid} with the best accuracy on a sixth of "
            f"the training rows held out ({_amount(size.tuning)}): the same effort for all."
        ),
        figures=(figure,) if sweep else (),
        tables=(
            _table_of_cells(size, cells, at_small),
            _table_of_multiplications(size, cells, at_small),
            Table(
                title="Rates that were picked",
                sentence="Rates at the ends of the grid say that the best may lie beyond it.",
                columns=("data", "hidden layers", "method", "share", "rate"),
                rows=tuple((*choice[:3], percent(choice[3], 0), rates[choice]) for choice in rates),
            ),
            *((_table_of_absent(size),) if absent else ()),
        ),
    )


def _panel(size: Size, cell: Cell, sweep: Found) -> Panel:
    lines = []
    for method in METHODS:
        ends = (size.shares[0], size.shares[-1])
        at = ends if method == "NN" else size.shares
        found = [
            spread([r["accuracy"] for r in sweep[_of(cell, method, share_of(method, share))]])
            for share in at
        ]
        lines.append(
            Line(method, tuple((x, *ys) for x, ys in zip(at, found, strict=True)), method == "NN")
        )
    return Panel(f"{cell[0]}, {cell[1]} × {size.width}", tuple(lines))


def _table_of_cells(size: Size, cells: list[Cell], found: Found) -> Table:
    rows: list[tuple[Any, ...]] = []
    for cell in cells:
        at = {method: found[_of(cell, method, share_of(method, size.share))] for method in METHODS}
        accuracies = {method: [r["accuracy"] for r in results] for method, results in at.items()}
        lsh = at["LSH"]
        rows.append(
            (
                *cell,
                *(_with_spread(accuracies[method]) for method in METHODS),
                points(mean(accuracies["LSH"]) - mean(accuracies["NN"])),
                percent(mean([r["multiplications_fraction"] for r in lsh]), 2),
                f"{mean([_recall(r) for r in lsh]):.3f}",
            )
        )
    rows += [(data, None, *[None] * 8) for data in size.sets if why_missing(data)]
    return Table(
        title=f"At {percent(size.share, 0)} of the neurons",
        sentence=(
            f"Mean of {size.seeds} seeds, in brackets the least and the largest. "
            f"{_amount(size.cells)}. Multiplications are those of LSH, training as a whole, of "
            "the dense network's; recall "
            "is LSH's share of the neurons with the largest activations, mean of the hidden layers."
        ),
        columns=("data", "hidden layers", *METHODS, "LSH − NN", "multiplications", "recall"),
        rows=tuple(rows),
    )


def _table_of_multiplications(size: Size, cells: list[Cell], found: Found) -> Table:
    rows = [
        (
            *cell,
            percent(share),
            percent(_multiplied(found[_of(cell, "LSH", share)]), 2),
            percent(_accuracy(found, cell, "LSH", share), 2),
            points(_accuracy(found, cell, "LSH", share) - _accuracy(found, cell, "NN", 1.0)),
        )
        for cell in cells
        for share in sorted((size.share, *size.lsh_shares))
    ]
    return Table(
        title="LSH by multiplications",
        sentence=(
            "The same runs, and LSH at other shares: the share of neurons is not the share of "
            "multiplications, of which there are fewer where inputs are sparse."
        ),
        columns=("data", "hidden layers", "neurons", "multiplications", "accuracy", "LSH − NN"),
        rows=tuple(rows),
    )


def _accuracy(found: Found, cell: Cell, method: str, share: float) -> float:
    return mean([result["accuracy"] for result in found[_of(cell, method, share)]])


def _multiplied(results: list[Result]) -> float:
    """The mean share of a dense network's multiplications; 1 if a run came to nothing."""
    return mean([result.get("multiplications_fraction", 1.0) for result in results])


def _within(size: Size, found: Found, cell: Cell, most: float) -> float | None:
    """The largest share at which LSH needs at most so many of dense's multiplications."""
    shares = (size.share, *size.lsh_shares)
    fit = [share for share in shares if _multiplied(found[_of(cell, "LSH", share)]) <= most]
    return max(fit, default=None)


def _claim_within(size: Size, cells: list[Cell], found: Found, most: float) -> Claim:
    at = {cell: _within(size, found, cell, most) for cell in cells}
    gaps = {
        cell: _accuracy(found, cell, "LSH", share) - _accuracy(found, cell, "NN", 1.0)
        for cell, share in at.items()
        if share is not None
    }
    dear = [_named(cell) for cell, share in at.items() if share is None]
    missed = [f"{_named(cell)} ({points(gap)})" for cell, gap in gaps.items() if gap < -0.01]
    average = points(mean(list(gaps.values()))) if gaps else "no network"
    notes = [
        f"More than a point behind: {', '.join(missed)}." if missed else "",
        f"No share tried is so cheap: {', '.join(dear)}." if dear else "",
    ]
    return Claim(
        text=(
            f"With at most {percent(most, 0)} of the multiplications, accuracy stays within a "
            "point of the dense network's."
        ),
        paper="within 1 % on average, at 5 % of the multiplications",
        ours=(
            f"LSH − NN: {average}, over {len(gaps)} of {len(cells)} networks and sets, each at "
            "the largest share of neurons tried that costs no more"
        ),
        held=bool(gaps) and not dear and mean(list(gaps.values())) >= -0.01,
        command=command(size, NAME),
        note=" ".join(filter(None, notes)),
    )


def _table_of_absent(size: Size) -> Table:
    return Table(
        title="Data that is not here",
        sentence="These rows stay empty; nothing stands in for them.",
        columns=("data", "what to do"),
        rows=tuple((data, why_missing(data)) for data in size.sets if why_missing(data)),
    )


def _claims(size: Size, cells: list[Cell], found: Found) -> tuple[Claim, ...]:
    if not cells:
        return ()
    how = command(size, NAME)

    def accuracy(cell: Cell, method: str) -> float:
        return _accuracy(found, cell, method, share_of(method, size.share))

    lsh = [result for cell in cells for result in found[_of(cell, "LSH", size.share)]]
    lsh = [result for result in lsh if not result["diverged"]]
    shares = [result["multiplications_fraction"] for result in lsh]
    behind = {cell: accuracy(cell, "NN") - accuracy(cell, "LSH") for cell in cells}
    above = {
        cell: accuracy(cell, "LSH") - max(accuracy(cell, "VD"), accuracy(cell, "AD"))
        for cell in cells
    }
    to_wta = {cell: accuracy(cell, "WTA") - accuracy(cell, "LSH") for cell in cells}
    missed = [_named(cell) + f" ({points(-gap)})" for cell, gap in behind.items() if gap > 0.01]
    below = [_named(cell) + f" ({points(gap)})" for cell, gap in above.items() if gap <= 0]
    return (
        Claim(
            text="A training step needs about 5 % of the dense network's multiplications.",
            paper="5 % of the multiplications, forward and backward",
            ours=(
                f"{percent(mean(shares), 2)} on average, at most {percent(max(shares), 2)}, "
                "hashing and the upkeep of hashes counted"
            ),
            held=max(shares) <= 0.05,
            command=how,
        ),
        Claim(
            text="At 5 % of the neurons, accuracy stays within a point of the dense network's.",
            paper="within 1 % on average",
            ours=(
                f"LSH − NN: {points(-mean(list(behind.values())))} over {len(cells)} networks "
                "and sets"
            ),
            held=mean(list(behind.values())) <= 0.01,
            command=how,
            note=f"More than a point behind: {', '.join(missed)}." if missed else "",
        ),
        *(_claim_within(size, cells, found, most) for most in MULTIPLICATIONS),
        Claim(
            text="At 5 % of the neurons, LSH beats random and adaptive dropout.",
            paper="above VD and AD (its figures)",
            ours=f"above both in {len(cells) - len(below)} of {len(cells)} networks and sets",
            held=not below,
            command=how,
            note=f"Not in: {', '.join(below)}." if below else "",
        ),
        Claim(
            text="Hashing chooses about as well as computing every activation (WTA).",
            paper="LSH close to WTA (its figures)",
            ours=(
                f"LSH − WTA: {points(-mean(list(to_wta.values())))}; recall of the largest "
                f"activations {mean([_recall(r) for r in lsh]):.3f}"
            ),
            held=mean(list(to_wta.values())) <= 0.01,
            command=how,
        ),
    )


def _recall(result: Result) -> float:
    found = [recall for recall in result.get("recall", []) if recall is not None]
    return mean(found) if found else 0.0


def _named(cell: Cell) -> str:
    return f"{cell[0]} with {cell[1]} hidden layers"


def _amount(amount: tuple[int | None, int]) -> str:
    rows, examples = amount
    which = "all training rows" if rows is None else f"the first {rows:,} training rows at most"
    return f"Trained on {which}, {examples:,} examples in all"


def _with_spread(values: list[float]) -> str:
    middle, least, most = spread(values)
    if least == most:
        return percent(middle, 2)
    return f"{percent(middle, 2)} ({100 * least:.2f}–{100 * most:.2f})"
