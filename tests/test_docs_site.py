"""The documentation as built: links lead somewhere, and every page can be read on any screen.

`make docs` builds the site and names its folder in `HASHGRAD_SITE`.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from browser_help import THEMES, WIDTHS, chromium, show

SITE = Path(os.environ.get("HASHGRAD_SITE", "")).absolute()
pytestmark = pytest.mark.skipif(
    "HASHGRAD_SITE" not in os.environ, reason="needs a built site: make docs"
)
# The report of the paper's claims has tests of its own.
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in (SITE.rglob("*.html") if "HASHGRAD_SITE" in os.environ else ())
    if path.parent.name != "report" and path.name != "404.html"
)

WIDER = """
const root = document.documentElement;
const scrolls = e => e.closest(".md-typeset__scrollwrap, pre, .md-sidebar, .md-tabs, .md-header");
return root.scrollWidth <= root.clientWidth ? [] :
  [...document.querySelectorAll("body *")]
    .filter(e => e.getBoundingClientRect().right > root.clientWidth + 0.5 && !scrolls(e))
    .map(e => e.outerHTML.slice(0, 80));
"""
BROKEN = "return [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
# Labels of a picture that lie over each other, or reach beyond its edge.
CROWDED = """
const found = [];
for (const svg of document.querySelectorAll(".picture svg")) {
  const edge = svg.getBoundingClientRect();
  const labels = [...svg.querySelectorAll("text")].map(e => [e.getBoundingClientRect(), e]);
  labels.forEach(([a, one], i) => {
    if (a.left < edge.left - 1 || a.right > edge.right + 1 || a.bottom > edge.bottom + 1
        || a.top < edge.top - 1) found.push("over the edge: " + one.textContent);
    for (const [b, other] of labels.slice(i + 1)) {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1 && high > 3) found.push(one.textContent + " / " + other.textContent);
    }
  });
}
return found;
"""
# The colours of a picture's text, and of what is behind the picture.
COLOURS = """
return [...document.querySelectorAll(".picture text:not(.fill-paper)")].map(e =>
  [getComputedStyle(e).fill, getComputedStyle(document.body).backgroundColor, e.textContent]);
"""


class Page(HTMLParser):
    """The anchors of a page, where it leads, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.update(given[key] or "" for key in ("id", "name") if key in given)
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if given.get("src") or (tag == "link" and given.get("rel") in ("stylesheet", "icon")):
            self.loads.append(given.get("src") or given.get("href") or "")


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    return {name: Page(SITE / name) for name in PAGES}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    handler = functools.partial(Silent, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


class Silent(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def test_there_are_pages_for_every_part(pages: dict[str, Page]) -> None:
    assert "index.html" in pages
    for folder in ("concepts", "howto", "reference", "reference/api", "project"):
        assert sum(name.startswith(f"{folder}/") for name in pages) > 2


def test_links_and_anchors_lead_somewhere(pages: dict[str, Page]) -> None:
    lost = []
    for name, page in pages.items():
        for link in [*page.links, *page.loads]:
            if urlsplit(link).scheme:
                continue
            target, anchor = urldefrag(unquote(urljoin(f"http://site/{name}", link)))
            target = target.removeprefix("http://site/")
            file = SITE / (target or name)
            if file.is_dir():  # as a server does
                file /= "index.html"
                target = file.relative_to(SITE).as_posix()
            found = file.is_file()
            if found and anchor and target in pages:
                found = anchor in pages[target].anchors
            if not found:
                lost.append((name, link))
    assert lost == []


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Page]) -> None:
    loads = {link for page in pages.values() for link in page.loads}
    assert loads
    assert [link for link in loads if urlsplit(link).netloc] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_screen(browser: Any, server: str, width: int) -> None:
    wrong = []
    for name in PAGES:
        show(browser, server + name, width)
        found = {
            "wider": browser.execute_script(WIDER),
            "broken": browser.execute_script(BROKEN),
            "crowded": browser.execute_script(CROWDED),
            "log": [entry["message"] for entry in browser.get_log("browser")],
        }
        wrong += [(name, what, problems) for what, problems in found.items() if problems]
    assert wrong == []


@pytest.mark.parametrize("theme", THEMES)
def test_pictures_can_be_read_in_light_and_dark(browser: Any, server: str, theme: str) -> None:
    pale, read = [], 0
    for name in PAGES:
        if '<div class="picture">' not in (SITE / name).read_text(encoding="utf-8"):
            continue
        show(browser, server + name, theme=theme)
        for ink, ground, words in browser.execute_script(COLOURS):
            read += 1
            if contrast(ink, ground) < 4.5:
                pale.append((name, words, ink, ground))
    assert read > 100
    assert pale == []


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, `rgb(r, g, b)`, after WCAG 2."""
    low, high = sorted(_light(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _light(colour: str) -> float:
    parts = [float(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
