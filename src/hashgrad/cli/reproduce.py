"""`hashgrad reproduce`: every claim of the paper tested on this machine, in one report."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from hashgrad import experiments
from hashgrad.checks import one_of

from .output import check_writable, console, folder_for_pictures, table, write_json

OUT = "hashgrad-report"


def reproduce(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small networks and few examples: minutes. The default.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="The paper's networks: hours.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Run these parts only, of {', '.join(experiments.PARTS)}; with commas, or again."
        ),
    ] = None,
    out: Annotated[
        str, typer.Option(help="Folder for report.html, the figures and results.json.")
    ] = OUT,
    json: Annotated[
        str | None, typer.Option(help="Write the claims and sections as JSON; - is stdout.")
    ] = None,
) -> None:
    r"""Run the paper's experiments and write a report: its claims, ours, and whether they hold.

    What a session has found is kept in results.json of the folder: Ctrl-C loses only the runs under
    way, and the same command goes on. Needs Matplotlib: pip install 'hashgrad\[report]'.
    """
    if quick and full:
        raise ValueError("--quick and --full exclude each other: give one of them")
    wanted = [name.strip() for names in only or () for name in names.split(",")]
    for name in wanted:
        if name not in experiments.PARTS:
            raise one_of("--only", name, experiments.PARTS)
    folder = folder_for_pictures("--out", out, "report")
    check_writable("--json", json)
    people = console(json)
    try:
        with _watcher(people) as say:
            page = experiments.reproduce(
                folder,
                size="full" if full else "quick",
                only=wanted,
                say=say,
                typed=shlex.join(["hashgrad", *context.obj]) if context.obj else None,
            )
    except KeyboardInterrupt:
        people.print(f"stopped; {folder} keeps what was found, and the same command goes on")
        raise
    write_json(json, page.to_dict())
    verdicts = {True: "holds", False: "does not hold", None: "open"}
    people.print(
        table(*((verdicts[claim.held], f"{claim.text} {claim.ours}") for claim in page.claims))
    )
    missing = {section.name: section.missing for section in page.sections if section.missing}
    asked = {name: why for name, why in missing.items() if name in wanted or not wanted}
    for name, why in asked.items():
        people.print(f"{name} is missing: {why}", markup=False)
    people.print(f"wrote {folder / 'report.html'}")
    if asked and set(asked) == set(wanted):  # nothing of what was asked for could be run
        raise typer.Exit(1)


@contextlib.contextmanager
def _watcher(people: Console) -> Iterator[experiments.Say]:
    """A bar that moves on a terminal, a line for each run elsewhere."""
    if not people.is_terminal:
        yield lambda line, done, total: people.print(f"{done}/{total}  {line}", markup=False)
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=people, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(line: str, done: int, total: int) -> None:
            if done == 1:
                bar.reset(task, total=total)
            bar.update(task, description=escape(line), completed=done)

        yield show
