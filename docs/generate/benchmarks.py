"""The page of benchmarks, from the committed results."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

from hashgrad.bench.suite import time_text
from markdown_tables import code, table
from sessions import SCORES, many_labels, races, reached, sessions

TWO = 2  # times that are compared; a measure with more of them is told by its ratio alone

HEAD = """\
# Benchmarks

What follows is made from the files under `benchmarks/results`; no figure is typed in by hand. All
of it ran on two virtual processors. Every race is to the same test accuracy, with PyTorch's batch,
optimizer, rate, number format and compilation tuned for that race; hashgrad's settings were picked
on what is measured as well. `hashgrad bench` repeats it on your machine.

## Time to the same accuracy

Each line is one training; the pale rule is the accuracy asked for. Time is on a logarithmic axis.

<!-- picture: races -->

## Times and ratios

Times are medians, a ratio is that of the medians, and its spread is the least and the most of so
many repeats. A repeat in which a contender missed the accuracy counts as the ratio 0; how often
each reached it is told below the table.

<!-- picture: ratios -->

"""


def page() -> str:
    """The page, as Markdown."""
    parts = [HEAD]
    for session in sessions():
        parts += _session(session)
    return "\n".join([*parts, *_many_labels()]) + "\n"


def _session(session: Mapping[str, Any]) -> list[str]:
    where = session["circumstances"]
    parts = [f"### {where['processor']}, {where['date']}\n"]
    parts.append(f"{_where(where)} {_versions(where)}\n")
    rows = []
    for row in session["measures"].values():
        spent = row["seconds"] or {}
        ratios = row["ratios"]
        rows.append(
            [
                row["title"],
                ", ".join(f"{who} {time_text(seconds)}" for who, seconds in spent.items())
                if len(spent) <= 2 * TWO else f"{len(spent)} times",
                f"**{row['ratio']:.3g}**",
                f"{ratios[0]:.3g}–{ratios[-1]:.3g} of {len(ratios)}",
            ]
        )  # fmt: skip
    parts.append(table(["measure", "times", "ratio", "spread"], rows) + "\n")
    missed = [
        f"{row['title']}: "
        + ", ".join(f"{who} {reached(row, who)} of {len(row['repeats'])}" for who in row["seconds"])
        for name, row in session["measures"].items()
        if name in races() and any(reached(row, w) < len(row["repeats"]) for w in row["seconds"])
    ]
    if missed:
        parts.append("Reached the accuracy less than every time: " + "; ".join(missed) + ".\n")
    costs = [
        [
            row["title"],
            f"{mean(run['multiplications_fraction'] for run in runs):.2%}",
            f"{mean(run['learned_fraction'] for run in runs):.0%}",
            f"{mean(run['selection_recall'] for run in runs):.3f}",
        ]
        for row, runs in _trainings(session)
    ]
    if costs:
        parts.append(
            "What hashgrad multiplied in these trainings, of the dense network's, everything "
            "counted; means of the repeats:\n"
        )
        head = ["measure", "multiplications", "examples learned from", "recall"]
        parts.append(table(head, costs, right=(1, 2, 3)) + "\n")
    return parts


def _trainings(session: Mapping[str, Any]) -> list[tuple[Any, list[Any]]]:
    """The measures that trained hashgrad, with its run in each repeat."""
    found = []
    for row in session["measures"].values():
        runs = [(repeat.get("runs") or {}).get("hashgrad", {}) for repeat in row["repeats"]]
        if all("multiplications_fraction" in run for run in runs):
            found.append((row, runs))
    return found


def _many_labels() -> list[str]:
    session, found = many_labels()
    rows = [
        [who, time_text(one["seconds"]), *(f"{one[score]:.2f}" for score in SCORES)]
        for who, one in found.items()
    ]
    return [
        "## Many labels: EURLEX57K\n",
        f"45,000 laws with 4,271 subjects, five a law: {code(session['command'])}. "
        f"{_where(session)} Medians of the seconds and means of the scores of "
        f"{len(session['rounds'])} seeds, all predictions exact. `PSP` weighs rare subjects up. "
        "The peers are PyTorch with all outputs, or with a sample of them; how they were "
        "tuned, and what else was tried, is in `benchmarks/results/many-labels`.\n",
        "<!-- picture: many-labels -->\n",
        table(["contender", "training", *SCORES], rows, right=range(1, 2 + len(SCORES))) + "\n",
    ]


def _where(where: Mapping[str, Any]) -> str:
    meeting = where["meeting_nanoseconds"]
    apart = f"; two threads meet in {meeting:.0f} ns" if meeting else ""
    return (
        f"{where['processor']}, {where['hardware_threads']} threads, {where['simd']}, "
        f"{where['system']}, on {where['date']}, at commit {where['commit']}{apart}."
    )


def _versions(where: Mapping[str, Any]) -> str:
    named = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    return f"Versions: {named}."
