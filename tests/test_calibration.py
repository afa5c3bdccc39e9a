"""What kernels cost here is measured once, kept, and can be given by a file or left out."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from cli_help import SMALL, Hashgrad, caller
from conftest import network
from hashgrad import _core, calibration
from hashgrad.calibration import REFERENCE, SIZES, VARIABLE, Machine

OTHERS = {name: 2 * cost for name, cost in REFERENCE.items()}


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


class Measuring:
    """Stands for the core's measurement, of which there is a new result each time."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, float]:
        self.times += 1
        return {name: cost * self.times for name, cost in REFERENCE.items()}


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Measuring:
    """A process that knows no costs yet, and a user's cache with nothing in it."""
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(calibration, "_known", [])
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: tmp_path / name)
    measuring = Measuring()
    monkeypatch.setattr(_core, "calibrate", measuring)
    return measuring


def forget() -> None:
    """As a new process would know nothing."""
    calibration._known.clear()


# Costs


@pytest.mark.parametrize("name", ["stream", "line", "entry", "step", "column", "learn", "scan"])
def test_a_cost_is_that_of_the_sizes_measured_and_between_them_in_between(name: str) -> None:
    here = Machine(REFERENCE, "reference")
    known = [
        (n, REFERENCE[f"{name}.{at}"]) for at, n in SIZES.items() if f"{name}.{at}" in REFERENCE
    ]
    assert len(known) >= 2
    for n_bytes, cost in known:
        assert here.cost(name, n_bytes) == pytest.approx(cost)
    for (small, low), (large, high) in itertools.pairwise(known):
        middle = here.cost(name, math.sqrt(small * large))  # halfway, as sizes go: in powers
        assert middle == pytest.approx((low + high) / 2)
        quarter = here.cost(name, small * (large / small) ** 0.25)
        assert quarter == pytest.approx(0.75 * low + 0.25 * high)


@pytest.mark.parametrize("name", ["line", "scan"])
def test_beyond_the_sizes_measured_a_cost_stays_that_of_the_last(name: str) -> None:
    here = Machine(REFERENCE, "reference")
    near, far = (
        REFERENCE[f"{name}.near"],
        REFERENCE["line.far" if name == "line" else "scan.middle"],
    )
    assert here.cost(name, 0) == here.cost(name, 1) == here.cost(name, SIZES["near"]) == near
    assert here.cost(name, 1e12) == here.cost(name, SIZES["far"]) == far


def test_a_cost_that_reads_no_memory_has_no_size() -> None:
    here = Machine(REFERENCE, "reference")
    for name in ("word", "choose", "project", "bucket", "row", "product", "meet"):
        assert here.cost(name) == REFERENCE[name]


def test_the_core_measures_every_cost_that_the_reference_has() -> None:
    measured = dict(_core.calibrate())
    assert measured.keys() == REFERENCE.keys()
    for name, cost in measured.items():
        assert 0 <= cost < math.inf, name
        assert cost > 0 or name == "meet", name
    assert calibration.meeting() >= 0


# Where they come from


