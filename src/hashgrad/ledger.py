"""The ledger: every multiplication of training, by phase, against the same network run densely.

Counts come from the core, summed over training: `{"examples": n,
"learned": n, "layers": [{phase: n, ...}]}`, where `learned` are the examples that went backward
too: they neither were known already nor rested (see `Network`). Those that rested count as
examples, for the dense network has no such pause.
The dense reference of one example, in a layer of `n_out` rows of `n_in` weights and a bias, zeros
counted:

* forward: `n_out * (n_in + 1)`;
* backward to the layer's inputs: the same, but nothing in the first layer;
* update: `c` times the same, where `c` is what the optimizer spends on one weight (SGD 1, momentum
  3, Adagrad 6, Adam 9, with moments in bfloat16 10, in bytes 17, with a second one by row 7,
  row-wise Adagrad 1; one more where weights are bfloat16; one more with weight decay, two
  for Adam by row). Batches of `B` share a step: `1 + c / B` times; plain SGD needs none beside the
  gradients, which its rate multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from . import _core
from .layers import Dense

if TYPE_CHECKING:
    from .network import Network

PHASES = ("query", "rerank", "forward", "backward", "update", "rehash", "rebuild")
COUNTERS = (*PHASES, "active", "candidates", "queries")

Counts = dict[str, Any]


def no_counts(n_layers: int) -> Counts:
    """Counts before any training."""
    return {
        "examples": 0,
        "learned": 0,
        "layers": [dict.fromkeys(COUNTERS, 0) for _ in range(n_layers)],
    }


def combine(a: Counts, b: Counts, sign: int = 1) -> Counts:
    """The sum `a + sign * b` of two counts.

    >>> one = {"examples": 2, "learned": 1, "layers": [dict.fromkeys(COUNTERS, 3)]}
    >>> combine(one, one)["examples"], combine(one, one, -1)["layers"][0]["forward"]
    (4, 0)
    """
    layers = [
        {key: int(mine[key] + sign * theirs[key]) for key in COUNTERS}
        for mine, theirs in zip(a["layers"], b["layers"], strict=True)
    ]
    totals = {key: int(a[key] + sign * b[key]) for key in ("examples", "learned")}
    return {**totals, "layers": layers}


def dense_reference(core: _core.Network, batch_size: int) -> dict[str, float]:
    """Multiplications per example of the same network run densely, by phase.

    Args:
        core: the network.
        batch_size: examples that share one step of the optimizer; 1 if none do.
    """
    forward = core.dense_prediction_multiplications()
    first = core.tensors()["layers.0.weight"].shape
    backward = forward - first[0] * (first[1] + 1)
    total = core.dense_multiplications(batch_size)
    return {"forward": forward, "backward": backward, "update": total - forward - backward}


def dense_by_layer(network: Network) -> list[float]:
    """Multiplications per example of each layer of the same network run densely."""
    reference = network._dense_reference()
    update = reference["update"] / reference["forward"]  # of a weight
    sizes = [network.n_inputs, *(layer.n for layer in network.layers)]
    return [
        n_out * (n_in + 1) * (1 + (number > 0) + update)
        for number, (n_in, n_out) in enumerate(pairwise(sizes))
    ]


def by_phase(counts: Counts) -> dict[str, int]:
    """Multiplications of all layers, by phase, and their total."""
    phases = {phase: sum(layer[phase] for layer in counts["layers"]) for phase in PHASES}
    return {**phases, "total": sum(phases.values())}


def active_fraction(counts: Counts, layers: Sequence[Dense]) -> float:
    """Share of neurons kept, over the layers that choose; 1 if none does."""
    kept = possible = 0
    for layer, counted in zip(layers, counts["layers"], strict=True):
        if layer.selector.word != "dense":
            kept += counted["active"]
            possible += counted["queries"] * layer.n
    return kept / possible if possible else 1.0


def describe(counts: Counts, layers: Sequence[Dense], dense: dict[str, float]) -> dict[str, Any]:
    """What history records and reports say about counts.

    Returns:
        `multiplications_fraction` (everything counted, over dense), `active_fraction`,
        `learned_fraction` (of the examples, those that went backward too),
        `multiplications` (by phase, with `total` and `dense`), and `layers`, one entry each.
    """
    phases = by_phase(counts)
    reference = sum(dense.values()) * counts["examples"]
    return {
        "multiplications_fraction": phases["total"] / reference if reference else 0.0,
        "active_fraction": active_fraction(counts, layers),
        "learned_fraction": counts["learned"] / max(1, counts["examples"]),
        "multiplications": {**phases, "dense": round(reference)},
        "layers": [
            _describe_layer(counted, layer)
            for counted, layer in zip(counts["layers"], layers, strict=True)
        ],
    }


def _describe_layer(counted: dict[str, int], layer: Dense) -> dict[str, Any]:
    queries = max(1, counted["queries"])
    return {
        "neurons": layer.n,
        "selector": layer.selector.word,
        "active_fraction": counted["active"] / (queries * layer.n),
        "candidates": counted["candidates"] / queries,
        "multiplications": sum(counted[phase] for phase in PHASES),
    }


def describe_tables(tables: dict[str, Any]) -> dict[str, Any]:
    """What records say about a layer's hash tables; nothing for a layer without any."""
    if not tables:
        return {}
    kept = ("lookup", "rehash", "staleness", "rebuilds", "overflow")
    described = {key: tables[key] for key in kept if key in tables}
    loads = tables.get("bucket_loads")
    if loads is not None and len(loads) and loads.sum():
        buckets = int(loads.sum())
        neurons = int(sum(load * int(n) for load, n in enumerate(loads)))
        described["bucket_loads"] = {
            "buckets": buckets,
            "empty": int(loads[0]) / buckets,
            "mean": neurons / buckets,
            "max": int(loads.nonzero()[0][-1]),
        }
    return described


