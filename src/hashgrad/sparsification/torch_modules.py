"""Reading PyTorch modules: what of them is a fully connected network, and what is refused.

A `Sequential` says the order of its parts. Another module keeps it in its `forward`, which is not
read: its layers are taken in the order in which they were registered, with ReLU between two linear
ones that have nothing between them; whether that is so, its answers tell (`agrees`).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..checks import shown
from .dense_weights import DenseWeights, built
from .latency import Answer

_ACTIVATIONS = {"ReLU": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}
_SILENT = ("Identity", "Dropout", "AlphaDropout", "Flatten")  # of no effect on rows in evaluation
_LAST = ("Softmax", "LogSoftmax")  # of no effect on which output is the largest
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 0.05  # of the scores' spread; of 16-bit numbers
_ALIKE = 0.99  # of the answers


def is_module(model: Any) -> bool:
    """Whether it is a PyTorch module; PyTorch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def read(model: Any) -> DenseWeights:
    """The weights of a module.

    Raises:
        ValueError: a part that is not of a fully connected network; the message names it.
    """
    parts = list(_parts(model, ""))
    implied = "linear" if type(model).__name__ == "Sequential" else "relu"
    layers: list[tuple[Any, Any]] = []
    activations: list[str | None] = []
    for number, (name, part) in enumerate(parts):
        kind = type(part).__name__
        if kind == "Linear":
            W = _array(part.weight)
            layers.append((W, np.zeros(len(W)) if part.bias is None else _array(part.bias)))
            activations.append(None)
        elif kind in _ACTIVATIONS:
            if not layers or activations[-1] is not None:
                raise _refused(name, part, "an activation must follow a Linear layer")
            activations[-1] = _ACTIVATIONS[kind]
        elif kind in _LAST:
            if number < len(parts) - 1:
                raise _refused(name, part, "softmax must come last")
        elif kind not in _SILENT:
            known = ", ".join(("Linear", *_ACTIVATIONS, *_SILENT, *_LAST))
            raise _refused(name, part, f"its parts must be of {known}")
    if layers and activations[-1] not in (None, "sigmoid" if len(layers[-1][0]) == 1 else None):
        raise _refused(name, part, "outputs must be scores, without an activation")
    hidden = [activation or implied for activation in activations[:-1]]
    return built(layers, hidden, source=f"PyTorch {type(model).__name__}")


def agrees(model: Any, weights: DenseWeights, X: Any) -> bool:
    """Whether a module gives the scores that were read off it; X is (n, n_inputs) float32.

    Where softmax or sigmoid at its end changes the scores, which of them is largest is compared.
    """
    torch = sys.modules["torch"]
    model = copy.deepcopy(model).eval()
    parameter = next(model.parameters())
    with torch.inference_mode():
        given = model(torch.from_numpy(np.array(X)).to(parameter.device, parameter.dtype))
    given, ours = _array(given), weights.scores(X)
    last = type(list(_parts(model, ""))[-1][1]).__name__
    if given.shape == (len(X), 1):
        best = given[:, 0] > (0.5 if last == "Sigmoid" else 0.0)
        return bool((best == ours.argmax(axis=1)).mean() >= _ALIKE)
    if given.shape != ours.shape:
        return False
    if last in _LAST:
        return bool((given.argmax(axis=1) == ours.argmax(axis=1)).mean() >= _ALIKE)
    tolerance = _TOLERANCE if parameter.dtype == torch.float32 else _HALF_TOLERANCE
    return bool(np.abs(given - ours).max() <= tolerance * np.ptp(ours))


def answer(model: Any) -> Answer | None:
    """A function that has a module answer one row of float32; None where it would first convert."""
    torch = sys.modules["torch"]
    model = copy.deepcopy(model).eval()
    parameter = next(model.parameters())
    if parameter.device.type != "cpu" or parameter.dtype != torch.float32:
        return None

    def best(row: Any) -> int:
        with torch.inference_mode():
            return int(model(torch.from_numpy(row)[None]).argmax())

    return best


def _parts(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The parts that have none themselves, by name, in order."""
    children = list(module.named_children())
    if not children:
        yield name, module
    for child, part in children:
        yield from _parts(part, f"{name}.{child}" if name else child)


def _array(parameter: Any) -> Any:
    return parameter.detach().float().cpu().numpy()


def _refused(name: str, part: Any, rule: str) -> ValueError:
    return ValueError(
        f"model must be a fully connected network ({rule}), got the module {name!r}: {shown(part)}"
    )
