"""What can be drawn of a trained network: how it learned, what its layers cost and use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hashgrad.atomic import write_atomically
from hashgrad.checks import one_of
from hashgrad.metrics import SCORES

from . import figures
from .look import looks
from .page import Figure, Line, Panel, Point

if TYPE_CHECKING:
    from hashgrad.network import Network

KINDS = ("png", "svg", "pdf")
_MOST_BUCKET_BARS = 40
_USAGE_POINTS = 41

Usage = Sequence[NDArray[np.float64]]


def plot(network: Network, path: str | os.PathLike[str] | None, X: Any) -> Any:
    """One Matplotlib figure of all; see `Network.plot`."""
    kind = None if path is None else Path(path).suffix.removeprefix(".").lower()
    if kind is not None and kind not in KINDS:
        raise one_of("the kind of file of path", kind, KINDS)
    drawn = all_figures(network, None if X is None else network.usage(X))
    if not drawn:
        raise RuntimeError("there is nothing to plot yet: call fit or partial_fit first")
    sheet = figures.sheet(drawn, looks(drawn))
    if path is not None and kind is not None:
        write_atomically(path, [figures.sheet_file(sheet, kind)])
    return sheet


def all_figures(network: Network, usage: Usage | None) -> list[Figure]:
    """The figures that have something to show, one panel each.

    Args:
        network: trained or not.
        usage: from `Network.usage`; None leaves the use of neurons out.
    """
    found = [*learning(network), by_layer(network), recall(network), bucket_loads(network)]
    if usage is not None:
        found.append(neuron_usage(network, usage))
    return [figure for figure in found if figure.line_names()]


def learning(network: Network) -> Iterator[Figure]:
    """Loss and scores by epoch."""
    records = whole_epochs(network)
    unit = "" if network.loss == "squared" else ", nats"
    losses = {"training": [(record["epoch"], record["loss"]) for record in records]}
    yield _by_epoch("loss", "Loss", f"mean training loss{unit}", losses)
    scores = {
        name: [(record["epoch"], record.get(key)) for record in records]
        for key, (name, _) in SCORES.items()
        if any(record.get(key) is not None for record in records)
    }
    share = "R²" not in scores
    names = "precision" if "P@1" in scores else next(iter(scores), "score")
    yield _by_epoch("scores", "Validation", f"validation {names}", scores, percent=share)


def recall(network: Network) -> Figure:
    """How well each epoch's neurons were chosen, in the layers that choose."""
    records = whole_epochs(network)
    recalls = {
        name: [(record["epoch"], record["layers"][number].get("recall")) for record in records]
        for number, name in choosing(network)
    }
    sentence = (
        "How many of the neurons with the largest activations were found, on rows of the training."
    )
    return _by_epoch(
        "recall", "Recall of the selection", "recall", recalls, percent=True, sentence=sentence
    )


def by_layer(network: Network) -> Figure:
    """Each layer's share of active neurons, and of a dense layer's multiplications."""
    report = network.report().to_dict()
    layers = report["layers"] if report["examples"] else []
    names = (("active_fraction", "active neurons"), ("multiplications_fraction", "multiplications"))
    lines = tuple(
        Line(name, tuple(_point(n, layer[key]) for n, layer in enumerate(layers, start=1)))
        for key, name in names
    )
    return Figure(
        "by-layer",
        "Share of each layer",
        "Neurons kept, and multiplications against a dense layer's, hashing included, over all of "
        "the training.",
        "layer",
        "share of the layer",
        (Panel("", lines),),
        x_ticks=tuple(range(1, len(network.layers) + 1)),
        y_percent=True,
        bars=True,
    )


def bucket_loads(network: Network) -> Figure:
    """How many neurons the buckets of hash tables hold; no lines where there are no tables."""
    loads = {
        name: np.asarray(tables["bucket_loads"], dtype=float)
        for (_, name), tables in zip(
            enumerate(layer_names(network)), network._core.tables(), strict=True
        )
        if len(tables.get("bucket_loads", ()))
    }
    largest = max((len(counts) for counts in loads.values()), default=1) - 1
    step = -(-(largest + 1) // _MOST_BUCKET_BARS)  # loads that share a bar
    lines = []
    for name, counts in loads.items():
        whole = np.pad(counts, (0, -len(counts) % step)).reshape(-1, step).sum(axis=1)
        shares = whole / max(1.0, counts.sum())
        lines.append(Line(name, tuple(_point(n * step, y) for n, y in enumerate(shares))))
    width = "" if step == 1 else f" (from so many on, in steps of {step})"
    return Figure(
        "bucket-loads",
        "Loads of hash buckets",
        "All neurons of a bucket that a query finds are candidates: full ones cost.",
        f"neurons in a bucket{width}",
        "share of the buckets",
        (Panel("", tuple(lines)),),
        y_percent=True,
        bars=True,
    )


def neuron_usage(network: Network, usage: Usage) -> Figure:
    """How often neurons are active, the busiest first; layers in which all always are left out."""
    lines = []
    for number, name in enumerate(layer_names(network)):
        layer = network.layers[number]
        linear = number + 1 == len(network.layers) or layer.activation not in (None, "relu")
        if layer.selector.word == "dense" and linear:
            continue
        shares = np.sort(usage[number])[::-1]
        picked = np.unique(np.linspace(0, len(shares) - 1, _USAGE_POINTS).round().astype(int))
        points = (_point((at + 1) / len(shares), shares[at]) for at in picked)
        lines.append(Line(name, tuple(points)))
    return Figure(
        "neuron-usage",
        "Use of the neurons",
        "In how many rows a neuron is active, with an output above zero where the layer is a ReLU "
        "layer. A long tail at 0 % is neurons that these rows do not need.",
        "neurons, the busiest first",
        "share of the rows",
        (Panel("", tuple(lines)),),
        x_percent=True,
        y_percent=True,
    )


def whole_epochs(network: Network) -> list[dict[str, Any]]:
    """The history without an epoch that is not done."""
    return [record for record in network.history if not record.get("partial")]


def layer_names(network: Network) -> list[str]:
    """What the layers are called, in order: `layer 1`, `layer 2`, ..."""
    return [f"layer {number}" for number in range(1, len(network.layers) + 1)]


def choosing(network: Network) -> list[tuple[int, str]]:
    """Number, from 0, and name of the layers that do not evaluate all neurons."""
    words = (layer.selector.word for layer in network.layers)
    return [
        (number, name)
        for number, (name, word) in enumerate(zip(layer_names(network), words, strict=True))
        if word != "dense"
    ]


def _by_epoch(
    name: str,
    title: str,
    y_label: str,
    values: dict[str, list[tuple[int, Any]]],
    percent: bool = False,
    sentence: str = "",
) -> Figure:
    lines = (
        Line(line, tuple(_point(epoch, y) for epoch, y in pairs if _is_finite(y)))
        for line, pairs in values.items()
    )
    return Figure(
        name, title, sentence, "epoch", y_label, (Panel("", tuple(lines)),), y_percent=percent
    )


def _is_finite(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _point(x: float, y: float) -> Point:
    return float(x), float(y), float(y), float(y)
