"""Part 4: what one training example costs: multiplications by phase, bytes, energy.

Joules are read from the processor's own counters where the system lets us (RAPL, through Linux's
powercap). Elsewhere they are only estimated, from energies per operation of a 45 nm process:
0.9 pJ an addition and 3.7 pJ a multiplication of float32, 100 pJ for 8 bytes from a cache of 1 MB.

Source: the ledger (`hashgrad.ledger`) and the floors (`hashgrad.floors`); energies: Horowitz
(2014), "Computing's energy problem", ISSCC.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hashgrad import floors
from hashgrad.ledger import PHASES

from ..pages.page import Claim, Section, Table
from . import runs
from .lab import Lab, Result
from .methods import share_of
from .parts import DEPTH, Part, command, percent, study_set
from .runs import Run
from .sizes import Size

NAME = "cost"
POWERCAP = Path("/sys/class/powercap")
PICOJOULES_A_PRODUCT = 3.7 + 0.9  # a multiplication and an addition
PICOJOULES_A_BYTE = 100 / 8


def run(lab: Lab, size: Size) -> Part:
    """Train LSH and the dense network once each, and count."""
    data = study_set(size)
    found = {
        method: lab.measure(
            f"cost of {method}",
            {
                "data": data,
                "method": method,
                "share": share_of(method, size.share),
                "rate": size.study_rate,
                "rows": size.speed_rows,
                "width": size.width,
                "seed": 0,
            },
            cost,
            NAME,
        )
        for method in ("LSH", "NN")
    }
    return Part(_section(size, data, found), _claims(size, found))


def cost(
    data: str, method: str, share: float, rate: float, rows: int, width: int, seed: int
) -> Result:
    """Multiplications, bytes and energy of an example, in training and in prediction."""
    run = Run(data, DEPTH, method, share, rate, 2 * rows, width=width, rows=rows, seed=seed)
    x, y, x_test, y_test = runs.data_of(run)
    net = runs.untrained(run)
    before, start = joules(), time.perf_counter()
    runs.fit(net, x, y, epochs=2)
    seconds, after = time.perf_counter() - start, joules()
    net.evaluate(x_test, y_test)
    report = net.report().to_dict()
    examples = report["examples"]
    return {
        "multiplications": {name: n / examples for name, n in report["multiplications"].items()},
        "prediction": report["prediction"]["multiplications_per_example"],
        "prediction_fraction": report["prediction"]["multiplications_fraction"],
        "bytes": {phase: floor.bytes for phase, floor in floors.of_example(net, x).items()},
        "joules": used(before, after, examples),
        "training_seconds": seconds / examples,
    }


def joules(powercap: Path = POWERCAP) -> float | None:
    """Joules that the processor packages have used, by their counters; None where there are none.

    The counters start again at zero now and then; a difference across that is not to be used.
    """
    packages = sorted(powercap.glob("intel-rapl:[0-9]")) if powercap.is_dir() else []
    try:
        counted = [int((package / "energy_uj").read_text()) for package in packages]
    except (OSError, ValueError):
        return None
    total: float = 1e-6 * sum(counted)
    return total if counted else None


def used(before: float | None, after: float | None, examples: int) -> float | None:
    """Joules of an example; None where there are no counters, or they began anew in between.

    >>> used(1.0, 5.0, 8), used(7.0, 1.0, 8), used(None, None, 8)
    (0.5, None, None)
    """
    if before is None or after is None or after < before:
        return None
    return (after - before) / examples


def estimated_joules(found: Result) -> float:
    """Joules of an example by energies per operation; counts everything as if at 45 nm.

    >>> estimated_joules({"multiplications": {"total": 1e6}, "bytes": {"forward": 8e6}})
    0.0001046
    """
    products = float(found["multiplications"]["total"]) * PICOJOULES_A_PRODUCT
    moved = float(sum(found["bytes"].values())) * PICOJOULES_A_BYTE
    return round((products + moved) * 1e-12, 12)


def _section(size: Size, data: str, found: dict[str, Result]) -> Section:
    lsh, dense = found["LSH"], found["NN"]
    reference = lsh["multiplications"]["dense"]
    rows: list[tuple[Any, ...]] = [
        (
            phase,
            *(f"{one['multiplications'][phase]:,.0f}" for one in (lsh, dense)),
            percent(lsh["multiplications"][phase] / reference, 3),
        )
        for phase in (*PHASES, "total")
    ]
    rows.append(
        (
            "prediction",
            *(f"{one['prediction']:,.0f}" for one in (lsh, dense)),
            percent(lsh["prediction_fraction"], 3),
        )
    )
    moved = [
        (phase, *(f"{one['bytes'][phase]:,.0f}" for one in (lsh, dense))) for phase in lsh["bytes"]
    ]
    moved.append(("total", *(f"{sum(one['bytes'].values()):,.0f}" for one in (lsh, dense))))
    return Section(
        name=NAME,
        title="Cost of an example",
        sentence=(
            f"LSH at {percent(size.share, 0)} beside the same network run densely, "
            f"{data}, {DEPTH} × {size.width}, plain SGD, one thread. Shares are of the "
            "dense network's training, every weight counted; what the dense column counts "
            "leaves out inputs that "
            "are zero, which our kernels skip."
        ),
        tables=(
            Table(
                title="Multiplications of an example",
                sentence=(
                    "Query is hashing the input, re-rank what candidates cost that were not kept; "
                    "re-hash and rebuild are the upkeep of hashes."
                ),
                columns=("phase", "LSH", "NN", "LSH, of dense"),
                rows=tuple(rows),
            ),
            Table(
                title="Bytes that an example must move",
                sentence=(
                    "Computed from what each phase reads and writes, a cache line at a time; not "
                    "measured."
                ),
                columns=("phase", "LSH", "NN"),
                rows=tuple(moved),
            ),
            Table(
                title="Energy of an example",
                sentence=(
                    "Measured by the processor's counters where it offers them. The estimate is "
                    "a model, not a measurement: energies of one addition, one multiplication "
                    "and one "
                    "cache access in a 45 nm process (Horowitz 2014), times the counts above."
                ),
                columns=("", "LSH", "NN"),
                rows=(
                    ("measured", *(_measured(one) for one in (lsh, dense))),
                    (
                        "estimated, microjoules",
                        *(f"{1e6 * estimated_joules(one):,.1f}" for one in (lsh, dense)),
                    ),
                    (
                        "microseconds of one thread",
                        *(f"{1e6 * one['training_seconds']:,.1f}" for one in (lsh, dense)),
                    ),
                ),
            ),
        ),
    )


def _measured(found: Result) -> str:
    if found["joules"] is None:
        return "not measurable here"
    return f"{1e6 * found['joules']:,.1f} microjoules"


def _claims(size: Size, found: dict[str, Result]) -> tuple[Claim, ...]:
    lsh = found["LSH"]
    return (
        Claim(
            text="Prediction is as cheap: the same hashes choose the neurons.",
            paper="the same savings at test time",
            ours=(
                f"{percent(lsh['prediction_fraction'], 2)} of a dense prediction's multiplications"
            ),
            held=lsh["prediction_fraction"] <= size.share,
            command=command(size, NAME),
            note=(
                f"Held: at most {percent(size.share, 0)} of a dense forward pass, hashing and "
                "candidates that were not kept counted."
            ),
        ),
    )
