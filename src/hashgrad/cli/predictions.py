"""Predictions as files: CSV, JSON lines or a NumPy array."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrad import Network
from hashgrad.atomic import write_atomically
from hashgrad.checks import Interval

from .loading import labels

FORMATS = (".csv", ".jsonl", ".npy")
_NOTHING = -1  # in a ranking: the selector found no further output


@dataclass(frozen=True)
class Predictions:
    """What a network says about n rows.

    Attributes:
        kind: `"label"` (one a row), `"labels"` (any number a row), `"top"` or `"values"`.
        answers: (n,) labels, n lists of labels, (n, k) labels or (n,) or (n, o) values.
        scores: (n, k) scores of a ranking, else None.
        names: what the labels stand for; None if for themselves.
    """

    kind: str
    answers: Any
    scores: NDArray[np.float32] | None = None
    names: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.answers)

    def name(self, label: int) -> Any:
        """What a label stands for."""
        return int(label) if self.names is None else self.names[label]

    def rows(self) -> Iterator[dict[str, Any]]:
        """One object a row, JSON-able."""
        for row, answer in enumerate(self.answers):
            if self.kind == "label":
                yield {"row": row, "label": self.name(answer)}
            elif self.kind == "labels":
                yield {"row": row, "labels": [self.name(label) for label in answer]}
            elif self.kind == "values":
                yield {"row": row, "value": answer.tolist()}
            else:
                assert self.scores is not None
                found = answer != _NOTHING
                yield {
                    "row": row,
                    "labels": [self.name(label) for label in answer[found]],
                    "scores": [round(float(score), 6) for score in self.scores[row][found]],
                }

    def array(self) -> NDArray[Any]:
        """The answers as one array; label sets as an indicator matrix are too large for that."""
        if self.kind == "values":
            return np.asarray(self.answers)
        if self.kind == "labels":
            raise ValueError(
                "--output must be a .csv or .jsonl file for sets of labels (or use --top), got .npy"
            )
        if self.names is None:
            return np.asarray(self.answers)
        named = np.asarray(self.names)[np.asarray(self.answers)]
        return np.asarray(named)


def check_format(output: str | None, json: str | None) -> None:
    """Raise ValueError unless the output's ending is known and stdout is used once only."""
    if output is None:
        if json == "-":
            raise ValueError("--json - needs --output: predictions go to stdout without it")
        return
    if Path(output).suffix not in FORMATS:
        raise ValueError(f"--output must end in {', '.join(FORMATS)}, got {output!r}")


def predict_rows(network: Network, rows: Any, top: int | None, exact: bool) -> Predictions:
    """Ask the network about every row.

    Args:
        network: the model.
        rows: (n, n_inputs) numbers, dense or sparse.
        top: how many outputs to rank; None is the answer alone.
        exact: evaluate every neuron.

    Raises:
        ValueError: rows of the wrong width, or a `top` that does not suit the network.
    """
    names = labels(network)
    if top is not None:
        if network.loss == "squared":
            raise ValueError(f"--top needs a model with labels, got {top} for a regression")
        k = Interval(1, network.layers[-1].n, integer=True).check("--top", top)
        found, scores = network.predict_topk(rows, k, exact=exact)
        return Predictions("top", found, scores, names)
    answers = network.predict(rows, exact=exact)
    if network.loss == "softmax":
        return Predictions("label", answers, None, names)
    if network.loss == "squared":
        return Predictions("values", answers)
    sets = np.split(answers.indices, answers.indptr[1:-1])
    return Predictions("labels", sets, None, names)


def write_predictions(output: str | None, predictions: Predictions) -> None:
    """Write predictions in the format that the file's ending names; CSV to standard output."""
    if output is None:
        for line in _csv_lines(predictions):
            sys.stdout.write(line)
        return
    suffix = Path(output).suffix
    if suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, predictions.array(), allow_pickle=False)
        write_atomically(output, [buffer.getvalue()])
    elif suffix == ".jsonl":
        write_atomically(output, (json.dumps(row).encode() + b"\n" for row in predictions.rows()))
    else:
        write_atomically(output, (line.encode() for line in _csv_lines(predictions)))


def _csv_lines(predictions: Predictions) -> Iterator[str]:
    """A header and one line a row; sets of labels stand in one field, with spaces between."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")

    def line(fields: list[Any]) -> str:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(fields)
        return buffer.getvalue()

    if predictions.kind == "top":
        ranks = range(1, predictions.answers.shape[1] + 1)
        yield line(["row", *(f"{word}_{rank}" for rank in ranks for word in ("label", "score"))])
        for row in predictions.rows():
            pairs = zip(row["labels"], row["scores"], strict=True)
            yield line([row["row"], *(field for pair in pairs for field in pair)])
    elif predictions.kind == "labels":
        yield line(["row", "labels"])
        for row in predictions.rows():
            yield line([row["row"], " ".join(str(label) for label in row["labels"])])
    elif predictions.kind == "label":
        yield line(["row", "label"])
        for row in predictions.rows():
            yield line([row["row"], row["label"]])
    else:
        width = 1 if predictions.answers.ndim == 1 else predictions.answers.shape[1]
        names = ["value"] if width == 1 else [f"value_{i + 1}" for i in range(width)]
        yield line(["row", *names])
        for number, values in enumerate(predictions.answers):
            yield line([number, *np.atleast_1d(values).tolist()])
