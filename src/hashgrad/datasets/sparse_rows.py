"""Rows as lists of ids, with values or without: how text is parsed to them, and their rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .bad_rows import BadRows

MOST_IDS = 2**31 - 1  # the core numbers columns in 32 bits
NUMBER = rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
# The start of a word that is no pair; searching for it needs no memory, however long the line.
_NO_PAIR = re.compile(rb"(?<![^ \t])(?!\d+:" + NUMBER + rb"(?![^ \t]))[^ \t]+")
_NO_LABELS = re.compile(rb"(?!\d+(?:,\d+)*\Z).+", re.DOTALL)
_HEAD = re.compile(rb"[^ \t]*")

# What stands between digits, and after which other mark it may: 1 with digits between them, 2
# without, 3 either way.
_KINDS = np.full(256, 3, dtype=np.uint8)
_KINDS[list(b" \t\n")], _KINDS[ord(":")], _KINDS[ord(".")] = 0, 1, 2
_ALLOWED = np.array([[2, 1, 0, 0], [1, 0, 3, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=np.uint8)
_EXACT_DIGITS = 15
_POWERS = 10.0 ** np.arange(_EXACT_DIGITS + 1)

# Why rows of a block are bad, by their place in it: the first reason found.
Reasons = dict[int, str]


@dataclass(frozen=True)
class Lists:
    """n lists: of ids, and of values beside them where there are some."""

    sizes: npt.NDArray[np.int64]  # (n,)
    ids: npt.NDArray[Any]  # (sum of sizes,) whole numbers; of text as float64
    values: npt.NDArray[Any] | None = None

    def rows(self) -> npt.NDArray[np.int64]:
        """The list that each id is in."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def keep(self, good: npt.NDArray[np.bool_]) -> Lists:
        """The lists of the good rows."""
        entries = np.repeat(good, self.sizes)
        values = None if self.values is None else self.values[entries]
        return Lists(self.sizes[good], self.ids[entries], values)

    def matrix(self, width: int | None, first: int = 0) -> Any:
        """CSR (n, width) of float32 values, or an int8 indicator; id `first` is column 0."""
        ends = np.concatenate(([0], np.cumsum(self.sizes, dtype=np.int64)))
        values = np.ones(len(self.ids), np.int8) if self.values is None else self.values
        if self.values is not None:
            values = values.astype(np.float32)
        columns = (self.ids.astype(np.int64) - first).astype(np.int32)
        if width is None:
            width = int(columns.max(initial=-1)) + 1
        matrix = sparse.csr_matrix((values, columns, ends), shape=(len(self.sizes), width))
        matrix.sort_indices()
        return matrix


@dataclass(frozen=True)
class Rows:
    """Rows of a part of a file: their features, their labels or targets, where each stands."""

    path: Path
    place: str  # with {} for a row's number, for messages
    numbers: npt.NDArray[np.int64]  # of the rows there
    features: Lists
    targets: Lists | npt.NDArray[np.float64]  # labels of each row, or its one target

    def judged(self, bad: Reasons, judge: BadRows) -> Rows:
        """The rows that are not bad; ValueError names the first that is, if it is refused."""
        if not bad:
            return self
        for row in sorted(bad):
            judge.note(self.path, self.place.format(self.numbers[row]), bad[row])
        good = np.ones(len(self.numbers), dtype=bool)
        good[list(bad)] = False
        return replace(
            self,
            numbers=self.numbers[good],
            features=self.features.keep(good),
            targets=self.targets.keep(good)
            if isinstance(self.targets, Lists)
            else self.targets[good],
        )

    def matrices(
        self, n_features: int | None = None, n_labels: int | None = None, first: int = 0
    ) -> tuple[Any, Any]:
        """CSR features (n, n_features), and a CSR indicator (n, n_labels) or targets (n,).

        Feature `first` is column 0. A width that is None is just enough.
        """
        x = self.features.matrix(n_features, first)
        if not isinstance(self.targets, Lists):
            return x, self.targets
        return x, self.targets.matrix(n_labels)


