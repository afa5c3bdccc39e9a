"""The index over neurons: true to the weights as they move, and good at finding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

PROJECTIONS = ["gaussian", "sparse", "subspace"]
TRANSFORMS = ["none", "simple", "sign-alsh", "l2-alsh"]
N_INPUTS, N_NEURONS, N_OUTPUTS, N_ROWS = 40, 50, 4, 200


def examples() -> tuple[np.ndarray, list[list[int]]]:
    """Non-negative inputs around four centres."""
    random = np.random.default_rng(31)
    centres = 2 * random.normal(size=(N_OUTPUTS, N_INPUTS))
    y = random.integers(N_OUTPUTS, size=N_ROWS)
    x = (centres[y] + random.normal(size=(N_ROWS, N_INPUTS))).clip(0)
    return x.astype(np.float32), [[int(label)] for label in y]


def network(name: str = "sgd", n: int = N_NEURONS, fraction: float = 0.2, **settings: Any) -> Any:
    """Two hashed layers, one on inputs and one on the other's outputs."""
    hidden = [twin.layer(n, "relu", "lsh", fraction, lsh=twin.lsh(**settings)) for _ in range(2)]
    opt = twin.optimizer(name, epsilon=1e-3)
    net = _core.Network(N_INPUTS, [*hidden, twin.layer(N_OUTPUTS)], "softmax", opt, 4)
    net.build(twin.dense(examples()[0]), np.arange(100, dtype=np.uint32))
    return net


def train(net: Any, n: int = 300, batch_size: int = 0, threads: int = 1) -> None:
    x, y = examples()
    order = np.random.default_rng(1).integers(N_ROWS, size=n)
    wanted = twin.labels(y, N_OUTPUTS)
    twin.train(net, twin.csr(x), wanted, order, 0.02, batch_size=batch_size, threads=threads)


def assert_index_is_true(net: Any, tolerance: float = 2e-4) -> None:
    """Every layer's stored hashes against hashes of its weights computed anew."""
    t = net.tensors()
    for i in range(2):
        at = f"layers.{i}"
        w, b = t[f"{at}.weight"].astype(float), t[f"{at}.bias"].astype(float)
        v, _ = twin.centred(w, b, w[:1], t[f"{at}.lsh.mean"].astype(float)[:-1])
        np.testing.assert_allclose(t[f"{at}.lsh.tail"], v[:, -1], atol=tolerance)
        sketch = v @ twin.projections(t, at)[0]
        near = tolerance * np.abs(sketch).max()
        np.testing.assert_allclose(t[f"{at}.lsh.sketch"], sketch, atol=near)
        if f"{at}.lsh.coordinate" in t:
            balance = t.get(f"{at}.lsh.balance", np.ones(1)).astype(float)
            v = v @ t[f"{at}.lsh.projection"].astype(float) * balance
            near = tolerance * np.abs(v).max()
            np.testing.assert_allclose(t[f"{at}.lsh.coordinate"], v, atol=near)
        norm2 = (v**2).sum(axis=1)
        np.testing.assert_allclose(t[f"{at}.lsh.norm2"], norm2, atol=tolerance * norm2.max())


@pytest.mark.parametrize("batch_size", [0, 8])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("name", ["sgd", "row_adagrad"])
def test_incremental_hashes_stay_true_to_the_weights(
    name: str, projection: str, transform: str, batch_size: int
) -> None:
    net = network(name, projection=projection, transform=transform, rehash="incremental")
    assert_index_is_true(net, 1e-5)
    before = net.tensors()["layers.1.lsh.sketch"].copy()
    train(net, batch_size=batch_size)
    assert net.tables()[1]["rebuilds"] == 1  # nothing but increments since
    moved = np.abs(net.tensors()["layers.1.lsh.sketch"] - before).max()
    assert moved > 0.05 * np.abs(before).max()
    assert_index_is_true(net)


