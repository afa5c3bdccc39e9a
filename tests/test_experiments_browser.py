"""The report in a browser: nothing fails, nothing is cut off, everything can be read and sorted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser_help import (
    CONTRAST,
    OUTSIDE,
    THEMES,
    WIDTHS,
    chromium,
    faint,
    nothing_failed,
    nothing_reaches_beyond,
    show,
)
from hashgrad.pages import document
from pages_help import example_page, hard_page

REPORT = os.environ.get("HASHGRAD_REPORT")  # a report that was made, to be looked at as well


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return document.write(example_page(), tmp_path_factory.mktemp("report"))[0]


@pytest.fixture(scope="module", params=["an example", *([REPORT] if REPORT else [])])
def any_page(request: pytest.FixtureRequest, page: Path) -> Path:
    return page if request.param == "an example" else Path(request.param).absolute()


def column(browser: Any, table: int, place: int) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('.block > .scroll > table')[arguments[0]]"
        ".tBodies[0].rows].map(row => row.cells[arguments[1]].textContent)", table, place,
    )  # fmt: skip


def press(browser: Any, table: int, place: int, key: str | None = None) -> str:
    """Click a header, or press a key on it; the order that it then tells."""
    from selenium.webdriver.common.by import By

    found = browser.find_elements(By.CSS_SELECTOR, ".block > .scroll > table")[table]
    head = found.find_elements(By.TAG_NAME, "th")[place]
    button = head.find_element(By.TAG_NAME, "button")
    browser.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button
    )
    if key:
        button.send_keys(key)
    else:
        button.click()
    return str(head.get_attribute("aria-sort"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_nothing_fails_and_nothing_is_asked_for(
    browser: Any, any_page: Path, width: int, theme: str
) -> None:
    show(browser, any_page, width, theme)
    assert nothing_failed(browser, any_page)
    assert browser.find_elements("css selector", ".ledger tbody tr")
    for table in range(len(browser.find_elements("css selector", ".block > .scroll > table"))):
        assert press(browser, table, 0) == "ascending"
        rising = column(browser, table, 0)
        assert press(browser, table, 0) == "descending"
        known = [text for text in rising if text != "–"]
        assert column(browser, table, 0) == known[::-1] + ["–"] * (len(rising) - len(known))


@pytest.mark.parametrize("width", [320, *WIDTHS])
def test_nothing_reaches_beyond_the_edge(browser: Any, any_page: Path, width: int) -> None:
    show(browser, any_page, width)
    assert nothing_reaches_beyond(browser, width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_in_light_and_dark(
    browser: Any, any_page: Path, width: int, theme: str
) -> None:
    show(browser, any_page, width, theme)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    for selector in (
        "p, h1, h2, h3, h4, li, dt, dd, a, summary",
        ".ledger th, .ledger td, .ledger code, .held, .note",
        ".sortable th, .sortable td, .sortable button",
        ".panels text",
    ):
        assert faint(browser, selector) == []


@pytest.mark.parametrize("theme", THEMES)
def test_lines_can_be_seen_in_light_and_dark(browser: Any, page: Path, theme: str) -> None:
    show(browser, page, 1280, theme)
    found = browser.execute_script(CONTRAST, ".key polygon")
    assert len(found) > 10
    assert [pair for pair in found if pair[0] < 3] == []


def test_light_and_dark_differ(browser: Any, page: Path) -> None:
    seen = []
    for theme in THEMES:
        show(browser, page, theme=theme)
        seen.append(
            browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        )
    assert seen[0] != seen[1]


def test_a_click_sorts_text_and_another_reverses_it(browser: Any, page: Path) -> None:
    show(browser, page)
    assert press(browser, 1, 0) == "ascending"
    assert column(browser, 1, 0) == ["backward", "forward", "hash", "rank", "update"]
    assert press(browser, 1, 0) == "descending"
    assert column(browser, 1, 0) == ["update", "rank", "hash", "forward", "backward"]


def test_numbers_sort_as_numbers_and_whole_rows_move(browser: Any, page: Path) -> None:
    show(browser, page)
    assert press(browser, 1, 2) == "ascending"
    assert column(browser, 1, 2) == ["0.5 %", "2 %", "9.5 %", "30 %", "58 %"]
    assert column(browser, 1, 0) == ["hash", "rank", "backward", "forward", "update"]
    assert press(browser, 1, 1) == "ascending"
    assert press(browser, 1, 1) == "descending"
    assert column(browser, 1, 1) == ["123,450,000", "12,345,000", "1,234,500", "123,450", "12,345"]
    sorts = (
        "return [...document.querySelectorAll('.block > .scroll > table')[1].tHead.rows[0].cells]"
    )
    said = browser.execute_script(sorts + ".map(head => head.getAttribute('aria-sort'))")
    assert said == ["none", "descending", "none"]


def test_missing_values_come_last_either_way(browser: Any, page: Path) -> None:
    show(browser, page)
    for order, expected in (("ascending", ["0.8300", "0.8710", "0.9025", "–"]),
                            ("descending", ["0.9025", "0.8710", "0.8300", "–"])):  # fmt: skip
        assert press(browser, 0, 6) == order
        assert column(browser, 0, 6) == expected
    assert column(browser, 0, 0)[-1] == "norb"


def test_negative_numbers_and_spreads_sort_by_their_value(browser: Any, page: Path) -> None:
    show(browser, page)
    press(browser, 0, 5)
    assert column(browser, 0, 5) == ["−0.76 points", "−0.29 points", "+0.10 points", "–"]
    press(browser, 0, 2)
    assert column(browser, 0, 0) == ["convex", "fashion-mnist", "mnist", "norb"]


def test_the_keyboard_sorts_too(browser: Any, page: Path) -> None:
    show(browser, page, 390)
    assert press(browser, 1, 2, "\n") == "ascending"
    assert press(browser, 1, 2, " ") == "descending"
    assert column(browser, 1, 2)[0] == "58 %"


def test_phones_show_the_ledger_as_cards_with_all_that_it_says(browser: Any, page: Path) -> None:
    show(browser, page, 390)
    shape = browser.execute_script(
        "return [...document.querySelectorAll('.ledger tbody tr:first-child td')]"
        ".map(td => [td.getBoundingClientRect().left, td.textContent])"
    )
    assert len({left for left, _ in shape}) == 1
    assert shape[3][1] == "yes"
    labels = "return [...document.querySelectorAll('.ledger tbody tr:first-child td')]"
    said = browser.execute_script(labels + ".map(td => getComputedStyle(td, '::before').content)")
    assert said[1:] == ['"Paper"', '"Here"', '"Held"', '"Command"']


def test_wide_tables_scroll_in_their_own_place(browser: Any, page: Path) -> None:
    show(browser, page, 390)
    scrolls = (
        "const e = document.querySelector('.block > .scroll'); return e.scrollWidth > e.clientWidth"
    )
    assert browser.execute_script(scrolls)


def test_text_that_looks_like_code_is_only_shown(browser: Any, tmp_path: Path) -> None:
    [hard, *_] = document.write(hard_page(), tmp_path)
    for width in WIDTHS:
        show(browser, hard, width)
        assert browser.get_log("browser") == []
        assert browser.execute_script("return document.scripts.length") == 1
        assert browser.execute_script(OUTSIDE) == []
        assert browser.title == hard_page().title
