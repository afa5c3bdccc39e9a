"""Same seed, same bits; and what must hold whatever the seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "row_adagrad"]
STATES = ["adam/bfloat16", "adam/row"]
OPTIMIZERS += [*STATES, "adam//full"]
BYTES = {"code": "bytes", "projection": "subspace"}
WAYS: dict[str, dict[str, Any]] = {
    "scan": {"lookup": "scan"},
    "tables": {"lookup": "tables"},
    "bytes": BYTES,
}
N_INPUTS, N_OUTPUTS, N_ROWS = 40, 5, 120


def examples() -> tuple[np.ndarray, list[list[int]]]:
    return twin.clusters(21, N_INPUTS, N_OUTPUTS, N_ROWS)


def network(name: str = "sgd", selector: str = "lsh", seed: int = 4, **settings: Any) -> Any:
    """Two hashed layers that are rebuilt and re-hashed several times within a test's training."""
    short = {"rebuild_every": 100, "rehash_every": 30, "bits": 5, "tables": 13, "probes": 3}
    layout, n = settings.pop("layout", "neuron"), settings.pop("n", 60)
    hashing = twin.lsh(**{**short, **settings})
    hidden = [twin.layer(n, "relu", selector, 0.2, lsh=hashing, layout=layout) for _ in range(2)]
    top = twin.layer(N_OUTPUTS, layout=layout)
    net = _core.Network(N_INPUTS, [*hidden, top], "softmax", twin.optimizer(name), seed)
    net.build(twin.dense(examples()[0]), np.arange(40, dtype=np.uint32))
    return net


def trained(net: Any, threads: int = 1, batch_size: int = 0, chunk: int = 10**9) -> Any:
    x, y = examples()
    batch, wanted = twin.csr(x), twin.labels(y, N_OUTPUTS)
    order = np.random.default_rng(0).integers(N_ROWS, size=240).astype(np.uint32)
    for at in range(0, len(order), chunk):
        some, rate = order[at : at + chunk], twin.constant(0.01)
        net.train(batch, wanted, some, rate, batch_size, threads, None, None, order[:40])
    return net


def assert_same_weights(a: Any, b: Any) -> None:
    for name, value in a.tensors().items():
        assert np.array_equal(value, b.tensors()[name]), name
    assert a.state() == b.state()


def assert_same_bits(a: Any, b: Any) -> None:
    assert_same_weights(a, b)
    assert a.ledger() == b.ledger()


