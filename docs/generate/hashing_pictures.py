"""Pictures of hashing, each computed from what it shows: buckets, chances, scan and tables."""

from __future__ import annotations

import math

import numpy as np

from charts import Chart
from svg import Picture

NORMALS = (20, 75, 140)  # degrees: each direction is one bit, 1 on its side
INPUT = 38


def _key(angle: float) -> str:
    return "".join("01"[math.cos(math.radians(angle - normal)) > 0] for normal in NORMALS)


def bucket() -> str:
    """Neurons and an input in the plane; three directions cut it, and their signs are the key."""
    random = np.random.default_rng(5)
    angles = np.sort(random.uniform(0, 360, 26))
    lengths = random.uniform(34, 88, 26)
    keys = [_key(angle) for angle in angles]
    wanted = _key(INPUT)
    found = keys.count(wanted)
    picture = Picture(
        f"Three lines through the origin cut the plane into six regions with keys of three bits. "
        f"The input's key is {wanted}; {found} of 26 neurons have the same one.",
        284,
    )
    x0, y0, radius = 126, 134, 98

    def at(angle: float, r: float) -> tuple[float, float]:
        return x0 + r * math.cos(math.radians(angle)), y0 - r * math.sin(math.radians(angle))

    edges = sorted((normal + side) % 360 for normal in NORMALS for side in (90, 270))
    for low, high in zip(edges, [*edges[1:], edges[0] + 360], strict=True):
        middle = (low + high) / 2
        if _key(middle) == wanted:
            arc = [at(angle, radius) for angle in np.linspace(low, high, 30)]
            picture.area([(x0, y0), *arc], "wash")
        x, y = at(middle, radius + 2)
        anchor = "middle" if abs(x - x0) < 30 else ("start" if x > x0 else "end")
        y += 4 + (10 if y > y0 + 80 else -6 if y < y0 - 80 else 0)
        picture.text(x, y, _key(middle), "hit" if _key(middle) == wanted else "muted", anchor,
                     code=True, bold=_key(middle) == wanted)  # fmt: skip
    for edge in edges[:3]:
        picture.line([at(edge, radius), at(edge + 180, radius)], "muted", dashes="4 3")
    for angle, length, key in zip(angles, lengths, keys, strict=True):
        picture.dot(*at(angle, length), 4, "hit" if key == wanted else "faint")
    picture.line([(x0, y0), at(INPUT, 84)], "query", 2, arrow=True)

    picture.text(264, 22, "key", "muted")
    picture.text(356, 22, "neurons", "muted", "end")
    for row in range(8):
        key, y = f"{row:03b}", 32 + 24 * row
        mine = key == wanted
        picture.box(256, y, 104, 20, "wash" if mine else None, "hit" if mine else "faint", 3)
        picture.text(264, y + 14, key, "hit" if mine else "ink", code=True, bold=mine)
        count = str(keys.count(key))
        picture.text(352, y + 14, count, "hit" if mine else "muted", "end", bold=mine)
    picture.line([(8, 270), (30, 270)], "query", 2, arrow=True)
    picture.text(36, 274, "input")
    picture.dot(84, 270, 4, "hit")
    picture.text(92, 274, "neuron in its bucket")
    picture.dot(222, 270, 4, "faint")
    picture.text(230, 274, "other neuron")
    return picture.render()


def chance() -> str:
    """The chance to be found, by the angle between input and neuron."""
    chart = Chart(
        "The chance that a neuron is found falls with its angle to the input: gently with few bits "
        "and many tables, steeply with more bits.",
        height=210,
        x=(0, 90),
        y=(0, 1),
        x_ticks={0: "0°", 30: "30°", 60: "60°", 90: "90°"},
        y_ticks={0: "0", 0.5: "50 %", 1: "100 %"},
        x_label="angle between input and neuron",
        y_label="chance to be in a bucket that is visited",
    )
    angles = np.linspace(0, 90, 91)
    for bits, tables, colour, label in (
        (8, 40, "hit", (58, 0.91, "8 bits, 40 tables")),
        (8, 5, "query", (2, 0.26, "8 bits, 5 tables")),
        (14, 40, "other", (27, 0.08, "14 bits, 40 tables")),
    ):
        found = 1 - (1 - (1 - angles / 180) ** bits) ** tables
        chart.curve(list(zip(angles, found, strict=True)), colour)
        chart.label(*label, colour)
    return chart.render()


N, KEPT, DIMENSIONS = 120, 6, 16


def scan() -> str:
    """What a scan and what tables read, of neurons ordered by how strongly they answer."""
    random = np.random.default_rng(12)
    neurons, query = random.normal(size=(N, DIMENSIONS)), random.normal(size=DIMENSIONS)
    neurons = neurons[np.argsort(-(neurons @ query))]
    coarse = np.round(neurons * 8).astype(int) @ np.round(query * 8).astype(int)
    scanned = np.argsort(-coarse)[: KEPT * 3 // 2]
    directions = random.normal(size=(12, 4, DIMENSIONS))
    bits, own = directions @ neurons.T > 0, directions @ query > 0
    looked = (bits == own[:, :, None]).all(axis=1).any(axis=0)
    likeness = (bits == own[:, :, None]).sum(axis=(0, 1))
    ranked = [i for i in np.argsort(-likeness, kind="stable") if looked[i]][: 4 * KEPT]

    picture = Picture(
        f"{N} neurons, ordered by their answer to one input. A scan reads all codes, evaluates "
        f"{len(scanned)} neurons and keeps {KEPT}. Tables read {int(looked.sum())} neurons, "
        f"evaluate {len(ranked)} and keep {KEPT}.",
        236,
    )
    for top, name, said, read, evaluated in (
        (0, "Scan", f"compares {N} short codes, evaluates {len(scanned)} neurons",
         np.ones(N, bool), set(scanned)),
        (104, "Tables", f"visit buckets with {int(looked.sum())} neurons, evaluate {len(ranked)}",
         looked, set(ranked)),
    ):  # fmt: skip
        kept = set(sorted(evaluated)[:KEPT])
        picture.text(0, top + 14, name, bold=True)
        picture.text(50, top + 14, said, "muted")
        for i in range(N):
            x, y = 12 * (i % 30), top + 24 + 16 * (i // 30)
            fill = "hit" if i in kept else "wash" if read[i] else None
            picture.box(x + 0.5, y + 0.5, 9, 12, fill, "hit" if i in evaluated else "faint", 1)
    y = 220
    for x, fill, line, words in (
        (0, None, "faint", "not read"),
        (72, "wash", "faint", "code read"),
        (154, "wash", "hit", "evaluated"),
        (234, "hit", "hit", f"kept: the best {KEPT}"),
    ):
        picture.box(x + 0.5, y - 10.5, 9, 12, fill, line, 1)
        picture.text(x + 15, y, words)
    return picture.render()
