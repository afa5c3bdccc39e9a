"""A page as plain data: to JSON and back, and what it refuses."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from hashgrad.pages.page import Claim, Figure, Line, Page, Panel, Section, Table
from pages_help import example_page, hard_page


@pytest.mark.parametrize("page", [example_page(), hard_page(), Page("empty", (), (), ())])
def test_a_page_survives_json(page: Page) -> None:
    text = json.dumps(page.to_dict(), allow_nan=False)
    assert Page.from_dict(json.loads(text)) == page


def test_parts_survive_json_on_their_own() -> None:
    section = example_page().sections[0]
    parts = [*example_page().claims, section, *section.figures, *section.tables]
    for part in [*parts, section.figures[0].panels[0], section.figures[0].panels[0].lines[1]]:
        assert type(part).from_dict(json.loads(json.dumps(part.to_dict()))) == part


def test_a_page_of_json_can_be_hashed() -> None:
    page = Page.from_dict(json.loads(json.dumps(example_page().to_dict())))
    assert hash(page) == hash(example_page())


def test_what_has_a_default_can_be_left_out() -> None:
    assert Line.from_dict({"name": "LSH", "points": [[1, 2, 2, 3]]}) == Line("LSH", ((1, 2, 2, 3),))


def test_an_unknown_field_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'point'; did you mean 'points'\?"):
        Line.from_dict({"name": "LSH", "point": []})


def test_a_missing_field_is_told() -> None:
    with pytest.raises(ValueError, match=r"line must have the field 'points', got \['name'\]"):
        Line.from_dict({"name": "LSH"})


def test_data_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(TypeError, match=r"claim must be a mapping, got \[\] \(list\)"):
        Claim.from_dict([])  # type: ignore[arg-type]


@pytest.mark.parametrize("held", [1, "yes"])
def test_a_claim_holds_or_not_or_was_not_measured(held: Any) -> None:
    with pytest.raises(TypeError, match="held must be True, False or None"):
        Claim("text", "1", "2", held, "command")


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((1, 2, 3), "points must be four finite numbers each, got (1.0, 2.0, 3.0)"),
        ((1, float("nan"), 0, 1), "points must be four finite numbers each"),
        ((1, 2, 0, float("inf")), "points must be four finite numbers each"),
        ((1, 2, 3, 4), "points must have low <= y <= high, got (1.0, 2.0, 3.0, 4.0)"),
        ((1, 2, 1, 1.5), "points must have low <= y <= high"),
    ],
)
def test_a_point_is_four_finite_numbers_in_order(point: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Line("LSH", (point,))


def test_a_mean_beside_its_equal_values_by_a_rounding_is_taken() -> None:
    above = 0.1 + 2e-17 + 1e-17
    mean = above + 1.4e-17
    assert Line("LSH", ((1, mean, 0.1, 0.1),)).points == ((1.0, mean, mean, mean),)


@pytest.mark.parametrize("name", ["", "Big", "a/b", "../up", "a b", "-a", "a--b", "a."])
def test_names_are_stems_of_files(name: str) -> None:
    message = re.escape(f"got {name!r}")
    with pytest.raises(ValueError, match=message):
        Figure(name, "", "", "", "", ())
    with pytest.raises(ValueError, match=message):
        Section(name, "", "")


def test_a_name_is_a_text() -> None:
    with pytest.raises(TypeError, match=r"name must be a text, got 3 \(int\)"):
        Section(3, "", "")  # type: ignore[arg-type]


def test_two_parts_of_one_name_are_refused() -> None:
    figure = Figure("one", "", "", "", "", ())
    sections = (Section("a", "", "", (figure,)), Section("b", "", "", (figure,)))
    with pytest.raises(ValueError, match="figures must have distinct names, got 'one' twice"):
        Page("", (), (), sections)
    with pytest.raises(ValueError, match="sections must have distinct names, got 'a' twice"):
        Page("", (), (), (Section("a", "", ""), Section("a", "", "")))


def test_a_logarithmic_axis_begins_above_0() -> None:
    panels = (Panel("", (Line("LSH", ((0, 1, 1, 1),)),)),)
    Figure("one", "", "", "", "", panels)
    with pytest.raises(ValueError, match=r"x must be above 0 on a logarithmic axis, got 0\.0"):
        Figure("one", "", "", "", "", panels, x_log=True)
    with pytest.raises(ValueError, match="got 0"):
        Figure("one", "", "", "", "", (), x_log=True, x_ticks=(0, 1))


def test_a_row_has_as_many_cells_as_there_are_columns() -> None:
    with pytest.raises(ValueError, match=r"rows must have 2 cells, .* got \(1,\)"):
        Table("", "", ("a", "b"), ((1,),))


@pytest.mark.parametrize("cell", [True, ["list"], 1j])
def test_a_cell_is_text_a_number_or_nothing(cell: Any) -> None:
    with pytest.raises(TypeError, match="a cell must be a text, a number or None"):
        Table("", "", ("a",), ((cell,),))


def test_a_cell_is_finite() -> None:
    with pytest.raises(ValueError, match="a cell must be finite, or None, got nan"):
        Table("", "", ("a",), ((float("nan"),),))
