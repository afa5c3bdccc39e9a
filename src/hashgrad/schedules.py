"""Learning-rate schedules, in epochs: `t` is the number of epochs done, fractions included.

Each has a warm-up: during the first `warmup` epochs the rate rises linearly from zero to where
the schedule starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .defaults import Specification, default


class Schedule(Specification):
    """Base of the schedules."""

    warmup: float


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout.

    Args:
        warmup: epochs of warm-up.

    Raises:
        ValueError: a negative warm-up.

    >>> Constant(warmup=0.5).warmup
    0.5
    """

    word: ClassVar[str] = "constant"
    warmup: float = default("warmup")


@dataclass(frozen=True)
class Step(Schedule):
    """The rate times `factor ** floor(t / every)`.

    Args:
        every: epochs between two steps, above 0.
        factor: factor of one step, in (0, 1].
        warmup: epochs of warm-up.

    Raises:
        ValueError: a value out of range.

    >>> Step(every=2, factor=0.5).every
    2.0
    """

    word: ClassVar[str] = "step"
    every: float = default("every")
    factor: float = default("step_factor")
    warmup: float = default("warmup")


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate times `factor ** t`.

    Args:
        factor: factor of one epoch, in (0, 1].
        warmup: epochs of warm-up.

    Raises:
        ValueError: a value out of range.

    >>> Exponential(factor=0.9).factor
    0.9
    """

    word: ClassVar[str] = "exponential"
    factor: float = default("exponential_factor")
    warmup: float = default("warmup")


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the full rate down to `floor` times it, over all epochs of the fit.

    `floor + (1 - floor) * (1 + cos(pi * (t - warmup) / (epochs - warmup))) / 2` times the rate.

    Args:
        floor: last rate as a share of the first, in [0, 1].
        warmup: epochs of warm-up.

    Raises:
        ValueError: a value out of range.

    >>> Cosine(floor=0.01).floor
    0.01

    Source: Loshchilov and Hutter (2017), without restarts.
    """

    word: ClassVar[str] = "cosine"
    floor: float = default("floor")
    warmup: float = default("warmup")


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line from the full rate down to `floor` times it, over all epochs of the fit.

    `floor + (1 - floor) * (1 - (t - warmup) / (epochs - warmup))` times the rate. Where an epoch or
    two must do, it ends better than half a cosine.

    Args:
        floor: last rate as a share of the first, in [0, 1].
        warmup: epochs of warm-up.

    Raises:
        ValueError: a value out of range.

    >>> Linear().floor
    0.0
    """

    word: ClassVar[str] = "linear"
    floor: float = default("floor")
    warmup: float = default("warmup")


SCHEDULES: dict[str, Any] = {
    schedule.word: schedule for schedule in (Constant, Step, Exponential, Cosine, Linear)
}
