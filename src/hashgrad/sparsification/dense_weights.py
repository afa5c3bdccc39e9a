"""Weights of a trained dense network, whichever library holds them: read once, as plain arrays.

The classes are the outputs. A network with one output, whose sign tells two classes apart, becomes
one with two outputs, the first always 0: the same answers and the same probabilities.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import Choice, shown, wrong_type

Floats = NDArray[np.float32]
ACTIVATIONS = Choice(("relu", "tanh", "sigmoid", "linear"))
_SUFFIXES = (".safetensors", ".npz")
_SCIKIT = {"relu": "relu", "tanh": "tanh", "logistic": "sigmoid", "identity": "linear"}


@dataclass(frozen=True)
class DenseWeights:
    """A dense network: `a(W x + b)` layer by layer, the last one linear.

    Attributes:
        weights: of each layer, (outputs, inputs).
        biases: of each layer, (outputs,).
        activations: of each hidden layer, a word of `hashgrad.Dense`.
        classes: what the outputs stand for; None for their numbers.
        source: where they came from, in words.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    activations: tuple[str, ...]
    classes: tuple[Any, ...] | None = None
    source: str = "arrays"

    @property
    def n_inputs(self) -> int:
        """Columns of the input."""
        return int(self.weights[0].shape[1])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons of each layer, the outputs last."""
        return tuple(len(bias) for bias in self.biases)

    @property
    def hidden(self) -> tuple[int, ...]:
        """Neurons of each hidden layer."""
        return self.sizes[:-1]

    @property
    def words(self) -> str:
        """The sizes, as in `784-1000-10`."""
        return "-".join(str(n) for n in (self.n_inputs, *self.sizes))

    def scores(self, X: Any) -> Floats:
        """Raw outputs (n, outputs), computed by NumPy; X is (n, n_inputs), or a SciPy matrix."""
        h = X
        for W, b, activation in zip(
            self.weights, self.biases, (*self.activations, "linear"), strict=True
        ):
            h = activate(np.asarray(h @ W.T) + b, activation)
        return np.asarray(h, dtype=np.float32)


def activate(z: Floats, activation: str) -> Floats:
    """The activation of z.

    >>> activate(np.float32([-1.0, 2.0]), "relu").tolist()
    [0.0, 2.0]
    """
    if activation == "relu":
        return np.maximum(z, 0)
    if activation == "tanh":
        return np.tanh(z)
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(z, -80, 80))), dtype=np.float32)
    return z


def read(model: Any, activation: str = "relu") -> DenseWeights:
    """Read a trained dense network.

    Args:
        model: a PyTorch module of linear layers; a fitted scikit-learn `MLPClassifier`; the path of
            a safetensors or .npz file, or a mapping, with a matrix (outputs, inputs) and a vector
            for each layer, `*.weight` and `*.bias`; or a sequence of pairs `(W, b)`.
        activation: of all hidden layers, where the model does not say: arrays and files.

    Raises:
        TypeError: a model of another kind.
        ValueError: layers that are not of this kind, or do not fit one on another; the message
            names the module or the array.
        OSError: the file cannot be read.

    Example:
        >>> read([(np.ones((3, 2)), np.zeros(3)), (np.ones((2, 3)), np.zeros(2))]).words
        '2-3-2'
    """
    ACTIVATIONS.check("activation", activation)
    if isinstance(model, (str, os.PathLike)):
        return of_arrays(_stored(Path(model)), activation, str(model))
    if isinstance(model, Mapping):
        return of_arrays(model, activation)
    from . import torch_modules

    if torch_modules.is_module(model):
        return torch_modules.read(model)
    if hasattr(model, "coefs_") or hasattr(model, "hidden_layer_sizes"):
        return _of_scikit(model)
    if isinstance(model, Sequence):
        pairs = [_pair(number, pair) for number, pair in enumerate(model)]
        return built(pairs, [activation] * (len(pairs) - 1))
    rule = "a PyTorch module, a fitted MLPClassifier, a path, a mapping of arrays or (W, b) pairs"
    raise wrong_type("model", rule, model)


def built(
    layers: Sequence[tuple[Any, Any]],
    activations: Sequence[str],
    classes: Sequence[Any] | None = None,
    source: str = "arrays",
) -> DenseWeights:
    """Weights from each layer's (W, b), checked; one output becomes two.

    Raises:
        TypeError: an array that does not hold numbers.
        ValueError: shapes that do not fit, NaN or infinity, or no hidden layer.
    """
    weights = [_numbers(f"the weight of layer {n}", W, 2) for n, (W, _) in enumerate(layers)]
    biases = [_numbers(f"the bias of layer {n}", b, 1) for n, (_, b) in enumerate(layers)]
    for number, (W, b) in enumerate(zip(weights, biases, strict=True)):
        if len(b) != len(W):
            raise ValueError(
                f"the bias of layer {number} must have one number for each of its {len(W)} rows "
                f"of weights (outputs, inputs), got {len(b)}"
            )
    for number, (below, above) in enumerate(itertools.pairwise(weights), 1):
        if above.shape[1] != len(below):
            raise ValueError(
                f"the weight of layer {number} must have {len(below)} columns, one for each neuron "
                f"of the layer before, got shape {above.shape}"
            )
    if len(weights) < 2:
        raise ValueError(f"model must have at least one hidden layer, got {len(weights)} layers")
    if len(weights[-1]) == 1:
        weights[-1] = np.vstack([np.zeros_like(weights[-1]), weights[-1]])
        biases[-1] = np.append(np.float32(0), biases[-1]).astype(np.float32)
    named = None if classes is None else tuple(classes)
    return DenseWeights(tuple(weights), tuple(biases), tuple(activations), named, source)


def of_arrays(arrays: Mapping[str, Any], activation: str, source: str = "arrays") -> DenseWeights:
    """Weights from arrays by name, `NAME.weight` and `NAME.bias`, in the order of their numbers.

    Raises:
        TypeError, ValueError: as `read`.
    """
    names = sorted({_stem(name) for name in arrays}, key=_natural)
    layers = []
    for name in names:
        missing = [part for part in ("weight", "bias") if f"{name}.{part}" not in arrays]
        if missing:
            raise ValueError(f"model must hold {name}.{missing[0]} beside its twin, got none")
        if np.ndim(arrays[f"{name}.weight"]) != 2:
            raise ValueError(
                f"{name}.weight must be a matrix (outputs, inputs) of a fully connected layer, got "
                f"shape {np.shape(arrays[f'{name}.weight'])}"
            )
        layers.append((arrays[f"{name}.weight"], arrays[f"{name}.bias"]))
    return built(layers, [activation] * (len(layers) - 1), source=source)


def _stem(name: str) -> str:
    stem, _, part = name.rpartition(".")
    if part not in ("weight", "bias"):
        raise ValueError(
            f"model must hold arrays named *.weight and *.bias of fully connected layers alone, "
            f"got {shown(name)}"
        )
    return stem


def _natural(name: str) -> list[Any]:
    """Numbers in a name count as numbers: `layers.10` comes after `layers.9`."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _stored(path: Path) -> Mapping[str, Any]:
    """The arrays of a file."""
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"model must be a file {' or '.join(_SUFFIXES)}, got {str(path)!r}")
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    with path.open("rb"):
        pass  # errors of opening are the system's own
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} must be a whole safetensors file, got: {error}") from error


