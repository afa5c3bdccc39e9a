"""`hashgrad report`: one page of HTML that shows what a model is and how it learned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import hashgrad
from hashgrad import files
from hashgrad.atomic import write_atomically
from hashgrad.pages import document, model
from hashgrad.pages.look import need_matplotlib

from .loading import judged, load_data, widened
from .options import BAD_ROWS, COLUMNS, DATA, FIRST_INDEX, MODEL
from .output import check_writable, console, write_json
from .predict import Threads
from .reading import Reading


def report(
    model_file: Annotated[str, MODEL],
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Rows to ask it for: " + DATA.help)
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="The page to write.",
            show_default="MODEL's name with .html, in the working folder",
        ),
    ] = None,
    first_index: Annotated[int | None, FIRST_INDEX] = None,
    columns: Annotated[str | None, COLUMNS] = None,
    bad_rows: Annotated[str, BAD_ROWS] = "refuse",
    threads: Threads = hashgrad.defaults.default("threads"),
    json: Annotated[
        str | None, typer.Option(help="Write the numbers as JSON; - is stdout.")
    ] = None,
) -> None:
    r"""Write a page about a model: its learning curve, layers, buckets, neurons and history.

    With --data also its scores, recall and use of neurons on these rows: the test rows of a set
    that has some. The page is one file that needs nothing else. Needs Matplotlib:
    pip install 'hashgrad\[report]'.
    """
    out = Path(model_file).stem + ".html" if out is None else out
    check_writable("--out", out, model_file, data)
    check_writable("--json", json, model_file, data, out)
    need_matplotlib()
    reading = Reading.told(first_index, columns, bad_rows)
    network = hashgrad.load(model_file, threads=threads)
    measured = None
    if data is not None:
        dataset = load_data(data, reading=reading, network=network)
        reading.tell(quiet=False)
        x, y = judged(dataset)
        rows = "rows" if dataset.x_test is None else "test rows"
        name = f"{rows} of {dataset.name}"
        measured = model.measure(network, x, widened(network, y), name)
    made = model.page(network, Path(model_file).name, _facts(network, model_file), measured)
    replaced = Path(out).exists()
    write_atomically(out, [document.html(made).encode()])
    write_json(json, _numbers(network, model_file, measured))
    console(json).print(
        f"wrote {out}{', in the place of an older file' if replaced else ''}", markup=False
    )


def _facts(network: hashgrad.Network, path: str) -> list[tuple[str, str]]:
    """What the file knows beside the network itself."""
    extra, metadata = network.extra, files.read_header(path).metadata
    found = [
        ("Data", extra.get("data")),
        ("Task", extra.get("task")),
        ("Written by", f"hashgrad {metadata['version']}, format {metadata['format']}"),
    ]
    return [(name, str(value)) for name, value in found if value is not None]


def _numbers(
    network: hashgrad.Network, path: str, measured: model.Measured | None
) -> dict[str, Any]:
    return {
        "path": path,
        "parameters": network.n_parameters,
        "memory": network.memory().to_dict(),
        "specification": network.specification(),
        "arrangement": network.arrangement(),
        "report": network.report().to_dict(),
        "measured": None if measured is None else measured.to_dict(),
        "history": network.history,
    }
