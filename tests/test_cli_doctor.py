"""`hashgrad doctor` tells costs and pools of threads; a crowded machine is remarked upon."""

from __future__ import annotations

import pytest

from cli_help import SMALL, Hashgrad, caller
from hashgrad import _core, calibration
from hashgrad.calibration import REFERENCE, Machine
from hashgrad.cli.machine import costs_in_words, crowding, pools_in_words, thread_pools


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


def test_the_doctor_tells_the_costs_and_where_they_came_from(hashgrad: Hashgrad) -> None:
    found = hashgrad("doctor", "--json", "-").json
    assert found["calibration"] == REFERENCE
    assert found["calibration_source"] == "reference"
    assert found["processor"] == calibration.processor() != ""


def test_the_doctors_table_tells_costs_and_pools(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = [{"library": "openblas", "threads": 7}]
    monkeypatch.setattr("hashgrad.cli.about.thread_pools", lambda: pools)
    text = hashgrad("doctor").out
    lines = [line.strip() for line in text.splitlines()]
    assert any(line.startswith("costs, ns") and line.endswith("reference") for line in lines)
    near, middle, far = (calibration.REFERENCE[f"line.{at}"] for at in calibration.SIZES)
    assert f"line {near:.3g}, {middle:.3g}, {far:.3g}" in lines
    assert f"product {calibration.REFERENCE['product']:.3g}" in lines
    assert any(
        line.startswith("other pools") and "openblas 7; where they" in line for line in lines
    )
    assert calibration.processor() in text


def test_the_doctor_counts_the_threads_of_other_libraries(hashgrad: Hashgrad) -> None:
    from threadpoolctl import threadpool_limits

    found = hashgrad("doctor", "--json", "-").json["thread_pools"]
    assert found == thread_pools()
    assert found
    for pool in found:
        assert pool.keys() == {"library", "threads"}
        assert isinstance(pool["library"], str)
        assert pool["threads"] >= 1
    with threadpool_limits(1):
        limited = thread_pools()
        assert {pool["threads"] for pool in limited} == {1}
        assert pools_in_words(limited) == "none with more than one thread"


def test_pools_of_more_threads_come_with_advice() -> None:
    pools = [{"library": "openblas", "threads": 1}, {"library": "openmp", "threads": 4}]
    words = pools_in_words(pools)
    assert words.startswith("openblas 1, openmp 4; ")
    assert "OMP_NUM_THREADS=1" in words
    assert pools_in_words([]) == pools_in_words(pools[:1]) == "none with more than one thread"


def test_costs_stand_in_a_line_for_each_kernel() -> None:
    lines = costs_in_words(Machine(REFERENCE, "")).splitlines()
    assert len(lines) == len({name.partition(".")[0] for name in REFERENCE})
    assert "scan 0.083, 0.25" in lines
    assert "meet 200" in lines


# Crowded machines


def test_threads_that_got_their_share_are_not_remarked_upon() -> None:
    assert crowding(1, 10.0, 10.0) == ""
    assert crowding(1, 10.0, 7.5) == ""
    assert crowding(4, 10.0, 29.0) == ""


def test_threads_that_got_less_are_remarked_upon_with_the_likely_cause() -> None:
    few, many = 1, 2 * _core.hardware_threads()
    assert crowding(few, 10.0, 5.0).endswith("50% of the time that they asked for: something else "
                                             "runs here as well")  # fmt: skip
    assert crowding(many, 10.0, 5.0 * many).endswith(
        f"the time that they asked for: there are {many // 2} processors"
    )


def test_short_trainings_say_nothing_of_how_crowded_it_is() -> None:
    assert crowding(1, 0.5, 0.1) == ""


def test_a_training_on_a_crowded_machine_says_so(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, float, float]] = []

    def crowded(threads: int, wall: float, processors: float) -> str:
        seen.append((threads, wall, processors))
        return "there is a crowd"

    words = ("train", "digits", *SMALL)
    assert "crowd" not in hashgrad(*words).out
    monkeypatch.setattr("hashgrad.cli.train.crowding", crowded)
    assert "there is a crowd\n" in hashgrad(*words, "--threads", 2).out
    assert "crowd" not in hashgrad(*words, "--quiet").out
    assert "crowd" in hashgrad(*words, "--threads", 0, "--json", "-").err
    assert [threads for threads, _, _ in seen] == [2, 1, _core.hardware_threads()]
    assert all(wall > 0 and processors > 0 for _, wall, processors in seen)
