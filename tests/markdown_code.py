"""The code in Markdown pages: collected, run, and compared with the output that a page shows.

A ```python block that is followed by a ```text block prints that text. In a ```console block, lines
after a `$ hashgrad ...` are what that prints. `...` in shown output stands for anything; numbers
may differ a little, as their last digits depend on the instruction set. A block after the line
`<!-- not run: reason -->` is not run.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.*?) -->\n)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n"
    r"(?P<code>.*?)^ *```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
_ANY = "..."


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    code: str
    line: int  # of its first line of code, from 1
    reason: str | None = None  # why it is not run
    shown: str | None = None  # the output below it


@dataclass(frozen=True)
class Command:
    """A line after a `$`, and what the page shows below it."""

    words: tuple[str, ...]
    shown: str


def blocks(text: str) -> list[Block]:
    """All fenced blocks but those that show the output of the one before them, in order."""
    found: list[Block] = []
    end = 0
    for fence in _FENCE.finditer(text):
        code = textwrap.dedent(fence["code"])
        follows = bool(found) and not text[end : fence.start()].strip()
        end = fence.end()
        if fence["language"] == "text" and follows and found[-1].language == "python":
            found[-1] = Block(**{**vars(found[-1]), "shown": code})
            continue
        line = text.count("\n", 0, fence.start("code")) + 1
        found.append(Block(fence["language"], code, line, fence["reason"]))
    return found


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block."""
    parts = re.split(r"^\$ ", block.code.replace("\\\n", " "), flags=re.MULTILINE)
    for part in parts[1:]:
        line, _, shown = part.partition("\n")
        yield Command(tuple(shlex.split(line, comments=True)), shown)


def agrees(shown: str, printed: str) -> bool:
    """Whether printed text is what a page shows.

    >>> agrees("accuracy 0.97", "accuracy  0.968"), agrees("accuracy 0.97", "accuracy 0.90")
    (True, False)
    >>> agrees("a ... z", "a b c z"), agrees("3 rows", "4 rows"), agrees("a", "a b")
    (True, False, False)
    """
    return _match(shown.split(), printed.split())


def _match(shown: list[str], printed: list[str]) -> bool:
    """Whether the words match, where `...` matches any number of words."""
    reachable = {0}
    for word in shown:
        if word == _ANY:
            reachable = set(range(min(reachable), len(printed) + 1))
        else:
            reachable = {
                place + 1
                for place in reachable
                if place < len(printed) and _same(word, printed[place])
            }
        if not reachable:
            return False
    return len(printed) in reachable


def _same(shown: str, printed: str) -> bool:
    """Whether two words are equal but for the last digits of their numbers."""
    shown = shown.replace(_ANY, "")
    if _NUMBER.sub("#", shown) != _NUMBER.sub("#", printed):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(_near(one, other) for one, other in pairs)


def _near(one: str, other: str) -> bool:
    """Small whole numbers must be equal, others within a twentieth (or 0.02)."""
    a, b = float(one.replace(",", "")), float(other.replace(",", ""))
    if one.isdigit() and a < 1000:
        return a == b
    return abs(a - b) <= max(0.02, 0.05 * abs(a))
