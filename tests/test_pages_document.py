"""The report as a file: whole, escaped, and nothing in it from elsewhere."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hashgrad.pages import document
from hashgrad.pages.page import Claim, Page, Section, Table
from pages_help import HARD, example_page, hard_page

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Elements of a page with their attributes; and that every one is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page() -> str:
    """The page, without the care for where its lines break."""
    return document.html(example_page()).replace("\u00a0", " ")


def with_table(*rows: tuple[Any, ...]) -> str:
    columns = tuple(f"column {n}" for n in range(len(rows[0])))
    table = Table("a table", "", columns, rows)
    return document.html(Page("page", (), (), (Section("one", "One", "", (), (table,)),)))


def cells(text: str) -> list[tuple[str, str]]:
    """Attributes and content of the cells of a page's tables."""
    return re.findall(r"<td([^>]*)>([^<]*)</td>", text)


def test_a_page_and_its_figures_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    written = document.write(example_page(), folder)
    names = [figure.name for figure in example_page().figures()]
    assert written == [
        folder / "report.html",
        *(folder / "figures" / f"{name}.{kind}" for name in names for kind in ("svg", "png")),
    ]
    there = sorted(path for path in folder.rglob("*") if path.is_file())
    assert there == sorted(written)
    assert written[0].read_text(encoding="utf-8") == document.html(example_page())


def test_the_same_page_gives_the_same_bytes_and_replaces_what_was_there(tmp_path: Path) -> None:
    first = {path: path.read_bytes() for path in document.write(example_page(), tmp_path)}
    for path in first:
        path.write_text("old")
    assert {p: p.read_bytes() for p in document.write(example_page(), tmp_path)} == first


