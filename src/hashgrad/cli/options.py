"""Command-line options, made from the table of defaults: its words, its limits, its help."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import typer

from hashgrad.checks import Choice, Flag, one_of
from hashgrad.datasets.parquet import COLUMNS as LIST_COLUMNS
from hashgrad.defaults import PARAMETERS, Parameter, check
from hashgrad.layers import Dense
from hashgrad.optimizers import OPTIMIZERS
from hashgrad.selectors import DENSIFIED, LSH, SELECTORS, All

NETWORK = "Network"
TRAINING = "Training"
SELECTION = "Selection of neurons"
HASHING = "Hashing (--selector lsh)"
FILES = "Files and output"

# What the command line alone decides: the paper's network, and its way of choosing neurons.
HIDDEN = "1000,1000"
SELECTOR = LSH.word

POOLING = ("pooled", "bucket", "policy", "fill", "query_every", "precision", "correction")
SELECTING = (
    "alpha", "beta", "bits", "tables", "family", "code_bits", "projection", "rank", "transform",
    "center", "lookup", "code", "probes", "ranking", "candidates", "rehash", "rehash_every",
    "rebuild_every", *POOLING,
)  # fmt: skip

# What `--task multilabel` takes where the user says nothing: outputs are chosen, not neurons of
# hidden layers, and a batch shares those it has found.
OUTPUTS_KEPT = 15
KEPT_ALONE = 4  # without a pool
MANY_LABELS = {
    "hidden": "256", "optimizer": "adam", "rate": 0.006, "lazy": False, "batch_size": 48,
    "prior": True, "rank": 64, "bits": 8, "tables": 32, "code": "bits", "lookup": "scan",
    "pooled": True, "query_every": 4, "candidates": 10,
}  # fmt: skip

DATA: Any = typer.Argument(
    metavar="DATA",
    help=(
        "A named data set, or a file with one: .npz (x_train, y_train, x_test, y_test, or X, y), "
        "svmlight, .txt of the Extreme Classification Repository (one file, or ..._X_Xf.txt with "
        "..._X_Y.txt beside it), .parquet with lists, .amat (label last); all but .npz also with "
        ".gz or .zst."
    ),
)
FIRST_INDEX: Any = typer.Option(
    "--first-index",
    help="Number of the first feature in svmlight files; as in the files that the model was "
    "trained on, or 1 unless a feature 0 occurs, by default. Kept with the model.",
    metavar="0|1",
    show_default=False,
    rich_help_panel=FILES,
)
COLUMNS: Any = typer.Option(
    "--columns",
    help="A Parquet file's columns of features, values and labels; kept with the model.",
    metavar="NAME,NAME,NAME",
    show_default=",".join(LIST_COLUMNS),
    rich_help_panel=FILES,
)
BAD_ROWS: Any = typer.Option(
    "--bad-rows",
    help="What to do with malformed rows of sparse text and Parquet: end with file, line and "
    "reason, or skip them, and say how many and which were the first.",
    metavar="[refuse|skip]",
    rich_help_panel=FILES,
)
MODEL: Any = typer.Argument(metavar="MODEL", help="A model file, as train --output writes it.")

# Options whose flag is not the parameter's own name.
FLAGS = {
    "fraction": "--active",
    "active": "--selector",
    "rate": "--learning-rate",
    "state": "--optimizer-state",
}


def flag(name: str) -> str:
    """The option that sets a parameter.

    >>> flag("rehash_every"), flag("rate")
    ('--rehash-every', '--learning-rate')
    """
    return FLAGS.get(name, "--" + name.replace("_", "-"))


def option(name: str, panel: str, *, more: str = "", default: str = "", words: str = "") -> Any:
    """The Typer option of a parameter of the table.

    Its value is None unless the user sets it, so that the library's own defaults hold and an
    option without effect can be told; the help shows the default from the table.

    Args:
        name: a parameter of the table.
        panel: the heading it stands under in `--help`.
        more: a sentence to append to the table's help.
        default: what to show as default, where the table alone does not say it.
        words: what to show as its values; the table's words, or its type, by default.
    """
    parameter = PARAMETERS[name]
    declared = flag(name)
    if isinstance(parameter.constraint, Flag):
        declared += "/--no-" + declared.removeprefix("--")
    if not words and isinstance(parameter.constraint, Choice):
        words = "[" + "|".join(parameter.constraint.words) + "]"
    # What None means is for Python; here an option that is left out says it with its default.
    text = parameter.help.partition("; None")[0].rstrip(".") + "."
    return typer.Option(
        declared,
        help=f"{text} {more}".strip(),
        show_default=default or _default_text(parameter),
        metavar=words or None,
        rich_help_panel=panel,
    )


def _default_text(parameter: Parameter) -> str | bool:
    if parameter.default is None:
        return False
    if isinstance(parameter.constraint, Flag):
        return "on" if parameter.default else "off"
    return str(parameter.default)


def learning_rates() -> str:
    """The default learning rates, as `--help` shows them: one for each optimizer."""
    return ", ".join(f"{word} {member().rate:g}" for word, member in OPTIMIZERS.items())


def given(params: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The parameters that the user set, checked against the table; messages name the option.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: a value out of range, or an unknown word.

    >>> given({"bits": 6, "tables": None, "json": "-"}, "bits", "tables")
    {'bits': 6}
    """
    return {
        name: check(name, params[name], argument=flag(name))
        for name in names
        if params[name] is not None
    }