@pytest.mark.parametrize("batch_size", [0, 8])
@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "adam"])
def test_hashes_by_rows_are_true_right_after_their_schedule(
    name: str, projection: str, batch_size: int
) -> None:
    net = network(name, projection=projection, rehash="rows", rehash_every=160)
    train(net, 160, batch_size)
    with pytest.raises(AssertionError):
        assert_index_is_true(net)
    nothing = twin.labels([[] for _ in range(N_ROWS)], N_OUTPUTS)  # no gradient, only upkeep
    twin.train(net, twin.dense(examples()[0]), nothing, [0], batch_size=batch_size)
    assert_index_is_true(net, 1e-5)
    assert not net.tensors()["layers.0.lsh.dirty"].any()


def test_a_rebuild_hashes_everything_anew_and_reports_staleness() -> None:
    net = network("adam", rebuild_every=150)
    assert net.tables()[0]["rehash"] == "rows"
    train(net, 150)
    assert net.tables()[0]["rebuilds"] == 1
    nothing = twin.labels([[] for _ in range(N_ROWS)], N_OUTPUTS)
    twin.train(net, twin.dense(examples()[0]), nothing, range(60))
    assert_index_is_true(net, 1e-5)
    for layer in net.tables()[:2]:
        assert layer["rebuilds"] == 2
        assert 0 < layer["staleness"] < 0.5


@pytest.mark.parametrize("name", ["momentum", "adagrad", "adam"])
def test_incremental_rehash_is_refused_where_steps_are_not_rank_one(name: str) -> None:
    with pytest.raises(ValueError, match=rf"rehash 'incremental' must .* got optimizer '{name}'"):
        network(name, rehash="incremental")


def selected(net: Any, row: int, layer: int = 0) -> set[int]:
    x, y = examples()
    trace = _core.trace(net, twin.dense(x), twin.labels(y, N_OUTPUTS), row)[layer]
    return set(trace["ids"].tolist())


WAYS = [("scan", "signature"), ("tables", "signature"), ("tables", "collisions")]


@pytest.mark.parametrize(("lookup", "ranking"), WAYS)
def test_with_every_neuron_a_candidate_lsh_selects_the_exact_top(lookup: str, ranking: str) -> None:
    settings = {"candidates": 50.0, "bits": 4, "probes": 16}
    net = network(lookup=lookup, ranking=ranking, **settings)
    x = examples()[0].astype(float)
    t = net.tensors()
    for row in range(40):
        z = t["layers.0.weight"] @ x[row] + t["layers.0.bias"]
        assert selected(net, row) == {i for i in twin.top_k(z, 10) if z[i] > 0}
    for layer in net.recall(twin.dense(x), np.arange(40, dtype=np.uint32)):
        assert layer["recall"] == pytest.approx(1)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_every_neuron_is_found_after_many_concurrent_updates(name: str) -> None:
    settings = {"bits": 5, "tables": 3, "probes": 32, "candidates": 100.0}
    net = network(name, 400, 0.3, lookup="tables", rehash_every=50, **settings)
    for _ in range(5):
        train(net, 400, threads=4)
    for layer in net.tables()[:2]:
        held = (np.arange(len(layer["bucket_loads"])) * layer["bucket_loads"]).sum()
        assert held + layer["overflow"] == 400 * 3
    rows = np.arange(40, dtype=np.uint32)
    found = [layer["recall"] for layer in net.recall(twin.dense(examples()[0]), rows)]
    assert found == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("batch_size", [0, 16])
def test_tables_hold_every_neuron_once_a_table(batch_size: int, threads: int) -> None:
    net = network("sgd", lookup="tables", tables=7)
    for n in (0, 300):
        train(net, n, batch_size, threads)
        for layer in net.tables()[:2]:
            loads = layer["bucket_loads"]
            assert loads.sum() == 7 * 2**4
            held = int((np.arange(len(loads)) * loads).sum())
            assert held + layer["overflow"] == N_NEURONS * 7
            assert n or layer["overflow"] == 0


