"""How the lines of a page look: a colour for light and dark, and a marker, for every name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .page import Figure

# On white, and on a dark page. The first five are the paper's methods, in the colours of Okabe and
# Ito; no two neighbours are confused with any of the common kinds of colour blindness.
PALETTE = (
    ("#33383f", "#d5d9de"),
    ("#0072b2", "#5cb3ee"),
    ("#009e73", "#34c79c"),
    ("#c4699a", "#e3a0c6"),
    ("#d55e00", "#f58a42"),
    ("#3b8fc4", "#8ccdf2"),
    ("#b07700", "#e6b34a"),
    ("#882255", "#d177a6"),
    ("#4b3fa0", "#a59bf0"),
    ("#6f7d1f", "#b5c25a"),
    ("#6b7280", "#a3abb8"),
)
METHODS = {"NN": "s", "VD": "^", "AD": "D", "WTA": "v", "LSH": "o"}
_OTHER_MARKERS = ("o", "s", "^", "D", "P", "v")


@dataclass(frozen=True)
class Look:
    """How the lines of one name look: colours by their place in `PALETTE`, and the marker."""

    place: int
    marker: str

    @property
    def colour(self) -> str:
        """The colour on white."""
        return PALETTE[self.place][0]


def looks(figures: Iterable[Figure]) -> dict[str, Look]:
    """A look for every name of a line in these figures.

    The paper's methods have looks of their own. Each other name gets the first of the remaining
    ones that no name beside it, in any figure, has.

    >>> looks([])["LSH"]
    Look(place=4, marker='o')
    """
    found = {name: Look(place, mark) for place, (name, mark) in enumerate(METHODS.items())}
    beside: dict[str, set[str]] = {}
    for names in (figure.line_names() for figure in figures):
        for name in names:
            beside.setdefault(name, set()).update(names)
    for name, others in beside.items():
        if name not in found:
            taken = {found[other] for other in others if other in found}
            found[name] = next(look for look in _other_looks() if look not in taken)
    return found


def _other_looks() -> Iterator[Look]:
    """Every colour that is no method's with a marker, then every one with another, and so on."""
    places = range(len(METHODS), len(PALETTE))
    for number in itertools.count():
        turn, place = divmod(number, len(places))
        mark = _OTHER_MARKERS[(place + turn) % len(_OTHER_MARKERS)]
        yield Look(places[place], mark)


def key(look: Look, dashed: bool = False, bar: bool = False) -> str:
    """A short piece of a line with its marker, or of a bar, as an SVG element for a legend.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed; the message says how to get it.
    """
    need_matplotlib()
    from matplotlib.markers import MarkerStyle
    from matplotlib.transforms import Affine2D

    mark = MarkerStyle(look.marker)
    shape = mark.get_path().transformed(mark.get_transform() + Affine2D().scale(8, -8))
    outline: Any = shape.to_polygons()[0]
    corners = " ".join(f"{15 + x:.2f},{7 + y:.2f}" for x, y in outline)
    dashes = ' stroke-dasharray="5 3"' if dashed else ""
    line = f'<path d="M1 7H29" stroke="currentColor" stroke-width="1.8"{dashes}/>'
    if bar:
        line, corners = "", "9,1 21,1 21,13 9,13"
    return (
        f'<svg class="key" viewBox="0 0 30 14" aria-hidden="true" style="color:'
        f'var(--line-{look.place})">{line}<polygon points="{corners}" fill="currentColor"/></svg>'
    )


def need_matplotlib(extra: str = "report") -> None:
    """Raise ModuleNotFoundError, which says how to get it, unless Matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"figures need Matplotlib: pip install 'hashgrad[{extra}]'"
        ) from None
