"""Figures of a page, drawn: small multiples with a line and a marker for each method.

A figure is drawn twice: as a whole, for files that stand alone, and panel by panel, for the page,
which lays the panels out itself and gives them the colours of its theme. The same figure gives the
same bytes.
"""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

from .look import PALETTE, Look, need_matplotlib
from .page import Figure, Line, Panel

# Ink on white in files; on the page, variables of its theme.
INK, MUTED, GRID, PAPER = "#1f2328", "#57606a", "#e4e6e9", "#ffffff"
INKS = {INK: "currentColor", MUTED: "var(--muted)", GRID: "var(--grid)", PAPER: "var(--card)"}

_MARKER_SIZES = {"o": 5.0, "s": 4.8, "D": 4.6, "^": 5.8, "v": 5.8, "P": 6.2}  # points

_LARGE, _SMALL = (3.3, 2.1), (2.05, 1.6)  # inches between the axes
_LEFT, _RIGHT, _BOTTOM = 0.6, 0.18, 0.32  # room for the labels of ticks
_LINE = 0.19  # a line of text
_LETTERS, _BOLD = 13, 11  # in an inch of text, and of titles
_BETWEEN = 0.68  # two panels
_TITLE_OVER = 0.45  # what a title may reach beyond its panel
_TEXT, _TITLE = 9.0, 10.0  # points
_FONT = "'DejaVu Sans'"  # Matplotlib's own, whose measures it takes
_MOST_COLUMNS = 4
_MOST_MARKERS = 12
_MOST_TICKS = 8
# What Matplotlib writes into files of a kind unless it is told not to: clocks and versions.
_METADATA = {
    "svg": ("Date", "Creator"),
    "png": ("Software",),
    "pdf": ("CreationDate", "Creator", "Producer"),
}


def columns(panels: int) -> int:
    """In how many columns panels stand: at most four, and no row much shorter than the others.

    >>> [columns(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12)]
    [1, 2, 3, 4, 3, 3, 4, 4, 3, 4]
    """
    most = min(max(panels, 1), _MOST_COLUMNS)
    if panels <= _MOST_COLUMNS:
        return most
    return min((most, most - 1), key=lambda n: -panels % n)


def files(figure: Figure, seen: Mapping[str, Look]) -> dict[str, bytes]:
    """The whole figure as files.

    Args:
        figure: what to draw.
        seen: the look of each of its lines, from `looks`.

    Returns:
        The bytes of `NAME.svg` and `NAME.png`, by these names.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed; the message says how to get it.
    """
    with _settings(figure.name):
        drawn = _whole(figure, seen)
        return {
            f"{figure.name}.svg": _saved(drawn, "svg").replace(
                _FONT.encode(), f"{_FONT}, sans-serif".encode()
            ),
            f"{figure.name}.png": _saved(drawn, "png"),
        }


def panels(figure: Figure, seen: Mapping[str, Look]) -> list[str]:
    """Each panel, without its title, as an element for a page of HTML: SVG, or a line of text.

    Its colours are `currentColor` and the page's variables `--muted`, `--grid`, `--card` and
    `--line-0`, `--line-1`, ..., in the order of `PALETTE`. Its ids begin with `figure-NAME-`.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed; the message says how to get it.
    """
    found = []
    for number, panel in enumerate(figure.panels):
        if not any(line.points for line in panel.lines):
            found.append('<p class="nothing">No results</p>')
            continue
        prefix = f"figure-{figure.name}-{number}"
        with _settings(prefix):
            drawn = _alone(figure, panel, seen)
            text = _saved(drawn, "svg").decode()
        found.append(_inlined(text, prefix, _in_words(figure, panel)))
    return found


@contextmanager
def _settings(salt: str) -> Iterator[None]:
    """Matplotlib's own defaults, whatever the user's are, and ours."""
    need_matplotlib()
    from matplotlib import style

    ours = {
        "svg.hashsalt": salt, "svg.fonttype": "none", "text.parse_math": False,
        "font.family": [_FONT.strip("'")], "font.size": _TEXT, "text.color": INK,
        "axes.edgecolor": MUTED, "axes.labelcolor": MUTED, "axes.titlecolor": INK,
        "axes.linewidth": 0.7, "axes.axisbelow": True, "xtick.color": MUTED, "ytick.color": MUTED,
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    }  # fmt: skip
    with style.context(["default", ours], after_reset=True):
        yield


