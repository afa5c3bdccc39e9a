"""The linear schedule goes straight down: in the library, on the command line, in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hashgrad as library
from cli_help import SMALL, Hashgrad, caller
from conftest import network, same_bits
from hashgrad import SGD, Constant, Cosine, Linear, Network
from hashgrad.schedules import SCHEDULES
from hashgrad.specification import core_schedule

ROWS, EPOCHS = 1000, 10


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


def share(schedule: Any, epoch: float) -> float:
    """What is left of the rate after so many of ten epochs."""
    spec = core_schedule(schedule, rate=0.1, rows=ROWS, total=EPOCHS * ROWS)
    return float(spec.at(round(epoch * ROWS))) / 0.1


@pytest.mark.parametrize(
    ("schedule", "epoch", "expected"),
    [
        (Linear(), 0, 1.0),
        (Linear(), 2.5, 0.75),
        (Linear(), 5, 0.5),
        (Linear(), 10, 0.0),
        (Linear(), 30, 0.0),
        (Linear(floor=0.2), 0, 1.0),
        (Linear(floor=0.2), 5, 0.6),
        (Linear(floor=0.2), 10, 0.2),
        (Linear(floor=0.2), 30, 0.2),
        (Linear(floor=1), 7, 1.0),
        (Linear(warmup=2), 0, 1 / 2000),
        (Linear(warmup=2), 1, 0.5),
        (Linear(warmup=2), 2, 1.0),
        (Linear(warmup=2), 6, 0.5),
        (Linear(warmup=2, floor=0.5), 6, 0.75),
        (Linear(warmup=2), 10, 0.0),
        (Linear(warmup=20), 10, 0.5),
    ],
)
def test_a_linear_rate_goes_straight_from_the_whole_to_the_floor(
    schedule: Linear, epoch: float, expected: float
) -> None:
    assert share(schedule, epoch) == pytest.approx(expected, abs=1e-3)


def test_a_linear_rate_falls_by_as_much_in_every_step() -> None:
    rates = [share(Linear(floor=0.1), epoch) for epoch in np.linspace(0, 10, 51)]
    assert np.diff(rates) == pytest.approx(-0.9 / 50)


def test_a_linear_rate_meets_half_a_cosine_in_the_middle_and_is_below_it_before() -> None:
    assert share(Linear(), 5) == pytest.approx(share(Cosine(), 5))
    assert all(share(Linear(), t) < share(Cosine(), t) for t in (1, 2, 3, 4))
    assert all(share(Linear(), t) > share(Cosine(), t) for t in (6, 7, 8, 9))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"floor": 2}, ValueError, r"floor must be in \[0, 1\], got 2"),
        ({"floor": -0.1}, ValueError, r"floor must be in \[0, 1\], got -0.1"),
        ({"floor": float("nan")}, ValueError, r"floor must be in \[0, 1\], got nan"),
        ({"floor": "low"}, TypeError, r"floor must be a number, got 'low' \(str\)"),
        ({"warmup": -1}, ValueError, r"warmup must be in \[0, 1000000\], got -1"),
    ],
)
def test_a_value_that_a_linear_schedule_cannot_have_is_refused_by_name(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Linear(**settings)


def test_the_name_stands_for_the_schedule_with_its_defaults() -> None:
    assert SCHEDULES["linear"] is Linear
    assert network(schedule="linear").schedule == Linear(floor=0.0, warmup=0.0)
    with pytest.raises(ValueError, match=r"'linear', got 'liner'; did you mean 'linear'\?"):
        network(schedule="liner")


def test_a_network_trains_at_the_rates_it_records(blobs: Any) -> None:
    schedule = Linear(floor=0.2, warmup=1)
    net = network(schedule=schedule, optimizer=SGD(0.01)).fit(*blobs, epochs=5)
    rates = [record["learning_rate"] for record in net.history]
    assert rates == pytest.approx([0.01, 0.008, 0.006, 0.004, 0.002])
    assert net.evaluate(*blobs)["accuracy"] > 0.9


def test_another_schedule_learns_something_else(blobs: Any) -> None:
    nets = [network(schedule=s).fit(*blobs, epochs=2) for s in (Linear(), Constant(), Cosine())]
    scores = [net.decision_function(blobs[0]) for net in nets]
    assert not np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_a_linear_training_that_stopped_and_went_on_equals_one_that_did_not(
    blobs: Any, tmp_path: Path
) -> None:
    def make() -> Network:
        return network(schedule=Linear(floor=0.1, warmup=0.5), threads=1)

    whole = make().fit(*blobs, epochs=4)
    part = make().fit(*blobs, epochs=4, callbacks=[lambda record: record["epoch"] == 2])
    part.save(tmp_path / "net")
    loaded = library.load(tmp_path / "net")
    assert loaded.schedule == Linear(floor=0.1, warmup=0.5)
    assert same_bits(loaded.fit(*blobs, epochs=4), whole)


def test_the_command_line_trains_with_a_linear_schedule(hashgrad: Hashgrad, tmp_path: Path) -> None:
    words = ("--schedule", "linear", "--floor", 0.5, "--warmup", 0.25, "--json", "-")
    model = tmp_path / "model.hashgrad"
    result = hashgrad("train", "digits", *SMALL, *words, "--output", model).json
    schedule = {"name": "linear", "floor": 0.5, "warmup": 0.25}
    assert result["network"]["schedule"] == schedule
    rates = [record["learning_rate"] for record in result["history"]]
    assert rates == pytest.approx([0.05 * (1 - 0.5 * 0.75 / 1.75), 0.025], rel=1e-3)
    assert hashgrad("info", model, "--json", "-").json["specification"]["schedule"] == schedule
    assert "linear (floor=0.5, warmup=0.25)" in hashgrad("info", model).out
    assert library.load(model).schedule == Linear(floor=0.5, warmup=0.25)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--schedule linear --factor 0.5", "--factor has no effect with --schedule linear"),
        ("--schedule linear --every 2", "--every has no effect with --schedule linear"),
        ("--schedule constant --floor 0.5", "it belongs to cosine, linear"),
        ("--schedule linear --floor 2", "--floor must be in [0, 1], got 2"),
        ("--schedule liner", "did you mean 'linear'?"),
    ],
)
def test_an_option_that_a_linear_schedule_cannot_take_earns_one_line(
    hashgrad: Hashgrad, words: str, complaint: str
) -> None:
    assert complaint in hashgrad("train", "digits", *words.split()).complaint


def test_help_lists_the_linear_schedule(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    lines = hashgrad("train", "--help").out.splitlines()
    assert "linear" in next(line for line in lines if " --schedule " in line)


def test_a_file_with_a_floor_out_of_range_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net"
    network(schedule=Linear(floor=0.125)).save(path)
    data = path.read_bytes()
    assert data.count(b'\\"floor\\":0.125') == 1
    path.write_bytes(data.replace(b'\\"floor\\":0.125', b'\\"floor\\":9.125'))
    with pytest.raises(ValueError, match=r"floor must be in \[0, 1\], got 9.125"):
        library.load(path)
