"""Pools of vast layers: the softmax corrected for what is missing, buckets that are bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core
from test_core_pool import (
    KEPT,
    N_HIDDEN,
    N_INPUTS,
    N_OUTPUTS,
    N_ROWS,
    NAMES,
    ORDER,
    examples,
    network,
    train,
)

# ---- the correction ------------------------------------------------------------------------------


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("fill", [0, 60])
def test_a_corrected_softmax_takes_the_chance_of_what_others_brought(fill: int) -> None:
    rows, everyone = ORDER[:8], np.arange(N_HIDDEN)
    own = []  # what an example brings is what its pool holds when it is alone
    for row in rows:
        train(alone := network("softmax"), [row], 1)
        own.append(alone.pool())
    chance = np.random.default_rng(8).uniform(0.01, 0.6, N_OUTPUTS).astype(np.float32)
    net = network("softmax", fill=fill)
    W = [w.astype(float) for w in twin.augmented(net)]
    train(net, rows, 8, rate=0.5, chance=chance)
    pool = net.pool().astype(int)
    brought = len(np.unique(np.concatenate(own)))
    assert len(pool) == max(fill, brought)
    drawn = (len(pool) - brought) / (N_OUTPUTS - brought)
    x, y = examples()
    total = [np.zeros_like(w) for w in W]
    corrected = left_out = 0
    for row, mine in zip(rows, own, strict=True):
        active = [(everyone, np.ones(N_HIDDEN)), (pool, np.ones(len(pool)))]
        walk = twin.forward(W, NAMES, x[row].astype(float), active)
        others = ~np.isin(pool, mine)
        corrected += int(others.sum())
        seen = np.log(1 - (1 - chance[pool]) * (1 - drawn))
        found = np.isin(pool, np.concatenate(own)) & ~np.isin(
            pool, np.concatenate([y[r] for r in rows])
        )
        seen[found] = np.minimum(seen[found] - np.log(drawn), 1e9) if drawn else 1e9
        left_out += int((others & found).sum())
        z = walk[-1].z - np.where(others, seen, 0.0)
        delta = twin.loss_and_delta("softmax", z, walk[-1].ids, y[row], None)[1]
        gradients = twin.backward(W, NAMES, walk, delta / len(rows))
        total = [a + g for a, g in zip(total, gradients, strict=True)]
    assert corrected > 8 * KEPT
    assert left_out > KEPT
    for got, w, g in zip(twin.augmented(net), W, total, strict=True):
        np.testing.assert_allclose(got, w - 0.5 * g, rtol=2e-4, atol=2e-5)


def test_a_pool_of_all_outputs_needs_no_correction() -> None:
    rows = np.tile(ORDER, 3)
    chance = np.full(N_OUTPUTS, 0.1, dtype=np.float32)
    everything = {"kept": 1.0, "lookup": "scan", "loss": "softmax"}
    plain, corrected = bounded(90, **everything), bounded(90, **everything)
    one = train(plain, rows, len(rows))
    two = train(corrected, rows, len(rows), chance=chance)
    assert len(plain.pool()) == len(corrected.pool()) == N_OUTPUTS
    assert one.loss_sum == two.loss_sum


def test_chances_need_a_pooled_softmax_and_one_number_an_output() -> None:
    for net, n in ((network("logistic"), N_OUTPUTS), (network("softmax"), N_OUTPUTS - 1)):
        with pytest.raises(ValueError, match="chance must have one number an output"):
            train(net, chance=np.full(n, 0.5, dtype=np.float32))


def test_what_was_drawn_counts_the_inverse_of_its_chance_in_a_logistic_loss() -> None:
    rows, everyone = ORDER[:8], np.arange(N_HIDDEN)
    train(without := network("logistic"), rows, 8)
    brought = without.pool()
    net = network("logistic", fill=60)
    W = [w.astype(float) for w in twin.augmented(net)]
    result = train(net, rows, 8, rate=0.5, inverse=True)
    pool = net.pool().astype(int)
    chance = (60 - len(brought)) / (N_OUTPUTS - len(brought))
    count = np.where(np.isin(pool, brought), 1.0, 1 / chance)
    assert len(pool) == 60
    assert count.max() > 1
    x, y = examples()
    total, loss = [np.zeros_like(w) for w in W], 0.0
    for row in rows:
        active = [(everyone, np.ones(N_HIDDEN)), (pool, np.ones(len(pool)))]
        walk = twin.forward(W, NAMES, x[row].astype(float), active)
        delta = twin.loss_and_delta("logistic", walk[-1].z, walk[-1].ids, y[row], None)[1]
        signs = np.where(np.isin(pool, y[row]), -1, 1)
        loss += float(count @ np.logaddexp(0, signs * walk[-1].z))
        gradients = twin.backward(W, NAMES, walk, delta * count / len(rows))
        total = [a + g for a, g in zip(total, gradients, strict=True)]
    assert result.loss_sum == pytest.approx(loss, rel=1e-5)
    for got, w, g in zip(twin.augmented(net), W, total, strict=True):
        np.testing.assert_allclose(got, w - 0.5 * g, rtol=2e-4, atol=2e-5)


def test_every_output_counts_once_in_the_mean_of_many_pools() -> None:
    train(without := network("logistic"), ORDER[:8], 8)
    brought, batches = without.pool(), 1500
    chance = (60 - len(brought)) / (N_OUTPUTS - len(brought))
    net, count = network("logistic", fill=60), np.zeros(N_OUTPUTS)
    for _ in range(batches):
        train(net, ORDER[:8], 8, rate=0.0)
        count[net.pool()] += 1 / chance
    count[brought] = batches
    deviation = ((1 / chance - 1) / batches) ** 0.5
    assert np.abs(count / batches - 1).max() < 5 * deviation


def test_inverse_chances_need_a_pooled_logistic_loss() -> None:
    with pytest.raises(ValueError, match="inverse must go with a pooled layer and the loss"):
        train(network("softmax"), inverse=True)


# ---- bounded buckets -----------------------------------------------------------------------------

BITS, TABLES = 3, 5


def buckets(net: Any, bound: int) -> list[dict[int, list[int]]]:
    """What each table's buckets are to hold, from signatures and lengths: the longest."""
    t = net.tensors()
    norm = t["layers.1.lsh.norm"]
    bits = np.unpackbits(t["layers.1.lsh.signature"].view(np.uint8), axis=1, bitorder="little")
    tables: list[dict[int, list[int]]] = []
    for number in range(TABLES):
        key = bits[:, number * BITS : (number + 1) * BITS] @ (1 << np.arange(BITS))
        tables.append(
            {
                int(k): sorted(np.nonzero(key == k)[0], key=lambda i: -norm[i])[:bound]
                for k in np.unique(key)
            }
        )
    return tables


