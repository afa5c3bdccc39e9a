"""`hashgrad evaluate` and `hashgrad predict`: use a model that was trained before."""

from __future__ import annotations

import time
from typing import Annotated

import typer

import hashgrad
from hashgrad.defaults import check, default

from .loading import judged, load_data, load_rows, outcome
from .options import BAD_ROWS, COLUMNS, DATA, FIRST_INDEX, MODEL, option
from .output import check_writable, console, write_json
from .predictions import check_format, predict_rows, write_predictions
from .reading import Reading
from .results import circumstances, in_short, prediction_cost, quality

Model = Annotated[str, MODEL]
Json = Annotated[str | None, typer.Option(help="Write the results as JSON; - is stdout.")]
Threads = Annotated[int, option("threads", "Options")]
Exact = Annotated[
    bool, typer.Option("--exact", help="Evaluate every neuron, not those the hash finds.")
]


def evaluate(
    context: typer.Context,
    model: Model,
    data: Annotated[str, DATA],
    first_index: Annotated[int | None, FIRST_INDEX] = None,
    columns: Annotated[str | None, COLUMNS] = None,
    bad_rows: Annotated[str, BAD_ROWS] = "refuse",
    exact: Exact = False,
    threads: Threads = default("threads"),
    json: Json = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")] = False,
) -> None:
    """Score a model on a data set: on its test rows, or on all rows of a file without any."""
    check_writable("--json", json, model, data)
    reading = Reading.told(first_index, columns, bad_rows)
    network = hashgrad.load(model, threads=check("threads", threads, argument="--threads"))
    dataset = load_data(data, reading=reading, network=network)
    reading.tell(quiet)
    x, y = judged(dataset)
    start = time.perf_counter()
    scores = outcome(network, x, y, exact)
    seconds = time.perf_counter() - start
    rows = int(x.shape[0])
    spent = prediction_cost(network, rows, seconds)
    console(json, quiet).print(
        f"{quality(scores)}  on {rows:,} {'rows' if dataset.x_test is None else 'test rows'} of "
        f"{dataset.name}\n{in_short(spent)}"
    )
    result = {
        "accuracy": None,
        **scores,
        "data": dataset.name,
        "exact": exact,
        "skipped_rows": reading.judge.count,
        **spent,
        **circumstances(network, context.obj),
    }
    write_json(json, result)


def predict(
    context: typer.Context,
    model: Model,
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A .npy matrix, a named data set, or a file with one."),
    ],
    top: Annotated[
        int | None, typer.Option("--top", help="The K best outputs of each row, with scores.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="A .csv, .jsonl or .npy file; else CSV on stdout."),
    ] = None,
    first_index: Annotated[int | None, FIRST_INDEX] = None,
    columns: Annotated[str | None, COLUMNS] = None,
    bad_rows: Annotated[str, BAD_ROWS] = "refuse",
    exact: Exact = False,
    threads: Threads = default("threads"),
    json: Json = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing more.")] = False,
) -> None:
    """Predict the rows of a file: its test rows, if it has some, or else all of them.

    Labels are those of the training data. Scores are the raw outputs, before softmax or sigmoid.
    Rows that --bad-rows skips have no line.
    """
    check_writable("--output", output, model, data)
    check_writable("--json", json, model, data, output)
    check_format(output, json)
    reading = Reading.told(first_index, columns, bad_rows)
    network = hashgrad.load(model, threads=check("threads", threads, argument="--threads"))
    rows = load_rows(data, network, reading)
    reading.tell(quiet)
    start = time.perf_counter()
    predictions = predict_rows(network, rows, top, exact)
    seconds = time.perf_counter() - start
    write_predictions(output, predictions)
    spent = prediction_cost(network, len(predictions), seconds)
    if output is not None:
        console(json, quiet).print(f"{in_short(spent)}\npredictions written to {output}")
    result = {
        "output": output,
        "top": top,
        "exact": exact,
        "skipped_rows": reading.judge.count,
        **spent,
        **circumstances(network, context.obj),
    }
    write_json(json, result)
