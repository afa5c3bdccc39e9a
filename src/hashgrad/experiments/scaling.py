"""Part 3: speed by threads, how often updates collide, and what that says of larger machines.

The model: alone, an example takes `t`. With `n` threads, a line of weights was last written by
another thread with the chance `(n - 1) / n`, and then takes longer to get; so an example takes
`t * (1 + a * (n - 1) / n)`, and `n` threads are `n / (1 + a * (n - 1) / n)` times as fast as one.
`a` comes from the most threads measured here. The model leaves out memory bandwidth and sockets.

Source: Spring and Shrivastava (2016), section 6, scaling by threads.
"""

from __future__ import annotations

import itertools
import statistics
from typing import Any

import numpy as np

from hashgrad import Network, _core
from hashgrad.data import as_inputs
from hashgrad.labels import as_targets

from ..pages.page import Claim, Figure, Line, Panel, Section, Table
from . import runs
from .lab import Lab, Result
from .methods import share_of
from .parts import DEPTH, Part, command, percent, study_set
from .runs import Run
from .sizes import Size

NAME = "scaling"
PREDICTED = (16, 56)
NEAR_LINEAR = 0.85  # of the ideal
_STEPS = 20  # steps that are taken, and looked at weight by weight
_TRACED = 200  # examples whose touched weights are compared


def run(lab: Lab, size: Size) -> Part:
    """Measure speeds, count collisions, predict."""
    data = study_set(size)
    counts = threads_here()
    speeds: dict[str, dict[int, list[float]]] = {}
    for method in ("LSH", "NN"):
        share = share_of(method, size.share)
        speeds[method] = {n: [] for n in counts}
        for repeat in range(size.repeats):
            for n in counts if repeat % 2 == 0 else counts[::-1]:
                found = lab.measure(
                    f"examples a second, {method} on {n} threads",
                    {
                        "data": data, "method": method, "share": share, "rate": size.study_rate,
                        "rows": size.speed_rows, "width": size.width, "threads": n, "seed": repeat,
                    },
                    speed, NAME,
                )  # fmt: skip
                speeds[method][n].append(found["examples_per_second"])
    met = {
        method: lab.measure(
            f"collisions, {method}",
            {
                "data": data, "method": method, "share": share_of(method, size.share),
                "rate": size.study_rate, "rows": size.speed_rows, "width": size.width, "seed": 0,
            },
            collisions, NAME,
        )
        for method in speeds
    }  # fmt: skip
    return Part(_section(size, data, speeds, met), _claims(size, speeds, met))


def threads_here() -> list[int]:
    """1, 2, 4 … threads, up to the cores there are."""
    counts = [1]
    while counts[-1] * 2 <= _core.hardware_threads():
        counts.append(counts[-1] * 2)
    return counts


def speed(
    data: str,
    method: str,
    share: float,
    rate: float,
    rows: int,
    width: int,
    threads: int,
    seed: int,
) -> Result:
    """Examples a second of training, in the second of two passes: everything is warm."""
    run = Run(data, DEPTH, method, share, rate, 2 * rows, width=width, rows=rows, seed=seed,
              threads=threads)  # fmt: skip
    x, y, _, _ = runs.data_of(run)
    net = runs.untrained(run)
    runs.fit(net, x, y, epochs=2)
    seconds = net.history[1]["seconds"] - net.history[0]["seconds"]
    return {"examples_per_second": len(y) / seconds}


