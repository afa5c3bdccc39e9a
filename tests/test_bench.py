"""Benchmarks: contenders take turns, medians are compared, pages show what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bench_help import RACE, Fake, times
from hashgrad import _core, calibration
from hashgrad.bench import suite, tuning, worker
from hashgrad.bench.measures import NEVER, in_turn, reached

# Points and turns


@pytest.mark.parametrize(
    ("target", "seconds"),
    [(0.5, 1.0), (0.9, 1.0), (0.901, 2.0), (0.96, 2.0), (0.97, 4.0), (0.98, 4.0), (0.981, NEVER)],
)
def test_a_target_is_reached_at_the_first_point_that_is_not_below_it(
    target: float, seconds: float
) -> None:
    points = [(1.0, 0.9), (2.0, 0.96), (3.0, 0.95), (4.0, 0.98)]
    assert reached(points, target) == seconds


def test_no_points_reach_nothing() -> None:
    assert reached([], 0.0) == NEVER
    assert json.loads(json.dumps(NEVER, allow_nan=False)) == NEVER


def test_contenders_go_in_the_opposite_order_in_every_other_repeat() -> None:
    contenders = {"peer": 1, "hashgrad": 2, "third": 3}
    orders = [in_turn(contenders, seed) for seed in range(4)]
    assert orders[0] == orders[2] == ["peer", "hashgrad", "third"]
    assert orders[1] == orders[3] == ["third", "hashgrad", "peer"]
    assert in_turn((), 1) == []


# Suites


def test_a_summary_compares_medians_and_tells_the_spread() -> None:
    rounds = [{"seconds": times(*pair)} for pair in ((10, 2), (12, 6), (9, 3), (30, 4), (11, 5))]
    row = suite.summary(Fake(), rounds)
    assert row["seconds"] == times(11, 4)
    assert row["ratio"] == 11 / 4
    assert row["ratios"] == [12 / 6, 11 / 5, 9 / 3, 10 / 2, 30 / 4]
    assert (row["title"], row["asked"], row["aim"], row["below"]) == ("a race", 2.0, 4.0, False)
    assert row["repeats"] == rounds
    assert row["holds"]


@pytest.mark.parametrize(("hashgrad", "holds"), [(1.9, True), (2.0, True), (2.1, False)])
def test_a_measure_holds_if_its_ratio_is_at_least_what_is_asked(
    hashgrad: float, holds: bool
) -> None:
    row = suite.summary(Fake(), [{"seconds": times(4, hashgrad)}])
    assert row["holds"] is holds
    assert row["ratio"] == row["ratios"][0] == 4 / hashgrad


@pytest.mark.parametrize(("hashgrad", "holds"), [(1.9, False), (2.0, False), (2.1, True)])
def test_a_measure_whose_ratio_must_be_small_holds_below_what_is_asked(
    hashgrad: float, holds: bool
) -> None:
    row = suite.summary(Fake(below=True), [{"seconds": times(4, hashgrad)}])
    assert row["holds"] is holds
    assert row["below"] is True


def test_what_is_asked_is_told_with_its_direction() -> None:
    row = {"asked": 1.5, "aim": 3, "below": False}
    assert [suite.rule_text(row, bound) for bound in ("asked", "aim")] == ["≥ 1.5", "≥ 3"]
    assert suite.rule_text({**row, "below": True}, "aim") == "< 3"


def test_what_was_seldom_reached_is_never_reached_in_the_median() -> None:
    rounds = [{"seconds": times(4, hashgrad)} for hashgrad in (NEVER, 1, NEVER)]
    row = suite.summary(Fake(), rounds)
    assert row["seconds"]["hashgrad"] == NEVER
    assert not row["holds"]


def test_measures_take_turns_round_by_round_and_share_a_folder() -> None:
    said: list[str] = []
    one = Fake("one", "the first", repeats=[RACE] * 3)
    two = Fake("two", "the second", repeats=[RACE] * 3)
    results = suite.run([one, two], 3, said.append)
    assert [seed for seed, _ in one.runs] == [seed for seed, _ in two.runs] == [1, 2, 3]
    (folder,) = {folder for _, folder in one.runs + two.runs}
    assert not folder.exists()
    assert said[0] == "1/3  the first: pytorch 4 s, hashgrad 1 s: 4"
    assert [line[:4] for line in said] == ["1/3 ", "1/3 ", "2/3 ", "2/3 ", "3/3 ", "3/3 "]
    assert list(results["measures"]) == ["one", "two"]
    assert len(results["measures"]["one"]["repeats"]) == 3
    assert results["interrupted"] is False


def test_circumstances_say_where_and_with_what() -> None:
    where = suite.run([Fake(repeats=[RACE])], 1, lambda line: None)["circumstances"]
    assert where["processor"] == calibration.processor()
    assert where["hardware_threads"] == _core.hardware_threads()
    assert where["simd"] == _core.simd_level()
    assert where["versions"].keys() >= {"hashgrad", "python", "numpy", "scipy", "torch"}
    assert len(where["date"]) == len("2026-01-31")
    if where["hardware_threads"] > 1:
        assert where["meeting_nanoseconds"] > 0


def test_a_package_outside_a_repository_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*words: Any, **settings: Any) -> None:
        raise FileNotFoundError("git")

    def failing(*words: Any, **settings: Any) -> None:
        raise subprocess.CalledProcessError(128, "git")

    for broken in (missing, failing):
        monkeypatch.setattr(suite.subprocess, "run", broken)
        assert suite.commit() is None


def test_results_are_a_file_of_json_that_loses_nothing() -> None:
    results = suite.run([Fake(repeats=[RACE])], 1, lambda line: None)
    assert json.loads(tuning.as_json(results)) == results


@pytest.mark.parametrize("after", [1, 2, 3])
def test_ctrl_c_keeps_the_rounds_that_are_whole(after: int) -> None:
    measure = Fake(repeats=[*[RACE] * after, KeyboardInterrupt(), RACE])
    results = suite.run([measure], 5, lambda line: None)
    assert results["interrupted"] is True
    assert len(results["measures"]["fake"]["repeats"]) == after
    assert len(measure.runs) == after + 1


def test_ctrl_c_in_the_first_round_leaves_nothing_but_the_circumstances() -> None:
    results = suite.run([Fake(repeats=[KeyboardInterrupt()])], 5, lambda line: None)
    assert results["interrupted"] is True
    assert results["measures"] == {}
    assert results["circumstances"]["date"]


def test_ctrl_c_while_a_line_is_printed_ends_the_suite_as_well() -> None:
    def say(line: str) -> None:
        raise KeyboardInterrupt

    results = suite.run([Fake(repeats=[RACE] * 2)], 2, say)
    assert results["interrupted"] is True
    assert len(results["measures"]["fake"]["repeats"]) == 1


def test_a_run_that_fails_leaves_what_was_measured_before_it() -> None:
    results = suite.run([Fake(repeats=[RACE, RuntimeError("a run")])], 2, lambda line: None)
    assert results["failure"] == "a run"
    assert len(results["measures"]["fake"]["repeats"]) == 1


def test_any_other_fault_reaches_the_caller() -> None:
    with pytest.raises(ValueError, match="a fault"):
        suite.run([Fake(repeats=[RACE, ValueError("a fault")])], 2, lambda line: None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (NEVER, "never"), (120.0, "120 s"), (1.0, "1 s"), (0.9994, "999 ms"), (0.0123, "12.3 ms"),
        (1e-6, "1 µs"), (2.5e-7, "250 ns"), (0.0, "0 ns"),
    ],
)  # fmt: skip
def test_times_are_told_in_a_unit_that_suits_them(seconds: float, text: str) -> None:
    assert suite.time_text(seconds) == text


# Workers


def test_a_worker_answers_with_what_its_run_returned() -> None:
    where = {"data": "digits", "hidden": [16], "seed": 1}
    found = worker.run("scikit-learn-training", 2, how={"max_iter": 1}, **where)
    ((seconds, accuracy),) = found["points"]
    assert seconds > 0
    assert 0 <= accuracy <= 1
    assert found["threads"] == 2


def test_a_worker_that_fails_is_an_error_with_its_last_words() -> None:
    settings = {"data": "digitz", "hidden": [16], "how": {}, "seed": 1}
    with pytest.raises(RuntimeError) as caught:
        worker.run("scikit-learn-training", 1, **settings)
    first, *lines = str(caught.value).splitlines()
    assert first == "the run scikit-learn-training of the benchmark failed:"
    assert len(lines) <= 5
    assert "digitz" in lines[-1]
    assert "Error: " in lines[-1]


def test_a_workers_libraries_have_its_threads_and_others_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def run(words: list[str], env: dict[str, str], **settings: Any) -> Any:
        seen.append((words, env))
        return SimpleNamespace(returncode=0, stdout='a warning\n{"points": []}\n', stderr="")

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(worker.subprocess, "run", run)
    assert worker.run("torch-training", 3, seed=1) == {"points": []}
    ((words, environment),) = seen
    assert words[:4] == [sys.executable, "-m", "hashgrad.bench.worker", "torch-training"]
    assert json.loads(words[4]) == {"threads": 3, "seed": 1}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        assert environment[name] == "3"
    assert os.environ["OMP_NUM_THREADS"] == "7"
