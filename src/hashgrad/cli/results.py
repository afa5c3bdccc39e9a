"""What the commands found out, as JSON-able values and as words for people."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hashgrad import LSH, Network, __version__, _core
from hashgrad.datasets import Dataset
from hashgrad.memory import in_words, peak_memory_bytes
from hashgrad.metrics import SCORES

from .loading import outcome
from .source import StreamedData


def circumstances(network: Network, arguments: Sequence[str]) -> dict[str, Any]:
    """What another person needs to know to repeat a command."""
    return {
        "version": __version__,
        "command": shlex.join(["hashgrad", *arguments]),
        "seed": network.seed,
        "threads": network.threads or _core.hardware_threads(),
        "simd": _core.simd_level(),
        "peak_memory_bytes": peak_memory_bytes(),
    }


def training_result(
    network: Network,
    data: Dataset | StreamedData,
    arguments: Sequence[str],
    resumed_from_epoch: int | None,
    examples_before: int,
) -> dict[str, Any]:
    """What `train --json` holds; the scores are those on the test rows.

    Args:
        network: trained just now.
        data: what it was trained on.
        arguments: the words of the command line.
        resumed_from_epoch: epochs done when the command began; None without `--resume`.
        examples_before: examples done by then. Files keep no clock, so that `train_seconds` is of
            this command alone, and `examples_per_second` must leave out what came before.
    """
    clock = [record.get("seconds") for record in network.history]
    seconds = (clock[-1] if clock else None) or 0.0
    report = network.report().to_dict()
    examples = report["examples"] - examples_before
    whole = [record for record in network.history if not record.get("partial")]
    scores: dict[str, Any] = {"accuracy": None}
    if data.x_test is not None and network.history:
        scores |= outcome(network, data.x_test, data.y_test)
    return {
        **scores,
        "multiplications_fraction": report["multiplications_fraction"],
        "active_fraction": report["active_fraction"],
        "selection_recall": whole[-1]["selection_recall"] if whole else None,
        "train_seconds": seconds,
        "examples_per_second": examples / seconds if seconds > 0 else 0.0,
        "parameters": network.n_parameters,
        "memory": network.memory().to_dict(),
        "epochs": network.epochs,
        "resumed_from_epoch": resumed_from_epoch,
        "interrupted": network.interrupted,
        **circumstances(network, arguments),
        "data": {
            "name": data.name,
            "task": data.task,
            "train_rows": data.n_rows,
            "test_rows": 0 if data.x_test is None else int(data.x_test.shape[0]),
            "features": data.n_features,
            "outputs": data.n_outputs,
        },
        "network": network.specification(),
        "multiplications": report["multiplications"],
        "layers": report["layers"],
        "prediction": report.get("prediction"),
        "history": network.history,
    }


def prediction_cost(network: Network, rows: int, seconds: float) -> dict[str, Any]:
    """What predicting some rows took, all predictions since the model was loaded counted."""
    counted = network.report().to_dict()["prediction"]
    return {
        "rows": rows,
        "seconds": seconds,
        "examples_per_second": rows / seconds,
        "multiplications_fraction": counted["multiplications_fraction"],
    }


def in_short(cost: Mapping[str, Any]) -> str:
    """A prediction's cost in one line."""
    return (
        f"{cost['rows']:,} rows in {cost['seconds']:.2f} s "
        f"({cost['examples_per_second']:,.0f} examples/s), "
        f"multiplications {cost['multiplications_fraction']:.2%} of dense"
    )


def shape(network: Network) -> str:
    """A network in one line."""
    sizes = "-".join(str(n) for n in (network.n_inputs, *(layer.n for layer in network.layers)))
    selectors = [
        layer.selector.word
        + ("" if layer.selector.fraction == 1 else f" {layer.selector.fraction:.1%}")
        for layer in network.layers
    ]
    return (
        f"{sizes} ({', '.join(selectors)}), {network.loss}: {network.n_parameters:,} parameters, "
        f"{network.optimizer.word}, threads {network.threads or _core.hardware_threads()}, "
        f"{_core.simd_level()}"
    )


def quality(scores: Mapping[str, Any]) -> str:
    """The scores in words; empty if there are none."""
    found = [
        f"{name} {form.format(scores[key])}"
        for key, (name, form) in SCORES.items()
        if scores.get(key) is not None
    ]
    return "  ".join(found)


def summary(result: Mapping[str, Any]) -> str:
    """A training's result in two lines, or three with some advice."""
    judged = quality(result)
    recall = result["selection_recall"]
    what = [
        f"test {judged}" if judged else "no test rows, so no accuracy: --test names some",
        f"multiplications {result['multiplications_fraction']:.2%} of dense",
        f"active {result['active_fraction']:.2%}",
        *([] if recall is None else [f"recall {recall:.3f}"]),
    ]
    before = result["resumed_from_epoch"]
    partial = bool(result["history"]) and bool(result["history"][-1].get("partial"))
    cost = (
        f"{epochs_done(result['epochs'], partial)}"
        f"{f' ({before} of them before)' if before else ''}, "
        f"{result['train_seconds']:.1f} s of training "
        f"({result['examples_per_second']:,.0f} examples/s), "
        f"peak memory {in_words(result['peak_memory_bytes'])}"
    )
    lines = ["  ".join(what), cost]
    hashed = any(layer["active"]["name"] == LSH.word for layer in result["network"]["layers"])
    if hashed and result["multiplications_fraction"] > 1:
        lines.append("hashing costs more than it saves here: wider layers, or --selector dense")
    return "\n".join(lines)


def epochs_done(whole: int, partial: bool = False) -> str:
    """How far a training came, in words.

    Args:
        whole: epochs finished.
        partial: whether a part of one more was done.

    >>> epochs_done(15), epochs_done(1, partial=True), epochs_done(0, partial=True)
    ('15 epochs', '1 epoch and a part of the 2nd', 'a part of the 1st epoch')
    """
    words = f"{whole} epoch{'' if whole == 1 else 's'}"
    if not partial:
        return words
    number = str(whole + 1)
    endings = {} if number[-2:] in ("11", "12", "13") else {"1": "1st", "2": "2nd", "3": "3rd"}
    ordinal = number[:-1] + endings.get(number[-1], number[-1] + "th")
    return f"{words} and a part of the {ordinal}" if whole else f"a part of the {ordinal} epoch"
