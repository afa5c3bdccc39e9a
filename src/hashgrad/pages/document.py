"""A page of results as one file of HTML that needs nothing else, and its figures as files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from hashgrad.atomic import write_atomically

from . import figures
from .look import PALETTE, Look, key, looks
from .page import Cell, Claim, Figure, Page, Section, Table
from .theme import SCRIPT, STYLE

HELD = {True: ("yes", "yes"), False: ("no", "no"), None: ("unknown", "open")}
EMPTY = "–"
LEDGER = ("Claim", "Paper", "Here", "Held", "Command")

_NUMBER = re.compile(
    r"[<>≤≥≈~]?\s*([+\-−]?(?:\d[\d,]*(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)"  # the number itself
    r"\s*([%×]|[a-zµ]+(?:/[a-zµ]+)?)?"  # its unit
    r"(?:\s*±\s*[\d.,]+\s*[%×]?)?(?:\s*\([^()]*\))?",  # its spread
    re.IGNORECASE,
)
_MOST_DECIMALS = 6
_FEW_COLUMNS, _FEW_PANELS = 3, 2  # of what stands beside something
_LONGEST_FACT = 150  # letters of a fact that shares its line with others
_LONGEST_WORD = 24  # letters that a phone shows in a line
_LONGEST_LINE = 40  # letters of a cell that are kept in one line

Looks = Mapping[str, Look]


def write(page: Page, folder: Path) -> list[Path]:
    """Write `report.html` into a folder, and each figure as SVG and PNG into its `figures/`.

    The page holds its styles, its script and its figures, and asks for nothing from elsewhere. Each
    file is written whole or not at all; files that are there already are replaced.

    Args:
        page: what to show.
        folder: where to; made if it is not there.

    Returns:
        What was written; the page comes first.

    Raises:
        ModuleNotFoundError: there are figures, but no Matplotlib; the message says how to get it.
        OSError: a file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     [path.name for path in write(Page("Results", (), (), ()), Path(place))]
        ['report.html']
    """
    seen = looks(page.figures())
    pictures = folder / "figures"
    (pictures if page.figures() else folder).mkdir(parents=True, exist_ok=True)
    written = []
    for figure in page.figures():
        for name, data in figures.files(figure, seen).items():
            write_atomically(pictures / name, [data])
            written.append(pictures / name)
    path = folder / "report.html"
    write_atomically(path, [html(page).encode()])
    return [path, *written]


def html(page: Page) -> str:
    """The page as HTML.

    Raises:
        ModuleNotFoundError: there are figures, but no Matplotlib; the message says how to get it.
    """
    seen = looks(page.figures())
    title = escape(page.title)
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">",
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title>",
        '<link rel="icon" href="data:,">',
        f"<style>{_colours()}{STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        "<header>",
        f"<h1>{title}</h1>",
        *_about(page.about),
        "</header>",
        *_contents(page),
        *_ledger(page.claims),
        *(line for section in page.sections for line in _section(section, seen)),
        "</main>",
        f"<script>{SCRIPT}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _colours() -> str:
    """The lines' colours as variables, for light and for dark."""
    light, dark = (
        "".join(f"--line-{place}:{pair[theme]};" for place, pair in enumerate(PALETTE))
        for theme in (0, 1)
    )
    return f"\n:root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def _long(value: str) -> str:
    """The class of a fact that has a line for itself."""
    return ' class="long"' if len(value) > _LONGEST_FACT else ""


def _about(facts: Iterable[tuple[str, str]]) -> list[str]:
    lines = [
        f"<div{_long(value)}><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>"
        for what, value in facts
    ]
    return ['<dl class="about">', *lines, "</dl>"] if lines else []


def _contents(page: Page) -> list[str]:
    if not page.sections:
        return []
    places = [("claims", "Claims")] if page.claims else []
    places += [(f"section-{section.name}", section.title) for section in page.sections]
    links = [f'<li><a href="#{place}">{escape(title)}</a></li>' for place, title in places]
    return ['<nav aria-label="Contents"><ul>', *links, "</ul></nav>"]


def _ledger(claims: Sequence[Claim]) -> list[str]:
    """Every claim with what was found; roles are told, for phones show the rows as cards."""
    if not claims:
        return []
    heads = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in LEDGER)
    return [
        '<section id="claims" aria-labelledby="claims-title">',
        '<h2 id="claims-title">Claims</h2>',
        f'<p class="lead">{_summary(claims)}</p>',
        '<table class="ledger" role="table" aria-labelledby="claims-title">',
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>',
        '<tbody role="rowgroup">',
        *(_claim(claim) for claim in claims),
        "</tbody>",
        "</table>",
        "</section>",
    ]


