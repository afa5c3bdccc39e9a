"""Part 2: does training still converge when many workers share the weights without locks?

Workers beyond the processor's cores are simulated: each computes on the weights as they were when
it began, and its steps land after those of others (see `core/simulated.cpp`). Who is done next is
drawn from all workers alike, so that the number of others' steps that land while an example is
under way (its staleness) is geometric with mean `workers - 1`, and the seed settles all.

Source: Spring and Shrivastava (2016), section 6, figures of accuracy by epoch; Niu et al. (2011).
"""

from __future__ import annotations

from hashgrad import _core

from ..pages.page import Claim, Figure, Line, Panel, Section, Table
from .lab import Lab, Result
from .methods import share_of
from .parts import DEPTH, Part, accuracy_words, command, mean, points, spread, study_run, study_set
from .sizes import Size

NAME = "asynchronous"
WITHIN = 0.005  # of the accuracy of one worker
METHODS = {"LSH": "LSH", "NN": "dense"}


def run(lab: Lab, size: Size) -> Part:
    """Train with 1, 8 and 56 simulated workers, and with as many threads as there are cores."""
    data = study_set(size)
    threads = _core.hardware_threads()
    ways = [(f"{n} worker{'s' if n > 1 else ''}", 1, n) for n in size.workers]
    if threads > 1:
        ways.append((f"{threads} real threads", threads, 0))
    wanted = {
        (method, name): [
            study_run(
                size,
                data,
                DEPTH,
                method,
                share_of(method, size.share),
                size.study_rate,
                size.study_examples,
                seed=seed,
                by_epoch=True,
                threads=real,
                workers=workers,
            )
            for seed in range(size.seeds if method == "LSH" else 1)
        ]
        for method in METHODS
        for name, real, workers in ways
    }
    results = lab.train((run for runs in wanted.values() for run in runs), NAME)
    found = {way: [results[run] for run in runs] for way, runs in wanted.items()}
    return Part(_section(size, data, found), _claims(size, found))


def _section(size: Size, data: str, found: dict[tuple[str, str], list[Result]]) -> Section:
    epochs = max(len(result["by_epoch"]) for result in found["LSH", "1 worker"])
    figure = Figure(
        name="accuracy-by-epoch",
        title="Accuracy by epoch",
        sentence=(
            "Where curves lie on each other, workers do not get in each other's way; where many "
            "workers lag in the first epochs, what they compute is out of date."
        ),
        x_label="epoch",
        y_label="test accuracy",
        panels=tuple(
            Panel(
                f"{label}, {data}, {DEPTH} × {size.width}",
                tuple(
                    Line(name, _by_epoch(results))
                    for (its, name), results in found.items()
                    if its == method and not any(r["diverged"] for r in results)
                ),
            )
            for method, label in METHODS.items()
        ),
        x_ticks=tuple(float(epoch) for epoch in range(1, epochs + 1)) if epochs <= 10 else None,
        y_percent=True,
    )
    rows = tuple(
        (METHODS[method], name, len(results), accuracy_words(results))
        for (method, name), results in found.items()
    )
    return Section(
        name=NAME,
        title="Asynchronous convergence",
        sentence=(
            "Workers are simulated: an example is computed on the weights as they were when its "
            "worker began, and its steps land after those of others. The number of steps that land "
            "in between, the staleness, is geometric with mean workers − 1, drawn from the seed. "
            "What is left out: real threads now and then lose an update or read half of one; and "
            "whatever is under way lands before hashes are rebuilt and at an epoch's end. "
            f"Plain SGD, rate {size.study_rate:g}, for LSH and dense alike."
        ),
        figures=(figure,),
        tables=(
            Table(
                title="Accuracy after the last epoch",
                sentence="Mean of the seeds, in brackets the least and the largest.",
                columns=("method", "workers", "seeds", "accuracy"),
                rows=rows,
            ),
        ),
    )


def _by_epoch(results: list[Result]) -> tuple[tuple[float, float, float, float], ...]:
    curves = [result["by_epoch"] for result in results]
    return tuple(
        (float(epoch), *spread(list(values)))
        for epoch, values in enumerate(zip(*curves, strict=True), start=1)
    )


def _claims(size: Size, found: dict[tuple[str, str], list[Result]]) -> tuple[Claim, ...]:
    most = max(size.workers)

    def gap(method: str) -> float | None:
        one, many = found[method, "1 worker"], found[method, f"{most} workers"]
        if any(result["diverged"] for result in (*one, *many)):
            return None
        return mean([r["accuracy"] for r in many]) - mean([r["accuracy"] for r in one])

    gaps = {method: gap(method) for method in METHODS}
    said = {method: "diverges" if gap is None else points(gap) for method, gap in gaps.items()}
    ours = gaps["LSH"]
    return (
        Claim(
            text="Training without locks converges as training on one core does.",
            paper="curves of 1, 8 and 56 threads coincide",
            ours=f"{most} workers (simulated) against 1: {said['LSH']}; dense: {said['NN']}",
            held=ours is not None and ours >= -WITHIN,
            command=command(size, NAME),
            note="Held: at most half a point lost.",
        ),
    )
