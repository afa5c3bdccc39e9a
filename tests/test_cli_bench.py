"""`hashgrad bench`: what was measured goes to a page, to JSON and to a table for people."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench_help import RACE, Fake
from cli_help import Hashgrad, caller
from hashgrad import datasets
from hashgrad.bench.catalogue import FULL, QUICK
from hashgrad.cli import bench

PAGE = {"README.md", "results.json", "ratios.svg"}


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any measure that is run is an error."""

    def work(*arguments: Any) -> None:
        raise AssertionError("a measure was run")

    monkeypatch.setattr(bench.suite, "run", work)
    monkeypatch.setattr(bench.tuning, "tune", work)


def measuring(monkeypatch: pytest.MonkeyPatch, *fakes: Fake) -> None:
    """`--quick` runs these."""
    monkeypatch.setattr(bench, "QUICK", {fake.name: fake for fake in fakes})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Real runs


def test_one_quick_measure_is_run_and_written(hashgrad: Hashgrad, tmp_path: Path) -> None:
    folder, file = tmp_path / "new" / "page", tmp_path / "out.json"
    words = ("--quick", "--repeats", 1, "--out", folder, "--json", file)
    answer = hashgrad("bench", "digits-floor", *words)
    assert answer.code == 0, answer
    results = json.loads(file.read_text())
    assert list(results["measures"]) == ["digits-floor"]
    row = results["measures"]["digits-floor"]
    assert all(spent > 0 for spent in row["seconds"].values())
    assert row["ratio"] == row["seconds"]["floor"] / row["seconds"]["measured"]
    assert row["repeats"][0]["runs"]["hashgrad"]["examples"] == len(datasets.load("digits").x_train)
    assert names(folder) == PAGE
    assert json.loads((folder / "results.json").read_text()) == results
    assert "its floor against its time" in (folder / "README.md").read_text(encoding="utf-8")
    for part in ("1/1  one example, its floor", f"wrote {folder / 'README.md'}", "yes"):
        assert part in answer.out


