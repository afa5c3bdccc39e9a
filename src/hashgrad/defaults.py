"""The one table of defaults: each parameter's value, what it may be, and a line of help.

The selectors, the network, the estimators, the command line and the documentation all read it;
no number in it is written down a second time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from .checks import Choice, Constraint, Flag, Interval, one_of, shown, wrong_type


@dataclass(frozen=True)
class Parameter:
    """A parameter: its default, the constraint on its values, one line of help."""

    default: Any
    constraint: Constraint
    help: str


_POSITIVE = Interval(0, closed="neither")
_SHARE = Interval(0, 1, closed="right")
_BELOW_ONE = Interval(0, 1, closed="left")
_COUNT = Interval(1, 2**31 - 1, integer=True)

PARAMETERS: dict[str, Parameter] = {
    # Selectors
    "fraction": Parameter(0.05, _SHARE, "Share of a layer's neurons kept for an example."),
    "alpha": Parameter(
        1.0, Interval(-1e6, 1e6), "Adaptive dropout: slope of the keeping probability."
    ),
    "beta": Parameter(
        None,
        Interval(-1e6, 1e6, optional=True),
        "Adaptive dropout: offset of the keeping probability; None follows from the fraction.",
    ),
    "bits": Parameter(8, Interval(1, 16, integer=True), "Bits in the key of one hash table (K)."),
    "tables": Parameter(40, Interval(1, 256, integer=True), "Number of hash tables (L)."),
    "family": Parameter(
        "simhash",
        Choice(("simhash", "dwta", "minhash")),
        "Hash functions: signs of random projections, winners of bins of inputs (densified "
        "winner-take-all), or min-hashes of the inputs that are not zero.",
    ),
    "code_bits": Parameter(
        None,
        Interval(1, 8, integer=True, optional=True),
        "Bits of a winner or of a min-hash: 1, 2, 4 or 8, of which `bits` is a multiple; None = 2, "
        "or 1 where `bits` is odd.",
    ),
    "projection": Parameter(
        "subspace",
        Choice(("subspace", "gaussian", "sparse")),
        "Random directions: inside the inputs' principal subspace, Gaussian, or sparse +-1.",
    ),
    "rank": Parameter(
        32,
        Interval(2, 65536, integer=True),
        "Dimensions of the principal subspace, the bias's own included.",
    ),
    "transform": Parameter(
        "none",
        Choice(("none", "simple", "sign-alsh", "l2-alsh")),
        "Asymmetric transform that turns the inner-product order into the order of angles.",
    ),
    "center": Parameter(True, Flag(), "Hash inputs minus their mean."),
    "lookup": Parameter(
        "auto",
        Choice(("auto", "exact", "scan", "tables")),
        "Where candidates come from: all neurons, a scan of all codes, tables, or the fastest.",
    ),
    "code": Parameter(
        "auto",
        Choice(("auto", "bits", "bytes")),
        "What is kept of a random projection: its sign, or eight bits of it.",
    ),
    "probes": Parameter(8, Interval(1, 256, integer=True), "Buckets visited per table."),
    "ranking": Parameter(
        "signature",
        Choice(("signature", "collisions")),
        "Candidates by signature (angle; without a transform product), or by buckets shared.",
    ),
    "candidates": Parameter(
        None,
        Interval(1, 10000, optional=True),
        "Candidates evaluated exactly, in multiples of the number kept; None = 1.5 where codes are "
        "bytes, 4 where they are bits, 20 where outputs are pooled.",
    ),
    "rehash": Parameter(
        "auto",
        Choice(("auto", "incremental", "rows")),
        "How touched neurons move: a rank-one update of their sketch, or their rows on a schedule.",
    ),
    "rehash_every": Parameter(4000, _COUNT, "Examples between re-hashes of touched rows."),
    "rebuild_every": Parameter(30000, _COUNT, "Examples between full rebuilds of the tables."),
    "pooled": Parameter(
        False,
        Flag(),
        "Train a batch's examples on the union of the outputs that each of them keeps.",
    ),
    "bucket": Parameter(
        64,
        Interval(1, 65536, integer=True),
        "Outputs in a bucket of a pooled layer's tables, at most.",
    ),
    "policy": Parameter(
        "longest",
        Choice(("longest", "fifo", "reservoir")),
        "Which outputs such a bucket keeps: the longest, the last to come, or each with the same "
        "chance.",
    ),
    "fill": Parameter(
        0,
        Interval(0, 2**31 - 1, integer=True),
        "Outputs in such a union at least; those missing are drawn at random.",
    ),
    "query_every": Parameter(
        1,
        Interval(0, 2**31 - 1, integer=True),
        "Of so many examples one looks for outputs while a pooled layer trains; 0 = none does.",
    ),
    "precision": Parameter(
        "float32",
        Choice(("float32", "bfloat16")),
        "Of what a batch multiplies to train a pooled layer; bfloat16 where the processor can.",
    ),
    "correction": Parameter(
        "none",
        Choice(("none", "log-q", "inverse")),
        "How the loss makes up for outputs that are not in the union: of a softmax, of logistic.",
    ),
    # Layers
    "n": Parameter(None, _COUNT, "Neurons of a layer."),
    "activation": Parameter(
        None,
        Choice(("relu", "tanh", "sigmoid", "linear"), optional=True),
        "Activation function; None = relu in hidden layers, linear in the last.",
    ),
    "active": Parameter(
        None,
        Choice(("dense", "random", "adaptive", "winner-take-all", "lsh"), optional=True),
        "How a layer chooses its active neurons; None = all of them.",
    ),
    "layout": Parameter(
        "auto",
        Choice(("auto", "neuron", "input")),
        "What lies together of a layer's weights: a neuron's, an input's, or the faster.",
    ),
    "dtype": Parameter(
        "float32",
        Choice(("float32", "bfloat16")),
        "How the weights of pooled outputs are kept, as floats, or in half the bytes.",
    ),
    "init_std": Parameter(
        None,
        Interval(1e-6, 1e6, optional=True),
        "Standard deviation of a layer's first weights; None = by its size, for dense inputs.",
    ),
    # Network
    "n_inputs": Parameter(None, _COUNT, "Columns of the input."),
    "loss": Parameter(
        "softmax",
        Choice(("softmax", "logistic", "squared")),
        "Softmax cross-entropy (classes), logistic (several labels), or squared error.",
    ),
    "optimizer": Parameter(
        "sgd",
        Choice(("sgd", "momentum", "adagrad", "adam", "row-adagrad")),
        "Rule of the weights' update.",
    ),
    "schedule": Parameter(
        "cosine",
        Choice(("constant", "step", "exponential", "cosine", "linear")),
        "How the learning rate changes during training.",
    ),
    "l2": Parameter(
        0.0, Interval(0, closed="left"), "Weight decay, applied to the weights an update touches."
    ),
    "known": Parameter(
        None,
        Interval(0, 1, closed="neither", optional=True),
        "Examples whose label has this probability already are not learned from, and rest when "
        "their turn comes next; None = all are learned from.",
    ),
    "prior": Parameter(
        False,
        Flag(),
        "Begin with output biases that give each label its frequency.",
    ),
    "batch_size": Parameter(
        1, _COUNT, "1 = asynchronous, lock-free threads; more = synchronous batches."
    ),
    "threads": Parameter(1, Interval(0, 1024, integer=True), "Threads; 0 = all cores."),
    "simulated_workers": Parameter(
        0, Interval(0, 4096, integer=True), "Workers to simulate on one thread; 0 = none."
    ),
    "seed": Parameter(0, Interval(0, 2**63 - 1, integer=True), "Seed of everything random."),
    # Optimizers
    "rate": Parameter(None, _POSITIVE, "Learning rate at the start, after any warm-up."),
    "sgd_rate": Parameter(0.01, _POSITIVE, "Learning rate of SGD."),
    "momentum_rate": Parameter(0.01, _POSITIVE, "Learning rate of SGD with momentum."),
    "adagrad_rate": Parameter(0.01, _POSITIVE, "Learning rate of Adagrad."),
    "adam_rate": Parameter(0.001, _POSITIVE, "Learning rate of Adam."),
    "row_adagrad_rate": Parameter(0.01, _POSITIVE, "Learning rate of row-wise Adagrad."),
    "momentum": Parameter(0.9, _BELOW_ONE, "Share of the last step carried into the next."),
    "adagrad_momentum": Parameter(0.0, _BELOW_ONE, "Momentum of Adagrad (the paper's has some)."),
    "beta1": Parameter(0.9, _BELOW_ONE, "Adam: decay of the mean gradient."),
    "beta2": Parameter(0.999, _BELOW_ONE, "Adam: decay of the mean squared gradient."),
    "state": Parameter(
        "float32",
        Choice(("float32", "bfloat16", "row", "8-bit")),
        "Adam: how its two moments are kept, in float32 or bfloat16, one in bfloat16 and one a row "
        "of weights, or a byte each (batch size above 1).",
    ),
    "lazy": Parameter(
        True,
        Flag(),
        "Adam: a row of weights that updates pass by keeps its moments, and does not make up for "
        "those updates when its turn comes.",
    ),
    "epsilon": Parameter(1e-8, _POSITIVE, "Added to the denominator of adaptive steps."),
    # Schedules, in epochs
    "warmup": Parameter(
        0.0, Interval(0, 1e6), "Epochs in which the rate rises from zero, linearly."
    ),
    "every": Parameter(5.0, Interval(0, 1e6, closed="right"), "Epochs between two steps."),
    "factor": Parameter(None, _SHARE, "Factor on the rate, for each step or epoch."),
    "step_factor": Parameter(0.5, _SHARE, "Step schedule: factor on the rate at each step."),
    "exponential_factor": Parameter(0.85, _SHARE, "Exponential schedule: factor for each epoch."),
    "floor": Parameter(
        0.0, Interval(0, 1), "Cosine and linear schedules: last rate as a share of the first."
    ),
    # Training
    "epochs": Parameter(
        15, Interval(1, 10**6, integer=True), "Passes over the data, from the network's birth."
    ),
    "validation": Parameter(
        None,
        Interval(0, 1, closed="neither", optional=True),
        "Share of the rows held out for validation.",
    ),
    "early_stopping": Parameter(
        0,
        Interval(0, 10**6, integer=True),
        "Epochs without a better validation score after which training stops; 0 = never.",
    ),
}


def default(name: str) -> Any:
    """The default of a parameter.

    >>> default("threads")
    1
    """
    return PARAMETERS[name].default


def check(name: str, value: Any, *, argument: str | None = None) -> Any:
    """The value as a plain Python object, if the table's constraint on `name` allows it.

    Args:
        name: a parameter of the table.
        value: what the user passed.
        argument: the name to use in messages, where it differs from `name`.

    Raises:
        TypeError: the value has the wrong type.
        ValueError: the value is outside the allowed range or words.

    >>> check("fraction", 0)
    Traceback (most recent call last):
    ValueError: fraction must be in (0, 1], got 0
    """
    return PARAMETERS[name].constraint.check(argument or name, value)


class Specification:
    """Base of the small frozen dataclasses that describe a network's parts.

    Each field is checked against the table under its own name; `word` is the name that files,
    messages and the command line use.
    """

    word: ClassVar[str]
    added: ClassVar[Mapping[str, Any]] = {}  # what a file that lacks a newer field meant

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, check(field.name, getattr(self, field.name)))

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON-able values; `name` holds its word."""
        return {"name": self.word, **dataclasses.asdict(self)}  # type: ignore[call-overload]


