"""The estimators' parameters: what each may be, and the parts of a network they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..checks import Choice, Flag, Interval, shown, wrong_type
from ..defaults import PARAMETERS, default
from ..layers import Dense
from ..optimizers import OPTIMIZERS, SGD, Adagrad, Adam, Momentum, Optimizer, RowAdagrad
from ..selectors import LSH, SELECTORS, All, Selector

# active_fraction="auto" never keeps fewer neurons. On the digits, layers of 200 to 1000 that keep
# 128 are within half a point of dense ones; with 64 they lose 1 to 2 points.
FEWEST_ACTIVE = 128
AUTO_BATCH = 200  # rows, as in scikit-learn

_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
_COUNT = Interval(1, integer=True)
_POSITIVE = Interval(0, closed="neither")
_BELOW_ONE = Interval(0, 1, closed="left")


class Rule(Protocol):
    """What a parameter may be; `check` raises TypeError or ValueError for anything else."""

    def check(self, name: str, value: Any) -> Any:
        """The value, converted where it needs to be."""


@dataclass(frozen=True)
class OrValue:
    """One special value, or what another rule allows.

    >>> OrValue("auto", Interval(1, integer=True)).check("batch_size", 0)
    Traceback (most recent call last):
    ValueError: batch_size must be 'auto' or an integer >= 1, got 0
    """

    special: str | float
    rule: Interval

    def check(self, name: str, value: Any) -> Any:
        """The value itself."""
        if isinstance(value, (str, float)) and value == self.special:
            return value
        try:
            return self.rule.check(name, value)
        except (TypeError, ValueError) as error:
            kind = type(error)
            raise kind(f"{name} must be {self.special!r} or {self.rule}, got {shown(value)}") from (
                None
            )


@dataclass(frozen=True)
class Solver:
    """The name of an optimizer; scikit-learn's `lbfgs` is refused with the reason."""

    def check(self, name: str, value: Any) -> Any:
        """The word itself."""
        if isinstance(value, str) and value == "lbfgs":
            raise ValueError(
                f"{name} must be one of {', '.join(map(repr, OPTIMIZERS))}, got 'lbfgs': it needs "
                "the gradient of all weights over all rows, which training on few neurons never "
                "computes; 'adam' is the usual choice"
            )
        return Choice(("adam", *(word for word in OPTIMIZERS if word != "adam"))).check(name, value)


@dataclass(frozen=True)
class Loss:
    """The regression loss; scikit-learn's `poisson` is refused with the reason."""

    def check(self, name: str, value: Any) -> Any:
        """The word itself."""
        if isinstance(value, str) and value == "poisson":
            raise ValueError(
                f"{name} must be 'squared_error', got 'poisson', which hashgrad does not train"
            )
        return Choice(("squared_error",)).check(name, value)


@dataclass(frozen=True)
class Sizes:
    """Numbers of neurons: an integer, or a sequence of them, each at least 1."""

    def check(self, name: str, value: Any) -> list[int]:
        """The sizes as a list.

        >>> Sizes().check("hidden_layer_sizes", (100, 50)), Sizes().check("hidden_layer_sizes", 8)
        ([100, 50], [8])
        """
        if isinstance(value, str) or not isinstance(value, Iterable):
            return [_COUNT.check(name, value)]
        return [_COUNT.check(f"{name}[{i}]", size) for i, size in enumerate(value)]


@dataclass(frozen=True)
class Verbosity:
    """True, False, or a level from 0."""

    def check(self, name: str, value: Any) -> Any:
        """The value itself."""
        if isinstance(value, bool):
            return value
        return Interval(0, integer=True).check(name, value)


@dataclass(frozen=True)
class HashingRule:
    """None, or an `LSH` selector."""

    def check(self, name: str, value: Any) -> Any:
        """The value itself."""
        if value is None or isinstance(value, LSH):
            return value
        raise wrong_type(name, "None or a hashgrad.LSH", value)


