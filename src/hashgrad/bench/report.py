"""Tables and pictures of a session's results, from its JSON alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..pages.look import need_matplotlib
from .measures import NEVER
from .suite import rule_text, time_text

COLOURS = {"hashgrad": "#1b7f4d", "pytorch": "#c2571a", "scikit-learn": "#3465a4"}
INK, PALE = "#333333", "#bbbbbb"

Results = Mapping[str, Any]


def write(results: Results, folder: Path) -> list[Path]:
    """Write `README.md` and its pictures into a folder.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed; the message says how to get it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = _draw(results, folder)
    page = folder / "README.md"
    page.write_text(markdown(results, [path.name for path in pictures]), encoding="utf-8")
    return [page, *pictures]


def markdown(results: Results, pictures: list[str] | None = None) -> str:
    """The results as a page.

    >>> row = {"title": "a race", "seconds": {"peer": 3.0, "hashgrad": 1.0}, "ratio": 3.0,
    ...        "ratios": [2.9, 3.0], "asked": 2, "aim": 4, "below": False, "holds": True,
    ...        "repeats": [{}, {}]}
    >>> where = {"date": "2026-11-24", "commit": "abc", "processor": "P", "hardware_threads": 2,
    ...          "simd": "avx2", "system": "Linux", "versions": {"python": "3.12"},
    ...          "meeting_nanoseconds": 80.0}
    >>> print(markdown({"circumstances": where, "measures": {"race": row}}))
    # Benchmarks
    <BLANKLINE>
    P, 2 threads, avx2, Linux, on 2026-11-24, at commit abc; two threads meet in 80 ns.
    Versions: python 3.12.
    <BLANKLINE>
    | measure | times, medians | ratio | spread | asked | aim | holds |
    |---|---|---|---|---|---|---|
    | a race | peer 3 s, hashgrad 1 s | **3** | 2.9–3 of 2 | ≥ 2 | ≥ 4 | yes |
    <BLANKLINE>
    """
    where = results["circumstances"]
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    meeting = where["meeting_nanoseconds"]
    apart = f"; two threads meet in {meeting:.0f} ns" if meeting else ""
    lines = [
        "# Benchmarks",
        "",
        f"{where['processor']}, {where['hardware_threads']} threads, {where['simd']}, "
        f"{where['system']}, on {where['date']}, at commit {where['commit']}{apart}.",
        f"Versions: {versions}.",
        "",
        "| measure | times, medians | ratio | spread | asked | aim | holds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results["measures"].values():
        times = ", ".join(f"{who} {time_text(spent)}" for who, spent in row["seconds"].items())
        ratios = row["ratios"]
        lines.append(
            f"| {row['title']} | {times} | **{row['ratio']:.3g}** | "
            f"{ratios[0]:.3g}–{ratios[-1]:.3g} of {len(ratios)} | {rule_text(row, 'asked')} | "
            f"{rule_text(row, 'aim')} | {'yes' if row['holds'] else 'no'} |"
        )
    costs = _costs(results)
    if costs:
        lines += [
            "",
            "What hashgrad multiplied in its trainings, of dense, everything counted:",
            "",
        ]
        lines += [
            "| measure | multiplications | examples learned from | recall |",
            "|---|---|---|---|",
        ]
        lines += costs
    for name in pictures or []:
        lines += ["", f"![{Path(name).stem}]({name})"]
    return "\n".join(lines) + "\n"


def _costs(results: Results) -> list[str]:
    lines = []
    for row in results["measures"].values():
        run = row["repeats"][0].get("runs", {}).get("hashgrad", {})
        if "multiplications_fraction" in run:
            lines.append(
                f"| {row['title']} | {run['multiplications_fraction']:.2%} | "
                f"{run['learned_fraction']:.0%} | {run['selection_recall']:.3f} |"
            )
    return lines


def _draw(results: Results, folder: Path) -> list[Path]:
    need_matplotlib("bench")
    import matplotlib

    matplotlib.use("svg")
    # The same results give the same bytes.
    matplotlib.rcParams.update({"svg.hashsalt": "hashgrad", "axes.spines.top": False,
                                "axes.spines.right": False, "font.size": 10})  # fmt: skip
    drawn = []
    races = {name: row for name, row in results["measures"].items() if _is_race(row)}
    for name, draw, rows in (
        ("ratios", _draw_ratios, results["measures"]),
        ("races", _draw_races, races),
    ):
        if rows:
            figure = draw(rows)
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
            drawn.append(path)
    return drawn


def _is_race(row: Mapping[str, Any]) -> bool:
    runs = row["repeats"][0].get("runs", {})
    return bool(runs) and all("points" in run for run in runs.values())


def _draw_ratios(rows: Mapping[str, Any]) -> Any:
    """Each ratio, and its spread, in units of what is asked of it; more is better."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.45 * len(rows) + 0.8))
    axes = figure.subplots()
    for height, row in enumerate(reversed(list(rows.values()))):
        low, mid, high, aim = (
            row["asked"] / ratio if row["below"] else ratio / row["asked"]
            for ratio in (row["ratios"][0], row["ratio"], row["ratios"][-1], row["aim"])
        )
        axes.plot([low, high], [height, height], color=COLOURS["hashgrad"], linewidth=2)
        axes.plot(mid, height, "o", color=COLOURS["hashgrad"])
        axes.plot(aim, height, "|", color=INK, markersize=12)
    axes.set_yticks(range(len(rows)), [row["title"] for row in reversed(list(rows.values()))])
    axes.set_xscale("log")
    axes.axvline(1.0, color=PALE)
    axes.set_xlabel("how far beyond what is asked (1); the strokes are the aims")
    return figure


def _draw_races(rows: Mapping[str, Any]) -> Any:
    """Test accuracy against seconds of training, every repeat a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3 * ((len(rows) + 1) // 2)))
    panels = figure.subplots((len(rows) + 1) // 2, 2, squeeze=False).flat
    for row, axes in zip(rows.values(), panels, strict=False):
        for number, found in enumerate(row["repeats"]):
            for who, run in found["runs"].items():
                points = [(s, a) for s, a in run["points"] if s < NEVER]
                axes.plot(*zip(*points, strict=True), color=COLOURS[who], marker=".", alpha=0.6,
                          label=who if number == 0 else None)  # fmt: skip
            axes.axhline(found["target"], color=PALE, linewidth=0.8)
        target = row["repeats"][0]["target"]
        axes.set_ylim(target - 0.03, min(1.0, target + 0.015))
        axes.set_xscale("log")
        axes.set_title(row["title"], fontsize=9)
        axes.set_xlabel("seconds of training")
        axes.set_ylabel("test accuracy")
        axes.legend(loc="lower right", fontsize=8)
    for axes in list(panels):
        axes.set_visible(False)
    figure.tight_layout()
    return figure
