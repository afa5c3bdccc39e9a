"""Pools for which only some of a batch's examples ask the hashes, or none does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from test_core_pool import KEPT, N_OUTPUTS, N_ROWS, ORDER, examples, network, same_bits, train

LOOKUPS: dict[str, dict[str, Any]] = {
    "scan of bytes": {},
    "scan of bits": {"code": "bits"},
    "tables": {"lookup": "tables", "code": "bits", "bits": 4, "tables": 60, "probes": 8},
}


def brought(row: int, **how: Any) -> set[int]:
    """What an example brings into a pool of its own."""
    train(net := network(**how), [row], 1, rate=0.0)
    return set(net.pool().tolist())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("every", [1, 3, 5, 16, 100])
def test_one_example_in_so_many_asks(every: int, lookup: str, threads: int) -> None:
    how, labels, size = LOOKUPS[lookup], examples()[1], 16
    net = network(query_every=every, **how)
    for at in range(0, N_ROWS, size):
        rows = ORDER[at : at + size]
        train(net, rows, size, rate=0.0, threads=threads)
        wanted = {i for row in rows for i in labels[row]}
        for row in rows:
            if row % every == 0:  # the rows come in their order
                wanted |= brought(row, **how)
        assert set(net.pool().tolist()) == wanted


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_who_does_not_ask_costs_nothing(lookup: str) -> None:
    costs = []
    for every in (1, 5, 0):
        train(net := network(query_every=every, **LOOKUPS[lookup]), rate=0.0)
        costs.append(net.ledger()["layers"][1]["query"])
    assert costs[0] == pytest.approx(5 * costs[1], rel=0.05)  # by how many inputs are not zero
    assert costs[2] == 0


@pytest.mark.parametrize("fill", [0, 60])
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_where_nobody_asks_the_pool_is_labels_and_what_is_drawn(lookup: str, fill: int) -> None:
    net = network(query_every=0, fill=fill, **LOOKUPS[lookup])
    train(net, ORDER[:8], 8)
    labels = {i for row in ORDER[:8] for i in examples()[1][row]}
    pool = set(net.pool().tolist())
    assert labels <= pool
    assert len(pool) == max(fill, len(labels))


def test_hashes_that_nobody_asks_rest_until_an_epoch_ends() -> None:
    for every, rehashes in ((1, True), (0, False)):
        net = network(opt=twin.optimizer("adam"), query_every=every, code="bits")
        train(net, np.tile(ORDER, 3), 8, rate=0.05)
        top = net.ledger()["layers"][1]
        assert (top["rehash"] > 0) == rehashes
        net.end_epoch()
        assert net.ledger()["layers"][1]["rehash"] > top["rehash"]
        assert not net.tensors()["layers.1.lsh.dirty"].any()


@pytest.mark.parametrize("every", [1, 0])
def test_what_nobody_asks_is_made_anew_when_an_epoch_ends(every: int) -> None:
    batch = twin.csr(examples()[0])

    def trained(**end: Any) -> Any:
        net = network(opt=twin.optimizer("adam"), query_every=every, code="bits", rebuild_every=90)
        start = net.tensors()["layers.1.lsh.projection"].copy()
        train(net, np.tile(ORDER, 3), 8, rate=0.05)  # 150 examples
        moved = [not np.array_equal(start, net.tensors()["layers.1.lsh.projection"])]
        net.end_epoch(**end)
        moved.append(not np.array_equal(start, net.tensors()["layers.1.lsh.projection"]))
        assert not net.tensors()["layers.1.lsh.dirty"].any() or "complete" in end
        return net, moved, net.ledger()["layers"][1]["rebuild"]

    net, moved, cost = trained(batch=batch, sample=ORDER)
    assert moved == [every == 1, True]
    assert cost > 0
    net.end_epoch(batch=batch, sample=ORDER)  # not due again
    assert net.ledger()["layers"][1]["rebuild"] == cost
    assert trained()[1] == trained(complete=False)[1] == [every == 1, every == 1]
    dirty = trained(complete=False)[0].tensors()["layers.1.lsh.dirty"]
    assert dirty.any() == (every == 1)


@pytest.mark.parametrize("every", [3, 0])
def test_prediction_asks_always(every: int) -> None:
    net, x = network(query_every=every, candidates=30.0), twin.csr(examples()[0])
    train(net)
    net.end_epoch()
    by_codes, exact = (net.topk(x, KEPT, way, 1)[0] for way in (False, True))
    np.testing.assert_array_equal(by_codes, exact)  # 30 times 3 candidates are all 90


def test_recall_is_that_of_those_who_ask() -> None:
    x = twin.csr(examples()[0])
    recalls = [network(query_every=every).recall(x, ORDER)[1]["recall"] for every in (1, 7, 0)]
    assert recalls[0] > 0.9
    assert recalls == [recalls[0]] * 3


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_the_same_bits_on_any_number_of_threads(lookup: str) -> None:
    nets = []
    for threads in (1, 2, 5):
        net = network("softmax", twin.optimizer("adam"), query_every=7, fill=30, **LOOKUPS[lookup])
        for size in (16, 101):
            train(net, np.tile(ORDER, 3), size, threads=threads, rate=0.05)
        nets.append(net)
    same_bits(*nets)


def test_who_asks_depends_on_how_many_came_before_in_all_calls() -> None:
    one, two = network(query_every=10), network(query_every=10)
    train(one, ORDER, 8)
    for at in range(0, N_ROWS, 24):
        train(two, ORDER[at : at + 24], 8)
    same_bits(one, two)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("every", [0, 100])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pool_may_be_empty(precision: str, every: int, loss: str, threads: int) -> None:
    net = network(loss, query_every=every, precision=precision)
    train(net, ORDER[:1], 1, rate=0.0)  # the first one asks, if any does
    before = twin.augmented(net)
    none = twin.labels([[]] * N_ROWS, N_OUTPUTS)
    for rows in (ORDER[1:9], ORDER[1:30]):
        result = twin.train(net, twin.csr(examples()[0]), none, rows, batch_size=8, threads=threads)
        assert (result.bad_row, result.loss_sum) == (-1, 0)
    assert len(net.pool()) == 0
    assert all(np.array_equal(a, b) for a, b in zip(before, twin.augmented(net), strict=True))
