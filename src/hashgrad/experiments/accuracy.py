"""Part 1: accuracy against the share of active neurons, five methods beside each other.

Source: Spring and Shrivastava (2016), section 6, figures of accuracy by share.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ..pages.page import Figure, Line, Panel, Section, Table
from .accuracy_claims import Cell, Cells, Choice, Found, claims
from .lab import Lab, NotRunError
from .methods import METHODS, NAMES, share_of
from .parts import (
    Part,
    accuracy_words,
    mean,
    percent,
    points,
    recall_of,
    spread,
    why_missing,
)
from .runs import Run
from .sizes import Size

NAME = "accuracy"


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
    found = Cells(size, cells, at_small)
    return Part(_section(found, sweep, rates), claims(found))


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
            for seed in range(size.dense_seeds if choice[2] == "NN" else seeds)
        ]
        for choice, rate in rates.items()
    }
    results = lab.train(itertools.chain(*wanted.values()), f"{NAME}: {label}")
    return {choice: [results[run] for run in runs] for choice, runs in wanted.items()}


def _section(runs: Cells, sweep: Found, rates: Mapping[Choice, float]) -> Section:
    size, cells = runs.size, runs.cells
    figure = Figure(
        name="accuracy-by-share",
        title="Accuracy against the share of active neurons",
        sentence=(
            "Test accuracy of each method at each share of active neurons; the dashed line is the "
            f"dense network. Trained on {_amount(size.sweep)}; one seed."
        ),
        x_label="share of active neurons",
        y_label="test accuracy",
        panels=tuple(_panel(size, cell, sweep) for cell in cells if (*cell, "NN", 1.0) in sweep),
        x_log=True,
        x_ticks=size.shares,
        x_percent=True,
        y_percent=True,
    )
    methods = "; ".join(f"{method}: {name}" for method, name in NAMES.items())
    edges = sum(rate in (min(size.rates), max(size.rates)) for rate in rates.values())
    grid = ", ".join(f"{rate:g}" for rate in size.rates)
    return Section(
        name=NAME,
        title="Accuracy against active share",
        sentence=(
            f"Five methods, plain SGD on single examples. {methods}. LSH scans the hashes of every "
            "hidden layer. The rate of each method, share and network is the one of "
            f"{grid} with the best accuracy on a sixth of the rows, held out, of runs on "
            f"{_amount(size.tuning)}: the same effort for all. MNIST8M has a part of its own."
        ),
        figures=(figure,) if sweep else (),
        tables=(
            _table_of_cells(runs),
            _table_of_multiplications(runs),
            Table(
                title="Rates that were picked",
                sentence=(
                    f"{edges} of {len(rates)} lie at an end of the grid: the best may be beyond."
                ),
                columns=("data", "hidden layers", "method", "share", "rate"),
                rows=tuple(
                    (*choice[:3], f"{100 * choice[3]:g} %", rates[choice])
                    for choice in sorted(rates)
                ),
            ),
            *((_table_of_absent(size),) if runs.absent else ()),
        ),
    )


def _panel(size: Size, cell: Cell, sweep: Found) -> Panel:
    lines = []
    for method in METHODS:
        ends = (size.shares[0], size.shares[-1])
        at = ends if method == "NN" else size.shares
        points_of_line = []
        for share in at:
            choice = (*cell, method, share_of(method, share))
            if not any(result["diverged"] for result in sweep[choice]):
                accuracies = [result["accuracy"] for result in sweep[choice]]
                points_of_line.append((share, *spread(accuracies)))
        if points_of_line:
            lines.append(Line(method, tuple(points_of_line), method == "NN"))
    return Panel(f"{cell[0]}, {cell[1]} × {size.width}", tuple(lines))


def _table_of_cells(runs: Cells) -> Table:
    size = runs.size
    rows: list[tuple[Any, ...]] = []
    for cell in runs.cells:
        gap, multiplied = runs.gap(cell), runs.multiplied(cell, "LSH")
        recalls = [recall_of(result) for result in runs.of(cell, "LSH")]
        known = [recall for recall in recalls if recall is not None]
        rows.append(
            (
                *cell,
                accuracy_words(runs.of(cell, "NN")),
                accuracy_words(runs.of(cell, "LSH")),
                None if gap is None else points(gap),
                None if multiplied is None else percent(multiplied, 2),
                f"{mean(known):.3f}" if known else None,
                *(accuracy_words(runs.of(cell, method)) for method in ("WTA", "AD", "VD")),
            )
        )
    rows += [(data, None, *[None] * 8) for data in runs.absent]
    kept = [
        result["active_fraction"]
        for cell in runs.cells
        for result in runs.of(cell, "AD")
        if not result["diverged"]
    ]
    return Table(
        title=f"At {percent(size.share, 0)} of the neurons",
        sentence=(
            f"Means of seeds ({size.seeds}; of the dense network {size.dense_seeds}), in brackets "
            f"the least and the largest. Trained on {_amount(size.cells)}. Multiplications are "
            "those of LSH's training as a whole, of a dense network's, zeros counted; recall is "
            "LSH's share of the neurons with the largest activations, mean of the hidden layers. "
            "AD's share holds for an activation of 0: in fact it kept "
            f"{percent(mean(kept)) if kept else 'none'} on average."
        ),
        columns=(
            "data",
            "hidden layers",
            "NN",
            "LSH",
            "LSH − NN",
            "multiplications",
            "recall",
            "WTA",
            "AD",
            "VD",
        ),
        rows=tuple(rows),
    )


def _table_of_multiplications(runs: Cells) -> Table:
    rows: list[tuple[Any, ...]] = []
    for cell in runs.cells:
        for share in sorted((runs.size.share, *runs.size.lsh_shares)):
            multiplied, gap = runs.multiplied(cell, "LSH", share), runs.gap(cell, share)
            rows.append(
                (
                    *cell,
                    percent(share),
                    None if multiplied is None else percent(multiplied, 2),
                    accuracy_words(runs.of(cell, "LSH", share)),
                    None if gap is None else points(gap),
                )
            )
    return Table(
        title="LSH by multiplications",
        sentence=(
            "The same runs, and LSH at other shares: the share of neurons is not the share of "
            "multiplications, of which there are fewer where inputs are sparse."
        ),
        columns=("data", "hidden layers", "neurons", "multiplications", "accuracy", "LSH − NN"),
        rows=tuple(rows),
    )


def _table_of_absent(size: Size) -> Table:
    return Table(
        title="Data that is not here",
        sentence="These rows stay empty; nothing stands in for them.",
        columns=("data", "what to do"),
        rows=tuple((data, why_missing(data)) for data in size.sets if why_missing(data)),
    )


def _amount(amount: tuple[int | None, int]) -> str:
    rows, examples = amount
    which = "all training rows" if rows is None else f"the first {rows:,} training rows"
    return f"{which}, for whole epochs of about {examples:,} examples in all"
