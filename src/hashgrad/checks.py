"""Checks of what users pass in: every message names the argument, the rule and the value."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

_LONGEST_SHOWN = 80


def shown(value: object) -> str:
    """The value as an error message shows it: its `repr`, cut after 80 characters.

    >>> shown("relu")
    "'relu'"
    """
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def nearest(word: object, words: Iterable[str]) -> str:
    """The end of a message about an unknown name: the valid name that looks most like it, if any.

    >>> nearest("rleu", ["relu", "tanh"])
    "; did you mean 'relu'?"
    >>> nearest("qqq", ["relu", "tanh"])
    ''
    """
    if not isinstance(word, str):
        return ""
    by_lower = {valid.lower(): valid for valid in words}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[found[0]]!r}?" if found else ""


def one_of(name: str, value: object, words: Iterable[str]) -> ValueError:
    """The error for a name that is not among `words`.

    >>> str(one_of("loss", "softmx", ["softmax", "squared"]))
    "loss must be one of 'softmax', 'squared', got 'softmx'; did you mean 'softmax'?"
    """
    words = list(words)
    listed = ", ".join(repr(word) for word in words)
    return ValueError(f"{name} must be one of {listed}, got {shown(value)}{nearest(value, words)}")


def wrong_type(name: str, rule: str, value: object) -> TypeError:
    """The error for a value of the wrong type.

    >>> str(wrong_type("bits", "an integer", "six"))
    "bits must be an integer, got 'six' (str)"
    """
    return TypeError(f"{name} must be {rule}, got {shown(value)} ({type(value).__name__})")


@dataclass(frozen=True)
class Interval:
    """Numbers between `low` and `high`; infinite ends are never included.

    >>> Interval(0, 1, closed="right").check("fraction", 0.5)
    0.5
    >>> Interval(0, 1, closed="right").check("fraction", 1.5)
    Traceback (most recent call last):
    ValueError: fraction must be in (0, 1], got 1.5
    """

    low: float
    high: float = math.inf
    closed: Literal["both", "left", "right", "neither"] = "both"
    integer: bool = False
    optional: bool = False  # None is allowed as well

    def __str__(self) -> str:
        left = "[" if self._includes_low else "("
        right = "]" if self._includes_high else ")"
        if math.isinf(self.low) and math.isinf(self.high):
            rule = "finite"
        elif math.isinf(self.high):
            rule = f"{'>=' if self._includes_low else '>'} {self.low:g}"
        else:
            low, high = (_plain(self.low), _plain(self.high))
            rule = f"in {left}{low}, {high}{right}"
        if self.integer:
            rule = f"an integer {rule}"
        return f"{rule}, or None" if self.optional else rule

    @property
    def _includes_low(self) -> bool:
        return self.closed in ("both", "left") and not math.isinf(self.low)

    @property
    def _includes_high(self) -> bool:
        return self.closed in ("both", "right") and not math.isinf(self.high)

    def check(self, name: str, value: Any) -> Any:
        """The value as a plain `int` or `float`; raises TypeError or ValueError."""
        if value is None and self.optional:
            return None
        kind: Any = numbers.Integral if self.integer else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind):
            raise wrong_type(name, "an integer" if self.integer else "a number", value)
        try:
            number = int(value) if self.integer else float(value)
        except OverflowError:
            number = math.inf
        above = number >= self.low if self._includes_low else number > self.low
        below = number <= self.high if self._includes_high else number < self.high
        if not (above and below):  # also catches NaN, which fails every comparison
            raise ValueError(f"{name} must be {self}, got {shown(value)}")
        return number


@dataclass(frozen=True)
class Choice:
    """One word out of a list.

    >>> Choice(("relu", "tanh")).check("activation", "rleu")
    Traceback (most recent call last):
    ValueError: activation must be one of 'relu', 'tanh', got 'rleu'; did you mean 'relu'?
    """

    words: tuple[str, ...]
    optional: bool = False

    def __str__(self) -> str:
        rule = "one of " + ", ".join(repr(word) for word in self.words)
        return f"{rule}, or None" if self.optional else rule

    def check(self, name: str, value: Any) -> Any:
        """The word itself; raises TypeError or ValueError."""
        if value is None and self.optional:
            return None
        if not isinstance(value, str):
            raise wrong_type(name, str(self), value)
        if value not in self.words:
            raise one_of(name, value, self.words)
        return str(value)


@dataclass(frozen=True)
class Flag:
    """True or False.

    >>> Flag().check("center", 1)
    Traceback (most recent call last):
    TypeError: center must be True or False, got 1 (int)
    """

    def __str__(self) -> str:
        return "True or False"

    def check(self, name: str, value: Any) -> bool:
        """The value as a plain `bool`; raises TypeError."""
        if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
            return bool(value)
        raise wrong_type(name, str(self), value)


Constraint = Interval | Choice | Flag


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
