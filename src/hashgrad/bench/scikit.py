"""Runs of scikit-learn's multilayer perceptron."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

from .data import load


def training(
    data: str, hidden: list[int], how: Mapping[str, Any], seed: int, threads: int
) -> dict[str, Any]:
    """Fit on float32 rows, as fast as it goes, and judge once.

    Args:
        data: a named set.
        hidden: sizes of the hidden layers.
        how: further arguments of `MLPClassifier`.
        seed: its random state.
        threads: of the linear algebra underneath, set before the process began.

    Returns:
        `points`: seconds and test accuracy at the end.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    x, y, x_test, y_test = load(data)
    model = MLPClassifier(tuple(hidden), random_state=seed, **how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs is meant
        start = time.perf_counter()
        model.fit(x, y)
        seconds = time.perf_counter() - start
    return {"points": [(seconds, float(model.score(x_test, y_test)))], "threads": threads}
