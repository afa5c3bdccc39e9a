"""Runs of hashgrad, by the interface that users have."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import hashgrad
from hashgrad import LSH, SGD, Dense, Linear, Network

from .data import load

Settings = Mapping[str, Any]


def network(
    n_inputs: int, n_outputs: int, hidden: list[int], threads: int, seed: int, how: Settings
) -> Network:
    """The network of a run.

    Args:
        n_inputs: columns of the data.
        n_outputs: classes.
        hidden: sizes of the hidden layers.
        threads: threads.
        seed: of everything random.
        how: `kept` neurons of each layer (one number, or one a layer), and perhaps `candidates`,
            `rate`, `known`, `batch_size`, `layouts` and `lookups` (one a layer).
    """
    kept = how["kept"] if isinstance(how["kept"], list) else [how["kept"]] * len(hidden)
    layouts = how.get("layouts") or ["auto"] * len(hidden)
    lookups = how.get("lookups") or ["auto"] * len(hidden)
    layers = [
        Dense(
            n,
            active=LSH(k / n, candidates=how.get("candidates"), lookup=lookup),
            layout=layout,
        )
        for n, k, layout, lookup in zip(hidden, kept, layouts, lookups, strict=True)
    ]
    return Network(
        n_inputs,
        [*layers, Dense(n_outputs)],
        optimizer=SGD(how.get("rate", 0.03)),
        schedule=Linear(warmup=how.get("warmup", 0.0)),
        known=how.get("known"),
        batch_size=how.get("batch_size", 1),
        threads=threads,
        seed=seed,
    )


class _Judge:
    """A watcher of `fit` that judges on the test rows a few times an epoch, its clock stopped."""

    def __init__(self, net: Network, x: Any, y: Any, an_epoch: int, judged: int) -> None:
        self.net, self.x, self.y = net, x, y
        self.an_epoch, self.every = an_epoch, max(1, an_epoch // judged)
        self.points: list[tuple[float, float]] = []
        self.examples = 0
        self.began = time.perf_counter()
        self.judging = 0.0

    def start(self, total_examples: int, epochs: int, first_epoch: int = 1) -> None:
        """Nothing: the clock runs since before `fit`."""

    def update(self, examples: int, loss: float) -> None:
        """Judge after every so many examples."""
        before, self.examples = self.examples, self.examples + examples
        ends = self.examples % self.an_epoch == 0  # `epoch` judges then
        if before // self.every != self.examples // self.every and not ends:
            self._judge()

    def epoch(self, record: Any) -> None:
        """Judge at the end of an epoch, where hashes are tidied up."""
        self._judge()

    def stop(self) -> None:
        """Nothing."""

    def _judge(self) -> None:
        now = time.perf_counter()
        accuracy = self.net.evaluate(self.x, self.y)["accuracy"]
        self.points.append((now - self.began - self.judging, accuracy))
        self.judging += time.perf_counter() - now


def training(
    data: str, hidden: list[int], how: Settings, seed: int, threads: int, judged: int = 4
) -> dict[str, Any]:
    """Train, and judge four times an epoch; the clock runs over the whole of `fit`, judging aside.

    Returns:
        `points`: seconds and test accuracy; what it cost, and how it was computed.
    """
    x, y, x_test, y_test = load(data)
    net = network(x.shape[1], int(y.max()) + 1, hidden, threads, seed, how)
    judge = _Judge(net, x_test, y_test, len(x), judged)
    net.fit(x, y, epochs=how.get("epochs", 1), progress=judge)
    report = net.report().to_dict()
    return {
        "points": judge.points,
        "multiplications_fraction": report["multiplications_fraction"],
        "learned_fraction": report["learned_fraction"],
        "selection_recall": net.history[-1]["selection_recall"],
        "arrangement": net.arrangement(),
    }


def cost(
    data: str, hidden: list[int], how: Settings, seed: int, threads: int, rows: int = 60000
) -> dict[str, Any]:
    """Seconds of training for one example, and what bounds them; the clock is the history's.

    If `how` says how many `epochs`, over all of these; else over the second of two passes, with
    everything warm.
    """
    x, y, _, _ = load(data)
    x, y = x[:rows], y[:rows]
    net = network(x.shape[1], int(y.max()) + 1, hidden, threads, seed, how)
    epochs = how.get("epochs")
    net.fit(x, y, epochs=epochs or 2)
    clock = [0.0 if epochs else net.history[0]["seconds"], net.history[-1]["seconds"]]
    return {
        "seconds": (clock[1] - clock[0]) / (epochs or 1) / len(x),
        "multiplications": net.history[-1]["multiplications"],
        "examples": len(x),
        "floor": floor(net, x),
        "arrangement": net.arrangement(),
        "meeting": hashgrad.calibration.meeting() if threads > 1 else None,
    }


def floor(net: Network, x: Any) -> dict[str, dict[str, float]]:
    """Bytes, multiplications and the least time of each phase of one training example."""
    from hashgrad.floors import of_example

    return {phase: dict(vars(cost)) for phase, cost in of_example(net, x).items()}


def train_and_save(
    data: str, hidden: list[int], how: Settings, seed: int, threads: int, path: str
) -> dict[str, Any]:
    """Train a network and save it, for the latency of its compact copy."""
    x, y, x_test, y_test = load(data)
    net = network(x.shape[1], int(y.max()) + 1, hidden, threads, seed, how)
    net.fit(x, y, epochs=how.get("epochs", 1))
    net.save(path)
    return {"accuracy": net.evaluate(x_test, y_test)["accuracy"]}


def latency(data: str, hidden: list[int], path: str, rows: int, threads: int) -> dict[str, Any]:
    """Median seconds of single predictions, of the network and of its compact copy."""
    _, _, x_test, y_test = load(data)
    net = hashgrad.load(path, threads=threads)
    assert [layer.n for layer in net.layers[:-1]] == hidden
    found = {}
    for name, model in (("float32", net), ("compact", net.compact())):
        each = [np.ascontiguousarray(row) for row in x_test[:rows]]
        for row in each[: rows // 10]:
            model.predict_one(row)
        times = []
        for row in each:
            start = time.perf_counter()
            model.predict_one(row)
            times.append(time.perf_counter() - start)
        answers = model.predict(x_test)
        found[name] = {
            "seconds": statistics.median(times),
            "accuracy": float((answers == y_test).mean()),
            "bytes": model.memory_bytes,
        }
    return found
