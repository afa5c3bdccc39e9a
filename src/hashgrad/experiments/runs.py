"""One training run of the experiments: what it is, and what comes out of it.

A run is named by its settings alone. Equal runs give equal results (seconds aside) on the same
instruction set where their layers are arranged alike, which `arrangement` tells: each trains on one
thread unless it asks for more, and what LSH looks up in does not depend on the machine.
"""

from __future__ import annotations

import functools
import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hashgrad import SGD, Cosine, Dense, Network, datasets

from .methods import selector

VALIDATION = 6  # one in so many training rows is held out where rates are picked
GENERATED = ("convex", "rectangles", "rectangles-image")
PROGRAM = "python -m hashgrad.experiments"  # repeats a run, by its key
WARMUP = 0.1  # epochs over which the rate rises to its full size


@dataclass(frozen=True)
class Run:
    """One training run.

    Args:
        data: a named data set.
        depth: hidden layers.
        method: `NN`, `VD`, `AD`, `WTA` or `LSH`.
        share: of the neurons kept in every hidden layer.
        rate: of plain SGD on single examples, falling to zero along a cosine.
        examples: to train on in all, in whole epochs, at least one.
        width: neurons of a hidden layer.
        rows: training rows to use, from the first; None is all.
        judged: test rows to judge by, likewise.
        seed: of everything random.
        validate: whether a sixth of the training rows is held out and judged instead of the test
            rows.
        by_epoch: whether to judge after every epoch, not only at the end.
        threads: real threads, without locks.
        workers: workers to simulate on one thread; 0 simulates none.
        lsh: other arguments of `hashgrad.LSH`, as pairs.
    """

    data: str
    depth: int
    method: str
    share: float
    rate: float
    examples: int
    width: int = 1000
    rows: int | None = None
    judged: int | None = None
    seed: int = 0
    validate: bool = False
    by_epoch: bool = False
    threads: int = 1
    workers: int = 0
    lsh: tuple[tuple[str, Any], ...] = field(default=())

    @property
    def key(self) -> str:
        """The run's name in the results: its settings, in a fixed order."""
        return json.dumps({**asdict(self), "lsh": dict(self.lsh)}, sort_keys=True)

    @property
    def command(self) -> str:
        """What repeats this run by itself."""
        return f"{PROGRAM} '{self.key}'"

    @classmethod
    def from_key(cls, key: str) -> Run:
        """The run of that name.

        >>> run = Run("mnist", 2, "LSH", 0.05, 0.01, 1000, lsh=(("center", False),))
        >>> Run.from_key(run.key) == run
        True
        """
        settings = json.loads(key)
        return cls(**{**settings, "lsh": tuple(sorted(settings["lsh"].items()))})

    def __str__(self) -> str:
        how = f"{self.method}" if self.method == "NN" else f"{self.method} {100 * self.share:g} %"
        words = [self.data, f"{self.depth} × {self.width}", how, f"rate {self.rate:g}"]
        if self.workers:
            words.append(f"{self.workers} workers")
        if self.threads > 1:
            words.append(f"{self.threads} threads")
        words += [f"{name} {value}" for name, value in self.lsh]
        return f"{', '.join(words)}, seed {self.seed}{', validation' if self.validate else ''}"


@functools.lru_cache(maxsize=2)
def _loaded(name: str, rows: int | None, judged: int | None) -> datasets.Dataset:
    if name in GENERATED:  # no more than is asked for
        return datasets.load(name, train_size=rows, test_size=judged)
    data = datasets.load(name)
    return data.first_rows(
        None if rows is None else min(rows, len(data.y_train)),
        None if judged is None else min(judged, len(data.y_test) if data.y_test is not None else 0),
    )


def data_of(run: Run) -> tuple[Any, Any, Any, Any]:
    """Rows and labels to train on, and rows and labels to judge by."""
    data = _loaded(run.data, run.rows, run.judged)
    x, y = data.x_train, data.y_train
    if not run.validate:
        return x, y, data.x_test, data.y_test
    apart = np.arange(len(y)) % VALIDATION == VALIDATION - 1
    return x[~apart], y[~apart], x[apart], y[apart]


def untrained(run: Run) -> Network:
    """The network of a run, before it is trained."""
    data = _loaded(run.data, run.rows, run.judged)
    hidden = [
        Dense(run.width, active=selector(run.method, run.share, dict(run.lsh)))
        for _ in range(run.depth)
    ]
    net = Network(
        data.n_features,
        [*hidden, Dense(data.n_outputs)],
        optimizer=SGD(run.rate),
        schedule=Cosine(warmup=WARMUP),
        threads=run.threads,
        seed=run.seed,
    )
    net.simulated_workers = run.workers
    return net


def fit(net: Network, x: Any, y: Any, epochs: int, validation: Any = None) -> None:
    """Train to the end.

    Raises:
        KeyboardInterrupt: Ctrl-C, which a network's own `fit` takes as a wish to stop and go on.
    """
    net.fit(x, y, epochs=epochs, validation=validation)
    if net.interrupted:
        raise KeyboardInterrupt


def train(run: Run) -> dict[str, Any]:
    """Train, judge, and say what it cost.

    Returns:
        `accuracy` (0 if the loss became infinite, which `diverged` tells), `by_epoch`, the shares
        of neurons and multiplications, multiplications per example by phase, each layer's recall,
        and `seconds` of training.
    """
    x, y, x_judged, y_judged = data_of(run)
    net = untrained(run)
    epochs = max(1, round(run.examples / len(y)))
    found: dict[str, Any] = {"epochs": epochs, "examples": epochs * len(y), "diverged": False}
    start = time.perf_counter()
    try:
        fit(net, x, y, epochs, (x_judged, y_judged) if run.by_epoch else None)
    except FloatingPointError:
        return {**found, "diverged": True, "accuracy": 0.0, "seconds": time.perf_counter() - start}
    accuracy = (
        net.history[-1]["accuracy"]
        if run.by_epoch
        else net.evaluate(x_judged, y_judged)["accuracy"]
    )
    report = net.report().to_dict()
    counted = report["multiplications"]
    hidden = report["layers"][:-1]
    return {
        **found,
        "accuracy": accuracy,
        "by_epoch": [record["accuracy"] for record in net.history] if run.by_epoch else [],
        "seconds": net.history[-1]["seconds"],
        "active_fraction": report["active_fraction"],
        "multiplications_fraction": report["multiplications_fraction"],
        "multiplications": {name: n / found["examples"] for name, n in counted.items()},
        "recall": [layer.get("recall") for layer in hidden],
        "arrangement": [
            f"{way['lookup']} {way['code']} by {way['layout']}" for way in net.arrangement()
        ],
    }