def _summary(claims: Sequence[Claim]) -> str:
    counts = [sum(claim.held is held for claim in claims) for held in (True, False, None)]
    endings = ("held", "did not hold", "stayed open")
    parts = [f"{n} {ending}" for n, ending in zip(counts, endings, strict=True) if n]
    return f"Of {len(claims)} claim{'s' * (len(claims) != 1)}: {', '.join(parts)}."


def _claim(claim: Claim) -> str:
    kind, word = HELD[claim.held]
    note = f'<span class="note">{_prose(claim.note)}</span>' if claim.note else ""
    cells = (
        _prose(claim.text) + note,
        _prose(claim.paper) or EMPTY,
        _prose(claim.ours) or EMPTY,
        f'<span class="held {kind}">{word}</span>',
        f"<code>{_command(claim.command)}</code>" if claim.command else EMPTY,
    )
    row = "".join(
        f'<td role="cell" data-label="{name}">{content}</td>'
        for name, content in zip(LEDGER, cells, strict=True)
    )
    return f'<tr role="row">{row}</tr>'


def _section(section: Section, seen: Looks) -> list[str]:
    place = f"section-{section.name}"
    blocks = [line for figure in section.figures for line in _figure(figure, seen)]
    for table in section.tables:
        blocks += [
            f'<div class="block{_half(len(table.columns) <= _FEW_COLUMNS)}">',
            f"<h3>{_prose(table.title)}</h3>",
            *_paragraph(table.sentence),
            *_table(table),
            "</div>",
        ]
    return [
        f'<section id="{place}" aria-labelledby="{place}-title">',
        f'<h2 id="{place}-title">{_prose(section.title)}</h2>',
        *_paragraph(section.sentence, "lead"),
        *_paragraph(section.missing, "missing"),
        *_program(section.code),
        *(['<div class="blocks">', *blocks, "</div>"] if blocks else []),
        "</section>",
    ]


def _program(code: str) -> list[str]:
    """Lines of a program, as they are, in a block that scrolls."""
    head = '<pre class="block scroll" tabindex="0" role="region" aria-label="Program">'
    return [f"{head}<code>{escape(code)}</code></pre>"] if code else []


def _half(small: bool) -> str:
    """The class of what leaves room beside it."""
    return " half" if small else ""


def _paragraph(text: str, kind: str = "") -> list[str]:
    head = f'<p class="{kind}">' if kind else "<p>"
    return [f"{head}{_prose(text)}</p>"] if text else []


def _prose(text: str) -> str:
    """Text that may wrap, but not between a number and its sign."""
    return escape(re.sub(r"(?<=\d) (?=[%×])|(?<=×) (?=\d)", "\u00a0", text))


def _command(text: str) -> str:
    """A command that wraps between its words alone; a long word wraps anywhere."""
    words = (
        f"<span>{escape(word)}</span>" if len(word) <= _LONGEST_WORD else escape(word)
        for word in text.split(" ")
    )
    return " ".join(words)


def _figure(figure: Figure, seen: Looks) -> list[str]:
    """A figure, its sentence before it, and its numbers after it."""
    keys = [
        f"<li>{key(seen[name], figures.is_dashed(figure, name), figure.bars)}{escape(name)}</li>"
        for name in figure.line_names()
    ]
    drawn = zip(figure.panels, figures.panels(figure, seen), strict=True)
    columns = figures.columns(len(figure.panels))
    single = " single" * (len(figure.panels) <= 1)
    return [
        f'<figure class="block{_half(columns <= _FEW_PANELS)}" id="figure-{figure.name}">',
        f"<figcaption><h3>{_prose(figure.title)}</h3>{''.join(_paragraph(figure.sentence))}"
        "</figcaption>",
        *(['<ul class="legend">', *keys, "</ul>"] if keys else []),
        f'<div class="panels{single}" style="--columns:{columns}">',
        *(f"<div><h4>{_prose(panel.title)}</h4>{element}</div>" for panel, element in drawn),
        "</div>",
        "<details><summary>The numbers</summary>",
        *_table(_numbers(figure)),
        "</details>",
        "</figure>",
    ]


