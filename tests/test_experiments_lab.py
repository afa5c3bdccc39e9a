"""Where runs are carried out: nothing twice, nothing lost, and the same in one process or two."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashgrad import datasets
from hashgrad.experiments import lab as laboratory
from hashgrad.experiments import runs
from hashgrad.experiments.lab import Lab, NotRunError
from hashgrad.experiments.runs import Run, data_of

SMALL = Run("digits", 2, "LSH", 0.25, 0.03, 600, width=32, rows=300)


def sibling(**changes: Any) -> Run:
    settings = {**json.loads(SMALL.key), **changes}
    return Run.from_key(json.dumps(settings))


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that were carried out; each finds its seed."""
    seen: list[Run] = []

    def train(run: Run) -> dict[str, Any]:
        seen.append(run)
        return {"accuracy": run.seed / 10, "seconds": 0.0}

    monkeypatch.setattr(runs, "train", train)
    return seen


def test_a_run_is_carried_out_once(tmp_path: Path, carried_out: list[Run]) -> None:
    lab = Lab(tmp_path, "typed", processes=1)
    other = sibling(seed=3)
    found = lab.train([SMALL, other, SMALL], "part")
    assert {run: result["accuracy"] for run, result in found.items()} == {SMALL: 0.0, other: 0.3}
    assert lab.train([other], "part")[other]["accuracy"] == 0.3
    assert carried_out == [SMALL, other]


def test_a_later_session_goes_on_where_an_earlier_one_was_stopped(
    tmp_path: Path, carried_out: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [sibling(seed=seed) for seed in range(5)]
    train = runs.train

    def pressed(run: Run) -> dict[str, Any]:
        if run.seed == 3:
            raise KeyboardInterrupt
        return train(run)

    monkeypatch.setattr(runs, "train", pressed)
    with pytest.raises(KeyboardInterrupt):
        Lab(tmp_path, "first", processes=1).train(wanted, "part")
    monkeypatch.setattr(runs, "train", train)
    lab = Lab(tmp_path, "second", processes=1)
    found = lab.train(wanted, "part")
    assert [found[run]["accuracy"] for run in wanted] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert [run.seed for run in carried_out] == [0, 1, 2, 3, 4]
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [session["command"] for session in kept["sessions"]] == ["first", "second"]
    by_seed = sorted(kept["results"], key=lambda one: one["seed"])
    assert [one["session"] for one in by_seed] == [0, 0, 0, 1, 1]
    assert by_seed[4]["command"] == wanted[4].command
    for session in kept["sessions"]:
        assert {"commit", "date", "processor", "versions"} <= set(session)


def test_a_lab_that_is_offline_runs_nothing(tmp_path: Path, carried_out: list[Run]) -> None:
    lab = Lab(tmp_path, "typed", processes=1)
    lab.train([SMALL], "part")
    lab.measure("speed", {"rows": 3}, lambda rows: {"speed": rows}, "part")
    lab.offline = True
    assert lab.train([SMALL], "part")[SMALL]["accuracy"] == 0.0
    assert lab.measure("speed", {"rows": 3}, lambda rows: {"speed": 9}, "part")["speed"] == 3
    with pytest.raises(NotRunError):
        lab.train([SMALL, sibling(seed=1)], "part")
    with pytest.raises(NotRunError):
        lab.measure("speed", {"rows": 4}, lambda rows: {"speed": 9}, "part")
    assert carried_out == [SMALL]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"sessions": [], "results": [{"key": "a", "session": 0, "result": {}}]}'],
)
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"results\.json must be a file that .* wrote"):
        Lab(tmp_path, "typed")
    assert path.read_text() == text


def test_a_file_says_each_key_once_and_is_read_to_the_same(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "typed", processes=1)
    lab.train([SMALL], "part")
    lab.measure("third", {"seed": 3}, lambda seed: {"share": 1 / seed, "many": [2 / seed]}, "part")
    text = (tmp_path / "results.json").read_text()
    key = next(key for key in lab.results if "third" in key)
    assert text.count(json.dumps(SMALL.key)[1:-1]) == text.count(json.dumps(key)) == 1
    assert lab.results[key]["result"] | {"seconds": 0} == {
        "share": 0.333333, "many": [0.666667], "seconds": 0,
    }  # fmt: skip
    assert Lab(tmp_path, "typed").results == lab.results


