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
    # Hashes choose in every layer. What is planned for speed may evaluate deeper ones exactly.
    "LSH": lambda share, **settings: LSH(share, **{"lookup": "scan", **settings}),
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

    >>> selector("WTA", 0.05, {}).kept(1000), selector("NN", 1.0, {}).kept(1000)
    (50, 1000)
    """
    return METHODS[method](share, **settings)


def share_of(method: str, share: float) -> float:
    """The share of neurons that a method keeps where others keep `share`.

    >>> share_of("LSH", 0.05), share_of("NN", 0.05)
    (0.05, 1.0)
    """
    return 1.0 if method == "NN" else share
