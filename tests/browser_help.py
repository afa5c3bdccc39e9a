"""A real browser for the tests of pages: it loads what it is told, and is asked what it shows."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = (
    "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
    "disable-background-networking", "disable-component-update", "disable-sync",
)  # fmt: skip
WIDTHS, THEMES = (390, 1280), ("light", "dark")

# The contrast of an element's text with what is behind it, after WCAG 2.
CONTRAST = """
const parts = text => text.match(/[\\d.]+/g).map(Number);
const light = text => {
  const [r, g, b] = parts(text).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    const alpha = parts(colour)[3] ?? 1;
    if (alpha === 1) return colour;
    if (alpha > 0) throw new Error("half transparent: " + colour);
  }
  throw new Error("nothing behind");
};
const ink = e => {
  const style = getComputedStyle(e);
  return e instanceof SVGElement && style.fill !== "none" ? style.fill : style.color;
};
const found = [];
for (const e of document.querySelectorAll(arguments[0])) {
  const [a, b] = [light(ink(e)), light(behind(e))];
  found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 40)]);
}
return found;
"""

# What reaches beyond the right edge though nothing around it scrolls.
OUTSIDE = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll("body *")]
  .filter(e => e.getBoundingClientRect().right > width + 0.5 && !e.closest(".scroll")
    && !e.closest("thead"))
  .map(e => e.outerHTML.slice(0, 80));
"""


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Chromium without a window, with a profile of its own; loading only what it is told."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Debian's chromium and chromium-driver on the path")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")
        patch.setenv("SE_AVOID_STATS", "true")
        driver = webdriver.Chrome(options=options, service=Service(executable_path=DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


def show(browser: Any, page: Path | str, width: int = 1280, theme: str = "light") -> None:
    """Open a page, or an address, in a window of this width and with this theme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # forgets what came before
    browser.get(page if isinstance(page, str) else page.as_uri())


def events(browser: Any) -> list[dict[str, Any]]:
    return [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]


def requests(found: list[dict[str, Any]]) -> list[str]:
    """What was asked for, but for what stands in the page itself."""
    asked = [e["params"]["request"]["url"] for e in found if e["method"].endswith("BeSent")]
    return [url for url in asked if not url.startswith("data:")]


def nothing_failed(browser: Any, page: Path) -> bool:
    """Whether the page shown asked for nothing but itself, and nothing in it is broken."""
    found = events(browser)
    failed = [event for event in found if event["method"] == "Network.loadingFailed"]
    broken = "return [...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser.get_log("browser") == []
    assert requests(found) == [page.as_uri()]
    assert failed == []
    return bool(browser.execute_script(broken) == 0)


def nothing_reaches_beyond(browser: Any, width: int) -> bool:
    """Whether all that the page shows, its details opened, has room in a window of this width."""
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    root = "document.documentElement"
    assert browser.execute_script(f"return {root}.clientWidth") in (width, width - 15)
    assert browser.execute_script(OUTSIDE) == []
    return bool(browser.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth"))


def faint(browser: Any, selector: str, least: float = 4.5) -> list[Any]:
    """Contrast and text of what stands out too little; there must be some text."""
    found = browser.execute_script(CONTRAST, selector)
    assert found
    return [pair for pair in found if pair[0] < least]
