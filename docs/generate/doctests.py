"""Docstrings as the site shows them: their doctests as code, their roles as plain code.

An extension of griffe, which reads the docstrings for mkdocstrings.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")
_DIRECTIVE = re.compile(r"\s*# doctest: .*$", re.MULTILINE)


class Doctests(griffe.Extension):
    """Fences every doctest of every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, a class, a function or an attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """The docstring with fences around its doctests."""
    lines: list[str] = []
    indent: str | None = None  # of the doctest we are in
    for line in docstring.splitlines():
        begins = line.lstrip().startswith(">>> ")
        if indent is not None and not line.strip():
            lines.append(f"{indent}```")
            indent = None
        elif indent is None and begins:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}```pycon")
        lines.append(line)
    if indent is not None:
        lines.append(f"{indent}```")
    text = "\n".join(lines).replace("<BLANKLINE>", "")
    return _ROLE.sub(r"`\1`", _DIRECTIVE.sub("", text))