def member(family: Mapping[str, Any], option: str, word: str, fields: Mapping[str, Any]) -> Any:
    """A member of a family of specifications, with the fields that the user set.

    Args:
        family: its members by name.
        option: the option that chose `word`, for messages.
        word: the chosen member's name.
        fields: what to set; every field must be one that the member has.

    Raises:
        ValueError: an unknown name, or a field that this member does not have.

    >>> member(OPTIMIZERS, "--optimizer", "sgd", {"momentum": 0.5})
    Traceback (most recent call last):
    ValueError: --momentum has no effect with --optimizer sgd; it belongs to momentum, adagrad
    """
    if word not in family:
        raise one_of(option, word, family)
    for name in fields:
        if name not in _fields(family[word]):
            owners = ", ".join(other for other in family if name in _fields(family[other]))
            raise ValueError(
                f"{flag(name)} has no effect with {option} {word}; it belongs to {owners}"
            )
    return family[word](**fields)


def _fields(member: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(member)}


def numbers(option: str, text: str, kind: type) -> list[Any]:
    """A list of numbers with commas between.

    Raises:
        ValueError: something else.

    >>> numbers("--hidden", "1000, 500", int)
    [1000, 500]
    >>> numbers("--hidden", "1000x500", int)
    Traceback (most recent call last):
    ValueError: --hidden must be whole numbers with commas between, got '1000x500'
    """
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        rule = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"{option} must be {rule} with commas between, got {text!r}") from None


def preset(params: Mapping[str, Any], name: str) -> Any:
    """What the task sets where the user says nothing; None if nothing."""
    return MANY_LABELS.get(name) if params["task"] == "multilabel" else None