@pytest.mark.parametrize("bits", [1, 6, 9])
def test_every_bucket_can_be_reached(bits: int) -> None:
    hidden = twin.layer(
        60 << bits, selector="lsh", lsh=twin.lsh(bits=bits, tables=2, probes=1, lookup="tables")
    )
    net = _core.Network(80, [hidden, twin.layer(1)], "squared", twin.optimizer(), 0)
    x = np.random.default_rng(0).normal(size=(50, 80))
    net.build(twin.dense(x), np.arange(50, dtype=np.uint32))
    loads = net.tables()[0]["bucket_loads"]
    assert loads.sum() == 2 << bits
    assert loads[0] == 0  # 60 neurons a bucket on average: an empty one would be unreachable


BRUTE_FORCE = [(11, 13, 12), (13, 10, 16), (9, 15, 6), (7, 19, 2), (3, 22, 1), (1, 5, 1)]


@pytest.mark.parametrize("transform", TRANSFORMS[:3])
@pytest.mark.parametrize(("bits", "tables", "probes"), BRUTE_FORCE)
def test_tables_find_what_brute_force_finds(
    bits: int, tables: int, probes: int, transform: str
) -> None:
    # Keys that lie across the borders of 64-bit words among them; probes in their right order.
    settings = {"bits": bits, "tables": tables, "probes": probes, "transform": transform}
    hashing = twin.lsh(lookup="tables", candidates=1.0, **settings)
    specs = [twin.layer(600, "linear", "lsh", 1.0, lsh=hashing), twin.layer(N_OUTPUTS)]
    net = _core.Network(N_INPUTS, specs, "softmax", twin.optimizer(), 4)
    x = examples()[0]
    net.build(twin.dense(x), np.arange(100, dtype=np.uint32))
    f = _core.HashFamily(N_INPUTS, hashing, 4)  # the same seed as the network's first layer
    f.fit(twin.dense(x[:100]))
    t = net.tensors()
    w, b = (np.ascontiguousarray(t[f"layers.0.{name}"]) for name in ("weight", "bias"))
    neuron_keys = twin.keys(f.neuron_bits(w, b, float(t["layers.0.lsh.scale"][0])), bits)
    query = twin.projections(t, "layers.0")[1]
    found = 0
    for row in range(8):
        u = np.append(x[row], 1.0) - t["layers.0.lsh.mean"]
        value = (u @ query)[: bits * tables]
        key = twin.keys((value >= 0)[None].astype(int), bits)[0]
        expected = set()
        for table, distance in enumerate(np.abs(value).reshape(tables, bits)):
            for mask in twin.probe_order(distance)[:probes]:
                hit = neuron_keys[:, table] == key[table] ^ mask
                expected |= set(np.nonzero(hit)[0].tolist())
        assert selected(net, row) == expected
        found += len(expected)
    assert found > 0


def test_more_probes_find_more_in_euclidean_tables_too() -> None:
    settings = {"bits": 4, "tables": 3, "lookup": "tables", "transform": "l2-alsh"}
    found = [recall(probes=probes, candidates=10.0, **settings) for probes in (1, 4, 16)]
    assert (np.diff(found) > 0.05).all()
    assert found[-1] == pytest.approx(1)


def recall(**settings: Any) -> float:
    """Of the first layer, fraction 0.1 of 300 neurons."""
    net = network(n=300, fraction=0.1, **settings)
    return net.recall(twin.dense(examples()[0]), np.arange(60, dtype=np.uint32))[0]["recall"]


def test_more_bits_and_more_candidates_find_more() -> None:
    by_bits = [recall(bits=4, tables=n, candidates=2.0) for n in (8, 32, 128)]
    assert by_bits[0] + 0.05 < by_bits[1] < by_bits[2] - 0.05
    by_candidates = [recall(bits=4, tables=32, candidates=c) for c in (1.0, 2.0, 4.0)]
    assert by_candidates[0] + 0.05 < by_candidates[1] < by_candidates[2] - 0.05
    assert min(by_bits + by_candidates) > 0.2  # chance: a tenth


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_every_family_finds_far_more_than_chance(projection: str, transform: str) -> None:
    found = recall(bits=8, tables=32, candidates=2.0, projection=projection, transform=transform)
    assert found > 0.4  # chance with twice the candidates: a fifth


