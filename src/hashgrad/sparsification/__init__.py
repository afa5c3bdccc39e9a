"""A trained dense network made sparse, where that pays: `hashgrad.sparsify`."""

from __future__ import annotations

import sys
import warnings
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import Interval, shown, wrong_type
from ..data import Inputs, as_inputs, is_sparse
from ..frames import column_names, is_frame
from . import latency, torch_modules
from .dense_weights import DenseWeights, read
from .networks import EXACT, make
from .result import Point, Sparsified, Stated
from .search import Search, halves

__all__ = ["Point", "Sparsified", "Stated", "sparsify"]

_DROP = Interval(0, 100, closed="neither")
_SEED = Interval(0, 2**63 - 1, integer=True)
_FEWEST = 4  # rows
_COMPARED = 64  # rows on which a module must answer as its weights do


def sparsify(
    model: Any,
    sample: Any,
    max_drop: float = 0.5,
    *,
    activation: str = "relu",
    seed: int = 0,
    progress: bool = False,
    stopwatch: latency.Stopwatch = latency.seconds,
) -> Sparsified:
    """Make a trained dense network sparse: the fewest neurons that answer as well, found fast.

    Half of the sample chooses the share of each hidden layer and how its neurons are found, by
    accuracy and by the latency of single rows on this machine. The other half judges what is
    returned: the fastest network that loses at most `max_drop` there too. Where no sparse network
    within `max_drop` is at least 1.25 times faster than the dense one, the verdict is to leave it
    dense.

    Args:
        model: a PyTorch `nn.Sequential` of linear layers and ReLU, Tanh or Sigmoid; another module
            whose layers run in the order in which they were made; a fitted scikit-learn
            `MLPClassifier`; the path of a safetensors or .npz file, or a mapping, with `*.weight`
            (outputs, inputs) and `*.bias` of each layer; or a list of pairs `(W, b)`.
        sample: `(X, y)`, or X alone: then agreement with the model's own answers is measured. X is
            (n, n_inputs), y the n labels. Take rows that the model was not trained on: it knows
            those too well. 0.5 points can be told from some thousands.
        max_drop: points of accuracy (hundredths) that may be lost, in (0, 100): of the rows that
            judge, the drop as measured, its standard error stated beside it.
        activation: of the hidden layers, where the model does not say: arrays and files.
        seed: of the cut of the sample and of hash functions.
        progress: whether to tell on standard error what is being measured.
        stopwatch: takes functions of one row and rows, and gives the seconds of each; by default
            this machine's clock.

    Returns:
        The network, the verdict and its reason, the curve; `report` is all of it in a few lines.

    Raises:
        TypeError: a model or a sample of another kind.
        ValueError: a model that is no fully connected classifier (the message names the module), or
            a sample that does not go with it.
        OSError: the file cannot be read.

    Example:
        >>> import numpy as np
        >>> from hashgrad import sparsify
        >>> random = np.random.default_rng(0)
        >>> model = [(random.normal(size=(n, m)), np.zeros(n)) for n, m in ((32, 8), (3, 32))]
        >>> result = sparsify(model, random.normal(size=(400, 8)), max_drop=1.0)
        >>> result.verdict
        'leave it dense'
        >>> bool((result.network.predict(np.eye(8)) >= 0).all())
        True

    Source: the exact selection is winner-take-all after Makhzani and Frey (2015); its estimate by
    hashing, Spring and Shrivastava (2016), arXiv 1602.08194.
    """
    max_drop = _DROP.check("max_drop", max_drop)
    seed = _SEED.check("seed", seed)
    weights = read(model, activation)
    X, y = sample if isinstance(sample, tuple) and len(sample) == 2 else (sample, None)
    _check_columns(model, X)
    inputs = _rows(X, weights)
    _check_answers(model, weights, inputs)
    right = _outputs(y, weights, inputs)

    def say(text: str) -> None:
        if progress:
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    search = Search(
        weights,
        *halves(inputs, right, seed),
        max_drop=max_drop,
        seed=seed,
        stopwatch=stopwatch,
        say=say,
    )
    with warnings.catch_warnings():  # scikit-learn's, of single rows that have no names any more
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return search.run(_given(model), labels=y is not None)


def _check_columns(model: Any, X: Any) -> None:
    """Raise ValueError unless a frame has the columns that a scikit-learn model was fitted on."""
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is None or not is_frame(X):
        return
    names = column_names(X, "X")
    if names != list(fitted):
        pairs = zip_longest(names, fitted)
        got, due = next((got, due) for got, due in pairs if got != due)
        raise ValueError(
            f"X must have the columns that the model was fitted on, in their order: {due!r} is due "
            f"where {got!r} stands"
        )


def _rows(X: Any, weights: DenseWeights) -> Inputs:
    if not is_sparse(X) and not is_frame(X):
        X = np.asarray(X)
        X = X.reshape(len(X), -1) if X.ndim > 2 else X  # pictures
    inputs = as_inputs(X, weights.n_inputs)
    if inputs.n_rows < _FEWEST:
        raise ValueError(f"sample must have at least {_FEWEST} rows, got {inputs.n_rows}")
    return inputs


def _check_answers(model: Any, weights: DenseWeights, inputs: Inputs) -> None:
    """Raise ValueError unless the model answers as the weights do that were read off it."""
    rows = np.stack(latency.rows_of(inputs.matrix, _COMPARED))
    if torch_modules.is_module(model) and not torch_modules.agrees(model, weights, rows):
        raise ValueError(
            "model must be its linear layers one after the other, with an activation between each "
            f"two, got {type(model).__name__}, which answers otherwise: give an nn.Sequential"
        )


def _outputs(y: Any, weights: DenseWeights, inputs: Inputs) -> NDArray[np.int64]:
    """The right output of each row: by the labels, or by the model's own answers."""
    if y is None:
        plain = [EXACT] * len(weights.hidden)
        dense = make(weights, weights.hidden, plain, inputs, 0)
        return np.asarray(dense._best(inputs, False), dtype=np.int64)
    labels = np.asarray(y)
    if labels.shape != (inputs.n_rows,):
        raise ValueError(
            f"y must have one label for each of the {inputs.n_rows} rows of X, got shape "
            f"{labels.shape}"
        )
    n = weights.sizes[-1]
    if weights.classes is None:
        if labels.dtype.kind not in "biu":
            raise wrong_type("y", "an array of integers, the numbers of outputs", y)
        if labels.min() < 0 or labels.max() >= n:
            wrong = labels[(labels < 0) | (labels >= n)][0]
            raise ValueError(f"y must be in [0, {n - 1}], the model's outputs, got {wrong}")
        return labels.astype(np.int64)
    places = {label: place for place, label in enumerate(weights.classes)}
    try:
        return np.array([places[label] for label in labels.tolist()], dtype=np.int64)
    except KeyError as error:
        raise ValueError(
            f"y must hold the model's classes {shown(list(places))}, got {error.args[0]!r}"
        ) from None


def _given(model: Any) -> latency.Answer | None:
    """A function that has the model as given answer one row; None if it holds weights alone."""
    if torch_modules.is_module(model):
        return torch_modules.answer(model)
    if hasattr(model, "coefs_"):
        return lambda row: model.predict(row[None])
    return None
