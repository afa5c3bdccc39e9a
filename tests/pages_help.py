"""A page of results as a session would give it; what the tests of the report share."""

from __future__ import annotations

import math

from hashgrad.pages.page import Claim, Figure, Line, Page, Panel, Section, Table

SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
SETS = ("MNIST", "Fashion-MNIST", "Convex", "Rectangles-image")
HARD = "<b>&\"quoted\" 'text'</b> $x_1$ <script>alert(1)</script>"


def example_page() -> Page:
    """Six parts: with panels, spreads, a log axis, a part without results and one without half."""
    return Page(
        title="Scalable and sustainable deep learning, reproduced",
        about=(
            ("Session", "full, 2026-01-31, 3 h 12 min"),
            ("Machine", "A Processor, 2 threads, avx512, Linux"),
            ("Commit", "abc1234"),
            ("Versions", "hashgrad 0.1.0, python 3.12.0, numpy 2.4.0"),
        ),
        claims=example_claims(),
        sections=(
            accuracy_section(),
            work_section(),
            workers_section(),
            depth_section(),
            Section(
                name="stream",
                title="One pass over eight million digits",
                sentence="A network that sees every example once, in the order of the file.",
                missing="No results: the file of mnist8m is not in the data folder.",
            ),
            speed_section(),
        ),
    )


def example_claims() -> tuple[Claim, ...]:
    command = "hashgrad reproduce --full --only"
    return (
        Claim("5 % of the neurons come within 1 % of the dense network", "within 1 % on four sets",
              "0.21 to 0.94 points behind on four sets", True, f"{command} accuracy"),
        Claim("LSH is above dropout at every share below 25 %", "6 of 6", "24 of 24", True,
              f"{command} accuracy"),
        Claim("The multiplications fall with the share", "5 % of the dense network's", "6.9 %",
              False, f"{command} work",
              "Hashing and ranking are counted here; without them it is 4.8 %."),
        Claim("56 workers converge like one", "same accuracy", "97.6 % against 97.9 %", True,
              f"{command} workers"),
        Claim("Speed grows almost linearly with processors", "31 × on 56 processors", "", None,
              f"{command} speed", "There are two processors here."),
        Claim("One pass over mnist8m suffices", "99 %", "", None, f"{command} stream"),
    )  # fmt: skip


def accuracy_section() -> Section:
    panels = []
    for number, (data, depth) in enumerate((d, n) for n in (2, 3) for d in SETS):
        best = 0.985 - 0.03 * (number % 4)
        lines = [Line("NN", tuple((x, best, best, best) for x in (0.05, 0.9)), dashed=True)]
        for method, loss in (("VD", 0.5), ("AD", 0.25), ("WTA", 0.02), ("LSH", 0.03)):
            points = []
            for x in SHARES:
                y = best - loss * math.exp(-6 * x) * (1 + 0.2 * (depth - 2))
                points.append((x, y, y - loss * 0.1, min(1.0, y + loss * 0.06)))
            lines.append(Line(method, tuple(points)))
        panels.append(Panel(f"{data}, {depth} × 1000", tuple(lines)))
    return Section(
        name="accuracy",
        title="Accuracy against active share",
        sentence="Five methods on the paper's networks, plain SGD on single examples.",
        figures=(
            Figure(
                "accuracy-by-share",
                "Accuracy against the share of active neurons",
                "LSH stays at the dense network's accuracy down to 5 %; dropout does not. Bars go "
                "from the least to the largest of three seeds.",
                "share of active neurons",
                "test accuracy",
                tuple(panels),
                x_log=True,
                x_ticks=SHARES,
                y_percent=True,
                x_percent=True,
            ),
        ),
        tables=(
            Table(
                "At 5 % of the neurons",
                "Mean of 3 seeds, in brackets the least and the largest.",
                ("data", "hidden layers", "NN", "VD", "LSH", "LSH − NN", "recall"),
                (
                    ("mnist", 2, "98.31 % (98.20–98.44)", "81.60 % (78.01–84.20)",
                     "98.02 % (97.90–98.11)", "−0.29 points", 0.871),
                    ("fashion-mnist", 2, "90.42 % (90.30–90.51)", "70.12 % (65.00–75.90)",
                     "89.66 % (89.50–89.80)", "−0.76 points", 0.83),
                    ("convex", 2, "81.20 %", "62.00 %", "81.30 %", "+0.10 points", 0.9025),
                    ("norb", None, None, None, None, None, None),
                ),
            ),
        ),
    )  # fmt: skip