def stacked(parts: list[Any]) -> Any:
    """One or more CSR matrices one below the other, all widened to the widest of them."""
    width = max(part.shape[1] for part in parts)
    for part in parts:
        part.resize((part.shape[0], width))
    return sparse.vstack(parts, format="csr")


def split_head(line: bytes) -> tuple[bytes, bytes]:
    """The first word of a line, empty where the line begins with a blank, and what follows."""
    found = _HEAD.match(line)
    end = found.end() if found else 0
    return line[:end], line[end:]


def parse_pairs(texts: list[bytes], bad: Reasons, what: str = "feature:value") -> Lists:
    """Parse lines of "id:value id:value ..."; a malformed line becomes an empty list.

    >>> bad: Reasons = {}
    >>> lists = parse_pairs([b"3:0.5 1:2", b"", b"4:x"], bad)
    >>> lists.sizes.tolist(), lists.ids.tolist(), lists.values.tolist()
    ([2, 0, 0], [3.0, 1.0], [0.5, 2.0])
    >>> bad
    {2: "every entry must read feature:value, got '4:x'"}
    """
    texts = list(texts)
    for row in _unusual(texts):
        if wrong := _NO_PAIR.search(texts[row]):
            bad.setdefault(row, f"every entry must read {what}, got {excerpt(wrong.group())}")
            texts[row] = b""
    numbers = _numbers(b" ".join(texts).replace(b":", b" "))
    return Lists(_counts(texts, b":"), numbers[0::2], numbers[1::2])


def _unusual(texts: list[bytes]) -> list[int]:
    """The lines that are not plainly pairs of digits, with points among them at most.

    Most lines are, and are seen to be many times faster so than by the expression for all pairs.
    """
    text = np.frombuffer(b"\n".join([*texts, b""]), dtype=np.uint8)
    places = np.flatnonzero(text - np.uint8(ord("0")) > 9)  # unsigned: what is below 0 is above 9
    kinds = _KINDS[text[places]]
    before = np.concatenate((np.zeros(1, dtype=np.uint8), kinds[:-1]))
    needed = np.where(np.diff(places, prepend=-1) > 1, 1, 2)
    wrong = places[_ALLOWED[before, kinds] & needed == 0]
    ends = np.cumsum([len(line) + 1 for line in texts])
    return [int(row) for row in np.unique(np.searchsorted(ends, wrong, side="right"))]


def parse_labels(words: list[bytes], bad: Reasons) -> Lists:
    """Parse words "label,label,..."; a malformed word becomes an empty list, as does an empty one.

    >>> bad: Reasons = {}
    >>> parse_labels([b"3,1", b"", b"1,,2"], bad).ids.tolist(), bad
    ([3.0, 1.0], {2: "labels must be whole numbers with commas between, got '1,,2'"})
    """
    words = list(words)
    for row, word in enumerate(words):
        if _NO_LABELS.match(word):
            reason = f"labels must be whole numbers with commas between, got {excerpt(word)}"
            bad.setdefault(row, reason)
            words[row] = b""
    sizes = _counts(words, b",") + np.array([bool(word) for word in words], dtype=np.int64)
    return Lists(sizes, _numbers(b" ".join(words).replace(b",", b" ")))


def _counts(texts: list[bytes], mark: bytes) -> npt.NDArray[np.int64]:
    return np.array([text.count(mark) for text in texts], dtype=np.int64)


