"""The page of parameters, from the one table of defaults and the classes that read it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from commands import functions, words
from hashgrad import Dense, Network
from hashgrad.cli.options import flag
from hashgrad.defaults import PARAMETERS, Parameter
from hashgrad.optimizers import OPTIMIZERS
from hashgrad.schedules import SCHEDULES
from hashgrad.selectors import SELECTORS
from markdown_tables import code, table

HEAD = """\
---
hide: [toc]
---

# Parameters

Every parameter of the selectors, layers, networks, optimizers, schedules and of training, with its
default and the values it may have. The table is the one that the library itself reads
([`hashgrad.defaults`](api/defaults.md)); the last column is the option of
[`hashgrad train`](command-line.md#hashgrad-train) that sets it.

"""


def page() -> str:
    """The page, as Markdown."""
    shown: set[str] = set()
    parts = [HEAD]
    for title, owners in sections().items():
        names = list(dict.fromkeys(name for fields in owners.values() for name in fields))
        names = [name for name in names if name in PARAMETERS]
        shown.update(names)
        parts.append(f"## {title}\n\n" + _table(names, owners) + "\n")
    others = [name for name in PARAMETERS if name not in shown and not _of_one_member(name, shown)]
    if others:
        parts.append("## Others\n\n" + _table(others, {}) + "\n")
    return "\n".join(parts)


def sections() -> dict[str, dict[str, dict[str, Any]]]:
    """Title -> owner -> field -> default."""
    network = _arguments(Network.__init__)
    network["simulated_workers"] = PARAMETERS["simulated_workers"].default
    return {
        "Selectors": {member.__name__: _fields(member) for member in SELECTORS.values()},
        "Layers": {"Dense": _fields(Dense)},
        "Network": {"Network": network},
        "Optimizers": {member.__name__: _fields(member) for member in OPTIMIZERS.values()},
        "Schedules": {member.__name__: _fields(member) for member in SCHEDULES.values()},
        "Training": {"fit": _arguments(Network.fit)},
    }


def _fields(member: Any) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(member)}


def _arguments(function: Any) -> dict[str, Any]:
    return {name: value.default for name, value in inspect.signature(function).parameters.items()}


def _of_one_member(name: str, shown: Iterable[str]) -> bool:
    """Whether this is some member's own default of a parameter, as `sgd_rate` is of `rate`."""
    return any(name.endswith("_" + other) for other in shown)


def _table(names: list[str], owners: Mapping[str, Mapping[str, Any]]) -> str:
    options = {one for word in words(functions()["train"]) for one in word.flags}
    several = len(owners) > 1
    rows = []
    for name in names:
        parameter = PARAMETERS[name]
        having = {owner: fields[name] for owner, fields in owners.items() if name in fields}
        option = code(flag(name)) if flag(name) in options else ""
        of = [", ".join(code(owner) for owner in having)] if several else []
        rows.append(
            [code(name), *of, _default(parameter, having), str(parameter.constraint),
             parameter.help, option]
        )  # fmt: skip
    head = ["parameter", *(["of"] if several else []), "default", "may be", "what it is", "option"]
    return f'<div class="parameters" markdown>\n\n{table(head, rows)}\n\n</div>'


def _default(parameter: Parameter, having: Mapping[str, Any]) -> str:
    """The default, or that of each member where they differ."""
    values = {owner: value for owner, value in having.items() if _is_plain(value)}
    if len(set(values.values())) > 1:
        return ", ".join(f"{code(str(value))} ({owner})" for owner, value in values.items())
    value = next(iter(values.values()), parameter.default)
    return "–" if value is None else code(str(value))


def _is_plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))