def _saved(drawn: Any, kind: str) -> bytes:
    file = io.BytesIO()
    drawn.savefig(file, format=kind, dpi=200, metadata=dict.fromkeys(_METADATA[kind]))
    return file.getvalue()


def _alone(figure: Figure, panel: Panel, seen: Mapping[str, Look]) -> Any:
    """One panel, with its labels."""
    from matplotlib.figure import Figure as Canvas

    width, height = _SMALL if len(figure.panels) > 1 else _LARGE
    x_label, y_label, left, bottom = _axis_labels(figure, width, height)
    across, down = left + width + _RIGHT, bottom + height + 0.07
    canvas = Canvas(figsize=(across, down))
    canvas.patch.set_visible(False)
    axes = canvas.add_axes((left / across, bottom / down, width / across, height / down))
    _draw(axes, figure, panel, seen)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return canvas


def _axis_labels(figure: Figure, width: float, height: float) -> tuple[str, str, float, float]:
    """The names of the axes in lines that fit, and the room left of and below them."""
    x_lines = textwrap.wrap(figure.x_label, round((width + 0.4) * _LETTERS))
    y_lines = textwrap.wrap(figure.y_label, round((height + 0.4) * _LETTERS))
    left, bottom = _LEFT + len(y_lines) * _LINE, _BOTTOM + len(x_lines) * _LINE
    return "\n".join(x_lines), "\n".join(y_lines), left, bottom


