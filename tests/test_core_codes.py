"""Neurons and inputs hashed to bytes: a scan ranks as the codes say, and the codes stay true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

N_INPUTS, N_OUTPUTS, N_ROWS = 40, 4, 200
OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "row_adagrad"]
NEURON, QUERY = 127.0, 63.0  # the largest codes, of either sign
ROOM = 1.25  # for neurons to outgrow what the largest was at the last rebuild


def examples() -> tuple[np.ndarray, Any]:
    """Non-negative inputs around four centres."""
    random = np.random.default_rng(51)
    centres = 2 * random.normal(size=(N_OUTPUTS, N_INPUTS))
    y = random.integers(N_OUTPUTS, size=N_ROWS)
    x = (centres[y] + random.normal(size=(N_ROWS, N_INPUTS))).clip(0)
    return x.astype(np.float32), twin.labels([[int(label)] for label in y], N_OUTPUTS)


def network(name: str = "sgd", n: int = 90, fraction: float = 0.2, **settings: Any) -> Any:
    """A hashed layer, whose neurons are not dropped where negative, below a dense one."""
    settings = {"code": "bytes", "projection": "subspace", "candidates": 1.0, **settings}
    hidden = twin.layer(n, "linear", "lsh", fraction, lsh=twin.lsh(**settings))
    opt = twin.optimizer(name, epsilon=1e-3)
    net = _core.Network(N_INPUTS, [hidden, twin.layer(N_OUTPUTS)], "softmax", opt, 6)
    net.build(twin.dense(examples()[0]), np.arange(100, dtype=np.uint32))
    return net


def train(net: Any, n: int = 300, batch_size: int = 0, threads: int = 1) -> None:
    x, y = examples()
    order = np.random.default_rng(1).integers(N_ROWS, size=n)
    twin.train(net, twin.csr(x), y, order, 0.02, batch_size=batch_size, threads=threads)


def selections(net: Any, n: int = 40) -> list[list[int]]:
    x, y = examples()
    traces = [_core.trace(net, twin.dense(x), y, row) for row in range(n)]
    return [trace[0]["ids"].tolist() for trace in traces]


def codes(net: Any) -> np.ndarray:
    """Every neuron's code, from its sketch."""
    t = net.tensors()
    scale = np.float32(NEURON) / (np.float32(ROOM) * t["layers.0.lsh.scale"][0])
    return np.rint(np.clip(t["layers.0.lsh.sketch"] * scale, -NEURON, NEURON)).astype(int)


def query(net: Any, x: np.ndarray) -> np.ndarray:
    """An input's code; not a number where rounding errors might decide it."""
    t = net.tensors()
    value = (np.append(x.astype(float), 1) - t["layers.0.lsh.mean"]) @ twin.projections(
        t, "layers.0"
    )[1]
    value *= QUERY / np.abs(value).max()
    code = np.rint(value)
    code[np.abs(value - code) > 0.5 - 1e-3] = np.nan
    return code


def check_ranking(net: Any, wanted: int) -> None:
    """With as many candidates as are kept, the neurons selected are those of the best scores."""
    x, code = examples()[0], codes(net)
    certain = 0
    for row, got in enumerate(selections(net)):
        asked = query(net, x[row])
        if np.isnan(asked).any():
            continue
        certain += 1
        score = code @ asked
        cut = np.sort(score)[-wanted]
        assert len(got) == wanted
        assert set(np.nonzero(score > cut)[0]) <= set(got) <= set(np.nonzero(score >= cut)[0])
    assert certain >= 30


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("rank", [2, 8, 16, 20, 60])
@pytest.mark.parametrize("n", [50, 90, 600])
def test_a_scan_ranks_neurons_by_the_product_of_codes(n: int, rank: int, center: bool) -> None:
    net = network(n=n, rank=rank, center=center)
    assert net.arrangement()[0]["code"] == net.tables()[0]["code"] == "bytes"
    check_ranking(net, int(0.2 * n + 0.5))


def test_every_instruction_set_selects_the_same_neurons(level: str) -> None:
    net = network(n=600)
    assert _core.simd_level() == level
    code = codes(net)
    check_ranking(net, 120)
    assert np.abs(code).max() == round(NEURON / ROOM)


@pytest.mark.parametrize(("batch_size", "threads"), [(0, 1), (8, 1), (8, 4)])
@pytest.mark.parametrize("name", ["sgd", "row_adagrad"])
def test_codes_follow_the_weights(name: str, batch_size: int, threads: int) -> None:
    net = network(name, rehash="incremental")
    before = codes(net)
    train(net, batch_size=batch_size, threads=threads)
    assert net.tables()[0]["rebuilds"] == 1  # nothing but increments since
    assert np.abs(codes(net) - before).max() > 10
    t = net.tensors()
    w, b = t["layers.0.weight"].astype(float), t["layers.0.bias"].astype(float)
    v, _ = twin.centred(w, b, w[:1], t["layers.0.lsh.mean"].astype(float)[:-1])
    sketch = v @ twin.projections(t, "layers.0")[0]
    near = 2e-4 * np.abs(sketch).max()
    np.testing.assert_allclose(t["layers.0.lsh.sketch"], sketch, atol=near)
    check_ranking(net, 18)


