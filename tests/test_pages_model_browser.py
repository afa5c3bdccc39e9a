"""A model's page in a browser: nothing fails, nothing is cut off, everything can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser_help import (
    THEMES,
    WIDTHS,
    chromium,
    faint,
    nothing_failed,
    nothing_reaches_beyond,
    show,
)
from hashgrad import LSH, Dense, Network, datasets
from hashgrad.pages import document, model

# Text of a figure that covers other text of the same figure.
COVERED = """
const found = [];
for (const svg of document.querySelectorAll(".panels svg")) {
  const texts = [...svg.querySelectorAll("text")].map(t => [t.getBoundingClientRect(), t]);
  texts.forEach(([a, one], i) => texts.slice(i + 1).forEach(([b, other]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 0.5 && high > 0.5) found.push([one.textContent, other.textContent]);
  }));
}
return found;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def written(net: Network, path: Path, data: datasets.Dataset | None) -> Path:
    facts = [("Data", "a name that is quite long, without any space in it: " + "x" * 80)]
    measured = data and model.measure(net, data.x_test, data.y_test, "test rows of digits")
    path.write_text(document.html(model.page(net, path.name, facts, measured)), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["two hashed layers", "seven layers", "never trained"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    digits = datasets.load("digits")
    if request.param == "never trained":
        return written(Network(64, [Dense(16), Dense(10)]), path, None)
    n = 2 if request.param.startswith("two") else 6
    hidden = [Dense(100, active=LSH(0.1, lookup="tables", code="bits")) for _ in range(n)]
    net = Network(64, [*hidden, Dense(10)])
    epochs = 12 if n == 2 else 1
    net.fit(digits.x_train, digits.y_train, epochs=epochs, validation=0.2)
    return written(net, path, digits)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_nothing_fails_and_nothing_is_asked_for(
    browser: Any, page: Path, width: int, theme: str
) -> None:
    show(browser, page, width, theme)
    assert nothing_failed(browser, page)
    assert len(browser.find_elements("css selector", "section")) == 5


@pytest.mark.parametrize("width", [320, *WIDTHS])
def test_nothing_reaches_beyond_the_edge(browser: Any, page: Path, width: int) -> None:
    show(browser, page, width)
    assert nothing_reaches_beyond(browser, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_label_of_a_figure_covers_another(browser: Any, page: Path, width: int) -> None:
    show(browser, page, width)
    assert browser.execute_script(COVERED) == []


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_lines_can_be_seen_in_light_and_dark(browser: Any, page: Path, theme: str) -> None:
    show(browser, page, 1280, theme)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    for selector in ("p, h1, h2, h3, dt, dd, a", ".sortable td, .sortable button", "pre code"):
        assert faint(browser, selector) == []
    if browser.find_elements("css selector", ".panels svg"):
        assert faint(browser, ".panels text, .legend li, summary") == []
        assert faint(browser, ".key polygon", 3) == []


def test_every_figure_is_told_in_words(browser: Any, page: Path) -> None:
    show(browser, page)
    labels = browser.execute_script(
        "return [...document.querySelectorAll('.panels svg')].map(s => s.ariaLabel)"
    )
    figures = browser.find_elements("css selector", "figure")
    assert len(labels) == len(figures)
    for label in labels:
        title, _, rest = label.partition(": ")
        assert title in [one.text for one in browser.find_elements("css selector", "figure h3")]
        assert " by " in rest


def test_wide_tables_fit_a_screen_and_scroll_on_a_phone(browser: Any, page: Path) -> None:
    scrolls = (
        "return [...document.querySelectorAll('.block > .scroll')]"
        ".filter(e => e.scrollWidth > e.clientWidth).length"
    )
    show(browser, page, 1280)
    assert browser.execute_script(scrolls) == 0
    show(browser, page, 390)
    assert browser.execute_script(scrolls) > 0