def describe_prediction(core: _core.Network) -> dict[str, Any]:
    """What predictions have cost so far, against dense ones; nothing before the first."""
    counts = core.prediction_ledger()
    if not counts["examples"]:
        return {}
    each = by_phase(counts)["total"] / counts["examples"]
    dense = core.dense_prediction_multiplications()
    return {
        "prediction": {
            "examples": counts["examples"],
            "multiplications_per_example": each,
            "multiplications_fraction": each / dense,
        }
    }


def report(network: Network) -> Report:
    """The report of a network; see `Network.report`."""
    counts, dense = network._counts(), network._dense_reference()
    summary = describe(counts, network.layers, dense)
    records = [record["layers"] for record in network.history if not record.get("partial")]
    ways, dense_layers = network.arrangement(), dense_by_layer(network)
    for number, (tables, way) in enumerate(zip(network._core.tables(), ways, strict=True)):
        layer = summary["layers"][number]
        reference = dense_layers[number] * counts["examples"]
        layer["multiplications_fraction"] = layer["multiplications"] / reference if reference else 0
        layer.update({**way, **describe_tables(tables)})
        if records:
            layer.update({key: records[-1][number].get(key) for key in ("recall", "gain")})
    sizes = "-".join(str(n) for n in (network.n_inputs, *(layer.n for layer in network.layers)))
    title = (
        f"{sizes}, {network.loss}: {network.n_parameters:,} parameters, "
        f"{counts['examples']:,} examples, {network.epochs} epochs; "
        f"{summary['multiplications_fraction']:.2%} of the dense network's multiplications"
    )
    progress = {"examples": counts["examples"], "epochs": network.epochs}
    summary = {**progress, **summary, **describe_prediction(network._core)}
    return Report(title, summary, dense)


@dataclass(frozen=True)
class Report:
    """What `Network.report()` returns: prints as tables, and `to_dict()` gives the numbers."""

    title: str
    summary: dict[str, Any]
    dense: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The numbers, JSON-able."""
        return self.summary

    def __str__(self) -> str:
        parts = [self.title, self._layers(), self._phases()]
        if "prediction" in self.summary:
            cost = self.summary["prediction"]
            parts.append(
                f"prediction: {cost['multiplications_per_example']:,.0f} multiplications per "
                f"example, {cost['multiplications_fraction']:.2%} of a dense one"
            )
        return "\n\n".join(parts)

    __repr__ = __str__

    def _layers(self) -> str:
        head = ("layer", "neurons", "selector", "weights by", "lookup")
        quality = ("kept", "candidates", "recall", "gain", "stale")
        loads_head = ("buckets mean/max", "empty", "overflow")
        rows: list[tuple[str, ...]] = [(*head, *quality, *loads_head)]
        for number, layer in enumerate(self.summary["layers"], start=1):
            loads = layer.get("bucket_loads")
            rows.append(
                (
                    str(number),
                    f"{layer['neurons']:,}",
                    layer["selector"],
                    layer["layout"],
                    layer["lookup"],
                    f"{layer['active_fraction']:.2%}",
                    f"{layer['candidates']:.1f}",
                    _number(layer.get("recall"), "{:.3f}"),
                    _number(layer.get("gain"), "{:.1f}x"),
                    _number(layer.get("staleness"), "{:.2%}"),
                    f"{loads['mean']:.1f}/{loads['max']}" if loads else "-",
                    _number(loads and loads["empty"], "{:.0%}"),
                    _number(layer.get("overflow"), "{:,}"),
                )
            )
        return _table(rows)

    def _phases(self) -> str:
        counted = self.summary["multiplications"]
        examples = max(1, self.summary["examples"])
        dense_total = max(1, sum(self.dense.values()))
        rows = [("multiplications per example", "counted", "dense", "share of dense total")]
        for phase in (*PHASES, "total"):
            dense = dense_total if phase == "total" else self.dense.get(phase, 0)
            each = counted[phase] / examples
            rows.append((phase, f"{each:,.0f}", f"{dense:,.0f}", f"{each / dense_total:.3%}"))
        return _table(rows)


def _number(value: Any, form: str) -> str:
    return "-" if value is None else form.format(value)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of text as aligned columns; the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