def test_a_folder_holds_one_size(tmp_path: Path, carried_out: list[Run]) -> None:
    Lab(tmp_path, "typed", processes=1, size="quick").train([SMALL], "part")
    with pytest.raises(ValueError, match=r"--out must name a folder .* holds a quick session"):
        Lab(tmp_path, "typed", processes=1, size="full")


def test_processes_find_what_one_finds_alone(tmp_path: Path) -> None:
    wanted = [SMALL, sibling(seed=1), sibling(method="WTA"), sibling(workers=4)]
    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    said: list[tuple[str, int, int]] = []
    before = laboratory.multiprocessing.active_children()
    with Lab(tmp_path / "one", "typed", processes=1) as one:
        alone = one.train(wanted, "part")
    with Lab(tmp_path / "two", "typed", lambda *words: said.append(words), processes=2) as two:
        together = two.train(wanted, "part")
    for run in wanted:
        for name, value in alone[run].items():
            if name != "seconds":
                assert together[run][name] == value, (run, name)
    assert [words[1:] for words in said] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(line.startswith("part  digits, 2 × 32, ") for line, _, _ in said)
    assert set(laboratory.multiprocessing.active_children()) <= set(before)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs an alarm that interrupts")
def test_ctrl_c_within_a_run_keeps_nothing_of_it(tmp_path: Path) -> None:
    long = sibling(examples=10**8)
    lab = Lab(tmp_path, "typed", processes=1)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        lab.train([SMALL, long], "part")
    timer.join()
    assert set(lab.results) == {SMALL.key}
    kept = json.loads((tmp_path / "results.json").read_text())["results"]
    assert [one["command"] for one in kept] == [SMALL.command]


def test_a_session_that_finds_nothing_new_leaves_no_trace(
    tmp_path: Path, carried_out: list[Run]
) -> None:
    Lab(tmp_path, "first", processes=1).train([SMALL], "part")
    Lab(tmp_path, "second", processes=1).train([SMALL], "part")
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [session["command"] for session in kept["sessions"]] == ["first"]


# Runs


def test_a_run_that_failed_to_converge_says_so() -> None:
    found = runs.train(sibling(rate=1e6))
    assert found["diverged"]
    assert found["accuracy"] == 0.0


def test_what_a_run_found_is_what_the_network_did() -> None:
    found = runs.train(SMALL)
    x, y, x_test, y_test = data_of(SMALL)
    net = runs.untrained(SMALL).fit(x, y, epochs=2)
    assert found["epochs"] == 2
    assert found["examples"] == 600
    assert found["accuracy"] == net.evaluate(x_test, y_test)["accuracy"] > 0.3
    report = net.report().to_dict()
    assert found["multiplications_fraction"] == report["multiplications_fraction"]
    assert found["multiplications"]["total"] == report["multiplications"]["total"] / 600
    assert found["recall"] == [layer["recall"] for layer in report["layers"][:-1]]
    assert found["by_epoch"] == []
    assert len(runs.train(sibling(by_epoch=True))["by_epoch"]) == 2


def test_validation_takes_a_sixth_of_the_training_rows_and_no_test_row() -> None:
    x, y, x_apart, y_apart = data_of(sibling(validate=True))
    assert (len(x), len(x_apart)) == (250, 50)
    assert len(y) == 250
    whole = datasets.load("digits").x_train[:300]
    assert np.array_equal(x_apart, whole[5::6])
    assert not {row.tobytes() for row in x} & {row.tobytes() for row in x_apart}
    assert len(y_apart) == 50


def test_rows_to_judge_by_can_be_fewer() -> None:
    assert len(data_of(sibling(judged=7))[2]) == 7
    assert len(data_of(sibling(judged=10**6))[2]) == len(datasets.load("digits").x_test)
    small = Run("convex", 2, "NN", 1.0, 0.01, 10, rows=20, judged=30)
    assert [len(part) for part in data_of(small)] == [20, 20, 30, 30]