@pytest.mark.slow
@pytest.mark.compiler
def test_all_quick_measures_work(hashgrad: Hashgrad, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    words = ("bench", "--quick", "--repeats", 1, "--out", tmp_path / "page", "--json", file)
    answer = hashgrad(*words)
    assert answer.code == 0, answer
    results = json.loads(file.read_text())
    assert list(results["measures"]) == list(QUICK)
    for name, row in results["measures"].items():
        assert all(0 < spent < 100 for spent in row["seconds"].values()), (name, row["seconds"])
        assert len(row["repeats"]) == 1
        assert f"1/1  {row['title']}: " in answer.out
    assert names(tmp_path / "page") == PAGE | {"races.svg"}
    page = (tmp_path / "page" / "README.md").read_text(encoding="utf-8")
    assert all(f"| {row['title']} | " in page for row in results["measures"].values())


# What is written, and where


def test_names_choose_the_measures_and_their_order(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = [Fake(name, f"measure {name}", repeats=[RACE] * 2) for name in ("a", "b", "c")]
    measuring(monkeypatch, *fakes)
    words = ("bench", "--quick", "--repeats", 2, "--json", "-")
    assert list(hashgrad(*words, "c", "a").json["measures"]) == ["c", "a"]
    assert [len(fake.runs) for fake in fakes] == [2, 0, 2]


def test_all_measures_are_run_as_often_as_asked(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = [Fake(name, repeats=[RACE] * bench.REPEATS) for name in ("a", "b")]
    measuring(monkeypatch, *fakes)
    found = hashgrad("bench", "--quick", "--json", "-").json["measures"]
    assert [len(row["repeats"]) for row in found.values()] == [bench.REPEATS] * 2


def test_json_on_stdout_leaves_words_to_stderr(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, Fake(repeats=[RACE]))
    answer = hashgrad("bench", "--quick", "--repeats", 1, "--json", "-")
    assert answer.json["measures"]["fake"]["ratio"] == 4
    assert "1/1  a race: pytorch 4 s, hashgrad 1 s: 4" in answer.err


def test_a_table_tells_what_holds(hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Fake("good", "the good one", repeats=[RACE])
    poor = Fake("poor", "the poor one", asked=5.0, repeats=[RACE])
    measuring(monkeypatch, good, poor)
    monkeypatch.setenv("COLUMNS", "200")
    answer = hashgrad("bench", "--quick", "--repeats", 1)
    assert answer.code == 0
    lines = [
        line.split() for line in answer.out.splitlines() if "one" in line and "1/1" not in line
    ]
    assert len(lines) == 2
    assert "yes" in lines[0]
    assert "no" in lines[1]


def test_ctrl_c_between_rounds_keeps_those_that_are_whole(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measuring(monkeypatch, Fake(repeats=[RACE, RACE, KeyboardInterrupt()]))
    folder = tmp_path / "page"
    answer = hashgrad("bench", "--quick", "--out", folder, "--json", tmp_path / "out.json")
    assert answer.code == 130
    results = json.loads((tmp_path / "out.json").read_text())
    assert results["interrupted"] is True
    assert len(results["measures"]["fake"]["repeats"]) == 2
    assert names(folder) == PAGE
    assert json.loads((folder / "results.json").read_text()) == results
    assert "of 2 |" in (folder / "README.md").read_text(encoding="utf-8")


def test_ctrl_c_in_the_first_round_writes_no_page(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measuring(monkeypatch, Fake(repeats=[KeyboardInterrupt()]))
    answer = hashgrad("bench", "--quick", "--out", tmp_path, "--json", "-")
    assert answer.code == 130
    assert answer.json["measures"] == {}
    assert names(tmp_path) == set()


def test_a_run_that_fails_earns_one_line(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, Fake(repeats=[RuntimeError("the run x of the benchmark failed:\nwhy")]))
    complaint = hashgrad("bench", "--quick", "--repeats", 1).complaint
    assert complaint == "the run x of the benchmark failed: why"


def test_tuning_comes_first_for_the_measures_that_have_a_task(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tuned: list[Any] = []
    fakes = [Fake(name, repeats=[RACE]) for name in ("mnist-4000", "widths", "mnist-1000")]
    monkeypatch.setattr(bench, "FULL", {fake.name: fake for fake in fakes})
    monkeypatch.setattr(bench.tuning, "tune", lambda *words: tuned.append(words[:3]))
    words = ("bench", "--tune", "--repeats", 1, "--out", tmp_path / "page")
    assert hashgrad(*words).code == 0
    ((wanted, threads, log),) = tuned
    assert wanted == ["mnist-4000", "mnist-1000"]
    assert threads in (1, 2)
    assert log == tmp_path / "page" / bench.TUNING_LOG


# Errors


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("mnist-100", "NAME must be one of 'mnist-1000'"),
        ("mnist-100", "got 'mnist-100'; did you mean 'mnist-1000'?"),
        ("digits", "NAME must be one of 'mnist-1000'"),
        ("--quick mnist-1000", "NAME must be one of 'digits'"),
        ("--repeats 0", "--repeats must be at least 1, got 0"),
        ("--repeats -1", "--repeats must be at least 1, got -1"),
        ("--repeats many", "--repeats"),
        ("--tune --quick", "--tune has no effect with --quick"),
        ("--tune widths", "--tune has no effect"),
        ("--out /proc/nothing/here", "--out must name a folder that can be made, got '/proc/n"),
        ("--json /nowhere/out.json", "--json must name a file in an existing folder"),
        ("--slow", "No such option: --slow"),
    ],
)
def test_a_bad_word_earns_one_line_before_any_work(
    hashgrad: Hashgrad, words: str, complaint: str
) -> None:
    assert complaint in hashgrad("bench", *words.split()).complaint


@pytest.mark.usefixtures("no_work")
def test_a_place_for_the_page_that_is_no_folder_is_refused_before_any_work(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("precious")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        complaint = hashgrad("bench", "--quick", "--out", path).complaint
        assert f"--out must name a folder that can be made, got '{path}'" in complaint
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.usefixtures("no_work")
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no such folder")
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(
    hashgrad: Hashgrad,
) -> None:
    assert "--out must name a folder" in hashgrad("bench", "--quick", "--out", "/proc").complaint


@pytest.mark.usefixtures("no_work")
def test_pictures_without_matplotlib_are_refused_before_any_work(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    complaint = hashgrad("bench", "--quick", "--out", tmp_path / "page").complaint
    assert "pip install 'hashgrad[bench]'" in complaint


def test_json_can_go_into_the_new_folder(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measuring(monkeypatch, Fake(repeats=[RACE]))
    folder = tmp_path / "page"
    words = ("--out", folder, "--json", folder / "all.json")
    assert hashgrad("bench", "--quick", "--repeats", 1, *words).code == 0
    assert names(folder) == PAGE | {"all.json"}


def test_help_names_the_measures(hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    text = " ".join(hashgrad("bench", "--help").out.split())
    for name in FULL:
        assert name in text
    assert f"[default: {bench.REPEATS}]" in text