@pytest.mark.parametrize("word", ["off", "OFF", "Off"])
def test_off_stands_for_the_reference_and_measures_nothing(
    measuring: Measuring, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv(VARIABLE, word)
    assert calibration.machine() == Machine(REFERENCE, "reference")
    assert measuring.times == 0
    assert not calibration.cache_file().exists()


def test_costs_are_measured_once_and_kept(measuring: Measuring) -> None:
    first = calibration.machine()
    assert first.source == "measured now"
    assert calibration.machine() is first
    forget()
    second = calibration.machine()
    assert second.source == str(calibration.cache_file())
    assert second.costs == first.costs
    assert measuring.times == 1


def test_measuring_again_replaces_what_was_kept(measuring: Measuring) -> None:
    first, second = calibration.machine(), calibration.measure()
    assert measuring.times == 2
    assert second.costs == {name: 2 * cost for name, cost in first.costs.items()}
    assert calibration.machine() is second
    forget()
    assert calibration.machine().costs == second.costs


def test_an_empty_variable_is_as_none(
    measuring: Measuring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert calibration.machine().source == "measured now"


def test_the_file_of_another_processor_or_instruction_set_is_not_taken(
    measuring: Measuring, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {calibration.cache_file()}
    monkeypatch.setattr(calibration, "processor", lambda: "Another")
    files.add(calibration.cache_file())
    monkeypatch.setattr(_core, "simd_level", lambda: "another")
    files.add(calibration.cache_file())
    monkeypatch.setattr(_core, "hardware_threads", lambda: 1000)
    files.add(calibration.cache_file())
    assert len(files) == 4
    assert len({path.parent for path in files}) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"calibration": {}}', '{"calibration": {"word": 1}}', "\0\xff"]
)
def test_a_cache_that_is_not_whole_is_measured_anew_and_replaced(
    measuring: Measuring, text: str
) -> None:
    path = calibration.cache_file()
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    assert calibration.machine().source == "measured now"
    assert calibration.load(path).costs == REFERENCE


def test_the_cache_is_written_whole_or_not_at_all(
    measuring: Measuring, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = calibration.machine()
    path = calibration.cache_file()
    assert [found.name for found in path.parent.iterdir()] == [path.name]

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert calibration.measure().costs != before.costs  # and no error
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert calibration.load(path).costs == before.costs
    assert stat.S_ISREG(path.stat().st_mode)


def test_a_cache_that_cannot_be_written_is_no_error(measuring: Measuring) -> None:
    calibration.cache_file().parent.write_text("a file where the folder should be")
    for times in (1, 2):
        assert calibration.machine().source == "measured now"
        assert measuring.times == times
        forget()


def python(program: str, cache: Path) -> str:
    """What a new process prints, with that folder as the user's cache and nothing else said."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="another system has its caches elsewhere")
def test_a_new_process_takes_what_another_has_measured(tmp_path: Path) -> None:
    program = (
        "import json; from hashgrad import calibration\n"
        "here = calibration.machine(); print(json.dumps([here.source, here.costs]))\n"
    )
    measured = json.loads(python(program, tmp_path))
    assert measured[0] == "measured now"
    (kept,) = (tmp_path / "hashgrad").iterdir()
    assert json.loads(python(program, tmp_path)) == [str(kept), measured[1]]
    assert calibration.load(kept).costs == measured[1]
    kept.unlink()
    kept.mkdir()  # nothing can be written in its place
    assert json.loads(python(program, tmp_path))[0] == "measured now"


# Files


def test_a_file_of_costs_is_taken_at_its_word(
    measuring: Measuring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "costs.json"
    calibration.save(Machine(OTHERS, "made up"), path)
    monkeypatch.setenv(VARIABLE, str(path))
    assert calibration.machine() == Machine(OTHERS, str(path))
    calibration.save(Machine(REFERENCE, "made up"), path)
    assert calibration.machine().costs == REFERENCE
    assert measuring.times == 0


def test_costs_that_this_version_does_not_know_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text(json.dumps({"calibration": {**REFERENCE, "later": 1}, "more": "words"}))
    assert calibration.load(path).costs == REFERENCE


WITHOUT_ONE = {name: cost for name, cost in REFERENCE.items() if name != "line.far"}
BAD = {
    "empty": "",
    "no JSON": "costs: none",
    "not text": "\xff\xfe\0",
    "a list": "[1, 2]",
    "a number": "1",
    "another object": '{"costs": {}}',
    "a list of costs": '{"calibration": [1, 2]}',
    "null": '{"calibration": null}',
    "one missing": json.dumps({"calibration": WITHOUT_ONE}),
    "a word": json.dumps({"calibration": {**REFERENCE, "word": "fast"}}),
    "no number": json.dumps({"calibration": {**REFERENCE, "word": None}}),
    "negative": json.dumps({"calibration": {**REFERENCE, "word": -1}}),
    "not finite": json.dumps({"calibration": {**REFERENCE, "word": math.nan}}),
    "infinite": json.dumps({"calibration": {**REFERENCE, "word": math.inf}}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_an_error_that_names_the_variable_and_the_file(
    blobs: Any, hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "costs.json"
    path.write_text(BAD[name], encoding="latin-1")
    monkeypatch.setenv(VARIABLE, str(path))
    rule = "HASHGRAD_CALIBRATION: a calibration must have a number of nanoseconds for each of "
    with pytest.raises(ValueError, match=f"^{rule}stream.near, .*, got '{path}'$"):
        calibration.machine()
    with pytest.raises(ValueError, match=rule):
        network().fit(*blobs, epochs=1)
    for words in (("doctor",), ("train", "digits", *SMALL)):
        complaint = hashgrad(*words).complaint
        assert complaint.startswith(rule)
        assert str(path) in complaint


def test_a_file_that_is_not_there_is_an_error_that_names_it(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        monkeypatch.setenv(VARIABLE, str(path))
        with pytest.raises(OSError, match=str(path)):
            calibration.machine()
        assert str(path) in hashgrad("doctor").complaint


# The doctor measures and tells


def test_what_the_doctor_writes_can_be_named_by_the_variable(
    hashgrad: Hashgrad, measuring: Measuring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, again = tmp_path / "doctor.json", tmp_path / "again.json"
    assert hashgrad("doctor", "--json", path).code == 0
    assert json.loads(path.read_text())["calibration_source"] == "measured now"
    monkeypatch.setenv(VARIABLE, str(path))
    assert calibration.machine().costs == json.loads(path.read_text())["calibration"]
    assert hashgrad("doctor", "--json", again).code == 0
    assert json.loads(again.read_text())["calibration_source"] == str(path)
    assert measuring.times == 1


def test_the_doctor_measures_again_when_asked_to(hashgrad: Hashgrad, measuring: Measuring) -> None:
    def doctor(*words: str) -> tuple[float, str]:
        found = hashgrad("doctor", *words, "--json", "-").json
        return found["calibration"]["word"] / REFERENCE["word"], found["calibration_source"]

    assert doctor() == (1, "measured now")
    forget()
    assert doctor() == (1, str(calibration.cache_file()))
    assert doctor("--calibrate") == (2, "measured now")
    forget()
    assert doctor() == (2, str(calibration.cache_file()))
    assert measuring.times == 2


def test_the_doctor_refuses_a_place_for_json_before_it_measures(
    hashgrad: Hashgrad, measuring: Measuring, tmp_path: Path
) -> None:
    complaint = hashgrad("doctor", "--calibrate", "--json", tmp_path / "no" / "file").complaint
    assert "--json must name a file in an existing folder" in complaint
    assert measuring.times == 0