@pytest.mark.parametrize(("batch_size", "threads"), [(0, 1), (8, 1), (8, 4)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_codes_are_those_of_the_network_loaded_again(
    name: str, batch_size: int, threads: int
) -> None:
    saved = network(name, rebuild_every=120, rehash_every=30)
    train(saved, 310, batch_size, threads)
    assert saved.tables()[0]["rebuilds"] == 3
    loaded = network(name, rebuild_every=120, rehash_every=30)
    assert selections(loaded) != selections(saved)
    for key, value in loaded.tensors().items():
        value[...] = saved.tensors()[key]
    loaded.set_state(saved.state())
    loaded.sync_after_load()
    assert selections(loaded) == selections(saved)
    for batch in map(twin.dense, (examples()[0], -examples()[0])):
        np.testing.assert_array_equal(loaded.scores(batch, False), saved.scores(batch, False))


@pytest.mark.parametrize("name", ["momentum", "adagrad", "adam"])
def test_codes_by_rows_are_true_right_after_their_schedule(name: str) -> None:
    net = network(name, rehash_every=160)
    assert net.tables()[0]["rehash"] == "rows"
    before = codes(net)
    train(net, 160)
    np.testing.assert_array_equal(codes(net), before)
    nothing = twin.labels([[] for _ in range(N_ROWS)], N_OUTPUTS)  # no gradient, only upkeep
    twin.train(net, twin.dense(examples()[0]), nothing, [0])
    assert (codes(net) != before).any()
    check_ranking(net, 18)
    anew = network(name)
    for key, value in net.tensors().items():
        anew.tensors()[key][...] = value
    anew.sync_after_load()
    assert selections(anew) == selections(net)


def test_staleness_is_the_share_of_codes_that_a_rebuild_would_change() -> None:
    net = network("adam", n=60, rebuild_every=150)
    before = codes(net)
    train(net, 150)
    t = net.tensors()
    w, b = t["layers.0.weight"].astype(float), t["layers.0.bias"].astype(float)
    v, _ = twin.centred(w, b, w[:1], t["layers.0.lsh.mean"].astype(float)[:-1])
    scale = NEURON / (ROOM * t["layers.0.lsh.scale"][0])
    sketch = v @ twin.projections(t, "layers.0")[0] * scale
    fresh = np.rint(np.clip(sketch, -NEURON, NEURON))
    expected = (fresh != before).mean()  # every neuron of so small a layer is looked at
    nothing = twin.labels([[] for _ in range(N_ROWS)], N_OUTPUTS)
    twin.train(net, twin.dense(examples()[0]), nothing, [0])
    layer = net.tables()[0]
    assert layer["rebuilds"] == 2
    assert 0.05 < expected < 1
    assert layer["staleness"] == pytest.approx(expected, abs=0.005)


def recall(code: str, candidates: float, trained: bool, rank: int = 16) -> float:
    how = {"code": code, "candidates": candidates, "rank": rank, "bits": 8, "tables": 16}
    net = network(n=300, fraction=0.1, **how)
    if trained:
        train(net)
    return net.recall(twin.dense(examples()[0]), np.arange(60, dtype=np.uint32))[0]["recall"]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("candidates", [1.0, 1.5, 2.0])
def test_bytes_find_more_than_as_many_bits(candidates: float, trained: bool) -> None:
    by_bytes, by_bits = (recall(code, candidates, trained) for code in ("bytes", "bits"))
    assert 1 - by_bytes < 0.85 * (1 - by_bits)
    assert by_bytes > 0.7  # chance: a tenth for each candidate


def test_more_directions_and_more_candidates_find_more() -> None:
    ranks = [recall("bytes", 1.0, False, rank) for rank in (2, 8, 32)]
    assert ranks[0] + 0.05 < ranks[1] < ranks[2] - 0.02
    candidates = [recall("bytes", c, False) for c in (1.0, 1.2, 1.5, 2.0)]
    assert (np.diff(candidates) > 0).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"projection": "gaussian"},
        {"transform": "simple"},
        {"ranking": "collisions", "lookup": "auto"},
        {"lookup": "tables"},
    ],
)
def test_bytes_are_refused_where_a_scan_of_them_would_not_rank(settings: dict[str, str]) -> None:
    with pytest.raises(
        ValueError, match=r"code 'bytes' must go with family 'simhash', projection 'subspace'"
    ):
        network(**settings)


@pytest.mark.parametrize(
    ("settings", "code", "candidates"),
    [
        ({}, "bytes", 27),  # one and a half for each of the 18 kept
        ({"transform": "simple"}, "bits", 72),
        ({"lookup": "tables"}, "bits", None),
    ],
)
def test_codes_are_bytes_where_they_can_be(
    settings: dict[str, Any], code: str, candidates: int | None
) -> None:
    net = network(**{"code": "auto", "candidates": 0.0, **settings})
    assert net.arrangement()[0]["code"] == code
    train(net, 1)
    counted = net.ledger()["layers"][0]["candidates"]
    assert candidates in (None, counted)
