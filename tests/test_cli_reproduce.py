"""`hashgrad reproduce`: parts are run, kept, and shown in a report, in words and as JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from cli_help import Hashgrad, caller
from hashgrad import experiments
from hashgrad.experiments.sizes import QUICK
from hashgrad.pages.page import Page


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--quick` is over in a moment, and knows one set, which is always there."""
    small = dataclasses.replace(QUICK, width=16, study=("digits",), speed_rows=100, repeats=1)
    monkeypatch.setitem(experiments.SIZES, "quick", small)


def test_a_part_is_run_kept_and_shown(hashgrad: Hashgrad, tmp_path: Path) -> None:
    out, file = tmp_path / "new" / "report", tmp_path / "page.json"
    words = ("reproduce", "--quick", "--only", "cost", "--out", out, "--json", file)
    first = hashgrad(*words)
    assert first.code == 0, first
    assert "cost of LSH in " in first.out
    assert "Prediction is as cheap" in first.out
    assert f"wrote {out / 'report.html'}" in first.out
    page = Page.from_dict(json.loads(file.read_text()))
    assert [claim.command for claim in page.claims] == ["hashgrad reproduce --quick --only cost"]
    assert "Energy of an example" in (out / "report.html").read_text()
    kept = json.loads((out / "results.json").read_text())
    assert kept["sessions"][0]["command"].startswith("hashgrad reproduce --quick --only cost --out")
    again = hashgrad(*words)
    assert "cost of LSH in " not in again.out


def test_parts_may_be_named_with_commas(hashgrad: Hashgrad, tmp_path: Path) -> None:
    answer = hashgrad("reproduce", "--only", "cost, scaling", "--out", tmp_path)
    assert answer.code == 0, answer
    kept = json.loads((tmp_path / "results.json").read_text())["results"]
    assert {json.loads(one["key"])["measure"].split(",")[0].split(" ")[0] for one in kept} == {
        "cost", "examples", "collisions",
    }  # fmt: skip


def test_a_part_that_cannot_be_run_is_told(
    hashgrad: Hashgrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(lab: experiments.Lab, size: experiments.Size) -> experiments.Part:
        raise FileNotFoundError("mnist is not here")

    monkeypatch.setitem(experiments.PARTS, "stream", without)
    answer = hashgrad("reproduce", "--only", "stream", "--out", tmp_path)
    assert answer.code == 1
    assert "stream is missing: mnist is not here" in answer.out
    assert hashgrad("reproduce", "--only", "stream,cost", "--out", tmp_path).code == 0


def test_the_help_says_what_to_install(hashgrad: Hashgrad) -> None:
    assert "hashgrad[report]" in "".join(hashgrad("reproduce", "--help").out.split())
    assert "hashgrad[bench]" in "".join(hashgrad("bench", "--help").out.split())


def test_a_quick_report_says_nothing_of_the_papers_claims(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    answer = hashgrad("reproduce", "--only", "cost", "--out", tmp_path, "--json", "-")
    assert [claim["held"] for claim in answer.json["claims"]] == [None]
    assert answer.json["claims"][0]["note"].startswith("At this size it ")


def test_json_may_go_to_standard_output(hashgrad: Hashgrad, tmp_path: Path) -> None:
    answer = hashgrad("reproduce", "--only", "cost", "--out", tmp_path, "--json", "-")
    assert answer.code == 0, answer
    assert Page.from_dict(answer.json).claims
    assert "cost of LSH" in answer.err


def test_ctrl_c_ends_with_what_is_there(
    hashgrad: Hashgrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(lab: experiments.Lab, size: experiments.Size) -> experiments.Part:
        if lab.offline:
            raise experiments.NotRunError
        raise KeyboardInterrupt

    monkeypatch.setitem(experiments.PARTS, "depth", pressed)
    words = ("--only", "cost", "--only", "depth", "--out", tmp_path)
    answer = hashgrad("reproduce", *words)
    assert answer.code == 130
    assert f"stopped; {tmp_path} keeps what was found" in " ".join(answer.out.split())
    assert "Energy of an example" in (tmp_path / "report.html").read_text()
    assert len(json.loads((tmp_path / "results.json").read_text())["results"]) == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--quick", "--full"), "--quick and --full exclude each other: give one of them"),
        (("--only", "speed"), "--only must be one of 'accuracy', 'asynchronous'"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_run(
    hashgrad: Hashgrad, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    answer = hashgrad("reproduce", *words, "--out", tmp_path / "out")
    assert answer.complaint.startswith(complaint)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_a_folder_that_cannot_be_made_is_refused(hashgrad: Hashgrad, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    answer = hashgrad("reproduce", "--out", file)
    assert answer.complaint.startswith(f"--out must name a folder that can be made, got '{file}'")
    assert file.read_text() == "mine"


def test_results_of_others_are_left_alone(hashgrad: Hashgrad, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    answer = hashgrad("reproduce", "--out", tmp_path)
    assert "results.json must be a file that `hashgrad reproduce` wrote" in answer.complaint
    assert (tmp_path / "results.json").read_text() == "{}"


def test_without_matplotlib_it_says_what_to_install(
    hashgrad: Hashgrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = hashgrad("reproduce", "--out", tmp_path)
    assert answer.complaint == "--out needs Matplotlib: pip install 'hashgrad[report]'"