Part = TypeVar("Part", bound=Specification)


def resolve(argument: str, value: Any, family: Mapping[str, type[Part]]) -> Part:
    """An instance of the family: the value itself, or the default of the member it names.

    Raises:
        TypeError: neither a member of the family nor a string.
        ValueError: an unknown name.
    """
    members = tuple(family.values())
    if isinstance(value, members):
        return value
    if not isinstance(value, str):
        listed = ", ".join(member.__name__ for member in members)
        raise wrong_type(argument, f"one of {listed}, or a name", value)
    if value not in family:
        raise one_of(argument, value, family)
    part: Part = family[value]()
    return part


def from_dict(argument: str, given: Any, family: Mapping[str, type[Part]]) -> Part:
    """The inverse of :meth:`Specification.to_dict`, for what a file holds.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: an unknown name or key, a missing key, a value out of range.
    """
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise ValueError(f"{argument} must be an object with a name, got {shown(given)}")
    if given["name"] not in family:
        raise one_of(argument, given["name"], family)
    member = family[given["name"]]
    expected = [field.name for field in dataclasses.fields(member)]  # type: ignore[arg-type]
    given = {**member.added, **given}
    check_keys(argument, given, ["name", *expected])
    return member(**{name: given[name] for name in expected})


def check_keys(argument: str, given: Mapping[str, Any], expected: list[str]) -> None:
    """Raise ValueError unless `given` has exactly the expected keys."""
    for key in given:
        if key not in expected:
            raise one_of(f"a key of {argument}", key, expected)
    for key in expected:
        if key not in given:
            raise ValueError(f"{argument} must have the key {key!r}, got {shown(sorted(given))}")