@pytest.mark.parametrize("lookup", ["scan", "tables"])
@pytest.mark.parametrize("projection", ["subspace", "gaussian", "sparse"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_batch_training_gives_the_same_bits_on_any_number_of_threads(
    name: str, projection: str, lookup: str
) -> None:
    settings = {"projection": projection, "lookup": lookup}
    one = trained(network(name, **settings), threads=1, batch_size=16)
    assert one.tables()[0]["rebuilds"] >= 3
    for threads in (2, 4):
        assert_same_bits(one, trained(network(name, **settings), threads, batch_size=16))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_batch_training_with_codes_of_bytes_gives_the_same_bits_on_any_number_of_threads(
    name: str,
) -> None:
    one = trained(network(name, **BYTES), threads=1, batch_size=16)
    assert one.tables()[0]["rebuilds"] >= 3
    for threads in (2, 4):
        assert_same_bits(one, trained(network(name, **BYTES), threads, batch_size=16))


@pytest.mark.parametrize("n", [60, 150])  # narrow, and in several parts
@pytest.mark.parametrize("selector", ["all", "adaptive", "winner_take_all"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_batch_training_of_weights_by_input_gives_the_same_bits_on_any_number_of_threads(
    name: str, selector: str, n: int
) -> None:
    how = {"layout": "input", "n": n}
    one = trained(network(name, selector, **how), threads=1, batch_size=16)
    for threads in (2, 4):
        assert_same_weights(one, trained(network(name, selector, **how), threads, batch_size=16))


@pytest.mark.parametrize(
    ("name", "n"), [("sgd", 60), ("adam", 60), ("adam", 150), ("adam/row", 150)]
)
def test_batch_training_of_weights_by_input_counts_the_same_on_any_number_of_threads(
    name: str, n: int
) -> None:
    how = {"layout": "input", "n": n, "selector": "winner_take_all"}
    one = trained(network(name, **how), threads=1, batch_size=16)
    for threads in (2, 4):
        other = trained(network(name, **how), threads, batch_size=16)
        assert other.ledger() == one.ledger()


@pytest.mark.parametrize("selector", ["all", "random", "adaptive", "winner_take_all"])
def test_batch_training_on_many_threads_is_the_same_for_every_selector(selector: str) -> None:
    one = trained(network("momentum", selector), threads=1, batch_size=16)
    assert_same_bits(one, trained(network("momentum", selector), threads=4, batch_size=16))


@pytest.mark.parametrize("batch_size", [0, 8])
@pytest.mark.parametrize("selector", ["all", "random", "adaptive", "winner_take_all", "lsh"])
def test_the_same_seed_gives_the_same_bits(selector: str, batch_size: int) -> None:
    first = trained(network("adam", selector, 9), batch_size=batch_size)
    assert_same_bits(first, trained(network("adam", selector, 9), batch_size=batch_size))
    other = trained(network("adam", selector, 10), batch_size=batch_size)
    name = "layers.0.weight"
    assert not np.array_equal(first.tensors()[name], other.tensors()[name])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch_size", [0, 8])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_in_chunks_equals_training_at_once(name: str, batch_size: int, way: str) -> None:
    whole = trained(network(name, **WAYS[way]), batch_size=batch_size)
    parts = trained(network(name, **WAYS[way]), batch_size=batch_size, chunk=24)
    assert_same_bits(whole, parts)


@pytest.mark.parametrize("way", [*WAYS, "by input"])
@pytest.mark.parametrize("name", ["sgd", "adam", *STATES])
def test_a_reloaded_network_goes_on_as_the_saved_one(name: str, way: str) -> None:
    settings = WAYS.get(way, {"selector": "winner_take_all", "layout": "input", "n": 150})
    saved = trained(network(name, **settings), batch_size=8)
    saved.end_epoch()
    loaded = network(name, **settings)
    for key, value in loaded.tensors().items():
        value[...] = saved.tensors()[key]
    loaded.set_state(saved.state())
    loaded.set_ledger(saved.ledger())
    loaded.sync_after_load()
    assert_same_bits(trained(saved), trained(loaded))


def test_a_reloaded_network_has_room_for_as_many_neurons_in_a_bucket_as_the_saved_one() -> None:
    # The saved network's buckets were once crowded, the loaded one's never; then both get crowded.
    def single() -> Any:
        hashing = twin.lsh(bits=1, tables=2, probes=2, lookup="tables", center=False)
        hidden = twin.layer(200, selector="lsh", fraction=1.0, lsh=hashing)
        net = _core.Network(8, [hidden, twin.layer(1)], "squared", twin.optimizer(), 0)
        net.tensors()["layers.1.weight"][...] = 1
        return net

    x = twin.dense(np.random.default_rng(0).normal(size=(4, 8)))
    saved, loaded = single(), single()
    saved.tensors()["layers.0.weight"][...] = 1
    saved.build(x, twin.rows(0, 1))
    loaded.build(x, twin.rows(0, 1))
    for net in (saved, loaded):
        t = net.tensors()
        for key in ("weight", "lsh.sketch", "lsh.norm2", "lsh.tail", "lsh.scale"):
            t["layers.0." + key][...] = loaded.tensors()["layers.0." + key]
        net.sync_after_load()
    values = twin.targets("squared", np.full((4, 1), 1e3), 1)
    for net in (saved, loaded):
        twin.train(net, x, values, [0], 0.1)  # every neuron moves far along the same input
    first, second = saved.tables()[0], loaded.tables()[0]
    assert first["overflow"] == second["overflow"]
    np.testing.assert_array_equal(first["bucket_loads"], second["bucket_loads"])


@pytest.mark.parametrize("batch_size", [0, 7, 16])
def test_training_can_stop_and_resume_after_any_chunk(batch_size: int) -> None:
    # Also between the step at which upkeep falls due and the next batch, which sees to it.
    saved, x, y = network("adam"), twin.csr(examples()[0]), twin.labels(examples()[1], N_OUTPUTS)
    for _ in range(20):
        twin.train(saved, x, y, range(16), 0.01, batch_size=batch_size)
        loaded = network("adam")
        for key, value in loaded.tensors().items():
            value[...] = saved.tensors()[key]
        loaded.set_state(saved.state())
        loaded.set_ledger(saved.ledger())
        loaded.sync_after_load()
        assert_same_bits(saved, loaded)


def test_two_hogwild_threads_learn_as_well_as_one() -> None:
    x, y = examples()
    hits = []
    for threads in (1, 2):
        net = network()
        for _ in range(4):
            trained(net, threads)
        best = net.scores(twin.dense(x), False).argmax(axis=1)
        hits.append((best == np.ravel(y)).mean())
    assert min(hits) > 0.9


@pytest.mark.parametrize("threads", [1, 3])
def test_predictions_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    net = trained(network())
    x = examples()[0]
    np.testing.assert_array_equal(
        net.scores(twin.dense(x), False, 1), net.scores(twin.csr(x), False, threads)
    )


def test_a_new_draw_is_made_at_every_step_and_layer() -> None:
    net = network(selector="random")
    x, y = examples()
    batch, wanted = twin.dense(x), twin.labels(y, N_OUTPUTS)
    # Linear layers keep what was drawn; here ReLU drops some, so compare pre-activation counts.
    seen = {
        tuple(sorted(_core.trace(net, batch, wanted, 0, step)[0]["ids"].tolist()))
        for step in range(20)
    }
    assert len(seen) == 20
    assert all(
        _core.trace(net, batch, wanted, 0, s)[i]["selected"] == 12 for s in range(5) for i in (0, 1)
    )
