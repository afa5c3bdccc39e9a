"""`hashgrad bench`: time to the same accuracy, against PyTorch and scikit-learn on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hashgrad import _core
from hashgrad.atomic import write_atomically
from hashgrad.bench import report, suite, tuning
from hashgrad.bench.catalogue import FULL, QUICK
from hashgrad.checks import one_of

from .output import check_writable, console, folder_for_pictures, write_json

REPEATS = 5
TUNING_LOG = "tuning.json"


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help=f"Measures to run, of {', '.join(FULL)}; all."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Times to run each.", metavar="INTEGER")] = REPEATS,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny measures on the digits: does all of it work?")
    ] = False,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Search for PyTorch's best settings first, and keep them."),
    ] = False,
    out: Annotated[
        str | None, typer.Option(help="Write a page with tables and pictures into this folder.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(help="Write all results as JSON; - is stdout.")
    ] = None,
) -> None:
    r"""Measure time to accuracy, latency, threads and widths, the peers in the same session.

    Every run is a process of its own, and the contenders take turns. Needs PyTorch, and Matplotlib
    for --out: pip install 'hashgrad\[bench]'. Ctrl-C ends it with the rounds that are whole.
    """
    known = QUICK if quick else FULL
    if repeats < 1:
        raise ValueError(f"--repeats must be at least 1, got {repeats}")
    for name in names or []:
        if name not in known:
            raise one_of("NAME", name, known)
    if tune and quick:
        raise ValueError("--tune has no effect with --quick: tiny peers have settings of their own")
    chosen = [known[name] for name in names or known]
    wanted = [measure.name for measure in chosen if measure.name in tuning.TASKS]
    if tune and not wanted:
        raise ValueError(f"--tune has no effect unless NAME is one of {', '.join(tuning.TASKS)}")
    folder = None if out is None else folder_for_pictures("--out", out, "bench")
    check_writable("--json", json)
    people = console(json)
    if tune:
        log = (folder or Path()) / TUNING_LOG
        tuning.tune(wanted, min(2, _core.hardware_threads()), log, people.print)
    results = suite.run(chosen, repeats, people.print)
    write_json(json, results)
    if not results["measures"]:
        _end(results)
    people.print(_table(results))
    if folder is not None:
        write_atomically(folder / "results.json", [tuning.as_json(results)])
        for path in report.write(results, folder):
            people.print(f"wrote {path}")
    _end(results)


def _end(results: dict[str, Any]) -> None:
    if results["failure"]:
        raise RuntimeError(results["failure"])
    if results["interrupted"]:
        raise typer.Exit(130)


def _table(results: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("measure", "times", "ratio", "asked", "aim", "holds")
    for row in results["measures"].values():
        times = ", ".join(
            f"{who} {suite.time_text(seconds)}" for who, seconds in row["seconds"].items()
        )
        table.add_row(
            row["title"], times, f"{row['ratio']:.3g}", suite.rule_text(row, "asked"),
            suite.rule_text(row, "aim"), "yes" if row["holds"] else "no",
        )  # fmt: skip
    return table