def chosen(params: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    """What the user says, else what the task sets, else the last argument."""
    if params[name] is not None:
        return params[name]
    return otherwise if preset(params, name) is None else preset(params, name)


def preset_words() -> str:
    """What `--task multilabel` sets, as `--help` says it."""
    words = [
        ("no-" if value is False else "")
        + flag(name).removeprefix("--")
        + ("" if isinstance(value, bool) else f" {value}")
        for name, value in MANY_LABELS.items()
    ]
    return f"{', '.join(words)}, {OUTPUTS_KEPT} outputs kept."


def _for_labels(params: Mapping[str, Any], sizes: list[int], n_outputs: int) -> list[Dense]:
    word = SELECTOR if params["selector"] is None else params["selector"]
    settings = given(params, *SELECTING)
    if word == LSH.word:
        preset = {k: v for k, v in MANY_LABELS.items() if k in SELECTING}
        if settings.get("family") in DENSIFIED:  # which have no projections
            del preset["rank"]
        alone = settings.get("pooled") is False
        if alone:
            del preset["query_every"], preset["candidates"]
        settings = preset | settings
        settings["fraction"] = min(1.0, (KEPT_ALONE if alone else OUTPUTS_KEPT) / n_outputs)
    if params["fraction"] is not None and word != All.word:
        listed = numbers("--active", params["fraction"], float)
        if len(listed) != 1:
            raise ValueError(
                "--active must have one value with --task multilabel, the share of the outputs, "
                f"got {params['fraction']!r}"
            )
        settings["fraction"] = check("fraction", listed[0], argument="--active")
    hidden = _hidden(params, sizes, [All()] * len(sizes))
    try:
        active = member(SELECTORS, "--selector", word, settings)
    except ValueError as error:
        if word != LSH.word:
            raise
        raise ValueError(f"{error} (--task multilabel sets {preset_words()[:-1]})") from None
    return [*hidden, Dense(n_outputs, active=active, **given(params, "dtype"))]


def _hidden(params: Mapping[str, Any], sizes: list[int], actives: list[Any]) -> list[Dense]:
    first = given(params, "init_std").get("init_std")
    if first is None and params["task"] == "multilabel" and params["weighting"] is not None:
        first = sizes[0] ** -0.5  # a weighted row has length 1: a few of its columns, not one each
    activation = given(params, "activation").get("activation")
    return [
        Dense(size, activation=activation, active=active, init_std=None if number else first)
        for number, (size, active) in enumerate(zip(sizes, actives, strict=False))
    ]


def layers(params: Mapping[str, Any], n_outputs: int) -> list[Dense]:
    """The layers that the options describe; the last one has `n_outputs` neurons.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: a value out of range, or options that contradict each other.
    """
    sizes = [
        check("n", size, argument="--hidden")
        for size in numbers("--hidden", chosen(params, "hidden", HIDDEN), int)
    ]
    if params["task"] == "multilabel":
        return _for_labels(params, sizes, n_outputs)
    word = SELECTOR if params["selector"] is None else params["selector"]
    settings = given(params, *SELECTING)
    shares: list[dict[str, Any]] = [{}]
    if params["fraction"] is not None:
        listed = numbers("--active", params["fraction"], float)
        shares = [{"fraction": check("fraction", share, argument="--active")} for share in listed]
        if word == All.word:
            # So that one command compares every method: only the word after --selector changes.
            shares = [{} for _ in shares]
    if len(shares) == 1:
        shares *= len(sizes)
    if len(shares) not in (len(sizes), len(sizes) + 1):
        raise ValueError(
            f"--active must have one value, or one for each of the {len(sizes)} hidden layers "
            f"and perhaps one more for the output layer, got {params['fraction']!r}"
        )
    pooling: dict[str, Any] = {name: settings.pop(name) for name in POOLING if name in settings}
    if pooling and len(shares) == len(sizes):
        raise ValueError(
            f"{flag(next(iter(pooling)))} needs --active with a share for the output layer as "
            "well, or --task multilabel"
        )
    actives = [member(SELECTORS, "--selector", word, {**share, **settings}) for share in shares]
    if pooling:
        actives[-1] = member(SELECTORS, "--selector", word, {**shares[-1], **settings, **pooling})
    hidden = _hidden(params, sizes, actives)
    # A share beyond the hidden layers is the output layer's; without one that layer is dense.
    return [
        *hidden,
        Dense(
            n_outputs,
            active=actives[len(sizes)] if actives[len(sizes) :] else None,
            **given(params, "dtype"),
        ),
    ]