def _numbers(text: bytes) -> npt.NDArray[np.float64]:
    """The numbers of a text that is known to hold nothing else; float64 holds ids below 2**53.

    Those of up to 15 digits, without sign and exponent, are read all at once: the digits make a
    whole number that float64 holds exactly, as it does the power of ten that divides it, so that
    the quotient is the number nearest to what is written. The others are read one by one.
    """
    every = np.frombuffer(text, dtype=np.uint8)
    inside = (every != ord(" ")) & (every != ord("\t"))
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    begins, ends = edges[0::2], edges[1::2]
    if begins.size == 0:
        return np.empty(0)
    marks = every[inside]
    sizes = ends - begins
    firsts = np.cumsum(sizes) - sizes
    digits = marks - np.uint8(ord("0"))
    is_digit = digits < 10
    done = np.cumsum(is_digit, dtype=np.int32)
    last = done[firsts + sizes - 1]
    lengths = np.diff(last, prepend=np.int32(0))
    points = np.flatnonzero(marks == ord("."))
    after = np.zeros(len(sizes), dtype=np.int32)  # digits after a point
    words = np.searchsorted(firsts, points, side="right") - 1
    after[words] = last[words] - done[points]
    plain = (lengths <= _EXACT_DIGITS) & (sizes == lengths)
    plain[words] = (lengths <= _EXACT_DIGITS)[words] & (sizes == lengths + 1)[words]
    power = np.minimum(np.repeat(last, sizes) - done, _EXACT_DIGITS)
    parts = np.where(is_digit, digits, 0) * _POWERS[power]
    numbers: npt.NDArray[np.float64] = np.add.reduceat(parts, firsts)
    numbers /= _POWERS[np.minimum(after, _EXACT_DIGITS)]
    for word in np.flatnonzero(~plain):
        numbers[word] = float(text[begins[word] : ends[word]])
    return numbers


def check_lists(
    lists: Lists,
    what: str,
    bad: Reasons,
    *,
    first: int = 0,
    width: int | None = None,
    rising: bool = False,
) -> None:
    """Find the rows that break a rule: ids in range and none twice, values finite in float32.

    Args:
        lists: n rows.
        what: what an id is called in reasons.
        bad: takes the reasons.
        first: the smallest id.
        width: how many ids there are; None is as many as there can be.
        rising: ids must rise along a row.

    >>> bad: Reasons = {}
    >>> check_lists(Lists(np.array([2, 1]), np.array([4, 4, 9])), "label", bad, width=5)
    >>> bad
    {1: 'every label must be below 5, got 9', 0: 'no label may occur twice, got 4'}
    """
    rows = lists.rows()

    def refuse(wrong: npt.NDArray[np.bool_], reason: Callable[[int], str]) -> None:
        for entry in np.flatnonzero(wrong):
            bad.setdefault(int(rows[entry]), reason(int(entry)))

    ids, values = lists.ids, lists.values
    top = (MOST_IDS if width is None else width) + first
    said = f" (first_index={first})" if first else ""
    refuse(ids < first, lambda i: f"every {what} must be at least {first}, got {ids[i]:.0f}{said}")
    refuse(ids >= top, lambda i: f"every {what} must be below {top}, got {ids[i]:.0f}{said}")
    if values is not None:
        with np.errstate(over="ignore"):
            infinite = ~np.isfinite(values.astype(np.float32))
        refuse(infinite, lambda i: f"every value must be finite in float32, got {values[i]:g}")
    falls = np.flatnonzero((ids[1:] <= ids[:-1]) & (rows[1:] == rows[:-1])) + 1
    if rising:
        for entry in falls:
            reason = f"every {what} must be above the one before it, got {ids[entry]:.0f}"
            bad.setdefault(int(rows[entry]), reason)
        return
    ends = np.cumsum(lists.sizes)
    for row in np.unique(rows[falls]):
        some = np.sort(ids[ends[row] - lists.sizes[row] : ends[row]])
        twice = some[1:][some[1:] == some[:-1]]
        if twice.size:
            bad.setdefault(int(row), f"no {what} may occur twice, got {twice[0]:.0f}")


def excerpt(text: bytes) -> str:
    """The beginning of some text of a file, for messages."""
    words = text.strip().decode(errors="replace")
    return repr(words if len(words) <= 40 else words[:40] + "...")