def test_more_probes_find_more() -> None:
    settings = {"bits": 6, "tables": 4, "lookup": "tables", "candidates": 10.0}
    found = [recall(probes=probes, **settings) for probes in (1, 4, 16, 64)]
    assert (np.diff(found) > 0.05).all()
    assert found[-1] == pytest.approx(1)  # all buckets, all neurons


def test_exact_prediction_does_not_hash() -> None:
    net = network(candidates=1.0)
    x = examples()[0]
    names = ["layers.0", "layers.1", "layers.2"]
    t = net.tensors()
    W = [(t[f"{n}.weight"].astype(float), t[f"{n}.bias"].astype(float)) for n in names]
    h = x.astype(float)
    for w, b in W[:2]:
        z = h @ w.T + b
        h = np.zeros_like(z)
        for i, row in enumerate(z):
            keep = twin.top_k(row, 10)
            h[i, keep] = row[keep].clip(0)
    expected = h @ W[2][0].T + W[2][1]
    np.testing.assert_allclose(net.scores(twin.dense(x), True), expected, rtol=1e-3, atol=1e-4)
    assert np.abs(net.scores(twin.dense(x), False) - expected).max() > 0.01


# ---- very many neurons ---------------------------------------------------------------------------

VERY_MANY, SAMPLE = 70_001, 1 << 14
KINDS = {
    "pooled": {"pooled": True, "projection": "subspace", "rank": 17},
    "alone": {},
    "simple": {"transform": "simple"},
    "long": {"tables": 40},  # above 128 bits
    "short": {"bits": 2, "tables": 4, "probes": 1},  # nearly all tie
    "dwta": {"family": "dwta", "code_bits": 2, "probes": 1},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_alone_finds_what_all_scores_tell(level: str, kind: str) -> None:
    assert _core.simd_level() == level
    spec = twin.lsh(lookup="scan", code="bits", **KINDS[kind])
    layer = twin.layer(VERY_MANY, "linear", "lsh", 1e-3, lsh=spec)
    net = _core.Network(16, [layer], "softmax", twin.optimizer(), 4)
    random = np.random.default_rng(0)
    x = random.normal(size=(20, 16)).astype(np.float32)
    weights = net.tensors()["layers.0.weight"]
    weights[...] = random.normal(size=weights.shape) * random.exponential(size=(VERY_MANY, 1))
    weights[:3000] = weights[5]  # twins, more than are wanted
    weights[40_000:40_300, :] = 3 * x[0]  # the best of one row lie together
    net.build(twin.dense(x), np.arange(20, dtype=np.uint32))
    costs: list[int] = []
    for row in range(6):
        one = twin.dense(x[row : row + 1])
        for wanted in (1, 70, 1000, 6000, VERY_MANY):
            (found, cost), (expected, _) = (
                _core.nearest(net, one, wanted, a) for a in (True, False)
            )
            assert len(found) == wanted
            np.testing.assert_array_equal(found, expected)
            # Lengths do not count, or no sample would tell and none is taken.
            if "transform" in KINDS[kind] or kind == "dwta" or wanted == VERY_MANY:
                assert cost == 0
            else:
                costs.append(cost)
    assert set(costs) <= {2 * SAMPLE, 2 * (SAMPLE + VERY_MANY)}
    assert costs.count(2 * SAMPLE) >= 0.9 * len(costs)  # samples mislead now and then


def test_a_query_alone_finds_a_neuron_that_is_not_finite() -> None:
    spec = twin.lsh(lookup="scan", code="bits", pooled=True, projection="subspace", rank=17)
    layer = twin.layer(VERY_MANY, "linear", "lsh", 1e-3, lsh=spec)
    net = _core.Network(16, [layer], "softmax", twin.optimizer(), 4)
    x = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    net.build(twin.dense(x), np.arange(20, dtype=np.uint32))
    net.tensors()["layers.0.lsh.tail"][[7, 60_000]] = np.nan
    net.sync_after_load()
    one = twin.dense(x[:1])
    found = [_core.nearest(net, one, 30, alone)[0] for alone in (True, False)]
    assert {7, 60_000} <= set(found[0].tolist())
    np.testing.assert_array_equal(*found)
