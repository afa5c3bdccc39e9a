"""Docstrings as the site shows them: doctests and roles as code, and defaults as values.

An extension of griffe, which reads the docstrings for mkdocstrings.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

from hashgrad.defaults import default

_ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")
_DEFAULT = re.compile(r"""default\(["'](\w+)["']\)""")
_DIRECTIVE = re.compile(r"\s*# doctest: .*$", re.MULTILINE)


class Doctests(griffe.Extension):
    """Fences every doctest of every docstring, and looks every default up in the table."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, a class, a function or an attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
        if isinstance(obj, griffe.Attribute):
            obj.value = looked_up(obj.value)
        for parameter in obj.parameters if isinstance(obj, griffe.Function) else ():
            parameter.default = looked_up(parameter.default)


def looked_up(value: Any) -> Any:
    """The value that stands in the table, where source code says `default("name")`."""
    found = _DEFAULT.fullmatch(str(value))
    return repr(default(found[1])) if found else value


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
