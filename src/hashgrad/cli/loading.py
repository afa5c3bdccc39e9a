"""Data and models that the options name, checked against each other."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

import hashgrad
from hashgrad import datasets
from hashgrad.datasets import Dataset, Weighting
from hashgrad.datasets.weighting import IN_EXTRA

from .reading import Reading

WEIGHTING = IN_EXTRA
LOSSES = {"classification": "softmax", "multilabel": "logistic", "regression": "squared"}
TASKS = {loss: task for task, loss in LOSSES.items()}


def losses_of(task: str) -> tuple[str, ...]:
    """The losses that go with a task, the usual one first."""
    return (LOSSES[task], "softmax") if task == "multilabel" else (LOSSES[task],)


def load_data(
    source: str,
    test: str | None = None,
    *,
    reading: Reading,
    task: str | None = None,
    network: hashgrad.Network | None = None,
    growing: bool = False,
) -> Dataset:
    """The data set that a name or a path names.

    Args:
        source: the name or path.
        test: a file with its test rows, or the share of the rows to hold out; None takes its own.
        reading: how files are read.
        task: what the targets mean; None reads it off them, or takes the network's.
        network: the network they are for: fixes the width, the task and the classes.
        growing: the data may have more labels than the network.

    Raises:
        OSError: a file cannot be read.
        ValueError: an unknown name, a file that is not what it should be, or data that do not go
            with each other or with the network.
    """
    settings = {"test": test, **reading.settings(source, network)}
    if test is not None and not Path(test).exists():
        with contextlib.suppress(ValueError):
            settings["test"] = float(test)
    if network is not None:
        task = network.extra.get("task")  # or what its user keeps there
        if task not in LOSSES or network.loss not in losses_of(task):
            task = TASKS[network.loss]
        settings["n_features"] = network.n_inputs
    if source not in datasets.names():
        settings["task"] = task
        if network is not None:
            settings["classes"] = network.extra.get("classes")
    data = datasets.load(source, **settings)
    if task is not None and data.task != task:
        raise ValueError(f"the data must be for {task}, got {data.name}, a {data.task}")
    if network is not None and data.n_outputs > network.n_outputs and not growing:
        raise ValueError(
            f"{data.name} must have at most the model's {network.n_outputs} outputs, "
            f"got {data.n_outputs}"
        )
    return data if network is None else weighted(data, weighting_of(network))


def weighting_of(network: hashgrad.Network) -> Weighting | None:
    """The weighting that a model was trained with; None if its rows were taken as they are."""
    kept = network.extra.get(WEIGHTING)
    return None if kept is None else Weighting.from_dict(kept)


def weighted(data: Dataset, weighting: Weighting | None) -> Dataset:
    """The set with its rows weighted."""
    if weighting is None:
        return data
    test = None if data.x_test is None else weighting.apply(data.x_test)
    return replace(data, x_train=weighting.apply(data.x_train), x_test=test)


def judged(data: Dataset) -> tuple[Any, Any]:
    """The test rows where a set has some, else all its rows: `(X, y)`."""
    if data.x_test is not None:
        return data.x_test, data.y_test
    return data.x_train, data.y_train


def load_rows(source: str, network: hashgrad.Network, reading: Reading) -> Any:
    """The rows to predict: a `.npy` matrix, or those of a data set that would be judged."""
    if Path(source).suffix != ".npy":
        return judged(load_data(source, reading=reading, network=network))[0]
    try:
        rows = np.load(source, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{source}: not a whole .npy file of numbers") from error
    weighting = weighting_of(network)
    return rows if weighting is None else weighting.apply(rows)


def outcome(network: hashgrad.Network, x: Any, y: Any, exact: bool = False) -> dict[str, float]:
    """The network's scores on some rows; indicators are widened to all of its outputs."""
    return network.evaluate(x, widened(network, y), exact=exact)


def widened(network: hashgrad.Network, y: Any) -> Any:
    """An indicator matrix as wide as the network: a file may lack the last labels."""
    if len(y.shape) == 1 or y.shape[1] == network.n_outputs or network.loss == "squared":
        return y
    y = y.copy()
    y.resize((y.shape[0], network.n_outputs))
    return y


def labels(network: hashgrad.Network) -> list[Any] | None:
    """What the outputs stand for; None where each stands for its own number."""
    names = cast("list[Any] | None", network.extra.get("classes"))
    if names is not None and len(names) != network.n_outputs:
        raise ValueError(
            f"extra['classes'] must name each of the model's {network.n_outputs} labels, "
            f"got {len(names)} names"
        )
    return names
