"""The page of a trained network: what it is, how it learned, what its layers cost and choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hashgrad.datasets.weighting import IN_EXTRA
from hashgrad.labels import Labels
from hashgrad.ledger import PHASES
from hashgrad.memory import Memory, in_words, needed
from hashgrad.metrics import SCORES

from .model_figures import (
    Usage,
    bucket_loads,
    by_layer,
    choosing,
    layer_names,
    learning,
    neuron_usage,
    recall,
    whole_epochs,
)
from .page import Cell, Figure, Page, Section, Table

if TYPE_CHECKING:
    from hashgrad.network import Network

_RECALL_ROWS = 256
_USAGE_ROWS = 10_000


@dataclass(frozen=True)
class Measured:
    """What some rows say of a network.

    Attributes:
        rows: what they are called, with their number: `359 test rows of digits`.
        scores: from `Network.evaluate`.
        recall: of each layer, on at most 256 of them.
        usage: from `Network.usage`, on at most 10,000 of them.
    """

    rows: str
    scores: Mapping[str, float]
    recall: Sequence[float]
    usage: Usage

    def to_dict(self) -> dict[str, Any]:
        """The numbers, JSON-able."""
        usage = [shares.tolist() for shares in self.usage]
        return {
            "rows": self.rows,
            "scores": dict(self.scores),
            "recall": list(self.recall),
            "usage": usage,
        }


def measure(network: Network, X: Any, y: Any, name: str) -> Measured:
    """Ask the network for these rows.

    Args:
        network: trained.
        X: as in `Network.fit`.
        y: as in `Network.fit`.
        name: what the rows are called, `rows of digits`.

    Raises:
        TypeError: as `Network.evaluate`.
        ValueError: as `Network.evaluate`.
    """
    scores = network.evaluate(X, y)
    some = network._checked(X[:_USAGE_ROWS])
    picked: Labels = np.linspace(0, some.n_rows - 1, min(_RECALL_ROWS, some.n_rows)).astype(int)
    found = network._core.recall(some.batch, picked.astype(np.uint32))
    return Measured(
        f"{X.shape[0]:,} {name}",
        scores,
        [layer["recall"] for layer in found],
        network.usage(X[:_USAGE_ROWS]),
    )


def page(
    network: Network,
    path: str,
    facts: Sequence[tuple[str, str]] = (),
    measured: Measured | None = None,
) -> Page:
    """The page of a network.

    Args:
        network: trained or not.
        path: its file, as the page names it.
        facts: labels and values to stand beside those that the network knows of itself.
        measured: what some rows say of it, if any were asked.

    Example:
        >>> from hashgrad import Dense, Network
        >>> net = Network(2, [Dense(8), Dense(2)]).fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=2)
        >>> [section.name for section in page(net, "net.hashgrad").sections]
        ['learning', 'layers', 'neurons', 'history', 'load']
    """
    return Page(
        f"Model {path}",
        (*_facts(network, measured), *facts),
        (),
        (
            Section(
                "learning", "How it learned", "One point for each epoch.",
                _drawn(learning(network)), missing=_without_history(network),
            ),
            Section(
                "layers", "Layers",
                "What each layer keeps of its neurons, and what that costs and takes.",
                _drawn([by_layer(network), recall(network)]), _layer_tables(network, measured),
            ),
            _neurons(network, measured),
            Section(
                "history", "History", "Scores are those on the validation rows.",
                tables=(_history(network),), missing=_without_history(network),
            ),
            Section(
                "load", "How to load it", "With hashgrad installed, in Python:",
                code=_loading(network, path),
            ),
        ),
    )  # fmt: skip


def _facts(network: Network, measured: Measured | None) -> list[tuple[str, str]]:
    report = network.report().to_dict()
    sizes = "-".join(f"{n}" for n in (network.n_inputs, *(layer.n for layer in network.layers)))
    found = [
        ("Layers, from the inputs on", sizes),
        ("Loss", network.loss),
        ("Parameters", f"{network.n_parameters:,}"),
        ("Memory", str(network.memory())),
        ("Optimizer", _words(network.optimizer.to_dict())),
        ("Schedule", _words(network.schedule.to_dict())),
        ("Batch size", f"{network.batch_size:,}"),
        ("Seed", str(network.seed)),
        ("Trained", f"{network.epochs:,} epochs, {report['examples']:,} examples"),
    ]
    if report["examples"]:
        share = report["multiplications_fraction"]
        found.append(("Multiplications in training", f"{share:.2%} of the dense network's"))
    records = whole_epochs(network)
    if records and scores_in_words(records[-1]):
        found.append(("Last epoch, validation", scores_in_words(records[-1])))
    if network.retired:
        found.append(("Retired labels", f"{len(network.retired):,}"))
    if measured is not None:
        found.append((f"On {measured.rows}", scores_in_words(measured.scores)))
    return [(name, value.replace("%", " %")) for name, value in found]


def scores_in_words(scores: Mapping[str, Any]) -> str:
    """The scores that are there, in words.

    >>> scores_in_words({"accuracy": None, "precision_at_1": 0.5, "precision_at_3": 0.25})
    'P@1 50.00%, P@3 25.00%'
    """
    words = (
        f"{name} {form.format(scores[key])}"
        for key, (name, form) in SCORES.items()
        if scores.get(key) is not None
    )
    return ", ".join(words)


def _words(part: Mapping[str, Any]) -> str:
    """An optimizer, schedule or selector with its settings."""
    settings = ", ".join(f"{key} {_value(value)}" for key, value in part.items() if key != "name")
    return f"{part['name']}: {settings}" if settings else str(part["name"])


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _drawn(figures: Any) -> tuple[Figure, ...]:
    return tuple(figure for figure in figures if figure.line_names())


def _without_history(network: Network) -> str:
    return "" if whole_epochs(network) else "No epoch is done, so there is no history."


def _layer_tables(network: Network, measured: Measured | None) -> tuple[Table, ...]:
    layers = network.report().to_dict()["layers"]
    memory = _memory_of_layers(network)
    n_inputs, rows, hashed = network.n_inputs, [], []
    for number, (name, layer) in enumerate(zip(layer_names(network), layers, strict=True)):
        spec = network.layers[number]
        activation = spec.activation or ("relu" if number + 1 < len(layers) else "linear")
        rows.append(
            (
                name,
                f"{n_inputs:,} → {spec.n:,}, {activation}",
                spec.selector.word,
                _percent(layer["active_fraction"]),
                _percent(layer["multiplications_fraction"]),
                layer.get("recall") if measured is None else measured.recall[number],
                in_words(memory[number].total - memory[number].examples),
                layer["layout"],
                layer["lookup"],
            )
        )
        if layer["code"] != "none":
            hashed.append(_hashing(name, layer, spec.selector.to_dict()))
        n_inputs = spec.n
    whose = "the last epoch's rows" if measured is None else measured.rows
    heads: tuple[str, ...] = (
        "layer", "inputs → neurons", "selector", "active", "of dense",
        "recall", "memory", "weights by", "lookup",
    )  # fmt: skip
    found = [
        Table(
            "What each layer keeps and costs",
            "The share of active neurons, and multiplications against a dense layer's, over all of "
            f"the training; the recall is on {whose}.",
            heads,
            tuple(rows),
        )
    ]
    if hashed:
        heads = (
            "layer", "code", "bits", "tables", "probes", "candidates", "re-hash", "stale",
            "load", "largest", "empty", "refused",
        )  # fmt: skip
        found.append(
            Table(
                "How they hash",
                "Candidates are neurons that an example's hashes find. Stale is the share of "
                "neurons whose hashes are behind their weights. The load is the mean of a bucket's "
                "neurons; refused are those that found theirs full.",
                heads,
                tuple(hashed),
            )
        )
    return (*found, _phases(network))


def _hashing(name: str, layer: Mapping[str, Any], selector: Mapping[str, Any]) -> tuple[Cell, ...]:
    loads = layer.get("bucket_loads") or {}
    in_bits = layer["code"] == "bits"
    return (
        name,
        layer["code"],
        selector["bits"] if in_bits else None,
        selector["tables"] if in_bits else None,
        selector["probes"] if layer["lookup"] == "tables" else None,
        layer["candidates"],
        layer.get("rehash"),
        _percent(layer.get("staleness")),
        loads.get("mean"),
        loads.get("max"),
        _percent(loads.get("empty")),
        layer.get("overflow") if loads else None,
    )


def _phases(network: Network) -> Table:
    report = network.report()
    counted, examples = report.summary["multiplications"], max(1, report.summary["examples"])
    total = max(1.0, sum(report.dense.values()))
    rows = [
        (
            phase,
            round(counted[phase] / examples),
            round(report.dense[phase]) if phase in report.dense else None,
            _percent(counted[phase] / examples / total),
        )
        for phase in PHASES
    ]
    return Table(
        "Where its multiplications are",
        "Per example of the training, hashing included.",
        ("phase", "multiplications", "dense network", "of dense total"),
        tuple(rows),
    )


def _neurons(network: Network, measured: Measured | None) -> Section:
    figures = [bucket_loads(network)]
    tables: tuple[Table, ...] = ()
    missing = ""
    if measured is not None:
        figures.append(neuron_usage(network, measured.usage))
        tables = (_usage_table(network, measured),)
    else:
        missing = "Which neurons are used is known with data only: --data names some."
    sentence = "How evenly hashes spread the neurons, and rows use them."
    if choosing(network) and not figures[0].line_names():
        sentence += " No layer has buckets: codes are compared, or all neurons evaluated."
    return Section("neurons", "Buckets and neurons", sentence, _drawn(figures), tables, missing)


def _usage_table(network: Network, measured: Measured) -> Table:
    rows = []
    for name, shares in zip(layer_names(network), measured.usage, strict=True):
        unused = int((shares == 0).sum())
        rows.append(
            (
                name,
                len(shares),
                _percent(shares.mean()),
                _percent(float(np.median(shares))),
                _percent(shares.max()),
                unused,
                _percent(unused / len(shares)),
            )
        )
    heads = (
        "layer",
        "neurons",
        "mean use",
        "median",
        "busiest neuron",
        "never used",
        "of the layer",
    )
    return Table("Use of the neurons", f"On {measured.rows}.", heads, tuple(rows))


def _history(network: Network) -> Table:
    records = whole_epochs(network)
    scores = [key for key in SCORES if any(record.get(key) is not None for record in records)]
    rows = [
        (
            record["epoch"],
            record["loss"],
            *(_score(key, record.get(key)) for key in scores),
            _percent(record["active_fraction"]),
            _percent(record["multiplications_fraction"]),
            record.get("selection_recall"),
            record["learning_rate"],
            record["examples"],
        )
        for record in records
    ]
    heads = (
        "epoch", "loss", *(SCORES[key][0] for key in scores), "active",
        "of dense", "recall", "learning rate", "examples",
    )  # fmt: skip
    sentence = "Of dense: multiplications against those of the dense network."
    return Table("Epoch by epoch", sentence, heads, tuple(rows))


def _score(key: str, value: float | None) -> Cell:
    return value if key == "r2" else _percent(value)


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.2f} %"


def _memory_of_layers(network: Network) -> list[Memory]:
    sizes = [network.n_inputs, *(layer.n for layer in network.layers)]
    return [
        needed(n_in, [layer], network.optimizer, arrangement=[way])
        for n_in, layer, way in zip(sizes, network.layers, network.arrangement(), strict=False)
    ]


def _loading(network: Network, path: str) -> str:
    asked = "predict_topk(X, k=5)" if network.loss == "logistic" else "predict(X)"
    lines = ["from hashgrad import load", f"net = load({path!r})"]
    if IN_EXTRA in network.extra:
        lines[0] = "from hashgrad import datasets, load"
        lines.append(f"X = datasets.Weighting.from_dict(net.extra[{IN_EXTRA!r}]).apply(X)")
    lines.append(f"answers = net.{asked}  # X: (n, {network.n_inputs})")
    return "\n".join(lines)
