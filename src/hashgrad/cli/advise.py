"""`hashgrad advise` and `hashgrad sparsify`: what pays on this machine, measured."""

from __future__ import annotations

from typing import Annotated

import typer

import hashgrad
from hashgrad.defaults import check, default

from .loading import judged, load_data
from .options import BAD_ROWS, COLUMNS, DATA, FIRST_INDEX, HIDDEN, numbers, option
from .output import check_replaceable, check_writable, console, write_json
from .reading import Reading

Json = Annotated[str | None, typer.Option(help="Write the results as JSON; - is stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")]
_DROP = 0.5


def advise(
    data: Annotated[str, DATA],
    hidden: Annotated[
        str, typer.Option(help="Neurons of each hidden layer.", metavar="N,N,...")
    ] = HIDDEN,
    seconds: Annotated[float, typer.Option(help="About what all of it may take.")] = 60.0,
    threads: Annotated[int, option("threads", "Options")] = default("threads"),
    seed: Annotated[int, option("seed", "Options")] = default("seed"),
    first_index: Annotated[int | None, FIRST_INDEX] = None,
    columns: Annotated[str | None, COLUMNS] = None,
    bad_rows: Annotated[str, BAD_ROWS] = "refuse",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Measure whether LSH beats dense layers for these data and sizes, and choose its settings."""
    check_writable("--json", json, data)
    reading = Reading.told(first_index, columns, bad_rows)
    dataset = load_data(data, reading=reading)
    reading.tell(quiet)
    if dataset.task == "regression":
        raise ValueError(f"DATA must be for classification or multilabel, got {dataset.name}")
    advice = hashgrad.advise(
        dataset.x_train,
        dataset.y_train,
        hidden=numbers("--hidden", hidden, int),
        seconds=seconds,
        threads=check("threads", threads, argument="--threads"),
        seed=check("seed", seed, argument="--seed"),
        progress=not quiet,
    )
    console(json, quiet).print(advice.report, markup=False)
    write_json(json, {"data": dataset.name, **advice.as_dict()})


def sparsify(
    weights: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS",
            help="A .safetensors or .npz file with *.weight (outputs, inputs) and *.bias of each "
            "fully connected layer, in the order of the numbers in their names.",
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Rows that the network was not trained on, as in `hashgrad train`: the test rows "
            "of a set that has some, else all.",
        ),
    ],
    max_drop: Annotated[float, typer.Option(help="Points of accuracy that may be lost.")] = _DROP,
    activation: Annotated[str, option("activation", "Options", default="relu")] = "relu",
    seed: Annotated[int, option("seed", "Options")] = default("seed"),
    output: Annotated[
        str | None, typer.Option(help="Save the network here, sparse or dense.")
    ] = None,
    plot: Annotated[
        str | None, typer.Option(help="Draw the curve into this file (.svg, .png).")
    ] = None,
    first_index: Annotated[int | None, FIRST_INDEX] = None,
    columns: Annotated[str | None, COLUMNS] = None,
    bad_rows: Annotated[str, BAD_ROWS] = "refuse",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    r"""Make a trained dense network sparse, or answer 'leave it dense' where that does not pay.

    --plot needs Matplotlib: pip install 'hashgrad\[report]'.
    """
    for name, path in (("--json", json), ("--output", output), ("--plot", plot)):
        check_writable(name, path, weights, data)
    check_replaceable("--output", output)
    reading = Reading.told(first_index, columns, bad_rows)
    dataset = load_data(data, reading=reading)
    reading.tell(quiet)
    if dataset.task != "classification":
        raise ValueError(f"--data must be for classification, got {dataset.name}, {dataset.task}")
    X, y = judged(dataset)
    result = hashgrad.sparsify(
        weights, (X, y), max_drop, activation=activation, seed=seed, progress=not quiet
    )
    if dataset.classes is not None:
        result.network.extra["classes"] = list(dataset.classes)
    result.network.extra["task"] = dataset.task
    if output is not None:
        result.network.save(output)
    if plot is not None:
        result.plot(plot)
    console(json, quiet).print(result.report, markup=False)
    write_json(json, {"weights": weights, "data": dataset.name, **result.as_dict()})
