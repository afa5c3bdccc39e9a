"""How many members of a team train on batches together, on quiet machines and on busy ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reference as twin
import test_core_pool as pools
from hashgrad import _core
from test_core_threads import BAD, N_ROWS, WAYS, examples, network

STRETCH = _core.Pace().stretch


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


def serial(size: int) -> tuple[float, float]:
    """One does a share of the work while the others wait: from four on, for half their time."""
    return 1000 / (0.4 + 0.6 / size), 0.4 * (size - 1) / (0.4 * size + 0.6) - 0.01


def test_who_is_few_grows_again_though_members_wait_for_each_other() -> None:
    pace = _core.Pace()
    run(pace, 16, busy, 400)
    sizes = run(pace, 16, serial, 1500)
    assert 1 in sizes[:5]
    assert max(sizes[-300:]) >= 8
    assert np.median(sizes[-300:]) >= 8


def test_short_calls_are_judged_together() -> None:
    pace, short = _core.Pace(), STRETCH / 10
    for _ in range(9):
        assert pace.members(2) == 2
        pace.note(1, short, 2 * short)
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
    assert run(pace, 8, quiet, 300) == [8] * 300


def test_a_run_takes_the_first_members_of_a_team() -> None:
    members = [3, 1, 5, 2, 5, 1, 1, 4] * 50
    assert _core.team_runs(5, members) == [[n] * n + [0] * (5 - n) for n in members]
    with pytest.raises(ValueError, match=r"members must be in \[1, size = 5\], got 6"):
        _core.team_runs(5, [6])


# ---- the same bits -------------------------------------------------------------------------------

SIZES = [4, 1, 3, 2, 5, 1, 1, 4]
UPKEEP = {"rehash_every": 30, "rebuild_every": 70}


def same(*nets: Any) -> None:
    for net in nets[1:]:
        for name, value in nets[0].tensors().items():
            np.testing.assert_array_equal(net.tensors()[name], value, err_msg=name)
        assert net.state() == nets[0].state()
        assert net.ledger() == nets[0].ledger()


@pytest.mark.parametrize("name", ["sgd", "adam", "row_adagrad"])
@pytest.mark.parametrize("way", WAYS)
def test_members_that_come_and_go_change_no_bit(way: str, name: str) -> None:
    batch, y = examples()
    found = []
    for sizes in ([], SIZES):
        net = network(name=name, **UPKEEP, **WAYS[way])
        _core.script_pace(net, sizes)
        resting = np.zeros(N_ROWS, np.uint8)
        how = {"batch_size": 7, "threads": 5 if sizes else 1, "known": 0.3, "resting": resting}
        results = [twin.train(net, batch, y, range(N_ROWS), 0.05, **how) for _ in range(4)]
        found.append((net, resting, [r.loss_sum for r in results], [r.rested for r in results]))
    same(*(net for net, *_ in found))
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][2:] == found[1][2:]
    assert sum(found[0][3]) > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("lookup", ["scan", "tables"])
def test_nor_do_they_where_a_batch_shares_a_pool(lookup: str, precision: str) -> None:
    nets = []
    for sizes in ([], SIZES):
        how = {"code": "bits", "lookup": lookup, "fill": 30, "query_every": 3, **UPKEEP}
        net = pools.network(precision=precision, **how)
        _core.script_pace(net, sizes)
        for size in (8, 19):
            pools.train(net, np.tile(pools.ORDER, 3), size, threads=5 if sizes else 1)
        nets.append(net)
    same(*nets)
    np.testing.assert_array_equal(nets[0].pool(), nets[1].pool())


def test_a_bad_row_stops_them_where_it_stops_one() -> None:
    batch, y = examples(bad=True)
    nets = []
    for sizes in ([], SIZES):
        net = network()
        _core.script_pace(net, sizes)
        result = twin.train(net, batch, y, range(N_ROWS), batch_size=8, threads=5)
        assert (result.bad_row, result.examples) == (BAD, BAD // 8 * 8)
        nets.append(net)
    same(*nets)


def test_a_pace_is_of_one_member_at_least() -> None:
    with pytest.raises(ValueError, match="members must be at least 1, got 0"):
        _core.script_pace(network(), [2, 0])
