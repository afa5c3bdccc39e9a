"""The curve as a picture: accuracy against the share of active neurons, and against latency."""

from __future__ import annotations

import os
from typing import Any

from ..pages.look import need_matplotlib
from .result import Sparsified, micro

INK, LINE, PALE = "#333333", "#1b7f4d", "#bbbbbb"


def draw(result: Sparsified, path: str | os.PathLike[str]) -> None:
    """Draw the curve into a file; see `Sparsified.plot`."""
    need_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    by_share, by_time = figure.subplots(1, 2, sharey=True)
    what = "accuracy" if result.labels else "agreement with the dense model"
    dense = result.curve[0].accuracy
    for axes, name in ((by_share, "share"), (by_time, "seconds")):
        _points(axes, result, name)
        axes.set_xscale("log")
        axes.axhline(100 * dense - result.max_drop, color=PALE, linestyle="--", linewidth=1)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    by_share.set(xlabel="hidden neurons kept, %", ylabel=f"{what}, %")
    by_time.set(xlabel="one row, µs")
    kept = result.network.layers[:-1]
    title = ", ".join(f"{layer.selector.kept(layer.n)} of {layer.n}" for layer in kept)
    figure.suptitle(
        f"{result.verdict}: {title} neurons, {micro(result.stated.seconds)} a row; dashed: "
        f"{result.max_drop:g} points below dense",
        fontsize=10, color=INK,
    )  # fmt: skip
    figure.savefig(os.fspath(path), dpi=150)


def _points(axes: Any, result: Sparsified, name: str) -> None:
    scale = 100 if name == "share" else 1e6
    for hashed, marker, label in ((False, "s", "every neuron evaluated"), (True, "o", "hashed")):
        some = [p for p in result.curve if any("hashed" in way for way in p.ways) == hashed]
        if some:
            axes.errorbar(
                [scale * getattr(p, name) for p in some], [100 * p.accuracy for p in some],
                yerr=[p.error for p in some], marker=marker, linestyle="none", label=label,
                color=LINE if hashed else INK, elinewidth=0.8, markersize=4,
            )  # fmt: skip
    axes.legend(frameon=False, fontsize=8)