def bounded(
    bound: int, opt: Any = None, kept: float = 1.0, loss: str = "logistic", **more: Any
) -> Any:
    settings: dict[str, Any] = {"lookup": "tables", "code": "bits", "probes": 1, **more}
    settings |= {"bits": BITS, "tables": TABLES, "bucket": bound, "rank": N_HIDDEN + 1}
    hashing = twin.lsh(**{"projection": "subspace", "pooled": True, "rehash_every": 1, **settings})
    layers = [
        twin.layer(N_HIDDEN, "relu"),
        twin.layer(N_OUTPUTS, "linear", "lsh", kept, lsh=hashing),
    ]
    net = _core.Network(N_INPUTS, layers, loss, opt or twin.optimizer(), 3)
    net.build(twin.csr(examples()[0]), ORDER)
    return net


def found(net: Any) -> list[set[int]]:
    """Per row, what its buckets hold: all of it goes into the row's pool, which learns at 0."""
    nothing, pools = twin.labels([[] for _ in range(N_ROWS)], N_OUTPUTS), []
    for row in ORDER:
        twin.train(net, twin.csr(examples()[0]), nothing, [row], rate=0.0, batch_size=1)
        pools.append(set(net.pool().tolist()))
    return pools


def expected(net: Any, bound: int) -> list[set[int]]:
    """The same, of the buckets as they are to be; none where a bit is too near to tell."""
    t = net.tensors()
    tables = buckets(net, bound)
    hidden = np.maximum(examples()[0] @ t["layers.0.weight"].T + t["layers.0.bias"], 0)
    queries = (
        np.column_stack([hidden, np.zeros(N_ROWS)]) - t["layers.1.lsh.mean"]
    )  # tails are apart
    value = queries @ twin.projections(t, "layers.1")[1]
    out = []
    for row in value[:, : BITS * TABLES]:
        keys = (row.reshape(TABLES, BITS) >= 0) @ (1 << np.arange(BITS))
        inside = [table.get(int(k), []) for table, k in zip(tables, keys, strict=True)]
        out.append({int(i) for bucket in inside for i in bucket})
        if np.abs(row).min() < 1e-4:
            out[-1] = set()
    return out


