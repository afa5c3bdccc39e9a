"""How many members of a team train on batches together, on quiet machines and on busy ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

STRETCH = _core.STRETCH_SECONDS


def quiet(size: int) -> tuple[float, float]:
    """Examples a second, and the share of their time that members lose in long waits."""
    return 900.0 * size + 100, 0.05


def busy(size: int) -> tuple[float, float]:
    """Each meeting takes a time slice, unless there is nobody to meet."""
    return (500.0, 0.0) if size == 1 else (50.0, 0.9)


def half_busy(size: int) -> tuple[float, float]:
    """Four processors of eight are somebody else's."""
    return (900.0 * size, 0.1) if size <= 4 else (700.0, 0.8)


Machine = Callable[[int], tuple[float, float]]


def run(pace: _core.Pace, most: int, machine: Machine, stretches: int) -> list[int]:
    """The team's sizes, stretch after stretch."""
    sizes = []
    for _ in range(stretches):
        sizes.append(pace.members(most))
        speed, lost = machine(sizes[-1])
        pace.note(int(speed * STRETCH), STRETCH, lost * STRETCH * sizes[-1])
    return sizes


@pytest.mark.parametrize("most", [1, 2, 3, 16])
def test_a_team_on_a_quiet_machine_stays_whole(most: int) -> None:
    assert run(_core.Pace(), most, quiet, 500) == [most] * 500


@pytest.mark.parametrize("most", [2, 3, 8])
def test_one_goes_on_alone_while_meetings_take_long(most: int) -> None:
    pace = _core.Pace()
    run(pace, most, quiet, 100)
    sizes = run(pace, most, busy, 1000)
    assert sizes[0] == most
    assert 1 in sizes[:12]
    assert np.mean(np.array(sizes[500:]) == 1) > 0.98  # and asks now and then whether it still must
    assert max(sizes[500:]) == 2
    after = run(pace, most, quiet, 200)
    assert after[-100:] == [most] * 100


def test_as_many_go_on_as_there_are_free_processors() -> None:
    sizes = run(_core.Pace(), 8, half_busy, 1000)
    assert np.mean(np.array(sizes[100:]) == 4) > 0.95


def test_waiting_alone_does_not_make_a_team_smaller() -> None:
    # Members wait for one whose share is larger, and yet all are faster than half of them.
    sizes = run(_core.Pace(), 4, lambda size: (100.0 * size, 0.6), 1000)
    assert np.mean(np.array(sizes) == 4) > 0.95


def test_short_calls_are_judged_together() -> None:
    pace, short = _core.Pace(), STRETCH / 10
    for _ in range(9):
        pace.note(1, short, 2 * short)
        assert pace.members(2) == 2
    sizes = []
    for _ in range(40):
        sizes.append(pace.members(2))
        speed, lost = busy(sizes[-1])
        pace.note(int(100 * speed * short), short, lost * short * sizes[-1])
    assert 1 in sizes


def test_a_later_call_may_ask_for_another_team() -> None:
    pace = _core.Pace()
    run(pace, 8, quiet, 5)
    assert run(pace, 3, quiet, 5) == [3] * 5
    assert run(pace, 1, quiet, 5) == [1] * 5
    assert run(pace, 8, quiet, 300)[-100:] == [8] * 100


def test_a_run_takes_the_first_members_of_a_team() -> None:
    members = [3, 1, 5, 2, 5, 1, 1, 4] * 50
    assert _core.team_runs(5, members) == [[n] * n + [0] * (5 - n) for n in members]
    with pytest.raises(ValueError, match=r"members must be in \[1, size\], got 6"):
        _core.team_runs(5, [6])


def test_a_training_of_many_stretches_has_the_bits_of_one_that_is_cut_in_short_calls() -> None:
    x, y = twin.clusters(5, 60, 7, 400)
    batch, labels = twin.csr(x), twin.labels(y, 7)
    nets = []
    for calls in (1, 40):
        specs = [twin.layer(200, "relu", "lsh", 0.2, lsh=twin.lsh()), twin.layer(7)]
        net = _core.Network(60, specs, "softmax", twin.optimizer("adam"), 4)
        net.build(batch, twin.rows(*range(40)))
        order = np.tile(np.arange(400), 40)
        for part in np.split(order, calls):
            twin.train(net, batch, labels, part, 0.01, batch_size=20, threads=2)
        nets.append({name: value.copy() for name, value in net.tensors().items()})
    for name, value in nets[0].items():
        np.testing.assert_array_equal(nets[1][name], value, err_msg=name)