def collisions(
    data: str, method: str, share: float, rate: float, rows: int, width: int, seed: int
) -> Result:
    """How many of the weights that one example changes, another one changes too.

    Returns:
        `touched`: share of all weights that an example changes; `shared`: of these, the share that
        another example, picked at random, changes as well: what two workers touch in one step;
        `elsewhere`: weights that changed in a step though their neuron or input was not active,
        over the steps of some of the examples.
    """
    run = Run(data, DEPTH, method, share, rate, rows, width=width, rows=rows, seed=seed)
    x, y, _, _ = runs.data_of(run)
    net = runs.untrained(run)
    runs.fit(net, x, y, epochs=1)
    picked = np.random.default_rng(seed).choice(len(y), min(_TRACED, len(y)), replace=False)
    steps = [_touched_by(net, x[i], y[i]) for i in picked]
    sizes = [_weights(step) for step in steps]
    both = [_weights(_common(one, other)) for one, other in itertools.pairwise(steps)]
    elsewhere = sum(_changed_elsewhere(net, x[i], y[i]) for i in picked[:_STEPS])
    return {
        "touched": statistics.fmean(sizes) / net.n_parameters,
        "shared": sum(both) / max(1, sum(sizes[:-1])),
        "elsewhere": elsewhere,
    }


Touched = list[tuple[Any, Any]]  # per layer: neurons that change, inputs that change them


def _touched_by(net: Network, x: Any, y: int) -> Touched:
    """The weights that a step for this example would change."""
    inputs = as_inputs(x[None], net.n_inputs)
    targets = as_targets([y], net.loss, net.n_outputs, 1)
    return _touched(_core.trace(net._core, inputs.batch, targets.targets, 0), x)


def _changed_elsewhere(net: Network, x: Any, y: int) -> int:
    """Take a step for an example; weights that changed beside those of its active neurons."""
    expected = _touched_by(net, x, y)
    before = {name: value.copy() for name, value in net._core.tensors().items()}
    net.partial_fit(x[None], [y])
    count = 0
    for number, (neurons, inputs) in enumerate(expected):
        for kind in ("weight", "bias"):
            name = f"layers.{number}.{kind}"
            moved = net._core.tensors()[name] != before[name]
            active = np.zeros_like(moved)
            if kind == "bias":
                active[neurons] = True
            else:
                active[np.ix_(neurons, inputs[:-1])] = True
            count += int((moved & ~active).sum())
    return count


def _touched(passages: list[dict[str, Any]], x: Any) -> Touched:
    inputs = np.flatnonzero(x)
    touched = []
    for passage in passages:
        changed = passage["ids"][passage["delta"] != 0]
        touched.append((changed, np.append(inputs, -1)))  # -1: the bias
        inputs = passage["ids"]
    return touched


def _common(one: Touched, other: Touched) -> Touched:
    return [
        (np.intersect1d(a, c), np.intersect1d(b, d))
        for (a, b), (c, d) in zip(one, other, strict=True)
    ]


def _weights(touched: Touched) -> int:
    return sum(len(neurons) * len(inputs) for neurons, inputs in touched)


def slowdown(n: int, speed_up: float) -> float:
    """The model's `a`, from the speed-up of n threads.

    >>> round(slowdown(2, 1.6), 3), slowdown(1, 1.0)
    (0.5, 0.0)
    """
    return 0.0 if n == 1 else max(0.0, (n / speed_up - 1) * n / (n - 1))


def predicted(n: int, a: float) -> float:
    """The model's speed-up of n threads.

    >>> predicted(2, 0.5), round(predicted(56, 0.5), 1)
    (1.6, 37.6)
    """
    return n / (1 + a * (n - 1) / n)


def _speed_ups(speeds: dict[int, list[float]]) -> dict[int, tuple[float, float, float]]:
    """Median, least and largest speed-up, by threads; each repeat against its own one thread."""
    ups = {
        n: sorted(many / one for many, one in zip(found, speeds[1], strict=True))
        for n, found in speeds.items()
    }
    return {n: (statistics.median(found), found[0], found[-1]) for n, found in ups.items()}


