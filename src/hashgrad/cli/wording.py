"""The library's errors in the words of the command line: options for parameters.

A message of the library names the parameter, the rule and the value. Whoever typed `--batch-size`
should not have to know that it is `batch_size` in Python, nor that None is what an option has that
was left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .options import FLAGS

# Parameters of the library that no option is named after, and the options behind them.
_OTHERS = {"share": "test", "patience": "early_stopping"}
_VERBS = r"must|needs|has|is for|cannot"


def options_of(command: Any) -> dict[str, str]:
    """The long option of each parameter of one of Typer's commands; arguments have none."""
    found = {}
    for parameter in command.params:
        long = [name for name in parameter.opts if name.startswith("--")]
        if long:
            found[str(parameter.name)] = long[0]
    return found


def in_options(message: str, options: Mapping[str, str]) -> str:
    """A message with options where it names parameters.

    A name counts as a parameter's where a rule follows it at the beginning, a value follows it
    (`bits=7`, `loss 'softmax'`), or where it has an underscore; not in paths and quoted words.

    Args:
        message: of an error of the library, or of the command line itself, which stays as it is.
        options: from `options_of`.

    >>> options = {"batch_size": "--batch-size", "bits": "--bits", "pooled": "--pooled"}
    >>> in_options("batch_size must be above 1 where outputs are pooled, got 1", options)
    '--batch-size must be above 1 where outputs are pooled, got 1'
    >>> in_options("fill needs pooled=True, got fill=3 with pooled=False and bits=7", options)
    'fill needs --pooled, got fill=3 without --pooled and --bits 7'
    """
    known = {**FLAGS, **options}
    known |= {name: options[other] for name, other in _OTHERS.items() if other in options}
    flags = {name: known[name] for name in known if known[name] in options.values()}
    if not flags:
        return message
    names = "|".join(sorted(flags, key=len, reverse=True))
    joined = "|".join(name for name in sorted(flags, key=len, reverse=True) if "_" in name)

    def flag(found: re.Match[str]) -> str:
        return flags[found[1]]

    def setting(found: re.Match[str]) -> str:
        preposition, name, value = found[1] or "", found[2], found[3].strip("'")
        if value in ("False", "None"):
            return f"{'without' if preposition == 'with ' else f'{preposition}no'} {flags[name]}"
        others = found[4].replace("'", "")  # " or that"
        return f"{preposition}{flags[name]}" + ("" if value == "True" else f" {value}{others}")

    text = re.sub(rf"^({names})(?= (?:{_VERBS}|\*) | ')", flag, message)
    text = re.sub(rf"(?<= \* )({names})(?= (?:{_VERBS}) )", flag, text)
    value = r"'[^']*'|[+-]?\w[\w.+-]*(?<!\.)"
    text = re.sub(
        rf"(with )?(?<![\w./'\"-])({names})=({value})((?: or '[^']*')*)(?![/\w])", setting, text
    )
    text = re.sub(rf"(?<= needs )({names})(?= (?:above|below) )", flag, text)
    text = re.sub(rf"(?<=[a-z,] )({names})(?= '[\w-]+'(?:,| with| and|$))", flag, text)
    if joined:
        text = re.sub(rf"(?<![\w./'\"-])({joined})(?![\w./='\"(-])", flag, text)
    return text.replace(", or None, got ", ", got ") if text.startswith("--") else text
