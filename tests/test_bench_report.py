"""Pages of results: tables for readers, pictures that are the same bytes for the same results."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

from hashgrad.bench import report
from hashgrad.bench.measures import NEVER

WHERE = {
    "date": "2026-01-31",
    "commit": "abc123",
    "processor": "A Processor",
    "hardware_threads": 2,
    "simd": "avx2",
    "system": "Linux",
    "versions": {"hashgrad": "0.1.0", "python": "3.12.0"},
    "meeting_nanoseconds": 81.4,
}
PICTURES = ["ratios.svg", "races.svg"]


def race(title: str, target: float = 0.9) -> dict[str, Any]:
    """A row of two contenders and three repeats."""
    ours = {
        "how": {"kept": 16},
        "multiplications_fraction": 0.0325,
        "learned_fraction": 0.41,
        "selection_recall": 0.8768,
    }
    repeats = [
        {
            "seconds": {"pytorch": 3.0 + n, "hashgrad": 1.0},
            "target": target,
            "runs": {
                "pytorch": {"how": {"batch": 32}, "points": [[1.5 + n, 0.85], [3.0 + n, 0.91]]},
                "hashgrad": {**ours, "points": [[0.5, 0.8], [1.0, 0.92]]},
            },
        }
        for n in range(3)
    ]
    return row(title, {"pytorch": 4.0, "hashgrad": 1.0}, [3.0, 4.0, 5.0], repeats)


def row(
    title: str, seconds: dict[str, float], ratios: list[float], repeats: list[Any]
) -> dict[str, Any]:
    ratio = ratios[len(ratios) // 2]
    return {
        "title": title, "seconds": seconds, "ratio": ratio, "ratios": ratios, "asked": 2.0,
        "aim": 8.0, "below": False, "holds": ratio >= 2, "repeats": repeats,
    }  # fmt: skip


def results(**rows: Any) -> dict[str, Any]:
    """Two races, and a measure that is none."""
    times = {"1 thread": 1.2e-4, "2 threads": 8e-5}
    threads = row("threads", times, [1.5], [{"seconds": times, "runs": {"1 thread": {}}}])
    every = rows or {"one": race("the first"), "two": race("the second"), "threads": threads}
    return {"circumstances": WHERE, "interrupted": False, "measures": every}


def test_a_page_begins_with_where_and_with_what() -> None:
    lines = report.markdown(results()).splitlines()
    assert lines[0] == "# Benchmarks"
    assert lines[2] == (
        "A Processor, 2 threads, avx2, Linux, on 2026-01-31, at commit abc123; "
        "two threads meet in 81 ns."
    )
    assert lines[3] == "Versions: hashgrad 0.1.0, python 3.12.0."


def test_where_there_is_one_processor_nobody_meets() -> None:
    found = {**results(), "circumstances": {**WHERE, "meeting_nanoseconds": None}}
    assert "at commit abc123.\n" in report.markdown(found)


def test_a_table_has_a_line_for_each_measure() -> None:
    lines = report.markdown(results()).splitlines()
    start = lines.index("| measure | times, medians | ratio | spread | asked | aim | holds |")
    assert lines[start + 2 : start + 5] == [
        "| the first | pytorch 4 s, hashgrad 1 s | **4** | 3–5 of 3 | ≥ 2 | ≥ 8 | yes |",
        "| the second | pytorch 4 s, hashgrad 1 s | **4** | 3–5 of 3 | ≥ 2 | ≥ 8 | yes |",
        "| threads | 1 thread 120 µs, 2 threads 80 µs | **1.5** | 1.5–1.5 of 1 | ≥ 2 | ≥ 8 | no |",
    ]
    assert {line.count("|") for line in lines[start : start + 5]} == {8}


def test_a_target_that_was_not_reached_is_told_as_never() -> None:
    lost = row("lost", {"pytorch": 3.0, "hashgrad": NEVER}, [3 / NEVER], [{"seconds": {}}])
    line = report.markdown(results(lost=lost)).splitlines()[-1]
    assert (
        line
        == "| lost | pytorch 3 s, hashgrad never | **3e-09** | 3e-09–3e-09 of 1 | ≥ 2 | ≥ 8 | no |"
    )


def test_what_trainings_multiplied_stands_in_a_table_of_its_own() -> None:
    text = report.markdown(results())
    assert "| measure | multiplications | examples learned from | recall |" in text
    assert "| the first | 3.25% | 41% | 0.877 |" in text
    assert text.count("| threads |") == 1
    alone = results(threads=results()["measures"]["threads"])
    assert "multiplied" not in report.markdown(alone)


def test_pictures_stand_at_the_end() -> None:
    text = report.markdown(results(), PICTURES)
    assert text.endswith("\n![ratios](ratios.svg)\n\n![races](races.svg)\n")


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    found = results()
    before = copy.deepcopy(found)
    written = [report.write(found, tmp_path / name) for name in ("one", "two")]
    for one, two in zip(*written, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert [path.name for path in written[0]] == ["README.md", *PICTURES]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(
        ["README.md", *PICTURES]
    )
    assert found == before
    page = written[0][0].read_text(encoding="utf-8")
    assert page == report.markdown(found, PICTURES)
    for path in written[0][1:]:
        assert path.read_text(encoding="utf-8").startswith("<?xml")


def test_other_results_give_another_picture(tmp_path: Path) -> None:
    report.write(results(), tmp_path / "one")
    other = results()
    other["measures"]["one"]["repeats"][1]["runs"]["hashgrad"]["points"][1][0] = 2.5
    other["measures"]["two"]["ratio"] = 4.5
    report.write(other, tmp_path / "two")
    for name in PICTURES:
        assert (tmp_path / "one" / name).read_bytes() != (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_every_race_has_a_panel_and_no_panel_is_empty(tmp_path: Path, n: int) -> None:
    report.write(results(**{f"race{i}": race(f"race {i}") for i in range(n)}), tmp_path)
    picture = (tmp_path / "races.svg").read_text(encoding="utf-8")
    assert picture.count("<!-- seconds of training -->") == n
    for i in range(n):
        assert picture.count(f"<!-- race {i} -->") == 1


def test_where_nothing_raced_there_is_no_picture_of_races(tmp_path: Path) -> None:
    alone = results(threads=results()["measures"]["threads"])
    assert [path.name for path in report.write(alone, tmp_path)] == ["README.md", "ratios.svg"]
    assert "races" not in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_race_that_nobody_finished_can_be_drawn(tmp_path: Path) -> None:
    lost = race("lost", target=0.99)
    lost["seconds"] = {"pytorch": NEVER, "hashgrad": NEVER}
    assert len(report.write(results(lost=lost), tmp_path)) == 3


def test_a_ratio_that_must_be_small_is_told_and_drawn_the_other_way_round(tmp_path: Path) -> None:
    widths = {**results()["measures"]["threads"], "below": True, "aim": 0.5, "holds": True}
    large = results(widths={**widths, "ratio": 4.0, "ratios": [4.0], "asked": 8.0, "aim": 2.0})
    small = results(widths={**widths, "ratio": 2.0, "ratios": [2.0], "asked": 1.0, "aim": 4.0})
    assert "| < 8 | < 2 | yes |" in report.markdown(large)
    small["measures"]["widths"]["below"] = False
    for name, found in (("large", large), ("small", small)):
        report.write(found, tmp_path / name)
    # twice as good as asked, and half of the aim, either way
    pictures = [(tmp_path / name / "ratios.svg").read_bytes() for name in ("large", "small")]
    assert pictures[0] == pictures[1]


def test_an_older_page_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("old")
    (tmp_path / "ratios.svg").write_text("old")
    for path in report.write(results(), tmp_path):
        assert "old" not in path.read_text(encoding="utf-8").splitlines()


def test_without_matplotlib_there_is_an_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hashgrad\[bench\]'"):
        report.write(results(), tmp_path)
