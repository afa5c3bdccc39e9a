"""Pictures of the committed results."""

from __future__ import annotations

import math
from typing import Any

import sessions
from charts import Chart
from hashgrad.bench.measures import NEVER
from hashgrad.bench.suite import time_text
from svg import WIDTH, Picture, log_scale

COLOURS = {"hashgrad": "hit", "pytorch": "other", "scikit-learn": "other"}


def races() -> str:
    """Test accuracy by seconds of training, a picture for each race."""
    drawn = "".join(_race(row) for row in sessions.races().values())
    return f'<div class="pictures">{drawn}</div>'


def _race(row: dict[str, Any]) -> str:
    target = row["repeats"][0]["target"]
    curves = [
        (who, [(s, a) for s, a in run["points"] if s < NEVER and a > target - 0.03])
        for repeat in row["repeats"]
        for who, run in repeat["runs"].items()
    ]
    curves = [(who, points) for who, points in curves if points]
    times = [s for _, points in curves for s, _ in points]
    low, high = min(times) / 1.3, max(times) * 1.3
    top = min(1.0, target + 0.015)
    chart = Chart(
        f"{row['title']}: test accuracy by seconds of training",
        height=200,
        x=(low, high),
        y=(target - 0.03, top),
        x_ticks={value: time_text(value) for value in _decades(low, high)},
        y_ticks={target - 0.025: f"{target - 0.025:.1%}", target: f"{target:.1%}"},
        x_label="training, one line a repeat",
        y_label=row["title"],
        logarithmic=True,
    )
    for who, points in curves:
        inside = [(s, min(a, top)) for s, a in points]
        chart.curve(inside, COLOURS[who], 1.5, dots=True)
    for place, who in enumerate(dict.fromkeys(who for who, _ in curves)):
        x, y = 60 + 84 * place, 36
        chart.picture.box(x - 3, y - 12, 80, 16, "page")
        chart.picture.dot(x + 4, y - 4, 4, COLOURS[who])
        chart.picture.text(x + 12, y, who, COLOURS[who])
    return chart.render()


def _decades(low: float, high: float) -> list[float]:
    """1, 3, 10, 30, … between two values."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**e for e in exponents for step in (1, 3)]
    return [value for value in found if low <= value <= high]


def ratios() -> str:
    """How many times faster than the peer, with the spread; one line a race or prediction."""
    rows = [
        row for row in sessions.measures().values()
        if {"pytorch", "scikit-learn"} & set(row["seconds"] or {})
    ]  # fmt: skip
    picture = Picture(
        "How many times faster than the peer: "
        + "; ".join(f"{row['title']}: {row['ratio']:.3g}" for row in rows),
        40 * len(rows) + 46,
    )
    low, high = 0.9, 100.0
    x = log_scale(low, high, 6, WIDTH - 54)
    bottom = 40 * len(rows) + 8
    for value in (1, 3, 10, 30, 100):
        picture.line([(x(value), 4), (x(value), bottom)], "muted" if value == 1 else "faint")
        picture.text(x(value), bottom + 16, f"{value}×", "muted", "middle", 11)
    picture.text(WIDTH / 2, bottom + 34, "times as fast as the peer (bar: the repeats' spread)",
                 "muted", "middle")  # fmt: skip
    for place, row in enumerate(rows):
        y = 40 * place
        least, most = (max(low, ratio) for ratio in (row["ratios"][0], row["ratios"][-1]))
        words = row["title"].replace("MLPClassifier's accuracy of 10 epochs", "MLPClassifier's")
        picture.box(x(1) + 4, y + 4, 6.4 * len(words) + 6, 16, "page")
        picture.text(x(1) + 6, y + 16, words)
        picture.line([(x(least), y + 30), (x(most), y + 30)], "hit", 3)
        picture.dot(x(row["ratio"]), y + 30, 5, "hit")
        number = f"{row['ratio']:.3g}×"
        picture.text(WIDTH - 2, y + 34, number, "hit", "end", bold=True)
    return picture.render()


def many_labels() -> str:
    """P@1 by seconds of training, a dot for each contender."""
    _, found = sessions.many_labels()
    chart = Chart(
        "EURLEX57K: precision at 1 by seconds of training. "
        + "; ".join(
            f"{who} {one['P@1']:.1f} in {one['seconds']:.0f} s" for who, one in found.items()
        ),
        height=240,
        x=(0, 150),
        y=(85, 91),
        x_ticks={0: "0", 50: "50 s", 100: "100 s"},
        y_ticks={86: "86 %", 88: "88 %", 90: "90 %"},
        x_label="seconds of training",
        y_label="P@1",
    )
    beside = {"in-batch": (8, 10, "start"), "log-uniform": (-8, 14, "end"),
              "uniform": (-6, -9, "middle")}  # fmt: skip
    for who, one in found.items():
        colour = "hit" if who == "hashgrad" else "other"
        chart.dot(one["seconds"], one["P@1"], colour)
        dx, dy, anchor = beside.get(who, (0, -9, "middle"))
        chart.label(one["seconds"], one["P@1"], who, colour, anchor, (dx, dy))
    return chart.render()