def work_section() -> Section:
    shares = {"hash": 0.5, "rank": 2, "forward": 30, "backward": 9.5, "update": 58}
    return Section(
        name="work",
        title="Multiplications",
        sentence="Every multiplication of training, hashing included, against the dense network.",
        figures=(
            Figure(
                "work-by-share",
                "Multiplications against the share of active neurons",
                "The network's own work falls with the share; finding the neurons costs the same.",
                "share of active neurons",
                "multiplications, of dense",
                tuple(
                    Panel(data, (
                        Line("all", tuple((x, x + 0.03, x + 0.03, x + 0.03) for x in SHARES)),
                        Line("network alone", tuple((x, x, x, x) for x in SHARES)),
                        Line("finding neurons", tuple((x, 0.03, 0.03, 0.03) for x in SHARES)),
                    ))
                    for data in SETS[:3]
                ),
                x_percent=True,
                y_percent=True,
            ),
        ),
        tables=(
            Table(
                "Where the multiplications are",
                "Per example, by phase.",
                ("phase", "multiplications", "share"),
                tuple(
                    (name, 12_345 * 10**i, f"{share} %")
                    for i, (name, share) in enumerate(shares.items())
                ),
            ),
        ),
    )  # fmt: skip


def workers_section() -> Section:
    def curve(slow: float) -> tuple[tuple[float, float, float, float], ...]:
        found = []
        for x in range(5_000, 185_000, 5_000):
            y = 0.98 - slow * 0.2 * math.exp(-x / 40_000)
            found.append((float(x), y, y, y))
        return tuple(found)

    lines = tuple(Line(f"{n} worker{'s' * (n > 1)}", curve(1 + n / 80)) for n in (1, 8, 56))
    return Section(
        name="workers",
        title="Workers without locks",
        sentence="Simulated workers, each on weights as old as the others' examples.",
        figures=(
            Figure(
                "workers", "Convergence by number of workers",
                "56 workers learn as well as one does.",
                "examples", "test accuracy", (Panel("mnist, 3 × 1000", lines),), y_percent=True,
            ),
        ),
    )  # fmt: skip


def depth_section() -> Section:
    depths = range(1, 8)
    lines = tuple(
        Line(name, tuple((n, top - fall * n, top - fall * n, top - fall * n) for n in depths))
        for name, top, fall in (("LSH", 0.98, 0.002), ("NN", 0.985, 0.001))
    )
    times = tuple(
        Line(name, tuple((n, each * n, each * n * 0.9, each * n * 1.15) for n in depths))
        for name, each in (("LSH", 4.5), ("NN", 31.0))
    )
    return Section(
        name="depth",
        title="Deeper networks",
        sentence="One to seven hidden layers of 1000 neurons.",
        figures=(
            Figure("depth", "What depth does to accuracy", "Nothing is lost with depth.",
                   "hidden layers", "test accuracy", (Panel("mnist", lines), Panel("norb", ())),
                   x_ticks=tuple(depths), y_percent=True),
            Figure("depth-time", "What depth costs", "Time grows with the layers, for both.",
                   "hidden layers", "seconds", (Panel("mnist", times),), x_ticks=tuple(depths)),
        ),
        missing="norb has no results: its files are not in the data folder.",
    )  # fmt: skip


def speed_section() -> Section:
    return Section(
        name="speed",
        title="Speed by threads",
        sentence="Examples a second, by real threads of this machine.",
        figures=(
            Figure(
                "speed", "Examples a second", "Two threads are 1.7 times as fast as one.",
                "threads", "examples/s",
                tuple(
                    Panel(f"{n} hidden layers", (
                        Line("LSH", ((1, 30_000 / n, 28_000 / n, 31_000 / n),
                                     (2, 51_000 / n, 50_000 / n, 53_000 / n))),
                        Line("linear", ((1, 30_000 / n, 30_000 / n, 30_000 / n),
                                        (2, 60_000 / n, 60_000 / n, 60_000 / n)), dashed=True),
                    ))
                    for n in (2, 3)
                ),
                x_log=True,
            ),
        ),
        tables=(
            Table("Medians of five", "", ("threads", "examples/s", "against one"),
                  ((1, 30_021.5, "1 ×"), (2, 51_200.25, "1.71 ×"))),
        ),
    )  # fmt: skip


def hard_page() -> Page:
    """A page whose every text would break HTML, SVG or mathematics if it were not escaped."""
    figure = Figure("hard", HARD, HARD, HARD, HARD, (
        Panel(HARD, (Line(HARD, ((1, 2, 1, 3), (2, 3, 3, 3))),)), Panel(HARD, ()),
    ))  # fmt: skip
    table = Table(HARD, HARD, (HARD, "n"), ((HARD, 1), (HARD, None)))
    return Page(
        HARD, ((HARD, HARD),), (Claim(HARD, HARD, HARD, True, HARD, HARD),),
        (Section("hard", HARD, HARD, (figure,), (table,), HARD),),
    )  # fmt: skip
