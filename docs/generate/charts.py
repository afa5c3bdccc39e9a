"""Charts: two axes, curves, dots and bars, with the labels beside what they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from svg import WIDTH, Picture, linear_scale, log_scale

LEFT, BOTTOM, TOP = 44, 40, 26


class Chart:
    """A chart with its axes drawn.

    Args:
        title: what a reader who cannot see it should know.
        height: of the whole, in the units of `svg.WIDTH`.
        x: the ends of the axis that lies.
        y: the ends of the axis that stands.
        x_ticks: values to mark, with their words.
        y_ticks: the same for the other axis.
        x_label: what the axis counts.
        y_label: the same for the other axis; it stands above it.
        logarithmic: whether `x` is.
    """

    def __init__(
        self,
        title: str,
        *,
        height: float,
        x: tuple[float, float],
        y: tuple[float, float],
        x_ticks: Mapping[float, str],
        y_ticks: Mapping[float, str],
        x_label: str,
        y_label: str,
        logarithmic: bool = False,
    ) -> None:
        self.picture = Picture(title, height)
        scale = log_scale if logarithmic else linear_scale
        self.x = scale(*x, LEFT, WIDTH - 12)
        self.y = linear_scale(*y, height - BOTTOM, TOP)
        bottom = height - BOTTOM
        self.picture.text(0, 12, y_label, "muted")
        for value, words in y_ticks.items():
            self.picture.line([(LEFT, self.y(value)), (WIDTH - 12, self.y(value))], "faint")
            self.picture.text(LEFT - 6, self.y(value) + 4, words, "muted", "end", 11)
        for value, words in x_ticks.items():
            self.picture.line([(self.x(value), bottom), (self.x(value), bottom + 4)], "muted")
            self.picture.text(self.x(value), bottom + 16, words, "muted", "middle", 11)
        self.picture.line([(LEFT, bottom), (WIDTH - 12, bottom)], "muted")
        self.picture.text((LEFT + WIDTH - 12) / 2, height - 6, x_label, "muted", "middle")

    def curve(
        self,
        points: Sequence[tuple[float, float]],
        colour: str,
        width: float = 2,
        dots: bool = False,
    ) -> None:
        """A line through the points."""
        placed = [(self.x(a), self.y(b)) for a, b in points]
        self.picture.line(placed, colour, width)
        for x, y in placed if dots else ():
            self.picture.dot(x, y, 2, colour)

    def dot(self, x: float, y: float, colour: str, radius: float = 4.5) -> None:
        """A dot at two values."""
        self.picture.dot(self.x(x), self.y(y), radius, colour)

    def label(
        self, x: float, y: float, words: str, colour: str = "ink", anchor: str = "start",
        shift: tuple[float, float] = (0, 0),
    ) -> None:  # fmt: skip
        """Words at two values, moved by `shift` units."""
        self.picture.text(self.x(x) + shift[0], self.y(y) + shift[1], words, colour, anchor)

    def render(self) -> str:
        """The chart as one line of HTML."""
        return self.picture.render()