@pytest.mark.parametrize("bound", [1, 4, 90])
def test_a_bounded_bucket_holds_its_longest_neurons(bound: int) -> None:
    net = bounded(bound)
    certain = [(g, e) for g, e in zip(found(net), expected(net, bound), strict=True) if e]
    assert len(certain) > N_ROWS // 2
    for got, wanted in certain:
        assert got == wanted
    loads = net.tables()[1]["bucket_loads"]
    assert len(loads) <= bound + 1
    placed = int((loads * np.arange(len(loads))).sum())
    assert net.tables()[1]["overflow"] == TABLES * N_OUTPUTS - placed
    assert (placed == TABLES * N_OUTPUTS) == (bound == 90)


@pytest.mark.parametrize("threads", [1, 3])
def test_buckets_follow_neurons_as_they_move(threads: int) -> None:
    opt = twin.optimizer("adam")
    net = bounded(90, opt, rehash_every=8, rebuild_every=10**6)
    train(net, np.tile(ORDER, 4), 8, rate=0.05, threads=threads)
    net.end_epoch()
    assert net.tables()[1]["rebuilds"] == 1
    certain = [(g, e) for g, e in zip(found(net), expected(net, 90), strict=True) if e]
    assert len(certain) > N_ROWS // 2
    for got, wanted in certain:
        assert got == wanted


@pytest.mark.usefixtures("level")
def test_a_longer_neuron_takes_the_shortest_ones_place_and_an_epoch_ends_in_order() -> None:
    net = bounded(2, twin.optimizer("adam"), rehash_every=8, rebuild_every=10**6)
    train(net, np.tile(ORDER, 4), 8, rate=0.05)
    before = found(net)
    full = {i for sets in before for i in sets}
    assert net.tables()[1]["bucket_loads"][-1] > 0
    net.end_epoch()
    after = [(g, e) for g, e in zip(found(net), expected(net, 2), strict=True) if e]
    for got, wanted in after:
        assert got == wanted
    # between rebuilds a bucket may lose a neuron that nothing calls back, but most are right
    shared = sum(len(b & a) for b, a in zip(before, found(net), strict=True))
    assert shared >= 0.6 * sum(map(len, before))
    assert full