def _numbers(figure: Figure) -> Table:
    """The points of a figure as a table; without the columns that would say nothing."""
    several = len(figure.panels) > 1
    points = [
        (panel, line, point)
        for panel in figure.panels
        for line in panel.lines
        for point in line.points
    ]
    spread = any(low < high for _, _, (_, _, low, high) in points)
    rows: list[tuple[Cell, ...]] = []
    for panel, line, (x, *ys) in points:
        heights = [f"{100 * y:.2f} %" if figure.y_percent else y for y in ys]
        rows.append(
            (
                *([panel.title] if several else []),
                line.name,
                f"{100 * x:.4g} %" if figure.x_percent else x,
                *(heights if spread else heights[:1]),
            )
        )
    names = (*(["panel"] if several else []), "line", figure.x_label, figure.y_label)
    return Table(figure.title, "", (*names, *(("least", "most") if spread else ())), tuple(rows))


def _table(table: Table) -> list[str]:
    """A table that sorts by its headers, in a container that scrolls."""
    columns = [[row[place] for row in table.rows] for place in range(len(table.columns))]
    numeric = [_is_numeric(cells) for cells in columns]
    shown = [column_text(cells) for cells in columns]
    heads = "".join(
        f'<th scope="col" aria-sort="none"{" data-numbers" if numbers else ""}>'
        f'<button type="button">{escape(name)}</button></th>'
        for name, numbers in zip(table.columns, numeric, strict=True)
    )
    rows = []
    for number, row in enumerate(table.rows):
        cells = zip(row, (texts[number] for texts in shown), numeric, strict=True)
        rows.append("<tr>" + "".join(_cell(*cell) for cell in cells) + "</tr>")
    return [
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">',
        '<table class="sortable">',
        f"<thead><tr>{heads}</tr></thead>",
        "<tbody>",
        *rows,
        "</tbody>",
        "</table>",
        "</div>",
    ]


def _cell(cell: Cell, text: str, numbers: bool) -> str:
    if _is_missing(cell):
        return f"<td data-missing{' data-numbers' if numbers else ''}>{EMPTY}</td>"
    read = read_number(cell) if numbers else None
    sort = f' data-numbers data-sort="{read[0]!r}"' if read else ""
    long = ' class="long"' if len(text) > _LONGEST_LINE and not read else ""
    return f"<td{sort}{long}>{escape(text)}</td>"


def _is_missing(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip() in ("", "-", "–", "—"))


def _is_numeric(cells: Iterable[Cell]) -> bool:
    """Whether a column sorts by numbers: all cells that are there are some, of one unit."""
    found = [read_number(cell) for cell in cells if not _is_missing(cell)]
    return None not in found and len({read[1] for read in found if read}) == 1


def read_number(cell: Cell) -> tuple[float, str] | None:
    """The number by which a cell sorts, and its unit; None if it reads as text.

    >>> read_number("−3.5 %"), read_number("97.1 ± 0.2"), read_number("1,250 ms (1,200–1,300)")
    ((-3.5, '%'), (97.1, ''), (1250.0, 'ms'))
    >>> read_number("784-1000-10") is None
    True
    """
    if isinstance(cell, int | float):
        return cell, ""
    found = _NUMBER.fullmatch(cell.strip()) if cell else None
    if not found:
        return None
    return float(found[1].replace(",", "").replace("−", "-")), found[2] or ""


def column_text(cells: Sequence[Cell]) -> list[str]:
    """The cells of a column for readers: its numbers with the same decimals, where that is short.

    >>> column_text([0.97, 0.9825, None, "none"])
    ['0.9700', '0.9825', '–', 'none']
    """
    floats = [cell for cell in cells if isinstance(cell, float)]
    decimals = max((_decimals(value) for value in floats), default=0)
    return [_cell_text(cell, decimals) for cell in cells]


def _decimals(value: float) -> int:
    """Decimals that show four digits of a number, less its zeros at the end."""
    if not value:
        return 0
    most = min(max(0, 3 - math.floor(math.log10(abs(value)))), _MOST_DECIMALS)
    _, _, decimals = f"{value:.{most}f}".partition(".")
    return len(decimals.rstrip("0"))


def _cell_text(cell: Cell, decimals: int) -> str:
    if cell is None or _is_missing(cell):
        return EMPTY
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    small = cell and abs(cell) < 10**-_MOST_DECIMALS
    text = f"{cell:.3g}" if small or abs(cell) >= 1e15 else f"{cell:,.{decimals}f}"
    return text.replace("-", "−")
