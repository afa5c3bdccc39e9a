"""What becomes of rows that break their format's rules: refused, or skipped and counted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..checks import one_of, wrong_type

POLICIES = ("refuse", "skip")
_SHOWN = 5  # bad rows told in full


class BadRows:
    r"""Refuses the first bad row, or skips bad rows and counts them.

    Readers take one as `bad_rows`, or the bare word. With the word `"skip"` a reader that skipped
    something warns at its end; with an object of this class it says nothing, and the object knows.

    Args:
        policy: `"refuse"` or `"skip"`.

    Raises:
        ValueError: an unknown word.

    Example:
        >>> import tempfile
        >>> from hashgrad.datasets import read_xc
        >>> skipped = BadRows("skip")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.txt")
        ...     _ = path.write_text("2 3 4\n0,3 1:0.5\n7 0:1\n")
        ...     x, y = read_xc(path, bad_rows=skipped)
        >>> x.shape, skipped.count, skipped.first[0].partition(", ")[2]
        ((1, 3), 1, 'line 3: every label must be below 4, got 7')
    """

    def __init__(self, policy: str = "refuse") -> None:
        if policy not in POLICIES:
            raise one_of("bad_rows", policy, POLICIES)
        self.policy = policy
        self._counts: dict[Path, int] = {}
        self._first: dict[Path, list[str]] = {}

    @property
    def count(self) -> int:
        """Rows skipped, in all files; of a file that was read again, in its last reading."""
        return sum(self._counts.values())

    @property
    def first(self) -> list[str]:
        """The first five rows skipped in each file, in words: file, place and reason."""
        return [line for lines in self._first.values() for line in lines]

    def begin(self, path: Path) -> None:
        """A reading of this file begins: what an earlier one found is forgotten."""
        self._counts[path], self._first[path] = 0, []

    def note(self, path: Path, place: str, reason: str) -> None:
        """Skip and count a row, or raise ValueError with its file, place and reason."""
        message = f"{path}, {place}: {reason}"
        if self.policy == "refuse":
            raise ValueError(message)
        self._counts[path] = self._counts.get(path, 0) + 1
        lines = self._first.setdefault(path, [])
        if len(lines) < _SHOWN:
            lines.append(message)

    def __str__(self) -> str:
        rows = "1 bad row" if self.count == 1 else f"{self.count:,} bad rows"
        more = ["..."] if self.count > len(self.first) else []
        return "\n  ".join([f"{rows} skipped", *self.first, *more])


@contextmanager
def judging(bad_rows: str | BadRows) -> Iterator[BadRows]:
    """The judge that a reader's `bad_rows` names; one made from a word warns at the end.

    Raises:
        TypeError: neither a word nor a `BadRows`.
        ValueError: an unknown word.
    """
    if isinstance(bad_rows, BadRows):
        yield bad_rows
        return
    if not isinstance(bad_rows, str):
        raise wrong_type("bad_rows", "'refuse', 'skip' or a BadRows", bad_rows)
    judge = BadRows(bad_rows)
    yield judge
    if judge.count:
        warnings.warn(str(judge), stacklevel=4)
