"""A layer of a network: its size, its activation and how it chooses its active neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .defaults import check, check_keys, default, from_dict, resolve
from .selectors import LSH, SELECTORS, All, Selector

INPUT_LOOKUPS = ("auto", "exact")  # those that leave every neuron to be evaluated


@dataclass(frozen=True)
class Dense:
    """A fully connected layer, `activation(W x + b)`, evaluated for its active neurons only.

    Args:
        n: number of neurons.
        activation: `"relu"`, `"tanh"`, `"sigmoid"` or `"linear"`; None is relu in a
            hidden layer and linear in the last one, whose loss applies softmax or sigmoid itself.
        active: a selector, or the name of one with its defaults: `"dense"`, `"random"`,
            `"adaptive"`, `"winner-take-all"` or `"lsh"`. None is every neuron.
        layout: what lies together in memory of the layer's weights: those of a `"neuron"`, as a
            selector that names the neurons to evaluate wants them, or of an `"input"`, as sparse
            inputs do; `"auto"` is what this machine does fastest (see `hashgrad.planning`). A
            layer that hashes its neurons keeps them together.
        dtype: how weights are kept: as `"float32"`, or in half the bytes as `"bfloat16"`, which
            outputs that are pooled can be (see `LSH`). bfloat16 has eight bits of precision; steps
            are reckoned in float32, and what is stored is rounded up or down at random, by bits
            that follow from seed, step and place, so that steps too small for eight bits hold on
            average. Biases stay float32.
        init_std: standard deviation of the first weights, in [1e-6, 1e6]. They are uniform around
            zero; biases begin at zero (see `prior` of `Network`). None is `(2 / n_inputs)**0.5`
            before relu [1], else `(2 / (n_inputs + n))**0.5` [2], which takes an example to have
            values in most of its columns. Where it has them in few, as words of a text, that is far
            too little: `n**-0.5` then gives rows of length 1 a hidden vector of about that length.

    References:
        [1] He et al., "Delving Deep into Rectifiers" (2015), arXiv 1502.01852, section 2.2.
        [2] Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural
        networks" (2010), equation 16.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: `n` below 1, an unknown name, or `dtype="bfloat16"` of a layer that is not
            pooled.

    >>> from hashgrad import Dense, LSH
    >>> Dense(1000, active=LSH(0.05)).active.kept(1000)
    50
    >>> Dense(100_000, active=LSH(0.001, pooled=True), dtype="bfloat16").dtype
    'bfloat16'
    >>> Dense(256, layout="input", init_std=256**-0.5).init_std  # for bags of words
    0.0625
    >>> Dense(1000, activation="rleu")
    Traceback (most recent call last):
    ValueError: activation must be one of 'relu', 'tanh', 'sigmoid', 'linear', got 'rleu'; did \
you mean 'relu'?
    """

    n: int
    activation: str | None = None
    active: Any = None
    layout: str = default("layout")
    dtype: str = default("dtype")
    init_std: float | None = default("init_std")

    def __post_init__(self) -> None:
        active = All() if self.active is None else resolve("active", self.active, SELECTORS)
        object.__setattr__(self, "n", check("n", self.n))
        object.__setattr__(self, "activation", check("activation", self.activation))
        object.__setattr__(self, "active", active)
        object.__setattr__(self, "layout", check("layout", self.layout))
        if (
            isinstance(active, LSH)
            and self.layout == "input"
            and active.lookup not in INPUT_LOOKUPS
        ):
            raise ValueError(
                "layout='input' of a hashed layer needs lookup 'exact' or 'auto', "
                f"got {active.lookup!r}"
            )
        object.__setattr__(self, "dtype", check("dtype", self.dtype))
        object.__setattr__(self, "init_std", check("init_std", self.init_std))
        if self.dtype != default("dtype") and not (isinstance(active, LSH) and active.pooled):
            raise ValueError(
                f"dtype must be 'float32' unless outputs are pooled, got {self.dtype!r}"
            )
        if isinstance(active, LSH) and self.layout == "input" and active.pooled:
            raise ValueError("layout must be 'auto' or 'neuron' with pooled=True, got 'input'")

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
        return {
            "n": self.n,
            "activation": self.activation,
            "active": self.selector.to_dict(),
            "layout": self.layout,
            "dtype": self.dtype,
            "init_std": self.init_std,
        }


def layer_from_dict(argument: str, given: Any) -> Dense:
    """The inverse of :meth:`Dense.to_dict`; raises ValueError or TypeError naming `argument`."""
    if not isinstance(given, dict):
        raise ValueError(f"{argument} must be an object, got {type(given).__name__}")
    given = {"dtype": "float32", "init_std": None, **given}  # which files of earlier versions lack
    check_keys(argument, given, ["n", "activation", "active", "layout", "dtype", "init_std"])
    return Dense(**{**given, "active": from_dict(f"{argument}.active", given["active"], SELECTORS)})