def _whole(figure: Figure, seen: Mapping[str, Look]) -> Any:
    """All panels in a grid, under the title and the legend."""
    from matplotlib.figure import Figure as Canvas

    across = columns(len(figure.panels))
    down = -(-len(figure.panels) // across)
    width, height = _SMALL if len(figure.panels) > 1 else _LARGE
    x_label, y_label, left_room, below = _axis_labels(figure, width, height)
    titles = [
        textwrap.fill(panel.title, round((width + _TITLE_OVER) * _BOLD)) for panel in figure.panels
    ]
    above = max((title.count("\n") + 1 for title in titles), default=1) * _LINE + 0.1
    names = figure.line_names()
    total = left_room + across * width + (across - 1) * _BETWEEN + _TITLE_OVER
    heading = textwrap.wrap(figure.title, round((total - left_room) * _BOLD * 0.85)) or [""]
    longest = max((len(name) for name in names), default=1)
    in_a_row = max(1, min(len(names), int((total - left_room) / (0.55 + 0.085 * longest))))
    top = 0.15 + (_LINE + 0.03) * len(heading) + (_LINE + 0.04) * -(-len(names) // in_a_row) + 0.15
    step = above + height + below
    tall = top + down * step
    canvas = Canvas(figsize=(total, tall), facecolor=PAPER)
    canvas.text(left_room / total, 1 - 0.12 / tall, "\n".join(heading), va="top", size=_TITLE + 1.5,
                weight="bold")  # fmt: skip
    for number, (panel, title) in enumerate(zip(figure.panels, titles, strict=True)):
        row, column = divmod(number, across)
        left = left_room + column * (width + _BETWEEN)
        bottom = tall - top - row * step - above - height
        axes = canvas.add_axes((left / total, bottom / tall, width / total, height / tall))
        _draw(axes, figure, panel, seen)
        axes.set_title(title, loc="left", size=_TITLE, weight="bold")
        if column == 0:
            axes.set_ylabel(y_label)
        if number + across >= len(figure.panels):
            axes.set_xlabel(x_label)
    if names:
        canvas.legend(
            _handles(figure, seen), names, ncols=in_a_row, loc="upper left", frameon=False,
            bbox_to_anchor=(left_room / total, 1 - (0.2 + (_LINE + 0.03) * len(heading)) / tall),
            borderpad=0, borderaxespad=0, handlelength=2.4, columnspacing=1.8, labelspacing=0.4,
        )  # fmt: skip
    return canvas


def sheet(drawn: Sequence[Figure], seen: Mapping[str, Look]) -> Any:
    """Several figures on one Matplotlib figure, in rows of two, each with its title and legend.

    Args:
        drawn: figures of one panel each.
        seen: the look of each of their lines, from `looks`.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed; the message says how to get it.
    """
    with _settings("sheet"):
        from matplotlib.figure import Figure as Canvas

        width, height = _LARGE
        across, down = min(2, len(drawn)), -(-len(drawn) // 2)
        most = max((len(figure.line_names()) for figure in drawn), default=0)
        above = 0.35 + 0.2 * -(-most // _MOST_COLUMNS)
        left, below = _LEFT + 2 * _LINE, _BOTTOM + 2 * _LINE
        step_x, step_y = left + width + _RIGHT, above + height + below
        canvas = Canvas(figsize=(across * step_x + 0.1, down * step_y), facecolor=PAPER)
        for number, figure in enumerate(drawn):
            row, column = divmod(number, 2)
            bottom = (down - 1 - row) * step_y + below
            at = (column * step_x + left) / (across * step_x + 0.1), bottom / (down * step_y)
            size = width / (across * step_x + 0.1), height / (down * step_y)
            axes = canvas.add_axes((*at, *size))
            _draw(axes, figure, figure.panels[0], seen)
            x_label, y_label, *_ = _axis_labels(figure, width, height)
            axes.set_xlabel(x_label)
            axes.set_ylabel(y_label)
            names = figure.line_names()
            lines = -(-len(names) // _MOST_COLUMNS) if len(names) > 1 else 0  # of the legend
            axes.set_title(figure.title, loc="left", size=_TITLE, weight="bold",
                           pad=6 + 14 * lines)  # fmt: skip
            if lines:
                axes.legend(
                    _handles(figure, seen), names, ncols=_MOST_COLUMNS, loc="lower left",
                    bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2, handlelength=1.6,
                    columnspacing=1.2, borderpad=0, fontsize=_TEXT - 1,
                )  # fmt: skip
    return canvas


def sheet_file(drawn: Any, kind: str) -> bytes:
    """A sheet as the bytes of a file, `"png"`, `"svg"` or `"pdf"`."""
    with _settings("sheet"):
        return _saved(drawn, kind)


def is_dashed(figure: Figure, name: str) -> bool:
    """Whether the figure's first line of this name is drawn with dashes."""
    lines = (line for panel in figure.panels for line in panel.lines if line.points)
    return next(line.dashed for line in lines if line.name == name)


def _handles(figure: Figure, seen: Mapping[str, Look]) -> list[Any]:
    """What stands beside the names of a figure's lines in its legend."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = figure.line_names()
    if figure.bars:
        return [Patch(color=seen[name].colour) for name in names]
    return [Line2D([], [], **_strokes(seen[name], is_dashed(figure, name))) for name in names]


def _strokes(look: Look, dashed: bool) -> dict[str, Any]:
    return {
        "color": look.colour, "marker": look.marker, "linewidth": 1.5,
        "markersize": _MARKER_SIZES[look.marker], "markeredgecolor": PAPER, "markeredgewidth": 0.6,
        "linestyle": (0, (4, 2)) if dashed else "-",
    }  # fmt: skip


def _draw(axes: Any, figure: Figure, panel: Panel, seen: Mapping[str, Look]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    lines = [line for line in panel.lines if line.points]
    axes.tick_params(length=0, labelsize=_TEXT)
    axes.tick_params(axis="x", length=3, width=0.7)
    if not lines:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no results", transform=axes.transAxes, ha="center", va="center",
                  color=MUTED)  # fmt: skip
        return
    axes.margins(x=0.05, y=0.09)
    if figure.bars:
        _draw_bars(axes, lines, seen)
    else:
        for line in lines:
            _draw_line(axes, line, seen[line.name])
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    show_x, show_y = _texts(figure)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: show_y(value)))
    if figure.x_log:
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show_x(value)))
    ticks = _ticks(figure, lines)
    if ticks:
        axes.set_xticks(ticks, _labels(axes, ticks, [show_x(tick) for tick in ticks]))
    elif not figure.x_log:
        whole = all(float(x).is_integer() for line in lines for x, *_ in line.points)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=whole))


def _draw_line(axes: Any, line: Line, look: Look) -> None:
    points = sorted(line.points)
    x, y = [point[0] for point in points], [point[1] for point in points]
    every = -(-len(points) // _MOST_MARKERS)
    front = 3 if line.name == "LSH" else 2
    axes.plot(x, y, markevery=every, zorder=front, **_strokes(look, line.dashed))
    spread = [point for point in points if point[2] < point[3]]
    if spread:
        under = [y - low for _, y, low, _ in spread]
        over = [high - y for _, y, _, high in spread]
        axes.errorbar(
            [point[0] for point in spread], [point[1] for point in spread], yerr=[under, over],
            fmt="none", color=look.colour, elinewidth=1.0, capsize=2.0, capthick=1.0,
            zorder=front - 0.5,
        )  # fmt: skip


def _draw_bars(axes: Any, lines: Sequence[Line], seen: Mapping[str, Look]) -> None:
    """Bars from 0 up; at each place those of all lines side by side."""
    places = sorted({x for line in lines for x, *_ in line.points})
    apart = min((b - a for a, b in itertools.pairwise(places)), default=1.0)
    width = 0.8 * apart / len(lines)
    for number, line in enumerate(lines):
        shift = (number - (len(lines) - 1) / 2) * width
        x, y = [point[0] + shift for point in line.points], [point[1] for point in line.points]
        axes.bar(x, y, width, color=seen[line.name].colour, zorder=2)
    axes.set_ylim(bottom=0)


def _ticks(figure: Figure, lines: Sequence[Line]) -> list[float]:
    """Where ticks are asked for; on a logarithmic axis of few places, these."""
    if figure.x_ticks is not None:
        return list(figure.x_ticks)
    places = sorted({x for line in lines for x, *_ in line.points})
    return places if figure.x_log and len(places) <= _MOST_TICKS else []


def _labels(axes: Any, ticks: Sequence[float], texts: Sequence[str]) -> list[str]:
    """Labels of ticks; empty where there is no room beside the outer ones and those before."""
    axes.set_xticks(ticks)  # which widens the axis to hold them
    left = axes.get_ylim()[0]
    inches = [axes.transData.transform((tick, left))[0] / axes.figure.dpi for tick in ticks]
    half = [len(text) * 0.6 * _TEXT / 72 / 2 for text in texts]
    kept: list[int] = []
    for one in (0, len(ticks) - 1, *range(1, len(ticks) - 1)):
        if all(abs(inches[one] - inches[k]) > half[one] + half[k] + 0.05 for k in kept):
            kept.append(one)
    return [text if number in kept else "" for number, text in enumerate(texts)]


def number_text(value: float) -> str:
    """A number on an axis.

    >>> number_text(0.05), number_text(60_000), number_text(2_500_000)
    ('0.05', '60k', '2.5M')
    """
    for letter, size in (("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{value / (1e6 if letter == 'M' else 1e3):.4g}{letter}"
    return f"{value:.4g}"


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"


def _texts(figure: Figure) -> tuple[Callable[[float], str], Callable[[float], str]]:
    """How the figure's `x` and `y` are told."""
    x, y = (_percent if share else number_text for share in (figure.x_percent, figure.y_percent))
    return x, y


def _in_words(figure: Figure, panel: Panel) -> str:
    """The panel for those who do not see it: its bars, or where each line begins and ends."""
    show_x, show_y = _texts(figure)
    ends = []
    for line in panel.lines:
        if line.points and figure.bars:
            bars = (f"{show_y(y)} at {show_x(x)}" for x, y, *_ in sorted(line.points))
            ends.append(f"{line.name} {', '.join(bars)}")
        elif line.points:
            (x, y, *_), (last_x, last_y, *_) = min(line.points), max(line.points)
            ends.append(
                f"{line.name} from {show_y(y)} at {show_x(x)} "
                f"to {show_y(last_y)} at {show_x(last_x)}"
            )
    return (
        f"{panel.title or figure.title}: {figure.y_label} by {figure.x_label}. {'; '.join(ends)}."
    )


def _inlined(svg: str, prefix: str, label: str) -> str:
    """A standalone SVG as an element of a page: its own ids, the page's fonts and colours."""
    box = re.search(r'viewBox="([^"]*)"', svg)
    start = svg.index(">", svg.index("<svg")) + 1
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[start:], flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    # Only tags: what stands between them is the figure's text.
    body = re.sub(r"<[^>]*>", lambda tag: _retagged(tag[0], prefix), body)
    body = re.sub(r">\s*\n\s*<", "><", body.strip())
    head = f'<svg viewBox="{box[1] if box else ""}" role="img" aria-label="{escape(label)}">'
    return head + body


def _retagged(tag: str, prefix: str) -> str:
    tag = re.sub(r'\bid="', f'id="{prefix}-', tag)
    tag = re.sub(r"url\(#", f"url(#{prefix}-", tag)
    tag = tag.replace('xlink:href="#', f'href="#{prefix}-')
    tag = tag.replace(_FONT, "system-ui, sans-serif")
    for colour, variable in INKS.items():
        tag = tag.replace(colour, variable)
    for place, (colour, _) in enumerate(PALETTE):
        tag = tag.replace(colour, f"var(--line-{place})")
    return tag