def test_a_page_without_figures_needs_no_folder_for_them(tmp_path: Path) -> None:
    page = Page("empty", (), (), (Section("none", "None", "", missing="there is nothing"),))
    assert document.write(page, tmp_path) == [tmp_path / "report.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_asks_for_nothing_from_elsewhere(page: str) -> None:
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    read = Reader(page)
    assert not read.all("img")
    links = [link["href"] or "" for link in read.all("link") + read.all("a")]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert all("src" not in script for script in read.all("script"))
    [policy] = [meta["content"] for meta in read.all("meta") if "http-equiv" in meta]
    assert "default-src 'none'" in (policy or "")


def test_every_link_inside_leads_somewhere_and_ids_are_unique(page: str) -> None:
    read = Reader(page)
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    named = [a["href"] for a in read.all("a")] + [u["href"] for u in read.all("use")]
    assert {f"#{name}" for name in ids} >= set(named)
    labels = {a["aria-labelledby"] for _, a in read.elements if "aria-labelledby" in a}
    assert labels <= set(ids)


def test_parts_come_in_order_with_the_ledger_first(page: str) -> None:
    sections = example_page().sections
    order = [page.index("<header>"), page.index('id="claims"')]
    order += [page.index(f'id="section-{section.name}"') for section in sections]
    assert order == sorted(order)
    for section in sections:
        assert escape(section.title) in page
        assert escape(section.sentence) in page
        for part in (*section.figures, *section.tables):
            assert f"<h3>{escape(part.title)}</h3>" in page
            assert escape(part.sentence) in page


def test_facts_stand_at_the_top(page: str) -> None:
    for what, value in example_page().about:
        assert f"<div><dt>{what}</dt><dd>{value}</dd></div>" in page


def test_the_ledger_says_in_words_what_held(page: str) -> None:
    found = re.findall(r'<span class="held (\w+)">([^<]+)</span>', page)
    words = {True: ("yes", "yes"), False: ("no", "no"), None: ("unknown", "open")}
    assert found == [words[claim.held] for claim in example_page().claims]
    assert "Of 6 claims: 3 held, 1 did not hold, 2 stayed open." in page
    text = Reader(page).text
    for claim in example_page().claims:
        for said in (claim.text, claim.paper, claim.ours, claim.command, claim.note):
            assert said in text


def test_commands_break_between_words_only_but_long_words_anywhere() -> None:
    command = f"hashgrad reproduce --quick --out {'folder/' * 5}"
    page = document.html(Page("", (), (Claim("a", "b", "c", True, command),), ()))
    assert re.findall(r"<span>([^<]*)</span>", page) == command.split()[:-1]
    assert f" {command.split()[-1]}</code>" in page
    assert command in Reader(page).text


def test_numbers_keep_their_signs_beside_them() -> None:
    page = document.html(Page("", (), (Claim("5 % of 2 × 10", "1 %", "a % b", True, ""),), ()))
    assert "5\u00a0% of 2\u00a0×\u00a010" in page
    assert "1\u00a0%<" in page
    assert "a % b" in page


def test_one_claim_is_told_as_one() -> None:
    page = document.html(Page("", (), (Claim("a", "b", "", None, ""),), ()))
    assert "Of 1 claim: 1 stayed open." in page
    assert "<code>" not in page
    assert ">–</td>" in page


def test_a_page_without_claims_has_no_ledger() -> None:
    page = document.html(Page("", (), (), (Section("a", "A", ""),)))
    assert 'class="ledger"' not in page
    assert "#claims" not in page


def test_what_is_missing_is_told(page: str) -> None:
    assert (
        '<p class="missing">No results: the file of mnist8m is not in the data folder.</p>' in page
    )
    assert page.count('<p class="missing">') == 2


def test_figures_have_a_caption_a_legend_and_a_description(page: str) -> None:
    read = Reader(page)
    count = len(example_page().figures())
    assert len(read.all("figure")) == len(read.all("figcaption")) == count
    images = [svg for svg in read.all("svg") if svg.get("role") == "img"]
    panels = [panel for figure in example_page().figures() for panel in figure.panels]
    assert len(images) == sum(bool(panel.lines) for panel in panels) == len(panels) - 1
    assert page.count('<h4>norb</h4><p class="nothing">No results</p>') == 1
    assert all(svg["aria-label"] for svg in images)
    [legend, *_] = re.findall(r'<ul class="legend">(.*?)</ul>', page, re.DOTALL)
    assert re.sub(r"<[^>]*>", " ", legend).split() == ["NN", "VD", "AD", "WTA", "LSH"]


def test_the_numbers_of_a_figure_stand_beneath_it(page: str) -> None:
    figure = example_page().figures()[0]
    begin = page.index("<details>")
    numbers = page[begin : page.index("</details>", begin)]
    lines = [line for panel in figure.panels for line in panel.lines]
    assert numbers.count("<tr>") == 1 + sum(len(line.points) for line in lines)
    for name in ("panel", "line", figure.x_label, figure.y_label, "least", "most"):
        assert f">{name}</button>" in numbers
    assert ">98.50 %</td>" in numbers


def test_headers_of_tables_are_buttons_that_say_how_it_is_sorted(page: str) -> None:
    read = Reader(page)
    tables = [table for table in read.all("table") if table.get("class") == "sortable"]
    assert len(tables) == len(example_page().figures()) + 3
    heads = [th for th in read.all("th") if "role" not in th]
    assert heads
    assert all(th["aria-sort"] == "none" and th["scope"] == "col" for th in heads)
    assert page.count('<button type="button">') == len(heads)


def test_every_table_scrolls_in_a_place_of_its_own(page: str) -> None:
    assert page.count('<table class="sortable">') == len(
        re.findall(
            r'<div class="scroll" tabindex="0" role="region" aria-label="[^"]+">\n<table', page
        )
    )


def test_numbers_sort_as_numbers_also_with_a_unit() -> None:
    text = with_table(
        ("12.5 %", 3, "1,000 ms"), ("−3 %", 20, "5 ms"), ("100 %", 100, "70 ms (1–9)")
    )
    keys = [re.search(r'data-sort="([^"]*)"', attributes) for attributes, _ in cells(text)]
    found = [float(key[1]) for key in keys if key]
    assert found == [12.5, 3, 1000, -3, 20, 5, 100, 100, 70]
    assert text.count('aria-sort="none" data-numbers') == 3


def test_columns_with_words_or_several_units_sort_as_text() -> None:
    text = with_table(("1", "5 ms", "784-10"), ("two", "3 s", "784-20"))
    assert "data-sort" not in text.split("<script>")[0]
    assert 'aria-sort="none" data-numbers' not in text


def test_missing_cells_show_a_dash_and_say_so() -> None:
    text = with_table((None, 1), ("–", None), ("", 3), (" ", 4), ("a", 5))
    attributes = [a for a, content in cells(text) if content == "–"]
    assert len(attributes) == 5
    assert all("data-missing" in a for a in attributes)
    assert sum("data-numbers" in a for a in attributes) == 1  # in the column of numbers


def test_a_column_without_any_value_is_no_column_of_numbers() -> None:
    assert 'aria-sort="none" data-numbers' not in with_table((None,), (None,))


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        ([1, 20_000], ["1", "20,000"]),
        ([0.5, 12.25], ["0.50", "12.25"]),
        ([0.0, -1.5], ["0.0", "−1.5"]),
        ([98765.4321], ["98,765"]),
        ([1 / 3, 2 / 3], ["0.3333", "0.6667"]),
        ([1e-9, 1e20], ["1e−09", "1e+20"]),
    ],
)
def test_numbers_of_a_column_have_the_same_decimals(column: list[float], shown: list[str]) -> None:
    assert document.column_text(column) == shown


def test_everything_is_escaped() -> None:
    text = document.html(hard_page())
    read = Reader(text)
    assert len(read.all("script")) == 1
    assert not read.all("b")
    assert "<script>alert" not in text
    # title, heading, fact (2), link, claim (5), section (3), figure (2, legend, panels, axes) ...
    assert read.text.count(HARD) > 20


def test_where_it_cannot_be_written_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        document.write(Page("", (), (), ()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
