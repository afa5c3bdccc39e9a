"""A page of results as one file of HTML that needs nothing else, and its figures as files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from hashgrad.atomic import write_atomically

from . import figures
from .page import Cell, Claim, Figure, Page, Section, Table

HELD = {True: ("yes", "yes"), False: ("no", "no"), None: ("unknown", "not measured")}
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
_LONGEST_WORD = 24  # letters that a phone shows in a line
_LONGEST_LINE = 40  # letters of a cell that are kept in one line

Looks = Mapping[str, figures.Look]


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
    seen = figures.looks(page.figures())
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
    seen = figures.looks(page.figures())
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
        "".join(f"--line-{place}:{pair[theme]};" for place, pair in enumerate(figures.PALETTE))
        for theme in (0, 1)
    )
    return f"\n:root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def _about(facts: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for what, value in facts]
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
    endings = ("held", "did not hold", "not measured here")
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
        *(['<div class="blocks">', *blocks, "</div>"] if blocks else []),
        "</section>",
    ]


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
        f"<li>{figures.key(seen[name], figures.is_dashed(figure, name))}{escape(name)}</li>"
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
    key = f' data-numbers data-sort="{read[0]!r}"' if read else ""
    long = ' class="long"' if len(text) > _LONGEST_LINE and not read else ""
    return f"<td{key}{long}>{escape(text)}</td>"


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


STYLE = """
:root{color-scheme:light dark;--page:#f6f7f8;--card:#fff;--ink:#1f2328;--muted:#57606a;
--grid:#e4e6e9;--rule:#d5d9de;--code:#eff1f3;--link:#0a5a9c;--yes:#11632f;--yes-back:#dff3e5;
--no:#9b1c1c;--no-back:#fde5e3;--unknown:#4b535c;--unknown-back:#e9ecef;--note:#6b4a00;
--note-back:#fdf3d7}
@media (prefers-color-scheme:dark){:root{--page:#121417;--card:#1a1d21;--ink:#e6e8eb;
--muted:#a3abb4;--grid:#2d3238;--rule:#383e45;--code:#262b31;--link:#7ab8f0;--yes:#86dba6;
--yes-back:#173524;--no:#ff9e98;--no-back:#451d1d;--unknown:#bcc3ca;--unknown-back:#2d3238;
--note:#ecc870;--note-back:#352b12}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,sans-serif;overflow-wrap:break-word}
main{max-width:1160px;margin:0 auto;padding:40px 24px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 20px;letter-spacing:-.01em}
h2{font-size:22px;line-height:1.3;margin:0 0 6px}
h3{font-size:17px;line-height:1.35;margin:0 0 4px}
h4{font-size:14px;line-height:1.35;margin:0 0 4px;font-weight:600}
p{margin:0 0 12px;max-width:72ch}
a{color:var(--link)}
section{margin-top:56px}
.lead{color:var(--muted)}
.about{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:14px 28px;
margin:0;padding:18px 20px;background:var(--card);border:1px solid var(--rule);border-radius:8px}
.about dt{font-size:13px;color:var(--muted)}
.about dd{margin:0}
nav ul{display:flex;flex-wrap:wrap;gap:4px 22px;margin:20px 0 0;padding:0;list-style:none}
nav a{text-decoration:none;display:inline-block;padding:4px 0}
nav a:hover{text-decoration:underline}
table{border-collapse:collapse;font-size:15px;font-variant-numeric:tabular-nums}
th{text-align:left;font-size:13px;font-weight:600;color:var(--muted);vertical-align:bottom}
td{vertical-align:top}
code{font:13px/1.5 ui-monospace,monospace;background:var(--code);border-radius:4px;
padding:2px 5px;-webkit-box-decoration-break:clone;box-decoration-break:clone;
overflow-wrap:anywhere}
code span{white-space:nowrap}
.ledger{width:100%;background:var(--card);border:1px solid var(--rule);border-radius:8px;
border-collapse:separate;border-spacing:0}
.ledger th,.ledger td{padding:11px 14px;border-bottom:1px solid var(--grid)}
.ledger tr:last-child td{border-bottom:0}
.ledger td:first-child{width:36%}
.held{display:inline-block;padding:1px 10px;border-radius:11px;font-size:14px;font-weight:600;
white-space:nowrap;color:var(--unknown);background:var(--unknown-back)}
.held.yes{color:var(--yes);background:var(--yes-back)}
.held.no{color:var(--no);background:var(--no-back)}
.note{display:block;margin-top:3px;font-size:14px;color:var(--muted)}
.missing{padding:9px 14px;border-radius:6px;color:var(--note);background:var(--note-back)}
.blocks{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:20px;margin-top:22px}
.block{grid-column:1/-1;margin:0;padding:20px;background:var(--card);border:1px solid var(--rule);
border-radius:8px}
.block.half{grid-column:auto}
.block p{color:var(--muted)}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 14px;padding:0;list-style:none;
font-size:14px}
.legend li{display:flex;align-items:center;gap:7px}
.key{width:30px;height:14px;flex:none}
.panels{display:grid;grid-template-columns:repeat(var(--columns),minmax(0,1fr));gap:20px 16px;
max-width:calc(var(--columns)*330px)}
.panels.single{max-width:540px}
.nothing{margin:12px 0 0;font-size:14px}
.panels svg{display:block;width:100%;height:auto;overflow:visible;color:var(--ink)}
.panels svg *{stroke-linejoin:round;stroke-linecap:butt}
details{margin-top:14px}
summary{cursor:pointer;font-size:14px;color:var(--link);width:fit-content;padding:4px 0}
.scroll{overflow-x:auto;max-width:100%}
details .scroll{max-height:420px;overflow-y:auto;margin-top:6px}
.sortable th{padding:0;border-bottom:1px solid var(--rule);white-space:nowrap;position:sticky;
top:0;background:var(--card)}
.sortable td{padding:6px 14px;border-bottom:1px solid var(--grid);white-space:nowrap}
.sortable td.long{white-space:normal;min-width:240px}
.sortable [data-numbers]{text-align:right}
.sortable td[data-missing]{color:var(--muted)}
.sortable tbody tr:hover td{background:var(--page)}
.sortable button{all:unset;box-sizing:border-box;cursor:pointer;width:100%;padding:7px 14px;
font:inherit;color:inherit}
.sortable button::after{content:"";display:inline-block;width:0;margin-left:7px;
border:4px solid transparent}
.sortable [data-numbers] button::after{margin-right:-15px}
[aria-sort=ascending] button::after{border-bottom-color:currentColor;transform:translateY(-4px)}
[aria-sort=descending] button::after{border-top-color:currentColor;transform:translateY(2px)}
.sortable button:hover{color:var(--ink)}
:focus-visible,.sortable button:focus-visible{outline:2px solid var(--link);outline-offset:-2px}
@media (max-width:900px){.panels:not(.single){grid-template-columns:repeat(2,minmax(0,1fr))}
.block.half{grid-column:1/-1}}
@media (max-width:720px){
main{padding:24px 16px 56px}
h1{font-size:25px}
section{margin-top:44px}
.block{padding:16px 14px}
.sortable th{white-space:normal;min-width:110px}
.sortable td,.sortable button{padding-left:10px;padding-right:10px}
.ledger,.ledger tbody,.ledger tr,.ledger td{display:block}
.ledger thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.ledger tr{padding:14px;border-bottom:1px solid var(--rule)}
.ledger tr:last-child{border-bottom:0}
.ledger td,.ledger td:first-child{display:grid;grid-template-columns:84px minmax(0,1fr);width:auto;
padding:3px 0;border:0;justify-items:start}
.ledger td::before{content:attr(data-label);font-size:13px;line-height:24px;color:var(--muted)}
.ledger td:first-child{display:block;font-weight:600;padding-bottom:6px}
.ledger td:first-child::before{content:none}
.note{font-weight:400}}
@media (max-width:560px){.panels:not(.single){grid-template-columns:minmax(0,1fr)}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""

# Rows without a value come last, whichever way the others go.
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const rising = head.getAttribute("aria-sort") !== "ascending";
    const numbers = head.hasAttribute("data-numbers");
    const key = row => {
      const cell = row.cells[column];
      if (cell.hasAttribute("data-missing")) return null;
      return numbers ? Number(cell.dataset.sort) : cell.textContent;
    };
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = numbers ? x - y : x.localeCompare(y, "en", {numeric: true});
      return rising ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  }));
}
"""
