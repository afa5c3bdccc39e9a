"""The parts of the experiments, on tiny networks: what they show is what their runs found."""

from __future__ import annotations

import dataclasses
import html
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import IDX_NAMES, write_idx
from hashgrad import LSH, Dense, Network, _core, experiments
from hashgrad.experiments import (
    accuracy,
    accuracy_claims,
    asynchronous,
    cost,
    depth,
    parts,
    scaling,
    stream,
)
from hashgrad.experiments.accuracy_claims import Cells
from hashgrad.experiments.lab import Lab
from hashgrad.experiments.parts import Part
from hashgrad.experiments.runs import Run
from hashgrad.experiments.sizes import FULL, QUICK, Size
from hashgrad.memory import peak_memory_bytes
from hashgrad.pages.page import Claim, Section, Table

TINY = dataclasses.replace(
    QUICK,
    width=16,
    sets=("digits", "norb"),
    shares=(0.25, 0.9),
    lsh_shares=(0.5,),
    rates=(0.02, 0.05),
    tuning=(120, 120),
    sweep=(120, 120),
    cells=(120, 240),
    judged=60,
    seeds=2,
    study=("mnist", "digits"),
    study_rows=120,
    study_rate=0.05,
    study_examples=240,
    workers=(1, 5),
    layers=(1, 2),
    depth_tuning=(120, 400),
    depth_examples=800,
    tables=(60, 120),
    stream=300,
    speed_rows=120,
    repeats=2,
)


