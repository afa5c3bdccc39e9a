"""Each measure of the benchmarks asks the right runs, by turns, and makes a ratio of times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench_help import HOW, Answering, times
from hashgrad import _core
from hashgrad.bench import measures, suite, tuning
from hashgrad.bench.catalogue import FULL, QUICK
from hashgrad.bench.measures import NEVER


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    asked = Answering()
    monkeypatch.setattr(measures.worker, "run", asked)
    monkeypatch.setattr(measures, "tuned", lambda name: {"how": HOW, "target": 0.975})
    return asked


EVERY = [*FULL.values(), *QUICK.values()]


@pytest.mark.parametrize("measure", EVERY, ids=lambda measure: measure.name)
def test_every_measure_of_the_catalogue_asks_its_runs_for_what_they_take(
    answering: Answering, tmp_path: Path, measure: Any
) -> None:
    seconds = []
    for seed in (1, 2):
        found = measure.once(seed, tmp_path)
        assert all(spent > 0 for spent in found["seconds"].values())
        assert measure.ratio(found["seconds"]) > 0
        json.dumps(found, allow_nan=False)
        seconds.append(found["seconds"])
    assert answering.asked
    assert seconds[0].keys() == seconds[1].keys()
    assert suite.summary(measure, [{"seconds": s} for s in seconds])["ratio"] > 0


def test_the_catalogue_is_whole() -> None:
    assert not FULL.keys() & QUICK.keys()
    for listed in (FULL, QUICK):
        assert all(name == measure.name for name, measure in listed.items())
        assert len({measure.title for measure in listed.values()}) == len(listed)
    for measure in EVERY:
        worst, best = sorted((measure.asked, measure.aim), reverse=measure.below)
        assert min(worst, best) > 0
        assert (worst, best) == (measure.asked, measure.aim), measure.name
    assert {type(measure) for measure in QUICK.values()} == {type(m) for m in FULL.values()}
    races = {name for name, m in FULL.items() if isinstance(m, measures.TimeToAccuracy)}
    assert races == tuning.TASKS.keys()
    for name, task in tuning.TASKS.items():
        assert (FULL[name].data, FULL[name].hidden) == (task.data, task.hidden)
        assert measures.tuned(name).keys() >= {"how", "target"}
        assert task.target in (None, measures.tuned(name)["target"])


def test_a_race_is_run_by_turns_to_the_peers_target(answering: Answering, tmp_path: Path) -> None:
    race = measures.TimeToAccuracy("race", "a race", 1, 2, data="digits", ours={"kept": 3})
    found = race.once(2, tmp_path)
    assert found["seconds"] == times(6.0, 2.0)
    assert race.ratio(found["seconds"]) == 3
    assert found["target"] == 0.975
    assert found["runs"]["hashgrad"]["how"] == {"kept": 3}
    assert found["runs"]["pytorch"]["how"] == HOW
    race.once(3, tmp_path)
    assert answering.names == [
        "torch-training", "hashgrad-training", "hashgrad-training", "torch-training",
    ]  # fmt: skip
    assert all(settings["seed"] in (2, 3) for _, _, settings in answering.asked)


def test_a_contender_that_does_not_get_there_never_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    race = measures.TimeToAccuracy("race", "a race", 1, 2, peer={"how": HOW, "target": 0.995})
    monkeypatch.setattr(measures.worker, "run", Answering())
    found = race.once(1, tmp_path)
    assert found["seconds"] == times(NEVER, NEVER)
    assert suite.in_words(race, found).count(" never") == 2


def test_scikit_learn_sets_the_target_of_its_race(answering: Answering, tmp_path: Path) -> None:
    race = measures.AgainstScikitLearn("race", "a race", 1, 2, ours={"kept": 3}, epochs=4)
    found = race.once(1, tmp_path)
    assert found["target"] == 0.9
    assert found["seconds"] == {"scikit-learn": 8.0, "hashgrad": 2.0}
    assert race.ratio(found["seconds"]) == 4
    assert answering.asked[0][2]["how"] == {"max_iter": 4}


LATENCY = measures.Latency("latency", "one row", 1, 2, data="digits", ours={"kept": 3}, peer=HOW)


def test_latency_is_that_of_the_fastest_copy_that_is_as_accurate(
    answering: Answering, tmp_path: Path
) -> None:
    found = LATENCY.once(1, tmp_path)
    assert found["seconds"] == times(1e-4, 2e-5)  # two threads; int8 lost too much
    assert LATENCY.ratio(found["seconds"]) == pytest.approx(5)
    assert found["target"] == 0.97 - LATENCY.within


def test_latency_trains_its_networks_in_the_first_repeat_alone(
    answering: Answering, tmp_path: Path
) -> None:
    for seed in (1, 2, 3):
        LATENCY.once(seed, tmp_path)
    assert sorted(name for name in answering.names if "train" in name) == [
        "hashgrad-train-and-save",
        "torch-train-and-save",
    ]
    asked = [(name, threads) for name, threads, _ in answering.asked if "latency" in name]
    torch = [("torch-latency", 1), ("torch-latency", 2)]
    assert asked == [
        ("hashgrad-latency", 1), *torch, *torch, ("hashgrad-latency", 1), ("hashgrad-latency", 1),
        *torch,
    ]  # fmt: skip


def test_copies_that_all_lose_too_much_have_no_latency(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poor = {"float32": {"seconds": 1e-5, "accuracy": 0.9}}
    monkeypatch.setattr(measures.worker, "run", Answering(hashgrad_latency=poor))
    found = LATENCY.once(1, tmp_path)
    assert found["seconds"] == times(1e-4, NEVER)


@pytest.mark.parametrize(("hardware", "counts"), [(1, [1, 2]), (2, [1, 2]), (9, [1, 2, 4, 8])])
def test_threads_are_doubled_as_far_as_there_are_cores(
    answering: Answering,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    hardware: int,
    counts: Any,
) -> None:
    monkeypatch.setattr(_core, "hardware_threads", lambda: hardware)
    measure = measures.Threads("threads", "threads", 1, 2, ours={"kept": 3})
    found = measure.once(2, tmp_path)
    assert [threads for _, threads, _ in answering.asked] == counts
    assert list(found["seconds"])[:2] == ["1 thread", "2 threads"]
    assert measure.ratio(found["seconds"]) == pytest.approx(2)


def test_widths_are_compared_from_narrow_to_wide(answering: Answering, tmp_path: Path) -> None:
    measure = measures.Widths("widths", "widths", 1, 2, widths=(10, 20, 40), ours={"kept": 3})
    measure.once(2, tmp_path)
    assert [settings["hidden"] for _, _, settings in answering.asked] == [
        [10] * 2,
        [20] * 2,
        [40] * 2,
    ]
    assert measure.ratio({"10": 1.0, "20": 1.5, "40": 4.0}) == 4


def test_a_floor_is_compared_with_the_time_measured(answering: Answering, tmp_path: Path) -> None:
    measure = measures.AgainstFloor("floor", "floor", 1, 2, ours={"kept": 3})
    found = measure.once(1, tmp_path)
    assert found["seconds"] == {"floor": pytest.approx(5e-5), "measured": 1e-4}
    assert measure.ratio(found["seconds"]) == pytest.approx(0.5)


def test_a_plan_is_judged_by_its_worst_network(answering: Answering, tmp_path: Path) -> None:
    shapes = (("digits", (8, 8), 3), ("mnist", (16,), 4))
    measure = measures.Choices("auto", "plans", 0.9, 1, shapes=shapes)
    found = measure.once(2, tmp_path)
    assert len(answering.asked) == (1 + 9) + (1 + 3)
    hows = [settings["how"] for _, _, settings in answering.asked]
    assert hows[0] == {"kept": 3, "layouts": ["auto", "auto"], "lookups": ["auto", "auto"]}
    assert hows[1] == {"kept": 3, "layouts": ["neuron", "neuron"], "lookups": ["scan", "scan"]}
    assert hows[-1] == {"kept": 4, "layouts": ["input"], "lookups": ["exact"]}
    assert next(iter(found["seconds"])) == "digits 8-8 of 3: auto"
    seconds = {"a: auto": 4.0, "a: x": 3.0, "a: y": 5.0, "b: auto": 2.0, "b: x": 2.5}
    assert measure.ratio(seconds) == 0.75
    assert measure.ratio({**seconds, "a: auto": 2.0}) == 1


def test_a_peer_that_was_not_tuned_is_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(measures, "PEERS", tmp_path / "peers.json")
    with pytest.raises(OSError, match=r"peers\.json"):
        measures.tuned("mnist-1000")
    (tmp_path / "peers.json").write_text(json.dumps({"other": {"how": HOW, "target": 0.9}}))
    assert measures.tuned("other") == {"how": HOW, "target": 0.9}
    with pytest.raises(ValueError, match="mnist-1000"):
        measures.tuned("mnist-1000")