RULES: Mapping[str, Rule] = {
    "loss": Loss(),
    "hidden_layer_sizes": Sizes(),
    "activation": Choice(tuple(_ACTIVATIONS)),
    "solver": Solver(),
    "alpha": Interval(0, closed="left"),
    "batch_size": OrValue("auto", _COUNT),
    "learning_rate": Choice(("constant", "invscaling", "adaptive")),
    "learning_rate_init": _POSITIVE,
    "power_t": Interval(0, closed="left"),
    "max_iter": _COUNT,
    "shuffle": Flag(),
    "tol": Interval(0, closed="left"),
    "verbose": Verbosity(),
    "warm_start": Flag(),
    "momentum": _BELOW_ONE,
    "nesterovs_momentum": Flag(),
    "early_stopping": Flag(),
    "validation_fraction": Interval(0, 1, closed="neither"),
    "beta_1": _BELOW_ONE,
    "beta_2": _BELOW_ONE,
    "epsilon": _POSITIVE,
    "n_iter_no_change": OrValue(math.inf, _COUNT),
    "max_fun": _COUNT,
    "selector": Choice(tuple(SELECTORS)),
    "active_fraction": OrValue("auto", Interval(0, 1, closed="right")),
    "lsh": HashingRule(),
    "n_threads": PARAMETERS["threads"].constraint,
}


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check every parameter that has a rule; the others are checked by scikit-learn.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: a value outside its range or words; the message names the parameter.
    """
    for name, value in parameters.items():
        if name in RULES:
            RULES[name].check(name, value)


def build_optimizer(parameters: Mapping[str, Any]) -> Optimizer:
    """The optimizer that `solver` and its companions describe.

    >>> build_optimizer({"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0})
    SGD(rate=0.1)
    """
    solver, rate = parameters["solver"], parameters["learning_rate_init"]
    if solver == "adam":
        return Adam(rate, parameters["beta_1"], parameters["beta_2"], parameters["epsilon"])
    if solver == "adagrad":
        return Adagrad(rate, parameters["momentum"], parameters["epsilon"])
    if solver == "row-adagrad":
        return RowAdagrad(rate, parameters["epsilon"])
    if parameters["momentum"] == 0:
        return SGD(rate)
    return Momentum(rate, parameters["momentum"])


def build_selector(parameters: Mapping[str, Any], n: int) -> Selector:
    """The selector of a hidden layer of `n` neurons.

    With `active_fraction="auto"` it keeps the default share, but at least 128 neurons; where that
    is more than half the layer, choosing costs more than it saves and every neuron is kept.

    >>> auto = {"selector": "winner-take-all", "active_fraction": "auto", "lsh": None}
    >>> build_selector(auto, 100), build_selector(auto, 512), build_selector(auto, 4000)
    (All(), WinnerTakeAll(fraction=0.25), WinnerTakeAll(fraction=0.05))
    """
    word, share, lsh = (parameters[name] for name in ("selector", "active_fraction", "lsh"))
    if word == "dense":
        return All()
    if word == "lsh" and lsh is not None:
        hashed: LSH = lsh if share == "auto" else replace(lsh, fraction=share)
        return hashed
    if share == "auto":
        share = max(default("fraction"), FEWEST_ACTIVE / n)
        if share > 0.5:
            return All()
    selector: Selector = SELECTORS[word](fraction=share)
    return selector


def build_layers(parameters: Mapping[str, Any], n_outputs: int) -> list[Dense]:
    """The hidden layers and the output layer, which evaluates every output."""
    activation = _ACTIVATIONS[parameters["activation"]]
    sizes = Sizes().check("hidden_layer_sizes", parameters["hidden_layer_sizes"])
    hidden = [Dense(n, activation, build_selector(parameters, n)) for n in sizes]
    return [*hidden, Dense(n_outputs)]
