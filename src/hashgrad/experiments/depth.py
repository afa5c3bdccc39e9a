"""Part 5: does selection by hashing survive depth? One to seven hidden layers.

Source: the objection of arXiv 2306.09293, that it does not scale to many layers.
"""

from __future__ import annotations

from ..pages.page import Claim, Figure, Line, Panel, Section, Table
from .lab import Lab, Result
from .methods import share_of
from .parts import Part, accuracy_words, command, percent, points, study_run, study_set
from .sizes import Size

NAME = "depth"
DEEPER = 2  # the remedy that is tried: so many times the share
METHODS = ("NN", "WTA", "LSH", "LSH, twice the share")
LEARNED = 0.5  # accuracy below which a network shows nothing
WITHIN = 0.02  # of the dense network's accuracy at the same depth


def run(lab: Lab, size: Size) -> Part:
    """Train the dense network, the exact selection and hashing at every depth, at each rate."""
    data = study_set(size)
    rows, examples = size.depth_tuning
    trials = {
        (method, depth, rate): study_run(
            size, data, depth, *_method(size, method), rate, examples, rows=rows, validate=True
        )
        for method in METHODS
        for depth in size.layers
        for rate in size.rates
    }
    tried = lab.train(trials.values(), f"{NAME}: rates")
    rates = {
        (method, depth): max(
            size.rates, key=lambda rate: tried[trials[method, depth, rate]]["accuracy"]
        )
        for method in METHODS
        for depth in size.layers
    }
    wanted = {
        (method, depth): study_run(
            size, data, depth, *_method(size, method), rate, size.depth_examples
        )
        for (method, depth), rate in rates.items()
    }
    results = lab.train(wanted.values(), NAME)
    found = {way: results[run] for way, run in wanted.items()}
    return Part(_section(size, data, found, rates), _claims(size, data, found))


Found = dict[tuple[str, int], Result]


def _method(size: Size, name: str) -> tuple[str, float]:
    """A method and its share of the neurons."""
    method, _, twice = name.partition(",")
    return method, share_of(method, size.share * (DEEPER if twice else 1))


def _section(size: Size, data: str, found: Found, rates: dict[tuple[str, int], float]) -> Section:
    deepest = max(size.layers)
    rows = []
    for depth in size.layers:
        dense, lsh = found["NN", depth], found["LSH", depth]
        lost = dense["diverged"] or lsh["diverged"]
        recall = [] if lsh["diverged"] else [f"{r:.2f}" for r in lsh["recall"]]
        rows.append(
            (
                depth,
                *(accuracy_words([found[method, depth]]) for method in METHODS),
                None if lost else points(lsh["accuracy"] - dense["accuracy"]),
                *recall,
                *[None] * (deepest - len(recall)),
            )
        )
    return Section(
        name=NAME,
        title="Depth",
        sentence=(
            f"1 to {deepest} hidden layers of {size.width} on {data}, {percent(size.share, 0)} of "
            f"every layer active, {size.depth_examples:,} examples. Rates are picked for each "
            f"method and depth on a sixth of the first {size.depth_tuning[0]:,} rows, after about "
            f"{size.depth_tuning[1]:,} examples. LSH scans the hashes of every layer."
        ),
        figures=(
            Figure(
                name="accuracy-by-depth",
                title="Accuracy by number of hidden layers",
                sentence=(
                    "WTA computes every activation and keeps the largest: what it loses is lost to "
                    "sparsity, what LSH loses below it to hashing."
                ),
                x_label="hidden layers",
                y_label="test accuracy",
                panels=(
                    Panel(
                        f"{data}, {size.width} wide",
                        tuple(
                            Line(
                                method,
                                tuple(
                                    (float(depth), *[found[method, depth]["accuracy"]] * 3)
                                    for depth in size.layers
                                    if not found[method, depth]["diverged"]
                                ),
                                dashed=method == "NN",
                            )
                            for method in METHODS
                        ),
                    ),
                ),
                x_ticks=tuple(map(float, size.layers)),
                y_percent=True,
            ),
        ),
        tables=(
            Table(
                title="Accuracy, and recall of every layer",
                sentence=(
                    "Recall is the share of the neurons with the largest activations that LSH "
                    "found, by layer from the input."
                ),
                columns=(
                    "hidden layers", *METHODS, "LSH − NN",
                    *(f"recall {layer}" for layer in range(1, deepest + 1)),
                ),
                rows=tuple(rows),
            ),
            Table(
                title="Rates that were picked, by depth",
                sentence="From the same grid for all.",
                columns=("method", "hidden layers", "rate"),
                rows=tuple((*way, rate) for way, rate in rates.items()),
            ),
        ),
    )  # fmt: skip


def _claims(size: Size, data: str, found: Found) -> tuple[Claim, ...]:
    deepest = max(size.layers)
    at = {method: found[method, deepest] for method in METHODS}
    dense = at.pop("NN")
    gaps = {
        method: None
        if result["diverged"] or dense["diverged"]
        else result["accuracy"] - dense["accuracy"]
        for method, result in at.items()
    }
    said = [
        f"{method} {'diverges' if gap is None else points(gap)}" for method, gap in gaps.items()
    ]
    ours = gaps["LSH"]
    return (
        Claim(
            text="Selection by hashing scales to many layers.",
            paper="not tested; arXiv 2306.09293 disputes it",
            ours=f"{deepest} hidden layers on {data}, less the dense network: {', '.join(said)}",
            held=ours is not None and dense["accuracy"] > LEARNED and ours >= -WITHIN,
            command=command(size, NAME),
            note="Held: LSH within 2 points of a dense network that has learned; one seed.",
        ),
    )