def _of_scikit(model: Any) -> DenseWeights:
    kind = type(model).__name__
    if not hasattr(model, "coefs_"):
        raise ValueError(f"model must be fitted, got a {kind} that is not")
    classes = getattr(model, "classes_", None)
    if classes is None or model.out_activation_ == "identity":
        raise ValueError(f"model must be a classifier, got {kind}")
    outputs = model.coefs_[-1].shape[1]
    if model.out_activation_ == "logistic" and outputs > 1:
        raise ValueError(f"model must choose one class a row, got {outputs} independent labels")
    if model.activation not in _SCIKIT:
        raise ValueError(f"model's activation must be one of {[*_SCIKIT]}, got {model.activation}")
    layers = [(W.T, b) for W, b in zip(model.coefs_, model.intercepts_, strict=True)]
    hidden = [_SCIKIT[model.activation]] * (len(layers) - 1)
    return built(layers, hidden, np.asarray(classes).tolist(), kind)


def _pair(number: int, pair: Any) -> tuple[Any, Any]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise wrong_type(f"model[{number}]", "a pair (W, b) of arrays", pair)
    return pair[0], pair[1]


def _numbers(name: str, value: Any, n_dimensions: int) -> Floats:
    try:
        array = np.ascontiguousarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        raise wrong_type(name, "an array of numbers", value) from None
    if array.ndim != n_dimensions or array.size == 0:
        raise ValueError(
            f"{name} must have {n_dimensions} dimensions and no empty one, got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        where = tuple(int(at) for at in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[where]} at {list(where)}")
    return array