def _section(
    size: Size, data: str, speeds: dict[str, dict[int, list[float]]], met: dict[str, Result]
) -> Section:
    counts = list(speeds["LSH"])
    ups = {method: _speed_ups(found) for method, found in speeds.items()}
    names = {"LSH": f"LSH {percent(size.share, 0)}", "NN": "NN"}
    lines = [
        Line(names[method], tuple((float(n), *ups[method][n]) for n in counts)) for method in ups
    ]
    lines.append(Line("ideal", tuple((float(n), n, n, n) for n in counts), dashed=True))
    rows: list[tuple[Any, ...]] = []
    for method, found in speeds.items():
        for n in counts:
            median = statistics.median(found[n])
            rows.append(
                (names[method], n, f"{median:,.0f}", f"{ups[method][n][0]:.2f}", "measured")
            )
        a = slowdown(counts[-1], ups[method][counts[-1]][0])
        if ups[method][counts[-1]][0] > 1:
            rows += [
                (names[method], n, None, f"{predicted(n, a):.1f}", "predicted")
                for n in PREDICTED
                if n > counts[-1]
            ]
    return Section(
        name=NAME,
        title="Scaling with threads",
        sentence=(
            f"Training on {data}, {DEPTH} × {size.width}, without locks, on 1 to {counts[-1]} "
            "threads of this machine. The model for more: with n threads, a line of weights was "
            "last "
            "written by another thread with the chance (n − 1)/n, and then takes longer to get; n "
            "threads are n / (1 + a (n − 1)/n) times as fast as one, with a from the most threads "
            "measured. It leaves out memory bandwidth and sockets."
        ),
        figures=(
            Figure(
                name="scaling",
                title="Speed-up by threads",
                sentence=f"Median, least and largest of {size.repeats} repeats, taken by turns.",
                x_label="threads",
                y_label="times the speed of one thread",
                panels=(Panel(f"{data}, {DEPTH} × {size.width}", tuple(lines)),),
                x_ticks=tuple(map(float, counts)),
            ),
        ),
        tables=(
            Table(
                title="Speeds",
                sentence="Examples a second are medians; predictions come from the model above.",
                columns=("method", "threads", "examples a second", "speed-up", "how"),
                rows=tuple(rows),
            ),
            Table(
                title="Collisions",
                sentence=(
                    "Weights that one example changes, and how many of these another example, "
                    f"picked at random, changes too; from {_TRACED} examples after one epoch."
                ),
                columns=("method", "weights changed", "of these, by another too"),
                rows=tuple(
                    (names[method], percent(found["touched"], 3), percent(found["shared"], 1))
                    for method, found in met.items()
                ),
            ),
        ),
    )


def _claims(
    size: Size, speeds: dict[str, dict[int, list[float]]], met: dict[str, Result]
) -> tuple[Claim, ...]:
    how = command(size, NAME)
    most = max(speeds["LSH"])
    up, least, best = _speed_ups(speeds["LSH"])[most]
    dense = _speed_ups(speeds["NN"])[most][0]
    beyond = ", ".join(
        f"{predicted(n, slowdown(most, least)):.0f} to {predicted(n, slowdown(most, best)):.0f} "
        f"at {n}"
        for n in PREDICTED
        if n > most
    )
    here = met["LSH"]
    return (
        Claim(
            text="Every update is sparse: only the weights of active neurons change.",
            paper="sparse updates",
            ours=(
                f"{percent(here['touched'], 2)} of the weights change with an example, of which "
                f"another example changes {percent(here['shared'], 0)}; {here['elsewhere']} others "
                f"changed in {_STEPS} steps"
            ),
            held=here["elsewhere"] == 0 and here["touched"] <= size.share,
            command=how,
            note=f"Held: no other weight changes, and at most {percent(size.share, 0)} do.",
        ),
        Claim(
            text=f"Speed grows almost linearly with the cores, up to the {most} of this machine.",
            paper="about 31 at 56 threads (recalled, MNIST8M), 55 % of the ideal",
            ours=(
                "one core here"
                if most == 1
                else f"{up:.2f} at {most} threads, dense {dense:.2f}; "
                + (
                    f"by a model fitted to that one number, {beyond}"
                    if up > 1
                    else "nothing follows: the network is too small, or the machine was busy"
                )
            ),
            held=None if most == 1 else up >= NEAR_LINEAR * most,
            command=how,
            note=f"Held: at least {percent(NEAR_LINEAR, 0)} of the ideal.",
        ),
    )
