"""`hashgrad export`: a model as ONNX, or as C source for small devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import hashgrad
from hashgrad.checks import Choice
from hashgrad.export.c import WEIGHTS, CExport
from hashgrad.memory import in_words

from .options import MODEL
from .output import check_writable, console, table, write_json

FORMATS = ("onnx", "c")


def export(
    model: Annotated[str, MODEL],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            help="NAME.onnx, or NAME.c, beside which NAME.h goes; names in C begin with NAME_.",
            metavar="PATH",
        ),
    ],
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="What to write.", metavar=f"[{'|'.join(FORMATS)}]")
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of --format c: a byte each, or four.",
            metavar=f"[{'|'.join(WEIGHTS)}]",
            show_default=WEIGHTS[0],
        ),
    ] = None,
    json: Annotated[str | None, typer.Option(help="Write the answer as JSON; - is stdout.")] = None,
) -> None:
    """Write a model for use without hashgrad.

    onnx is a graph of dense products that keeps the neurons the network keeps with --exact; c is a
    C99 header and source that choose neurons by their hashes, allocate nothing, and state what
    flash, RAM and multiplications they take.
    """
    Choice(FORMATS).check("--format", format)
    if weights is not None and format != "c":
        raise ValueError(f"--weights must go with --format c, got --format {format}")
    chosen = Choice(WEIGHTS).check("--weights", weights or WEIGHTS[0])
    check_writable("--out", out, model)
    if format == "c":
        check_writable("--out", str(Path(out).with_suffix(".h")), model)
    check_writable("--json", json, model, out)
    network = hashgrad.load(model)
    result: dict[str, Any] = {"model": model, "format": format}
    rows = [("model", model)]
    if format == "onnx":
        hashgrad.export_onnx(network, out)
        result |= {"path": out, "bytes": Path(out).stat().st_size}
        answers = "scores" if network.loss == "squared" else "scores, probabilities, label"
        rows += [
            ("ONNX", f"{out} ({in_words(result['bytes'])})"),
            ("input", f"x (rows, {network.n_inputs}), float32"),
            ("outputs", answers),
        ]
    else:
        made = hashgrad.export_c(network, out, weights=chosen)
        result |= made.to_dict()
        rows += [
            ("C99", f"{made.header}, {made.source}"),
            ("flash", _flash(made)),
            ("RAM", f"{in_words(made.ram_bytes)} of scratch, and the stack"),
            (
                "multiplications",
                f"at most {made.multiplications:,} a prediction, "
                f"{made.multiplications / made.dense_multiplications:.2%} of dense",
            ),
            ("link with", "-lm" if made.needs_libm else "nothing"),
        ]
    console(json).print(table(*rows))
    write_json(json, result)


def _flash(made: CExport) -> str:
    """What the constants take, beside what they would take without hashes."""
    if made.flash_bytes == made.dense_flash_bytes:
        return f"{in_words(made.flash_bytes)} of {made.weights} weights, and the code"
    return (
        f"{in_words(made.flash_bytes)} of {made.weights} weights and hashes, and the code; "
        f"{in_words(made.dense_flash_bytes)} without hashes, which make it "
        f"{made.flash_bytes / made.dense_flash_bytes:.2f} times as large"
    )
