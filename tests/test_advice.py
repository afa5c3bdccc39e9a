"""Advice compares at equal time, chooses LSH where that pays, and says why in plain words."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import hashgrad
from hashgrad import LSH, Dense, Network, advise
from hashgrad.advising import _cut, trials
from hashgrad.advising.report import Judged
from hashgrad.advising.variants import DENSE, Variant, of_lsh
from hashgrad.data import as_inputs

HIDDEN = (400, 400)


class World:
    """A machine and data in which every trial comes out as its formula says, and takes its time."""

    def __init__(self, gain=4.0, better=0.02, judging=10000):
        self.gain, self.better, self.judging = gain, better, judging
        self.now, self.asked = 0.0, []

    def clock(self):
        return self.now

    def __call__(self, variant, seconds):
        self.now += seconds
        self.asked.append((variant, seconds))
        rate = 1000.0 if variant.dense else 1000.0 * self.gain
        return trials.Trial(variant, seconds, round(rate * seconds), self.score(variant), 0.5)

    def right(self, variant):
        return np.arange(self.judging) < int(self.score(variant) * self.judging)

    def score(self, variant):
        score = 0.9 if variant.dense else 0.9 + self.better
        lsh = variant.selector
        if isinstance(lsh, LSH):  # one is best
            score -= abs(lsh.fraction - 0.1) + 0.001 * (lsh.lookup == "tables")
            score -= 0.001 * (lsh.code == "bits") + 0.0001 * (lsh.candidates or 0)
        return score


def advice_in(world, blobs, seconds=60.0, hidden=HIDDEN):
    return advise(*blobs, hidden=hidden, seconds=seconds, measure=world, clock=world.clock)


def test_the_best_settings_survive_every_round(blobs):
    world = World()
    advice = advice_in(world, blobs)
    assert advice.selector == LSH(0.1, lookup="scan", code="bytes", candidates=1.5)
    assert [len(found) for found in advice.rounds.trials] == [17, 9, 5, 3, 2]


def test_every_round_is_at_equal_time_and_has_the_dense_network(blobs):
    rounds = advice_in(World(), blobs).rounds
    durations = []
    for found in rounds.trials:
        assert found[0].variant == DENSE
        assert len({trial.seconds for trial in found}) == 1
        durations.append(found[0].seconds)
    assert durations == pytest.approx([durations[0] * 2**n for n in range(len(durations))])


@pytest.mark.parametrize("seconds", [1.0, 20.0, 300.0])
def test_the_budget_is_kept(blobs, seconds):
    world = World()
    advice_in(world, blobs, seconds)
    assert world.now <= max(0.96 * seconds, 0.9)  # there is time left to judge and to time


def test_a_budget_too_short_for_all_rounds_ends_after_one(blobs):
    advice = advice_in(World(), blobs, seconds=0.1)
    assert len(advice.rounds.trials) == 1


@pytest.mark.parametrize(
    ("gain", "better", "lsh"),
    [(4.0, 0.05, True), (4.0, 0.0, True), (1.0, 0.0, False), (4.0, -0.1, False), (0.5, 0.2, True)],
)
def test_lsh_is_chosen_where_it_scores_more_or_as_much_much_faster(blobs, gain, better, lsh):
    advice = advice_in(World(gain, better), blobs)
    assert advice.lsh_wins == lsh
    assert advice.selector.word == ("lsh" if lsh else "dense")
    assert f"Chosen: {advice.variant}." in advice.report
    assert ("For LSH to win:" in advice.report) == (not lsh)


class LuckyWorld(World):
    """LSH scores 5 points more where it is chosen, and as the dense network less 2 elsewhere."""

    def right(self, variant):
        return np.arange(self.judging) < (0.9 if variant.dense else 0.88) * self.judging


def test_a_setting_that_was_lucky_where_it_was_chosen_is_judged_on_other_rows(blobs):
    advice = advice_in(LuckyWorld(4.0, 0.05), blobs)
    assert advice.rounds.best.score > advice.rounds.dense.score
    assert not advice.lsh_wins
    assert advice.judged.drop == pytest.approx(2.0)
    assert "scores 88.00% and dense 90.00%: 2.00 ± " in advice.report


def test_few_rows_to_judge_on_do_not_make_equality_easier(blobs):
    few = advice_in(World(4.0, 0.001, judging=60), blobs)
    assert few.judged.drop == 0
    assert not few.lsh_wins
    assert "60 rows cannot tell 0.5 points" in few.report
    assert advice_in(World(4.0, 0.001, judging=1000), blobs).lsh_wins


def test_finalists_are_compared_row_by_row():
    dense = np.arange(1000) < 900
    assert Judged.of(dense, dense).equal
    other = np.roll(dense, 50)  # as many right, on other rows
    assert Judged.of(dense, other).drop == 0
    assert not Judged.of(dense, other).equal


def test_rows_are_learnt_from_chosen_by_or_judged_on_never_two_of_them(blobs):
    X = np.arange(600.0)[:, None]
    train, tuning, judging = _cut(as_inputs(X), np.arange(600), 0.2, 0)
    assert [len(part[1]) for part in (train, tuning, judging)] == [480, 60, 60]
    assert sorted(np.concatenate([part[1] for part in (train, tuning, judging)])) == [*range(600)]


@pytest.mark.parametrize("kind", ["labels", "indicators", "sparse indicators"])
def test_a_finalist_is_right_where_its_answer_is_among_the_rows_labels(blobs, kind):
    X, y = blobs
    table = np.eye(4, dtype=np.float32)[y]
    targets = {"labels": y, "indicators": table, "sparse indicators": csr_array(table)}[kind]
    training = trials.Training(
        (X, targets), (X, targets), (X, targets), hidden=(16,), n_outputs=4,
        loss="softmax" if kind == "labels" else "logistic", threads=1, seed=0,
    )  # fmt: skip
    trial = training(DENSE, 0.05)
    right = training.right(DENSE)
    assert (right == (training.dense.decision_function(X).argmax(axis=1) == y)).all()
    assert right.mean() == pytest.approx(trial.score)


def test_labels_may_be_a_column_of_a_frame_or_the_columns_of_one(blobs):
    X, y = blobs
    for column in (pd.Series(y, dtype="Int64"), pd.DataFrame(np.eye(4)[y])):
        assert advise(X, column, hidden=(8,), seconds=0.05).task.sizes == (24, 8, 4)


def test_missing_and_negative_labels_are_refused_by_name(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match=r"y must hold labels 0, 1, ..., got -1"):
        advise(X, y - 1)
    with pytest.raises(ValueError, match=r"^y .*missing"):
        advise(X, pd.Series(y, dtype="Int64").where(y > 0))


def test_the_report_gives_the_figures_it_goes_by(blobs):
    report = advice_in(World(1.0, -0.1), blobs).report
    assert report.startswith("Measured: 17 ways to train 24-400-400-4 on 480 rows, ")
    assert "scores 79.98% and dense 90.00%" in report
    assert "1.0 times as many examples a second" in report


def test_layers_too_narrow_for_a_share_of_their_neurons_are_left_dense(blobs):
    advice = advice_in(World(), blobs, hidden=(8,))
    assert advice.selector.word == "dense"
    assert advice.rounds.best is None
    assert "no layer is wide enough" in advice.report
    assert advice.wins_from > 1  # 5 % of 8 neurons are none
    assert f"hidden layers of {8 * advice.wins_from} on" in advice.report


def test_where_lsh_trains_twice_as_fast_already_wider_layers_are_not_asked_for(blobs):
    advice = advice_in(World(4.0, -0.1), blobs, hidden=(16000, 16000))
    assert advice.wins_from == 1
    assert "not shown to learn as much" in advice.report


def test_advice_is_plain_data(blobs):
    advice = advice_in(World(), blobs)
    told = json.loads(json.dumps(advice.as_dict(), allow_nan=False))
    assert told["chosen"] == str(advice.variant)
    assert hashgrad.defaults.from_dict("s", told["selector"], hashgrad.selectors.SELECTORS) == (
        advice.selector
    )
    assert [len(found) for found in told["rounds"]] == [17, 9, 5, 3, 2]


@pytest.mark.parametrize(
    ("threads", "load", "told"),
    [(1, 9.0, True), (0, 9.0, True), (1, 0.3, False), (0, 0.3, False), (1, None, False)],
)
def test_a_busy_machine_is_told_of_in_one_line_and_in_the_numbers(
    blobs, monkeypatch, threads, load, told
):
    def getloadavg():
        if load is None:
            raise OSError
        return load, 0.0, 0.0

    monkeypatch.setattr("os.getloadavg", getloadavg)
    monkeypatch.setattr("hashgrad._core.hardware_threads", lambda: 4)
    world = World()
    advice = advise(
        *blobs, hidden=HIDDEN, threads=threads, progress=False, measure=world, clock=world.clock
    )
    lines = [line for line in advice.report.splitlines() if "busy" in line]
    assert len(lines) == told
    assert advice.as_dict()["load_average"] == load
    assert advice.as_dict()["busy"] == "".join(lines)


def test_on_this_machine_it_measures_trains_and_times(blobs):
    advice = advise(*blobs, hidden=(64,), seconds=1.5)
    dense = advice.rounds.dense
    assert dense.examples > 0
    assert 0.5 < dense.score <= 1
    assert dense.multiplications > 0
    assert advice.latencies.dense > 0
    assert advice.latencies.lsh > 0
    assert "One prediction" in advice.report
    Network(24, [Dense(64, active=advice.selector), Dense(4)])


def test_several_labels_a_row_and_sparse_rows_are_advised_on_too(tags):
    advice = advise(*tags, hidden=(32,), seconds=0.5)
    assert advice.latencies is None
    assert 0 <= advice.rounds.dense.score <= 1
    assert math.isfinite(advice.seconds)


def test_all_settings_are_valid_and_differ():
    variants = of_lsh((1000,))
    assert len({str(variant) for variant in variants}) == len(variants) == 16
    assert all(isinstance(variant, Variant) for variant in variants)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"hidden": ()}, ValueError, "hidden must name at least one layer, got none"),
        ({"hidden": (0,)}, ValueError, "hidden must be an integer"),
        ({"hidden": "500"}, TypeError, "hidden must be a sequence of integers, got '500'"),
        ({"seconds": 0}, ValueError, "seconds must be > 0, got 0"),
        ({"held_out": 1.0}, ValueError, r"held_out must be in \(0, 1\), got 1.0"),
        (
            {"held_out": 0.05},
            ValueError,
            "held_out must hold out at least 40 rows, got 0.05 of 600",
        ),
        ({"threads": -1}, ValueError, "threads must be"),
    ],
)
def test_values_out_of_range_are_refused(blobs, settings, error, message):
    with pytest.raises(error, match=message):
        advise(*blobs, **settings)


def test_targets_that_do_not_go_with_the_rows_are_refused(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match=r"y must be one integer for each of the 600 rows"):
        advise(X, y[:5])
    with pytest.raises(ValueError, match=r"y must be one integer for each of the 600 rows"):
        advise(X, y + 0.5)
    with pytest.raises(ValueError, match=r"y must have one row for each of the 600 rows"):
        advise(X, csr_array(np.eye(4)))
