"""A layer of a network: its size, its activation and how it chooses its active neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .defaults import check, check_keys, from_dict, resolve
from .selectors import SELECTORS, All, Selector


@dataclass(frozen=True)
class Dense:
    """A fully connected layer, `activation(W x + b)`, evaluated for its active neurons only.

    Args:
        n: number of neurons.
        activation: `"relu"`, `"tanh"`, `"sigmoid"` or `"linear"`; None is relu in a
            hidden layer and linear in the last one, whose loss applies softmax or sigmoid itself.
        active: a selector, or the name of one with its defaults: `"dense"`, `"random"`,
            `"adaptive"`, `"winner-take-all"` or `"lsh"`. None is every neuron.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: `n` below 1, or an unknown name.

    >>> from hashgrad import Dense, LSH
    >>> Dense(1000, active=LSH(0.05)).active.kept(1000)
    50
    >>> Dense(1000, activation="rleu")
    Traceback (most recent call last):
    ValueError: activation must be one of 'relu', 'tanh', 'sigmoid', 'linear', got 'rleu'; did \
you mean 'relu'?
    """

    n: int
    activation: str | None = None
    active: Any = None

    def __post_init__(self) -> None:
        active = All() if self.active is None else resolve("active", self.active, SELECTORS)
        object.__setattr__(self, "n", check("n", self.n))
        object.__setattr__(self, "activation", check("activation", self.activation))
        object.__setattr__(self, "active", active)

    @property
    def selector(self) -> Selector:
        """The selector, whichever way it was given."""
        selector: Selector = self.active
        return selector

    def with_activation(self, activation: str) -> Dense:
        """The same layer with this activation where it has none of its own."""
        return self if self.activation is not None else replace(self, activation=activation)

    def to_dict(self) -> dict[str, Any]:
        """The layer as JSON-able values."""
        return {"n": self.n, "activation": self.activation, "active": self.selector.to_dict()}


def layer_from_dict(argument: str, given: Any) -> Dense:
    """The inverse of :meth:`Dense.to_dict`; raises ValueError or TypeError naming `argument`."""
    if not isinstance(given, dict):
        raise ValueError(f"{argument} must be an object, got {type(given).__name__}")
    check_keys(argument, given, ["n", "activation", "active"])
    active = from_dict(f"{argument}.active", given["active"], SELECTORS)
    return Dense(given["n"], given["activation"], active)
