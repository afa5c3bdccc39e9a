"""Part 6: our own choices, each changed in turn.

What a change costs shows only beside what it is a change of: choices about tables are taken back
from a network that looks up in tables, the others from the defaults.
"""

from __future__ import annotations

from typing import Any

from ..pages.page import Section, Table
from .lab import Lab, Result
from .parts import (
    DEPTH,
    Part,
    accuracy_words,
    mean,
    percent,
    points,
    recall_of,
    study_run,
    study_set,
)
from .sizes import Size

NAME = "ablation"
_TABLES: dict[str, Any] = {"lookup": "tables", "code": "bits"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "as planned: deeper layers exactly": {"lookup": "auto"},
    "inputs not centred": {"center": False},
    "no re-ranking: the first found are kept": {"candidates": 1.0},
    "four candidates for each neuron kept": {"candidates": 4.0},
    "signs instead of bytes": {"code": "bits"},
    "whole space instead of the subspace": {"projection": "gaussian"},
    "rows re-hashed on a schedule": {"rehash": "rows"},
}
TABLES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "one probe a table instead of eight": {"probes": 1},
    "by buckets shared instead of signatures": {"ranking": "collisions"},
    "with Simple-LSH's transform": {"transform": "simple"},
    "with Sign-ALSH's transform": {"transform": "sign-alsh"},
    "with L2-ALSH's transform": {"transform": "l2-alsh"},
    "inputs not centred": {"center": False},
    "no re-ranking: the first found are kept": {"candidates": 1.0},
    "rows re-hashed on a schedule": {"rehash": "rows"},
}


def run(lab: Lab, size: Size) -> Part:
    """Train with every choice, with the same seeds."""
    data = study_set(size)
    groups = {
        "defaults": dict(DEFAULTS),
        "tables": {name: {**_TABLES, **change} for name, change in TABLES.items()},
    }
    wanted = {
        (group, name): [
            study_run(
                size,
                data,
                DEPTH,
                "LSH",
                size.share,
                size.study_rate,
                size.study_examples if group == "defaults" else size.tables[1],
                seed=seed,
                rows=size.study_rows if group == "defaults" else size.tables[0],
                lsh=tuple(sorted(settings.items())),
            )
            for seed in range(size.seeds)
        ]
        for group, choices in groups.items()
        for name, settings in choices.items()
    }
    results = lab.train((run for runs in wanted.values() for run in runs), NAME)
    found = {way: [results[run] for run in runs] for way, runs in wanted.items()}
    columns = ("choice", "accuracy", "difference", "multiplications", "recall", "µs an example")
    titles = {
        "defaults": "Changes of a network that scans byte codes in every hidden layer",
        "tables": "Changes of a network that looks up in tables of signs",
    }
    return Part(
        Section(
            name=NAME,
            title="Our own choices, each changed in turn",
            sentence=(
                f"{data}, {DEPTH} × {size.width}, {percent(size.share, 0)} active, "
                f"rate {size.study_rate:g}, mean of {size.seeds} seeds. Times are of "
                "one thread with other runs beside it: compare them, no more."
            ),
            tables=tuple(
                Table(
                    title=titles[group],
                    sentence=(
                        "Differences are in accuracy, from the first row. Trained on "
                        f"{found[group, 'as it is'][0]['examples']:,} examples."
                    ),
                    columns=columns,
                    rows=tuple(
                        _row(name, found[group, name], found[group, "as it is"]) for name in choices
                    ),
                )
                for group, choices in groups.items()
            ),
        ),
        (),
    )


def _row(name: str, results: list[Result], first: list[Result]) -> tuple[Any, ...]:
    accuracy = accuracy_words(results)
    if any(result["diverged"] for result in (*results, *first)):
        return (name, accuracy, None, None, None, None)
    recalls = [recall for recall in map(recall_of, results) if recall is not None]
    gap = mean([r["accuracy"] for r in results]) - mean([r["accuracy"] for r in first])
    return (
        name,
        accuracy,
        points(gap),
        percent(mean([result["multiplications_fraction"] for result in results]), 2),
        f"{mean(recalls):.3f}" if recalls else None,
        f"{mean([1e6 * result['seconds'] / result['examples'] for result in results]):.1f}",
    )
