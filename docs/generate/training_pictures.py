"""Pictures of training: what a step touches, pooled outputs, batches and threads without locks."""

from __future__ import annotations

import numpy as np

from svg import Picture

CELLS = 40  # a side of a matrix, drawn; two rows of it are 5 %


def step() -> str:
    """Which weights of a network one example reads and changes."""
    random = np.random.default_rng(3)
    pixels = np.sort(random.choice(CELLS, 8, replace=False))  # a fifth of the inputs are not zero
    first, second = ([6, 27], [13, 33])
    every = list(range(CELLS))
    picture = Picture(
        "Three matrices of weights. Of the first, an example touches the rows of its active "
        "neurons in the columns of its non-zero inputs: 1 %. Of the second, active rows in active "
        "columns: 0.25 %. Of the output layer, all rows in active columns: 5 %.",
        214,
    )
    cell = 2.6
    side = CELLS * cell
    for x, title, size, rows, columns, share in (
        (0, "layer 1", "1000 × 784", first, pixels, len(first) * len(pixels) / CELLS**2),
        (128, "layer 2", "1000 × 1000", second, first, len(first) * len(second) / CELLS**2),
        (256, "outputs", "10 × 1000", every[:8], second, len(second) / CELLS),
    ):
        height = 8 * cell if title == "outputs" else side
        picture.text(x, 14, title, bold=True)
        picture.text(x, 30, size, "muted")
        picture.box(x, 40, side, height, "wash")
        for row in rows:
            for column in columns:
                picture.box(x + cell * column, 40 + cell * row, cell, cell, "hit")
        picture.text(x, 40 + height + 18, f"{share:.2%}".replace(".00", "").replace("%", " %")
                     + " touched", "hit", bold=True)  # fmt: skip
    picture.text(0, 184, "rows: neurons", "muted")
    picture.text(110, 184, "columns: inputs of the layer", "muted")
    picture.box(0.5, 196.5, 11, 11, "hit")
    picture.text(18, 206, "read, and changed by the step: all else stays")
    return picture.render()


def pool() -> str:
    """Examples of a batch, what each brings, and what all of them train."""
    n_outputs, cell = 22, 12
    brought = (({3, 14}, {1, 4, 17}), ({9}, {3, 10, 20}), ({14, 19}, {9, 12, 17}))
    union = sorted(set().union(*(labels | wrong for labels, wrong in brought)))
    picture = Picture(
        f"Three examples of a batch bring their labels and their three best wrong outputs: "
        f"{len(union)} outputs of {n_outputs}. All three are trained on all {len(union)}.",
        250,
    )
    left = 96
    picture.text(left, 14, f"{n_outputs} outputs", "muted")
    for row, (labels, wrong) in enumerate(brought):
        y = 26 + 26 * row
        picture.text(0, y + 11, f"example {row + 1}")
        for column in range(n_outputs):
            x = left + cell * column
            picture.box(x + 0.5, y + 0.5, cell - 3, 14, None, "faint", 1)
            if column in labels | wrong:
                picture.box(x + 0.5, y + 0.5, cell - 3, 14,
                            "query" if column in labels else "hit", None, 1)  # fmt: skip
    y = 26 + 26 * 3 + 8
    picture.text(0, y + 11, "the pool", bold=True)
    for column in range(n_outputs):
        inside = column in union
        picture.box(left + cell * column + 0.5, y + 0.5, cell - 3, 14, "ink" if inside else None,
                    None if inside else "faint", 1)  # fmt: skip
    y = 162
    picture.text(0, y, f"trained together: 3 examples × {len(union)} outputs", bold=True)
    for row in range(3):
        for column, output in enumerate(union):
            x, top = 24 * column, y + 10 + 16 * row
            labels, wrong = brought[row]
            fill = "query" if output in labels else "hit" if output in wrong else "wash"
            picture.box(x + 0.5, top + 0.5, 21, 13, fill, None, 1)
    for x, fill, words in (
        (0, "query", "its label"),
        (82, "hit", "its best wrong"),
        (196, "wash", "brought by others"),
    ):
        picture.box(x + 0.5, 234.5, 10, 11, fill, "faint" if fill == "wash" else None, 1)
        picture.text(x + 16, 244, words)
    return picture.render()


def threads() -> str:
    """Two threads without locks, and two in a synchronous batch of four."""
    picture = Picture(
        "Without locks, each thread takes the next example when it is done, and nobody waits. In a "
        "synchronous batch, threads meet between the phases, and those that are early wait.",
        262,
    )
    left, right = 62, 360
    picture.text(0, 14, "Without locks", bold=True)
    picture.text(104, 14, "batch_size=1", "muted", code=True)
    takes = (50, 66, 42, 58, 40, 60, 52, 46, 54, 48, 56, 44)
    free, number = [float(left), float(left)], 0
    while True:
        lane = free.index(min(free))
        if free[lane] + takes[number] > right:
            break
        x, y = free[lane], 26 + 30 * lane
        picture.box(x, y, takes[number] - 2, 22, "hit", None, 2)
        number += 1
        picture.text(x + takes[number - 1] / 2 - 1, y + 15, str(number), "paper", "middle")
        free[lane] += takes[number - 1]
    for lane in range(2):
        picture.text(0, 41 + 30 * lane, f"thread {lane + 1}", "muted")
    picture.line([(left, 92), (right, 92)], "muted", arrow=True)
    picture.text(left, 106, "time: each step changes the weights at once", "muted")

    top = 132
    picture.text(0, top, "Synchronous batches", bold=True)
    picture.text(150, top, "batch_size=4", "muted", code=True)
    x = float(left)
    for name, one, other, fill in (
        ("1, 3", 96, 84, "hit"),
        ("own neurons", 90, 94, "other"),
        ("5, 7", 82, 92, "hit"),
    ):
        for lane, takes_now in enumerate((one, other)):
            y = top + 12 + 30 * lane
            words = {"1, 3": ("1, 3", "2, 4"), "5, 7": ("5, 7", "6, 8")}.get(name, (name, name))
            picture.box(x, y, takes_now - 2, 22, fill, None, 2)
            picture.text(x + takes_now / 2 - 1, y + 15, words[lane], "paper", "middle")
        x += max(one, other)
        picture.line([(x, top + 8), (x, top + 68)], "query", 1.5)
        x += 3
    for lane in range(2):
        picture.text(0, top + 27 + 30 * lane, f"thread {lane + 1}", "muted")
    picture.line([(left, top + 78), (right, top + 78)], "muted", arrow=True)
    for x, fill, words in ((0, "hit", "its examples"), (104, "other", "its neurons' steps")):
        picture.box(x + 0.5, 240.5, 11, 11, fill, None, 1)
        picture.text(x + 18, 250, words)
    picture.line([(248, 239), (248, 253)], "query", 1.5)
    picture.text(256, 250, "all meet")
    return picture.render()
