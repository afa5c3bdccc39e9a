"""The rules that turn a gradient into a step; every one touches the active rows only.

`g` is the gradient of one weight, `rate` the schedule's current learning rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .defaults import Specification, default


class Optimizer(Specification):
    """Base of the optimizers; `rate` is the learning rate that the schedule starts from."""

    rate: float


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: `w -= rate * g`.

    Args:
        rate: learning rate, above 0.

    Raises:
        ValueError: the rate is not above 0.

    >>> SGD(rate=0.1).rate
    0.1

    Source: Spring and Shrivastava (2016), arXiv 1602.08194.
    """

    word: ClassVar[str] = "sgd"
    rate: float = default("sgd_rate")


@dataclass(frozen=True)
class Momentum(Optimizer):
    """SGD with momentum: `v = momentum * v + rate * g; w -= v`.

    A weight that is not touched keeps its `v` until it is touched again.

    Args:
        rate: learning rate, above 0.
        momentum: share of the last step carried over, in [0, 1).

    Raises:
        ValueError: a value out of range.

    >>> Momentum(momentum=0.5).momentum
    0.5
    """

    word: ClassVar[str] = "momentum"
    rate: float = default("momentum_rate")
    momentum: float = default("momentum")


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Adagrad, with momentum if asked: `h += g**2; w -= rate * g / (sqrt(h) + epsilon)`.

    Args:
        rate: learning rate, above 0.
        momentum: share of the last step carried over, in [0, 1).
        epsilon: added to the root, above 0.

    Raises:
        ValueError: a value out of range.

    >>> Adagrad(momentum=0.5).word
    'adagrad'

    Source: Duchi, Hazan and Singer (2011); with momentum in Spring and Shrivastava (2016),
    section 6.
    """

    word: ClassVar[str] = "adagrad"
    rate: float = default("adagrad_rate")
    momentum: float = default("adagrad_momentum")
    epsilon: float = default("epsilon")


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam, touching active rows only.

    `m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g**2;`
    `w -= rate * m' / (sqrt(v') + epsilon)`, where `'` corrects the bias towards zero.

    A step reads and writes 24 bytes a weight with `state="float32"`, 16 with `"bfloat16"`, 12 with
    `"row"` or `"8-bit"`. bfloat16 has eight bits of precision; what is stored is rounded up or down
    at random, by bits that follow from seed, step and place, so that the small changes of `v` hold
    on average. With `"row"`, `m` is in bfloat16 and `v` one number for each row as weights lie, a
    neuron's or, with `layout="input"`, an input's: it takes the mean of `g**2` over the row's
    weights that have a gradient. With `"8-bit"` both are small floats, of three bits of mantissa
    and four or five of exponent, in units of their row's own, rounded at random. Every step
    makes a row's bytes anew, whatever its input, so that rows should be short, and `batch_size`
    must be above 1. Large layers take less time in bfloat16 and by row, and more in bytes.

    A row of weights as they lie, a neuron's or, with `layout="input"`, an input's, that many
    updates pass by, a rare label's or a rare word's, is left alone with its moments: lazy Adam,
    which makes its next step as small as a frequent row's. Adam proper would have decayed `v` in
    all those updates, and moved the row by what was left of `m`. With `lazy=False` that is made up
    for when the row's turn comes: after `k` updates without it, `m` and `v` decay by
    `beta1**(k + 1)` and `beta2**(k + 1)`, and the step is `(1 - beta1**(k + 1)) / (1 - beta1)`
    times as long, as far as `m` alone would go in so many updates; a row that moves at even
    intervals goes as far as by Adam proper. Weights of a row that moves whose own input is zero are
    left alone as ever, and the decay by `l2` that was missed is not made up for. It takes 8 bytes
    a row. What it is worth is in `docs/performance.md`, 2026-11-27.

    Args:
        rate: learning rate, above 0.
        beta1: decay of the mean gradient, in [0, 1).
        beta2: decay of the mean squared gradient, in [0, 1).
        epsilon: added to the root, above 0.
        state: `"float32"`, `"bfloat16"`, `"row"` or `"8-bit"`: how `m` and `v` are kept.
        lazy: whether updates that pass a row by leave its moments as they are. `known` of `Network`
            needs it, as there not every update steps.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: a value out of range, or an unknown word.

    >>> Adam(lazy=False).lazy
    False
    >>> Adam().beta1, Adam(state="row").state
    (0.9, 'row')

    Source: Kingma and Ba (2015), algorithm 1; stochastic rounding after Gupta et al. (2015),
    arXiv 1502.02551; states of eight bits after Dettmers et al. (2022), arXiv 2110.02861, whose
    numbers are others.
    """

    word: ClassVar[str] = "adam"
    rate: float = default("adam_rate")
    beta1: float = default("beta1")
    beta2: float = default("beta2")
    epsilon: float = default("epsilon")
    state: str = default("state")
    lazy: bool = default("lazy")
    added: ClassVar[Mapping[str, Any]] = {"state": "float32", "lazy": True}


@dataclass(frozen=True)
class RowAdagrad(Optimizer):
    """Adagrad with one accumulator per neuron: the mean of its row's squared gradients.

    It needs a hundredth of Adagrad's memory traffic and keeps an update of rank one, so that
    hashed neurons can be moved incrementally.

    Args:
        rate: learning rate, above 0.
        epsilon: added to the root, above 0.

    Raises:
        ValueError: a value out of range.

    >>> RowAdagrad().word
    'row-adagrad'
    """

    word: ClassVar[str] = "row-adagrad"
    rate: float = default("row_adagrad_rate")
    epsilon: float = default("epsilon")


OPTIMIZERS: dict[str, Any] = {
    optimizer.word: optimizer for optimizer in (SGD, Momentum, Adagrad, Adam, RowAdagrad)
}
