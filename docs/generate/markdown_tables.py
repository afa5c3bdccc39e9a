"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table; the columns numbered in `right` are set to the right, as numbers are."""
    rule = ["--:" if column in right else "---" for column in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Text as code."""
    return f"`{text}`"


def _cell(text: str) -> str:
    parts = text.replace("\n", " ").split("`")  # every second one is code, where | is itself
    parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
    return "`".join(parts)
