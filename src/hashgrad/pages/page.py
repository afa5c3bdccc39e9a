"""A page of results as plain data: claims, then sections of figures and tables.

Every part goes to JSON and comes back the same:

>>> claim = Claim("half is enough", "50 %", "48.2 %", True, "hashgrad reproduce half")
>>> Claim.from_dict(claim.to_dict()) == claim
True
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hashgrad.checks import nearest, shown, wrong_type

Cell = str | int | float | None
Point = tuple[float, float, float, float]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_Self = TypeVar("_Self", bound="Record")


@dataclass(frozen=True)
class Record:
    """What all parts of a page can do: go to plain data, and come back."""

    def to_dict(self) -> dict[str, Any]:
        """The part as what JSON knows: dicts, lists, texts, numbers, booleans and None."""
        return {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls: type[_Self], data: Mapping[str, Any]) -> _Self:
        """The part that `to_dict` made this of.

        Args:
            data: its fields by name; those with a default may be left out.

        Raises:
            TypeError: it is no mapping.
            ValueError: a field is unknown, missing, or breaks a rule of the part.
        """
        what = cls.__name__.lower()
        if not isinstance(data, Mapping):
            raise wrong_type(what, "a mapping", data)
        known = {item.name: item for item in dataclasses.fields(cls)}
        for name in data:
            if name not in known:
                raise ValueError(
                    f"{what} must have known fields, got {shown(name)}{nearest(name, known)}"
                )
        for name, item in known.items():
            if name not in data and item.default is dataclasses.MISSING:
                raise ValueError(f"{what} must have the field {name!r}, got {shown(sorted(data))}")
        return cls(**{name: _part(known[name].metadata, value) for name, value in data.items()})


@dataclass(frozen=True)
class Claim(Record):
    """One row of the ledger of claims.

    Args:
        text: what is claimed.
        paper: the paper's figure.
        ours: the figure found here.
        held: whether the claim holds here; None if that is open here.
        command: what measures it.
        note: anything that a reader has to know.
    """

    text: str
    paper: str
    ours: str
    held: bool | None
    command: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.held is not None and not isinstance(self.held, bool):
            raise wrong_type("held", "True, False or None", self.held)


@dataclass(frozen=True)
class Line(Record):
    """A line of a panel.

    Args:
        name: what it shows; lines of one name look alike in all figures.
        points: `(x, y, low, high)`, where `low` and `high` are the spread; both are `y` if there
            is none.
        dashed: whether it is drawn with dashes, as a reference.

    Raises:
        ValueError: a point has not four finite numbers, or its `y` is outside its spread.

    Example:
        >>> Line("LSH", ((5, 0.97, 0.96, 0.99),)).points
        ((5.0, 0.97, 0.96, 0.99),)
    """

    name: str
    points: tuple[Point, ...]
    dashed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(_checked_point(point) for point in self.points))


@dataclass(frozen=True)
class Panel(Record):
    """One small plot of a figure."""

    title: str
    lines: tuple[Line, ...] = field(metadata={"part": Line})


@dataclass(frozen=True)
class Figure(Record):
    """Panels of one kind, with one legend.

    Args:
        name: the stem of its files: lower-case letters, digits and single hyphens between them.
        title: what it shows, in a few words.
        sentence: what a reader is to see in it.
        x_label: the name of the horizontal axes.
        y_label: the name of the vertical axes.
        panels: the plots, in rows.
        x_log: whether horizontal axes are logarithmic.
        x_ticks: where horizontal axes have ticks; None leaves the choice to the drawing.
        y_percent: whether `y` are shares, to be shown in per cent.
        x_percent: the same of `x`, and of `x_ticks`.
        bars: whether points are bars from 0 up, those of several lines side by side.

    Raises:
        ValueError: the name is none, or a logarithmic axis has an `x` of 0 or less.
    """

    name: str
    title: str
    sentence: str
    x_label: str
    y_label: str
    panels: tuple[Panel, ...] = field(metadata={"part": Panel})
    x_log: bool = False
    x_ticks: tuple[float, ...] | None = None
    y_percent: bool = False
    x_percent: bool = False
    bars: bool = False

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        xs = [x for panel in self.panels for line in panel.lines for x, *_ in line.points]
        for x in (*xs, *(self.x_ticks or ())):
            if self.x_log and x <= 0:
                raise ValueError(f"x must be above 0 on a logarithmic axis, got {shown(x)}")

    def line_names(self) -> list[str]:
        """The names of the lines that have points, in order."""
        lines = (line for panel in self.panels for line in panel.lines if line.points)
        return list(dict.fromkeys(line.name for line in lines))


@dataclass(frozen=True)
class Table(Record):
    """A table.

    Args:
        title: what it shows, in a few words.
        sentence: what a reader is to see in it.
        columns: the names of its columns.
        rows: cells of text, numbers, or None where there is nothing.

    Raises:
        TypeError: a cell is something else.
        ValueError: a row is longer or shorter than the columns, or a number is not finite.
    """

    title: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows must have {len(self.columns)} cells, as there are columns, "
                    f"got {shown(row)}"
                )
            for cell in row:
                if isinstance(cell, bool) or not isinstance(cell, str | int | float | None):
                    raise wrong_type("a cell", "a text, a number or None", cell)
                if isinstance(cell, float) and not math.isfinite(cell):
                    raise ValueError(f"a cell must be finite, or None, got {shown(cell)}")


@dataclass(frozen=True)
class Section(Record):
    """A part of the page, such as an experiment.

    Args:
        name: what links call it; the same rule as for figures.
        title: its heading.
        sentence: what it is about.
        figures: its figures.
        tables: its tables.
        missing: why a part of it, or all, has no results; empty if nothing is missing.
        code: lines of a program, to be copied.

    Raises:
        ValueError: the name is none.
    """

    name: str
    title: str
    sentence: str
    figures: tuple[Figure, ...] = field(default=(), metadata={"part": Figure})
    tables: tuple[Table, ...] = field(default=(), metadata={"part": Table})
    missing: str = ""
    code: str = ""

    def __post_init__(self) -> None:
        _check_name("name", self.name)


@dataclass(frozen=True)
class Page(Record):
    """All that a report shows.

    Args:
        title: its heading.
        about: labels and values: when, where and how the results came to be.
        claims: the ledger.
        sections: its parts, in order.

    Raises:
        ValueError: two sections, or two figures, have one name.
    """

    title: str
    about: tuple[tuple[str, str], ...]
    claims: tuple[Claim, ...] = field(metadata={"part": Claim})
    sections: tuple[Section, ...] = field(metadata={"part": Section})

    def __post_init__(self) -> None:
        _check_distinct("sections", (section.name for section in self.sections))
        _check_distinct("figures", (figure.name for figure in self.figures()))

    def figures(self) -> list[Figure]:
        """The figures of all sections."""
        return [figure for section in self.sections for figure in section.figures]


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _part(metadata: Mapping[str, Any], value: Any) -> Any:
    """A field's value, of what JSON gave for it."""
    if "part" in metadata:
        return tuple(metadata["part"].from_dict(item) for item in value)
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, tuple | list) else value


def _checked_point(point: Iterable[float]) -> Point:
    numbers = tuple(float(number) for number in point)
    if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"points must be four finite numbers each, got {shown(numbers)}")
    x, y, low, high = numbers
    # A mean may lie beside its equal values by a rounding.
    low, high = (y if math.isclose(y, end, rel_tol=1e-12) else end for end in (low, high))
    if not low <= y <= high:
        raise ValueError(f"points must have low <= y <= high, got {shown(numbers)}")
    return x, y, low, high


def _check_name(argument: str, name: object) -> None:
    if not isinstance(name, str):
        raise wrong_type(argument, "a text", name)
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{argument} must be lower-case letters and digits, with single hyphens between, "
            f"got {shown(name)}"
        )


def _check_distinct(argument: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{argument} must have distinct names, got {shown(name)} twice")
        seen.add(name)
