"""Figures of the report: the same bytes, a look for every name, nothing that collides."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import matplotlib
import pytest

from hashgrad.pages import figures
from hashgrad.pages.look import Look, key, looks
from hashgrad.pages.page import Figure, Line, Panel
from pages_help import HARD, accuracy_section, depth_section, example_page, hard_page

METHODS = ["NN", "VD", "AD", "WTA", "LSH"]


def simple(*panels: Panel, **settings: object) -> Figure:
    return Figure("simple", "A title", "A sentence.", "across", "up", panels, **settings)  # type: ignore[arg-type]


def line(name: str, *xs: float, spread: float = 0.0) -> Line:
    return Line(name, tuple((x, x, x - spread, x + spread) for x in xs))


def drawn(figure: Figure) -> list[str]:
    return figures.panels(figure, looks([figure]))


def texts(svg: str) -> list[str]:
    found = [element.text or "" for element in ElementTree.fromstring(svg).iter()]
    return [text for text in found if text.strip()]


def test_the_same_figure_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = accuracy_section().figures[0]
    seen = looks([figure])
    one = figures.files(figure, seen)
    panels = figures.panels(figure, seen)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 20)
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9)
    before = dict(matplotlib.rcParams)
    assert figures.files(figure, seen) == one
    assert figures.panels(figure, seen) == panels
    assert dict(matplotlib.rcParams) == before


def test_another_figure_gives_other_bytes() -> None:
    one, other = simple(Panel("p", (line("LSH", 1, 2),))), simple(Panel("p", (line("LSH", 1, 3),)))
    seen = looks([one])
    for name, data in figures.files(one, seen).items():
        assert figures.files(other, seen)[name] != data


def test_files_are_an_svg_and_a_png_without_a_date() -> None:
    figure = depth_section().figures[0]
    made = figures.files(figure, looks([figure]))
    assert list(made) == ["depth.svg", "depth.png"]
    assert made["depth.png"].startswith(b"\x89PNG")
    text = made["depth.svg"].decode()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "date" not in text.lower()
    for said in (figure.title, "mnist", "norb", "no results", "LSH", "NN", "hidden layers", "98 %"):
        assert said in texts(text)


def test_methods_look_the_same_in_every_figure() -> None:
    first = looks([simple(Panel("", (line("LSH", 1, 2), line("NN", 1, 2))))])
    assert {name: looks([])[name] for name in METHODS} == {n: first[n] for n in METHODS}
    page = example_page()
    seen = looks(page.figures())
    assert {name: seen[name] for name in METHODS} == {name: first[name] for name in METHODS}


def test_no_two_names_look_the_same() -> None:
    figure = simple(Panel("", tuple(line(f"line {n}", 1, 2) for n in range(30))))
    seen = looks([figure])
    assert len(seen) == 35
    assert len(set(seen.values())) == 35
    assert all(look.place >= len(METHODS) for name, look in seen.items() if name not in METHODS)


def test_a_name_looks_the_same_everywhere_and_no_other_beside_it_does() -> None:
    first = simple(Panel("", (line("one", 1, 2), line("LSH", 1, 2))))
    second = simple(Panel("", (line("two", 1, 2), line("three", 1, 2))))
    apart = looks([first, second])
    assert apart["one"] == apart["two"] == looks([first])["one"]
    both = simple(Panel("", (line("two", 1, 2), line("one", 1, 2))))
    seen = looks([first, second, both])
    assert seen["one"] == apart["one"]
    assert seen["two"] not in (seen["one"], seen["three"])


def test_names_without_points_take_no_look() -> None:
    figure = simple(Panel("", (Line("nothing", ()), line("something", 1, 2))))
    assert list(looks([figure])) == [*METHODS, "something"]
    assert figure.line_names() == ["something"]


def test_every_panel_is_an_element_of_its_own() -> None:
    figure = accuracy_section().figures[0]
    svgs = drawn(figure)
    assert len(svgs) == len(figure.panels) == 8
    for svg, panel in zip(svgs, figure.panels, strict=True):
        root = ElementTree.fromstring(svg)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"].startswith(f"{panel.title}: test accuracy by share of act")
        assert re.search(r"LSH from [\d.]+ % at 5 % to", root.attrib["aria-label"])
        assert {"5 %", "90 %", figure.x_label, figure.y_label} <= set(texts(svg))
        assert panel.title not in texts(svg)


def test_ids_do_not_collide_and_links_lead_somewhere() -> None:
    page = example_page()
    seen = looks(page.figures())
    together = "".join(svg for figure in page.figures() for svg in figures.panels(figure, seen))
    ids = re.findall(r'\bid="([^"]*)"', together)
    assert len(set(ids)) == len(ids) > 100
    links = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', together)
    assert links
    assert {a or b for a, b in links} <= set(ids)


def test_panels_have_the_colours_of_the_page_and_nothing_from_elsewhere() -> None:
    for figure in example_page().figures():
        for svg in figures.panels(figure, looks(example_page().figures())):
            assert "var(--muted)" in svg or svg.startswith("<p")
            assert not re.search(r"#[0-9a-f]{6}\b", svg)
            assert "http" not in svg
            assert "<style" not in svg
            assert "DejaVu" not in svg


def test_spreads_have_bars_where_there_are_any() -> None:
    without = drawn(simple(Panel("", (line("LSH", 1, 2, 3),))))[0]
    bars = drawn(simple(Panel("", (line("LSH", 1, 2, 3, spread=0.5),))))[0]
    one = drawn(simple(Panel("", (Line("LSH", ((1, 1, 1, 1), (2, 2, 1, 3), (3, 3, 3, 3))),))))[0]
    assert "LineCollection" not in without
    colour = 'stroke: var(--line-4)"'
    assert bars.count("LineCollection") == one.count("LineCollection") == 1
    assert [svg.count(colour) for svg in (without, one, bars)] == [0, 4, 10]
    assert colour in bars


def test_a_panel_without_points_says_so() -> None:
    figure = simple(Panel("empty", (Line("LSH", ()),)), Panel("full", (line("LSH", 1, 2),)))
    assert drawn(figure)[0] == '<p class="nothing">No results</p>'
    svg = figures.files(figure, looks([figure]))["simple.svg"].decode()
    assert texts(svg).count("no results") == 1


def test_a_figure_without_panels_can_be_drawn() -> None:
    assert drawn(simple()) == []
    assert len(figures.files(simple(), looks([]))) == 2


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 13])
def test_there_are_four_columns_at_most_and_no_row_is_empty(n: int) -> None:
    columns = figures.columns(n)
    assert 1 <= columns <= min(n, 4)
    figure = simple(*(Panel(f"panel {i}", (line("LSH", 1, 2),)) for i in range(n)))
    svg = figures.files(figure, looks([figure]))["simple.svg"].decode()
    said = texts(svg)
    assert [said.count(f"panel {i}") for i in range(n)] == [1] * n
    assert said.count("LSH") == 1
    assert said.count("up") == -(-n // columns)
    assert said.count("across") == columns


def test_labels_of_ticks_that_have_no_room_are_left_out() -> None:
    ticks = (1, 2, 3, 100)
    shown = texts(drawn(simple(Panel("", (line("LSH", *ticks),)), x_ticks=ticks))[0])
    assert "100" in shown
    assert "1" in shown
    assert "2" not in shown
    apart = texts(drawn(simple(Panel("", (line("LSH", *ticks),)), x_ticks=ticks, x_log=True))[0])
    assert {"1", "2", "3", "100"} <= set(apart)


def test_a_place_between_two_epochs_gets_no_label() -> None:
    shown = texts(drawn(simple(Panel("", (line("LSH", *range(1, 13)),))))[0])
    assert {"5", "10"} <= set(shown)
    assert "12.5" not in shown
    between = texts(drawn(simple(Panel("", (line("LSH", 0.5, 1.0, 1.5, 2.0),))))[0])
    assert "1.5" in between


def test_a_logarithmic_axis_of_few_places_is_labelled_there() -> None:
    shown = texts(drawn(simple(Panel("", (line("LSH", 1, 8, 56),)), x_log=True))[0])
    assert {"1", "8", "56"} <= set(shown)


def test_text_is_text_whatever_is_in_it() -> None:
    figure = hard_page().figures()[0]
    seen = looks([figure])
    svg = figures.files(figure, seen)["hard.svg"].decode()
    assert HARD in " ".join(texts(svg))
    panel = figures.panels(figure, seen)[0]
    assert "<script" not in panel
    assert ElementTree.fromstring(panel).attrib["aria-label"].startswith(HARD)
    assert " ".join(texts(panel)).count(HARD) == 2  # the names of the axes


def test_text_that_looks_like_an_attribute_stays() -> None:
    odd = 'id="a" url(#b) #d55e00'
    svg = drawn(Figure("odd", "", "", odd, "", (Panel("", (line("LSH", 1, 2),)),)))[0]
    assert odd in texts(svg)


def test_a_key_shows_colour_marker_and_dashes() -> None:
    solid, dashed = (key(Look(4, "o"), dashes) for dashes in (False, True))
    assert "var(--line-4)" in solid
    assert "<polygon" in solid
    assert "dasharray" in dashed
    assert "dasharray" not in solid
    assert ElementTree.fromstring(solid).attrib["aria-hidden"] == "true"


def test_without_matplotlib_there_is_an_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    figure = simple(Panel("", (line("LSH", 1, 2),)))
    seen = looks([figure])
    for draw in (
        lambda: figures.files(figure, seen),
        lambda: figures.panels(figure, seen),
        lambda: key(seen["LSH"]),
    ):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'hashgrad\[report\]'"):
            draw()