@pytest.fixture(autouse=True)
def no_data_but_what_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No folder of data, no download, and no memory of what another test found there."""
    empty = tmp_path / "data"
    empty.mkdir()
    monkeypatch.setenv("HASHGRAD_DATA", str(empty))
    monkeypatch.setattr("hashgrad.datasets.named.cache_folder", lambda name: empty / name)
    monkeypatch.setattr("hashgrad.datasets.named.download", _refuse)
    parts.why_missing.cache_clear()
    yield
    parts.why_missing.cache_clear()


def _refuse(name: str, folder: Path) -> None:
    raise FileNotFoundError(f"{name} is not here")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, "typed", processes=1)


def table(part: Part, title: str) -> Table:
    return next(table for table in part.section.tables if table.title.startswith(title))


def claim(part: Part, start: str) -> Claim:
    return next(claim for claim in part.claims if claim.text.startswith(start))


# Accuracy


def test_accuracies_are_means_of_the_runs_at_the_rates_that_were_picked(lab: Lab) -> None:
    part = accuracy.run(lab, TINY)
    rates = {row[:4]: row[4] for row in table(part, "Rates").rows}
    assert {row[3] for row in rates} == {"25 %", "50 %", "90 %", "100 %"}
    tried = {
        rate: lab.results[
            Run(
                "digits", 2, "WTA", 0.25, rate, 120, width=16, rows=120, judged=60, validate=True
            ).key
        ]["result"]["accuracy"]
        for rate in TINY.rates
    }
    rate = max(TINY.rates, key=tried.__getitem__)
    assert rates["digits", 2, "WTA", "25 %"] == rate
    found = [
        lab.results[
            Run("digits", 2, "WTA", 0.25, rate, 240, width=16, rows=120, judged=60, seed=seed).key
        ]["result"]["accuracy"]
        for seed in (0, 1)
    ]
    cells = table(part, "At 25 %")
    row = dict(zip(cells.columns, cells.rows[0], strict=True))
    assert (row["data"], row["hidden layers"]) == ("digits", 2)
    assert str(row["WTA"]).startswith(f"{100 * np.mean(found):.2f} %")
    assert [line.name for line in part.section.figures[0].panels[0].lines] == [
        "NN", "VD", "AD", "WTA", "LSH",
    ]  # fmt: skip


def test_a_set_that_is_not_here_leaves_its_row_empty(lab: Lab) -> None:
    part = accuracy.run(lab, TINY)
    assert table(part, "At 25 %").rows[-1] == ("norb", *[None] * 9)
    ((name, why),) = table(part, "Data that is not here").rows
    assert name == "norb"
    assert "$HASHGRAD_DATA/norb" in str(why)
    assert not any("norb" in key for key in lab.results)
    panels = part.section.figures[0].panels
    assert [panel.title for panel in panels] == ["digits, 2 × 16", "digits, 3 × 16"]


def claims(lost: tuple[str, ...] = (), **accuracies: tuple[float, float]) -> Part:
    """What is claimed of one network and set, from each method's accuracy and multiplications.

    LSH_25 and LSH_100 are at other shares, in thousandths; `lost` are methods that diverged.
    """
    cell = ("digits", 2)
    found = {}
    for name, (right, multiplied) in {**OTHERS, **accuracies}.items():
        method, _, thousandths = name.partition("_")
        share = 1.0 if method == "NN" else float(thousandths or 50) / 1000
        result = {"accuracy": right, "multiplications_fraction": multiplied, "diverged": False}
        result |= {
            "recall": [0.9, 1.0],
            "arrangement": ["scan bytes by neuron", "exact none by input"],
        }
        if name in lost:
            result = {"accuracy": 0.0, "diverged": True}
        found[(*cell, method, share)] = [result]
    here = dataclasses.replace(FULL, sets=("digits",))
    return Part(Section("accuracy", "", ""), accuracy_claims.claims(Cells(here, [cell], found)))


OTHERS = {"LSH_25": (0.5, 0.019), "LSH_100": (0.9, 0.2)}
GOOD = {
    "NN": (0.98, 0.5),
    "VD": (0.7, 0.1),
    "AD": (0.8, 0.5),
    "WTA": (0.978, 0.4),
    "LSH": (0.975, 0.03),
}


def test_claims_hold_as_the_figures_say() -> None:
    good = claims(**GOOD)
    assert claim(good, "A training step").held
    assert "it is 6.0 % on average" in claim(good, "A training step").note  # 3 % of 50 %
    assert claim(good, "At 5 % of the neurons, accuracy").held
    assert claim(good, "With at most 5 %").held
    assert not claim(good, "With at most 2 %").held  # 2.5 % of the neurons: far behind
    assert "−48.00 points" in claim(good, "With at most 2 %").ours
    assert claim(good, "At 5 % of the neurons, LSH beats").held
    assert claim(good, "Hashing chooses").held
    assert "activations 0.900" in claim(good, "Hashing chooses").ours  # of what is hashed


def test_claims_do_not_hold_as_the_figures_say() -> None:
    bad = claims(NN=(0.98, 0.5), VD=(0.97, 0.1), AD=(0.8, 0.5), WTA=(0.99, 0.4), LSH=(0.96, 0.06))
    step, near, above = (
        claim(bad, start)
        for start in ("A training step", "At 5 % of the neurons, a", "At 5 % of the neurons, L")
    )
    assert step.held is near.held is above.held is False
    assert "digits with 2 hidden layers (−2.00 points)" in near.note
    assert "digits with 2 hidden layers (−1.00 points)" in above.note
    assert claim(bad, "Hashing chooses").held is False


@pytest.mark.parametrize("lost", ["NN", "LSH"])
def test_what_diverged_proves_nothing(lost: str) -> None:
    part = claims(lost=(lost,), **GOOD)
    near = claim(part, "At 5 % of the neurons, accuracy")
    assert near.held is False
    assert near.note == "Diverged: digits with 2 hidden layers."
    if lost == "LSH":
        assert claim(part, "A training step").held is False
        assert claim(part, "At 5 % of the neurons, LSH beats").held is False


def test_a_claim_is_open_where_a_set_that_it_is_about_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accuracy_claims, "why_missing", lambda name: "not here")
    near = claim(claims(**GOOD), "At 5 % of the neurons, accuracy")
    assert near.held is None
    assert near.note == "Not here: digits."


def test_hashes_choose_in_every_hidden_layer_of_lsh(lab: Lab) -> None:
    run = Run("digits", 3, "LSH", 0.25, 0.05, 240, width=32, rows=120, judged=60)
    (found,) = lab.train([run], "part").values()
    assert [way.split()[0] for way in found["arrangement"]] == ["scan", "scan", "scan", "exact"]


# Asynchronous


def test_workers_are_simulated_and_threads_are_real(lab: Lab) -> None:
    part = asynchronous.run(lab, TINY)
    ways = {row[1] for row in table(part, "Accuracy").rows}
    assert {"1 worker", "5 workers"} <= ways
    by_worker = {
        workers: [json.loads(key) for key in lab.results if json.loads(key)["workers"] == workers]
        for workers in (0, 1, 5)
    }
    assert len(by_worker[1]) == len(by_worker[5]) == 3  # two seeds of LSH, one of dense
    assert {run["threads"] for run in by_worker[0]} <= {_core.hardware_threads()}
    (held,) = part.claims
    rows = {row[:2]: row[3] for row in table(part, "Accuracy").rows}
    assert str(rows["LSH", "1 worker"]).count("%") == 1
    one, many = (
        np.mean([lab.results[key]["result"]["accuracy"] for key in keys])
        for keys in (
            [key for key in lab.results if _is(key, method="LSH", workers=workers)]
            for workers in (1, 5)
        )
    )
    assert held.ours.startswith(f"5 workers (simulated) against 1: {parts.points(many - one)};")
    assert held.held == (many - one >= -0.005)
    lengths = {len(line.points) for panel in part.section.figures[0].panels for line in panel.lines}
    assert lengths == {2}


def _is(key: str, **settings: Any) -> bool:
    run = json.loads(key)
    return all(run[name] == value for name, value in settings.items())


def test_two_runs_that_diverge_do_not_coincide() -> None:
    lost = [{"accuracy": 0.0, "diverged": True}]
    found = {
        (method, way): lost for method in asynchronous.METHODS for way in ("1 worker", "5 workers")
    }
    (held,) = asynchronous._claims(TINY, found)
    assert held.held is False
    assert held.ours == "5 workers (simulated) against 1: diverges; dense: diverges"


# Scaling


def test_the_model_gives_back_what_was_measured() -> None:
    for n, up in ((2, 1.5), (16, 9.0), (2, 2.0)):
        assert scaling.predicted(n, scaling.slowdown(n, up)) == pytest.approx(up)
    assert scaling.slowdown(2, 2.2) == 0.0  # faster than ideal is ideal


def test_touched_weights_are_those_that_training_changes() -> None:
    x = np.random.default_rng(0).normal(size=(1, 10)).clip(0).astype(np.float32)
    layers = [Dense(12, active=LSH(0.5, lookup="scan")), Dense(9), Dense(3)]
    net = Network(10, layers, seed=2).partial_fit(x, [0])
    counted = scaling._weights(scaling._touched_by(net, x[0], 1))
    before = {name: value.copy() for name, value in net._core.tensors().items()}
    assert scaling._changed_elsewhere(net, x[0], 1) == 0
    changed = sum(
        int((value != before[name]).sum())
        for name, value in net._core.tensors().items()
        if name.endswith(("weight", "bias"))
    )
    assert counted == changed > 0


def test_a_weight_that_changes_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones((1, 4), np.float32)
    net = Network(4, [Dense(6), Dense(2)], seed=1).partial_fit(x, [0])
    nothing = np.zeros(0, dtype=int)
    said = [(nothing, np.array([-1])), (nothing, np.array([-1]))]
    monkeypatch.setattr(scaling, "_touched_by", lambda *arguments: said)
    assert scaling._changed_elsewhere(net, x[0], 1) > 0


def test_speeds_are_taken_by_turns_and_compared_in_pairs(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[str, int]] = []

    def speed(method: str, threads: int, seed: int, **settings: Any) -> dict[str, Any]:
        taken.append((method, threads))
        return {"examples_per_second": threads * (100.0 if seed == 0 else 50.0)}

    monkeypatch.setattr(scaling, "speed", speed)
    monkeypatch.setattr(scaling, "threads_here", lambda: [1, 2])
    part = scaling.run(lab, TINY)
    assert [n for method, n in taken if method == "LSH"] == [1, 2, 2, 1]
    rows = {row[:2]: row[2:] for row in table(part, "Speeds").rows}
    assert rows["LSH 25 %", 2] == ("150", "2.00", "measured")
    assert rows["LSH 25 %", 16] == (None, "16.0", "predicted")
    grows = claim(part, "Speed grows")
    assert grows.held
    assert grows.ours.startswith("2.00 at 2 threads, dense 2.00; ")
    assert claim(part, "Every update").ours.endswith("0 others changed in 20 steps")


# Cost


def test_costs_are_the_ledgers(lab: Lab) -> None:
    part = cost.run(lab, TINY)
    rows = {row[0]: row for row in table(part, "Multiplications").rows}
    total = sum(
        int(str(rows[phase][1]).replace(",", ""))
        for phase in rows
        if phase not in ("total", "prediction")
    )
    assert total == pytest.approx(int(str(rows["total"][1]).replace(",", "")), abs=8)
    (held,) = part.claims
    share = float(str(rows["prediction"][3]).rstrip(" %")) / 100
    assert held.held == (share <= TINY.share)
    energy = {row[0]: row for row in table(part, "Energy").rows}
    assert set(energy) == {"measured", "estimated, microjoules", "microseconds of one thread"}


def test_joules_are_read_where_there_are_counters(tmp_path: Path) -> None:
    assert cost.joules(tmp_path / "nowhere") is None
    assert cost.joules(tmp_path) is None
    for number, counted in enumerate((3_000_000, 500_000)):
        package = tmp_path / f"intel-rapl:{number}"
        package.mkdir()
        (package / "energy_uj").write_text(f"{counted}\n")
    (tmp_path / "intel-rapl:0:0").mkdir()  # a part of a package
    assert cost.joules(tmp_path) == pytest.approx(3.5)
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("?")
    assert cost.joules(tmp_path) is None


# Depth, ablation, stream


def test_every_depth_has_its_row(lab: Lab) -> None:
    part = depth.run(lab, TINY)
    rows = table(part, "Accuracy, and recall").rows
    assert [row[0] for row in rows] == [1, 2]
    assert rows[0][-1] is None  # one layer has no second recall
    assert [line.name for line in part.section.figures[0].panels[0].lines] == list(depth.METHODS)
    dense, lsh = (
        next(
            one["result"]["accuracy"]
            for key, one in lab.results.items()
            if json.loads(key)["depth"] == 2
            and json.loads(key)["method"] == method
            and not json.loads(key)["validate"]
        )
        for method in ("NN", "LSH")
    )
    (held,) = part.claims
    assert f"LSH {parts.points(lsh - dense)}" in held.ours
    assert held.held == (dense > 0.5 and lsh - dense >= -0.02)


def test_every_choice_is_changed_in_turn(lab: Lab) -> None:
    part = experiments.PARTS["ablation"](lab, TINY)
    for shown, group in zip(part.section.tables, ("DEFAULTS", "TABLES"), strict=True):
        choices = getattr(experiments.ablation, group)
        assert [row[0] for row in shown.rows] == list(choices)
        assert shown.rows[0][2] == "+0.00 points"


def test_the_stream_is_learned_from_in_a_process_of_its_own(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mnist is not here"):
        stream.run(lab, TINY)
    parts.why_missing.cache_clear()
    folder = tmp_path / "data" / "mnist"
    folder.mkdir()
    random = np.random.default_rng(1)
    images = random.integers(256, size=(40, 28, 28)).astype(np.uint8)
    labels = (np.arange(40) % 10).astype(np.uint8)
    for name, array in zip(IDX_NAMES, (images, labels, images[:10], labels[:10]), strict=True):
        write_idx(folder / name, array)
    part = stream.run(lab, TINY)
    rows = dict(table(part, "One pass").rows)
    assert rows["examples, each seen once"] == "300"
    (held,) = part.claims
    assert held.held is None  # of 300 examples, nothing is shown
    found = next(one["result"] for one in lab.results.values())
    assert 2**20 < found["peak_bytes"] < 2**30


def test_the_peak_of_memory_is_that_of_the_process_itself(tmp_path: Path) -> None:
    large = np.ones(2**27, np.uint8)  # of this process
    found = subprocess.run(
        [sys.executable, "-c", "from hashgrad.memory import *; print(peak_memory_bytes())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(found.stdout) < peak_memory_bytes() - large.nbytes // 2


# All together


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Size:
    monkeypatch.setitem(experiments.SIZES, "quick", TINY)
    return TINY


def test_reproduce_shows_every_part_and_goes_on_where_it_stopped(
    tmp_path: Path, tiny: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_core, "hardware_threads", lambda: 1)
    out = tmp_path / "out"
    lines: list[str] = []
    first = experiments.reproduce(out, only=["cost"], say=lambda *words: lines.append(words[0]))
    assert [section.name for section in first.sections] == list(experiments.PARTS)
    missing = {section.name: section.missing for section in first.sections}
    assert missing["cost"] == ""
    assert "hashgrad reproduce --quick --only depth" in missing["depth"]
    assert "mnist is not here" in missing["stream"]
    assert len(lines) == 2
    lines.clear()
    page = experiments.reproduce(out, say=lambda *words: lines.append(words[0]))
    assert not any(line.startswith("cost") for line in lines)
    assert [section.name for section in page.sections if section.missing] == ["stream"]
    lines.clear()
    again = experiments.reproduce(out, say=lambda *words: lines.append(words[0]))
    assert lines == []
    assert again.claims == page.claims
    written = html.unescape((out / "report.html").read_text()).replace("\u00a0", " ")
    for shown in page.claims:
        assert shown.ours.split(",")[0] in written


def test_ctrl_c_leaves_a_report_of_what_is_there(
    tmp_path: Path, tiny: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(lab: Lab, size: Size) -> Part:
        if lab.offline:
            raise experiments.NotRunError
        raise KeyboardInterrupt

    monkeypatch.setitem(experiments.PARTS, "depth", pressed)
    with pytest.raises(KeyboardInterrupt):
        experiments.reproduce(tmp_path, only=["cost", "depth"])
    assert "Energy of an example" in (tmp_path / "report.html").read_text()
    assert "Not run yet" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"size": "huge"}, r"size must be one of 'quick', 'full', got 'huge'"),
        ({"only": ["speed"]}, r"only must be one of 'accuracy', .*got 'speed'"),
    ],
)
def test_unknown_words_are_refused(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        experiments.reproduce(tmp_path / "out", **how)
    assert not (tmp_path / "out").exists()
