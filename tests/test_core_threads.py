"""Threads that train together: failures, more of them than processors, copies of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

N_INPUTS, N_OUTPUTS, N_ROWS, BAD = 40, 5, 120, 50
WAYS: dict[str, dict[str, Any]] = {
    "all": {"selector": "all"},
    "random": {"selector": "random"},
    "adaptive": {"selector": "adaptive"},
    "winner_take_all": {"selector": "winner_take_all"},
    "bits": {"projection": "gaussian"},
    "subspace bits": {"projection": "subspace"},
    "bytes": {"projection": "subspace", "code": "bytes"},
    "tables": {"lookup": "tables", "probes": 3},
    "by input": {"selector": "winner_take_all", "layout": "input"},
    "all, by input": {"selector": "all", "layout": "input"},
    "narrow, by input": {"selector": "winner_take_all", "layout": "input", "n": 50},
}


def examples(bad: bool = False) -> tuple[Any, Any]:
    """A batch and labels; one row may be so large that its scores are not finite."""
    x, y = twin.clusters(21, N_INPUTS, N_OUTPUTS, N_ROWS)
    if bad:
        x[BAD] = 3e38
    return twin.csr(x), twin.labels(y, N_OUTPUTS)


def network(selector: str = "lsh", name: str = "sgd", **how: Any) -> Any:
    layout, n = how.pop("layout", "neuron"), how.pop("n", 150)
    hashing = twin.lsh(**how)
    hidden = [twin.layer(n, "relu", selector, 0.2, lsh=hashing, layout=layout) for _ in range(2)]
    specs = [*hidden, twin.layer(N_OUTPUTS, layout=layout)]
    net = _core.Network(N_INPUTS, specs, "softmax", twin.optimizer(name), 4)
    net.build(examples()[0], twin.rows(*range(40)))
    return net


def copied(net: Any) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in net.tensors().items()}


def assert_same(net: Any, expected: dict[str, np.ndarray]) -> None:
    for name, value in net.tensors().items():
        assert np.array_equal(value, expected[name]), name


@pytest.mark.parametrize("meetings", [0, 1, 2, 100])
@pytest.mark.parametrize(
    ("size", "failing"),
    [
        *[(1, []), (1, [0]), (2, [0]), (2, [1]), (2, [0, 1])],
        *[(5, []), (5, [0]), (5, [4]), (5, [1, 3]), (9, [2])],
    ],
)
def test_a_team_lives_on_after_members_have_failed(
    size: int, failing: list[int], meetings: int
) -> None:
    for _ in range(5):
        error, finished, seen = _core.team_after_failure(size, failing, meetings)
        assert error in ([f"member {i}" for i in failing] or [""])
        assert finished == (0 if failing else size)
        assert seen == [sum(range(size))] * size


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("way", WAYS)
def test_a_batch_whose_loss_is_not_finite_changes_nothing(way: str, threads: int) -> None:
    net = network(**WAYS[way])
    batch, y = examples(bad=True)
    good = [row for row in range(N_ROWS) if row != BAD]
    how = {"batch_size": 8, "threads": threads}
    first, last = good[:40], good[40:]
    result = twin.train(net, batch, y, [*first, *last[:5], BAD, *last[5:30]], 0.01, **how)
    assert (result.bad_row, result.examples) == (BAD, 40)
    assert np.isfinite(result.loss_sum)
    assert (net.step, net.ledger()["examples"], net.ledger()["learned"]) == (40, 40, 40)
    expected = network(**WAYS[way])
    assert twin.train(expected, batch, y, first, 0.01, **how).bad_row == -1
    assert_same(net, copied(expected))
    for one in (net, expected):  # and training goes on as if nothing had been
        assert twin.train(one, batch, y, last, 0.01, **how).examples == len(last)
    assert_same(net, copied(expected))
    assert net.state() == expected.state()


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("way", WAYS)
def test_training_without_locks_stops_at_a_loss_that_is_not_finite(way: str, threads: int) -> None:
    net = network(**WAYS[way])
    batch, y = examples(bad=True)
    order = [*range(BAD), BAD, *range(BAD + 1, N_ROWS)] * 20
    result = twin.train(net, batch, y, order, 0.01, threads=threads)
    assert result.bad_row == BAD
    assert BAD - threads < result.examples < len(order) / 2
    assert all(np.isfinite(value).all() for value in net.tensors().values())
    good = [row for row in range(N_ROWS) if row != BAD]
    assert twin.train(net, batch, y, good, 0.01, threads=threads).examples == len(good)


@pytest.mark.parametrize("way", WAYS)
def test_more_threads_than_processors_give_the_same_bits_in_batches(way: str) -> None:
    batch, y = examples()
    nets = []
    for threads in (1, 3 * _core.hardware_threads() + 1):
        nets.append(network(**WAYS[way]))
        twin.train(nets[-1], batch, y, range(100), 0.01, batch_size=20, threads=threads)
    assert_same(nets[1], copied(nets[0]))
    assert nets[1].state() == nets[0].state()


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 4), (3, 8), (N_ROWS, 7)])
def test_more_threads_than_examples_or_neurons_give_the_same_bits(
    batch_size: int, threads: int
) -> None:
    batch, y = examples()
    for layout in ("neuron", "input"):
        nets = []
        for n_threads in (1, threads):
            hidden = twin.layer(3, "tanh", layout=layout)
            specs = [hidden, twin.layer(N_OUTPUTS, layout=layout)]
            nets.append(_core.Network(N_INPUTS, specs, "softmax", twin.optimizer("adam"), 4))
            how = {"batch_size": batch_size, "threads": n_threads}
            assert twin.train(nets[-1], batch, y, range(N_ROWS), 0.01, **how).examples == N_ROWS
        assert_same(nets[1], copied(nets[0]))
        assert nets[1].ledger() == nets[0].ledger()


@pytest.mark.parametrize("way", WAYS)
def test_more_threads_than_processors_learn_without_locks(way: str) -> None:
    net = network(**WAYS[way])
    batch, y = examples()
    threads, losses = 2 * _core.hardware_threads() + 1, []
    rate = 0.1 if way == "random" else 0.01
    for _ in range(6):
        result = twin.train(net, batch, y, range(N_ROWS), rate, threads=threads)
        assert result.examples == N_ROWS
        losses.append(result.loss_sum)
    assert losses[-1] < (0.75 if way == "random" else 0.5) * losses[0]
    assert net.ledger()["examples"] == net.ledger()["learned"] == net.step == 6 * N_ROWS


# ---- copies of the weights -----------------------------------------------------------------------


def check_alike(net: Any, other: Any, start: dict[str, np.ndarray], share: float) -> None:
    """Every tensor has moved in both, by the same up to this share."""
    there = other.tensors()
    for name, value in net.tensors().items():
        moved = np.abs(value - start[name].astype(float)).max()
        if name.endswith(("weight", "bias", "sketch", "norm2", "tail")):
            assert moved > 0, name
        np.testing.assert_allclose(there[name], value, atol=share * moved, rtol=0, err_msg=name)


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_that_hears_of_an_examples_steps_takes_them_too(way: str) -> None:
    net, other = network(**WAYS[way]), network(**WAYS[way])
    start = copied(net)
    batch, y = examples()
    _core.repeat(net, other, batch, y, np.arange(N_ROWS, dtype=np.uint32), 0.02)
    check_alike(net, other, start, 1e-4)
    scores = net.scores(batch, True)
    np.testing.assert_allclose(other.scores(batch, True), scores, atol=1e-3 * scores.std())
    for ours, theirs in zip(net.tables(), other.tables(), strict=True):
        if len(ours.get("bucket_loads", [])):  # neurons have moved to the same buckets
            np.testing.assert_array_equal(ours["bucket_loads"], theirs["bucket_loads"])


@pytest.mark.parametrize("way", WAYS)
def test_two_copies_that_hear_of_each_other_stay_alike(way: str) -> None:
    # In turns: each learns from a few rows that the other then hears of, as two threads' copies do.
    net, other = network(**WAYS[way]), network(**WAYS[way])
    start = copied(net)
    batch, y = examples()
    for at in range(0, N_ROWS, 12):
        _core.repeat(net, other, batch, y, np.arange(at, at + 6, dtype=np.uint32), 0.02)
        _core.repeat(other, net, batch, y, np.arange(at + 6, at + 12, dtype=np.uint32), 0.02)
    check_alike(net, other, start, 1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_hearing_of_steps_is_as_good_as_learning_from_the_examples(way: str) -> None:
    # What plain training makes of the same rows, in the same order.
    net, other, alone = (network(**WAYS[way]) for _ in range(3))
    start = copied(net)
    batch, y = examples()
    for row in range(60):  # one at a time, so that all three draw the same neurons
        _core.repeat(net, other, batch, y, twin.rows(row), 0.02)
    for row in range(60):
        alone.set_state({**alone.state(), "step": 0.0})
        twin.train(alone, batch, y, [row], 0.02)
    check_alike(alone, other, start, 1e-3)


def test_copies_are_of_plain_sgd_and_of_the_same_layers() -> None:
    batch, y = examples()
    with pytest.raises(ValueError, match="optimizer must be 'sgd' with l2 = 0"):
        _core.repeat(network(name="adam"), network(name="adam"), batch, y, twin.rows(0), 0.1)
    for other in (network(n=60), network(selector="all", layout="input")):
        with pytest.raises(ValueError, match="networks must be two of the same layers"):
            _core.repeat(network(), other, batch, y, twin.rows(0), 0.1)