def test_a_pooled_network_needs_no_sketches_to_go_on_where_it_was() -> None:
    def run(reload: bool) -> Any:
        net = bounded(4, twin.optimizer("adam"), rehash_every=8)
        train(net, ORDER, 8, rate=0.05)
        net.end_epoch()
        if reload:
            other = bounded(4, twin.optimizer("adam"), rehash_every=8)
            for name, array in other.tensors().items():
                array[...] = net.tensors()[name]
            other.set_state(net.state())
            other.sync_after_load()
            net = other
        train(net, ORDER[::-1].copy(), 8, rate=0.05)
        return net

    one, two = run(False).tensors(), run(True).tensors()
    assert "layers.1.lsh.sketch" not in one
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_prediction_compares_all_codes_where_training_looks_into_tables() -> None:
    net, x = bounded(1, kept=KEPT / N_OUTPUTS, candidates=30.0), twin.csr(examples()[0])
    by_codes, exact = (net.topk(x, KEPT, way, 1)[0] for way in (False, True))
    np.testing.assert_array_equal(by_codes, exact)  # 30 times 3 candidates are all 90
    assert max(map(len, found(net))) <= TABLES


def test_a_bucket_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="bucket must be at least 1, got 0"):
        _core.Network(
            N_INPUTS,
            [twin.layer(9), twin.layer(N_OUTPUTS, "linear", "lsh", 0.1, lsh=twin.lsh(bucket=0))],
            "softmax",
            twin.optimizer(),
            0,
        )


@pytest.mark.parametrize("projection", ["subspace", "gaussian"])
def test_outputs_rank_by_what_hashes_tell_and_by_tails_that_are_known(projection: str) -> None:
    few, bits = 6, BITS * TABLES
    net = bounded(90, kept=few / N_OUTPUTS, lookup="scan", projection=projection, candidates=1.0)
    t = net.tensors()
    t["layers.1.bias"][...] = np.random.default_rng(0).normal(0, 2, N_OUTPUTS)
    t["layers.1.lsh.dirty"][...] = 1
    net.end_epoch()
    mean = t["layers.1.lsh.mean"][:-1]
    v = t["layers.1.weight"].astype(float)
    tail = v @ mean + t["layers.1.bias"]
    np.testing.assert_allclose(t["layers.1.lsh.tail"], tail, atol=1e-5)
    u = np.maximum(examples()[0] @ t["layers.0.weight"].T + t["layers.0.bias"], 0) - mean
    by_neurons, by_queries = (p[:-1] for p in twin.projections(t, "layers.1"))
    told = v @ by_neurons
    if projection == "subspace":
        coordinates = t["layers.1.lsh.projection"][:-1] * t["layers.1.lsh.balance"]
        v = v @ coordinates - t["layers.1.lsh.centre"]
        told = v @ t["layers.1.lsh.mixing"]
    asked = u @ by_queries
    matched = [twin.signed_products(told >= 0, row.astype(np.float32))[0] for row in asked]
    share = np.sqrt(np.pi / 2) / bits  # of a product with signs, that with a neuron of length 1
    score = twin.halved(np.linalg.norm(v, axis=1)) * share * np.array(matched) + twin.halved(tail)
    ranked = np.sort(score, axis=1)[:, ::-1]
    clear = ranked[:, few - 1] - ranked[:, few] > 1e-4
    assert clear.sum() > N_ROWS // 2
    got = net.topk(twin.csr(examples()[0]), few)[0]
    for row in np.nonzero(clear)[0]:
        assert set(got[row]) == set(np.argsort(-score[row])[:few])


def test_large_inputs_rank_outputs_as_small_ones_do() -> None:
    net = bounded(90, kept=6 / N_OUTPUTS, lookup="scan", candidates=1.0)
    net.tensors()["layers.1.bias"][...] = 0
    net.tensors()["layers.0.bias"][...] = 0
    x = examples()[0]
    t = net.tensors()
    t["layers.1.lsh.mean"][...] = 0
    t["layers.1.lsh.tail"][...] = 0
    net.sync_after_load()
    small = net.topk(twin.csr(x), 6)[0]
    large = net.topk(twin.csr(x * np.float32(2.0**66)), 6)[0]
    # Scores are the same numbers times 2^66, and ties are broken by the same hash.
    np.testing.assert_array_equal(np.sort(small), np.sort(large))
