"""The five methods that the paper compares, as selectors of a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hashgrad import LSH, Adaptive, All, Random, WinnerTakeAll
from hashgrad.selectors import Selector

METHODS: dict[str, Callable[..., Selector]] = {
    "NN": lambda share: All(),
    "VD": Random,
    "AD": Adaptive,
    "WTA": WinnerTakeAll,
    "LSH": LSH,
}
NAMES = {
    "NN": "every neuron (the dense network)",
    "VD": "vanilla dropout: a random share",
    "AD": "adaptive dropout: by a coin whose chances grow with the activation",
    "WTA": "winner-take-all: the largest activations, computed exactly",
    "LSH": "the largest activations, as hashing finds them",
}


def selector(method: str, share: float, settings: Mapping[str, Any]) -> Selector:
    """A hidden layer's selector.

    Args:
        method: one of `METHODS`.
        share: of the neurons to keep; NN keeps all.
        settings: other arguments of `LSH`.

    >>> selector("WTA", 0.05, {}).kept(1000), selector("NN", 0.05, {}).kept(1000)
    (50, 1000)
    """
    return METHODS[method](share, **settings)
