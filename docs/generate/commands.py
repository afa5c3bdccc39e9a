"""The page of commands, from the functions that run them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typer.models import ArgumentInfo

from hashgrad.cli import app
from markdown_tables import code, table

HEAD = """\
# Command line

Each command tells the same with `--help`. Bad input earns one line on standard error and the exit
code 2; Ctrl-C ends with 130, after what was learned has been saved. How to use them on files of
your own is told [here](../howto/command-line.md).

"""


@dataclass(frozen=True)
class Word:
    """An argument or an option of a command."""

    flags: tuple[str, ...]  # none: an argument
    kind: type
    default: Any
    info: Any  # what Typer was told


def page() -> str:
    """The page, as Markdown."""
    return HEAD + "\n".join(_command(name, function) for name, function in functions().items())


def functions() -> dict[str, Callable[..., Any]]:
    """Each command and the function that runs it."""
    found = {}
    for registered in app.registered_commands:
        function = registered.callback
        assert function is not None
        found[registered.name or function.__name__] = function
    return found


def words(function: Callable[..., Any]) -> list[Word]:
    """The arguments and options of a command."""
    found = []
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        if not hasattr(hints[name], "__metadata__"):
            continue  # Typer's own context
        kind, info = typing.get_args(hints[name])
        kind = next((one for one in typing.get_args(kind) if one is not type(None)), kind)
        # Typer takes the first declaration for a default, until it sees that there is one already.
        first = [info.default] if str(info.default).startswith("-") else []
        declared = (*first, *(info.param_decls or ())) or ("--" + name.replace("_", "-"),)
        flags = () if isinstance(info, ArgumentInfo) else tuple("/".join(declared).split("/"))
        found.append(Word(flags, kind, parameter.default, info))
    return found


def _command(name: str, function: Callable[..., Any]) -> str:
    found = words(function)
    arguments = [word for word in found if not word.flags]
    usage = " ".join(["hashgrad", name, *(word.info.metavar for word in arguments)])
    parts = [f"## hashgrad {name}\n", f"`{usage} [options]`\n"]
    parts += [f"{_plain(part)}\n" for part in inspect.getdoc(function).split("\n\n")]
    if arguments:
        rows = [[code(word.info.metavar), _plain(word.info.help)] for word in arguments]
        parts.append(table(["argument", "what it is"], rows) + "\n")
    panels: dict[str, list[Word]] = {}
    for word in found:
        if word.flags:
            panels.setdefault(word.info.rich_help_panel or "Options", []).append(word)
    for title, members in panels.items():
        if len(panels) > 1:
            parts.append(f"### {title} {{ #{name}-{_anchor(title)} }}\n")
        rows = [[_names(word), _default(word), _plain(word.info.help)] for word in members]
        parts.append(table(["option", "default", "what it does"], rows) + "\n")
    return "\n".join(parts)


def _names(word: Word) -> str:
    names = ", ".join(code(flag) for flag in word.flags)
    if word.kind is bool:
        return names
    values = word.info.metavar or {int: "N", float: "NUMBER"}.get(word.kind, "TEXT")
    return f"{names} {code(values.removeprefix('[').removesuffix(']'))}"


def _default(word: Word) -> str:
    shown = word.info.show_default
    if isinstance(shown, str):
        return shown
    nothing = word.kind is bool or shown is False or word.default is None
    return "" if nothing else code(str(word.default))


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())


def _anchor(title: str) -> str:
    kept = "".join(c if c.isalnum() else " " for c in title.lower())
    return "-".join(kept.split())
