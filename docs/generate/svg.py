"""A small hand for drawing: SVG elements as text, in colours that the page's theme decides.

Colours are words (`CLASSES`); `docs/site/assets/extra.css` gives each a light and a dark value.
Pictures are WIDTH units wide, so that their text is as large as the page's on a phone.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence

WIDTH = 360
CLASSES = ("ink", "muted", "faint", "paper", "page", "hit", "wash", "other", "query")
LETTER = 6.3  # about the width of a letter of 12 units


class Picture:
    """A drawing in the making.

    Args:
        title: what a reader who cannot see it should know.
        height: in units; WIDTH of them go across.
    """

    def __init__(self, title: str, height: float) -> None:
        self.title, self.height = title, height
        self._parts: list[str] = []

    def _add(self, name: str, text: str | None = None, **attributes: object) -> None:
        words = " ".join(
            f'{key.rstrip("_").replace("_", "-")}="{_value(value)}"'
            for key, value in attributes.items()
            if value is not None
        )
        end = "/>" if text is None else f">{html.escape(text, quote=False)}</{name}>"
        self._parts.append(f"<{name} {words}{end}")

    def dot(self, x: float, y: float, r: float = 3, fill: str = "faint") -> None:
        """A disc."""
        self._add("circle", cx=x, cy=y, r=r, class_=f"fill-{fill}")

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str | None = None,
        line: str | None = None,
        round_: float = 0,
    ) -> None:
        """A rectangle, filled, outlined or both."""
        self._add("rect", x=x, y=y, width=width, height=height, rx=round_ or None,
                  class_=f"{'fill-' + fill if fill else 'no-fill'} {'line-' + line if line else ''}"
                  .strip())  # fmt: skip

    def line(
        self,
        points: Sequence[tuple[float, float]],
        colour: str = "muted",
        width: float = 1,
        dashes: str | None = None,
        arrow: bool = False,
    ) -> None:
        """Straight lines from point to point, with an arrow's head at the last one if asked."""
        self._add("polyline", points=_points(points), class_=f"no-fill line-{colour}",
                  stroke_width=width, stroke_dasharray=dashes)  # fmt: skip
        if arrow:
            (x0, y0), (x1, y1) = points[-2:]
            angle = math.atan2(y1 - y0, x1 - x0)
            back = [
                (x1 - 7 * math.cos(angle + turn), y1 - 7 * math.sin(angle + turn))
                for turn in (0.42, -0.42)
            ]
            self.area([(x1, y1), *back], colour)

    def area(self, points: Iterable[tuple[float, float]], fill: str = "wash") -> None:
        """A polygon."""
        self._add("polygon", points=_points(points), class_=f"fill-{fill}")

    def text(
        self,
        x: float,
        y: float,
        words: str,
        colour: str = "ink",
        anchor: str = "start",
        size: float = 12,
        bold: bool = False,
        code: bool = False,
    ) -> None:
        """One line of text; y is its baseline."""
        classes = f"fill-{colour}" + (" bold" if bold else "") + (" code" if code else "")
        self._add("text", words, x=x, y=y, class_=classes, text_anchor=anchor, font_size=size)

    def render(self) -> str:
        """The picture as one line of HTML, which Markdown leaves alone."""
        title = html.escape(self.title)
        inner = "".join(self._parts)
        return (
            f'<div class="picture"><svg viewBox="0 0 {WIDTH} {_value(self.height)}" role="img" '
            f'aria-label="{title}"><title>{title}</title>{inner}</svg></div>'
        )


def log_scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Where on a logarithmic axis from `start` to `end` a value between `low` and `high` lies."""
    return lambda value: start + (end - start) * math.log(value / low) / math.log(high / low)


def linear_scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """The same for an axis of equal steps."""
    return lambda value: start + (end - start) * (value - low) / (high - low)


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{_value(float(x))},{_value(float(y))}" for x, y in points)
