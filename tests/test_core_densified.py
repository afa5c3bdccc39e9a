"""Densified families: the core's codes are the twin's, and agree as often as the formulas say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from densified_reference import Densified, code_values
from hashgrad import _core

FAMILIES = ["dwta", "minhash"]
SEEDS = 400
N_OUTPUTS = 4


def spec(name: str, **settings: Any) -> Any:
    few = {"family": name, "code_bits": 2, "probes": 1, "bits": 8, "tables": 12}
    return twin.lsh(**{**few, **settings})


def family(name: str, n_inputs: int, seed: int = 0, **settings: Any) -> Any:
    return _core.HashFamily(n_inputs, spec(name, **settings), seed)


def rows(n: int, d: int, share: float = 0.2, seed: int = 3) -> np.ndarray:
    """Inputs of which so many entries are not zero; a few of them equal, some negative."""
    random = np.random.default_rng(seed)
    x = np.round(random.normal(0.5, 1, size=(n, d)), 1) * (random.random((n, d)) < share)
    return x.astype(np.float32)


# ---- the twin ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "tables", "code_bits"), [(8, 12, 2), (7, 9, 1), (12, 11, 4), (16, 9, 8)]
)
@pytest.mark.parametrize("d", [5, 70, 400])
@pytest.mark.parametrize("name", FAMILIES)
def test_codes_are_the_twins(name: str, d: int, bits: int, tables: int, code_bits: int) -> None:
    f = family(name, d, 9, bits=bits, tables=tables, code_bits=code_bits)
    slow = Densified(name, d, bits * tables // code_bits, code_bits, 9)
    x, w = rows(12, d), rows(12, d, 1.0, 4)
    x[0] = 0  # codes of nothing are zeros
    got = code_values(f.query_bits(twin.dense(x)), code_bits)
    np.testing.assert_array_equal(got, [slow.codes(row) for row in x])
    assert not got[0].any()
    size = min(d, 17)
    got = code_values(f.neuron_bits(w, np.zeros(12, np.float32), float(size)), code_bits)
    np.testing.assert_array_equal(got, [slow.neuron_codes(row, size) for row in w])
    assert len(np.unique(got)) > 1


@pytest.mark.parametrize("name", FAMILIES)
def test_a_sparse_input_hashes_like_the_same_input_dense(name: str) -> None:
    x, f = rows(30, 90), family(name, 90)
    np.testing.assert_array_equal(f.query_bits(twin.csr(x)), f.query_bits(twin.dense(x)))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_bias_is_not_hashed(name: str) -> None:
    w, f = rows(10, 50, 1.0), family(name, 50)
    without, much = np.zeros(10, np.float32), np.full(10, 100, np.float32)
    np.testing.assert_array_equal(f.neuron_bits(w, without, 9.0), f.neuron_bits(w, much, 9.0))


def test_a_neurons_set_is_as_large_as_inputs_sets_are_on_average() -> None:
    x = rows(300, 80, 0.3)
    assert family("minhash", 80).set_size(twin.csr(x)) == round((x != 0).sum(axis=1).mean())
    assert family("minhash", 80).set_size(twin.dense(0 * x)) == 1


# ---- how often codes agree -----------------------------------------------------------------------


def agreement(name: str, x: np.ndarray, code_bits: int) -> tuple[float, float]:
    """Of the codes of two rows, the share that agrees over all seeds, and its standard error."""
    shares = []
    for seed in range(SEEDS):
        bits = family(name, x.shape[1], seed, code_bits=code_bits).query_bits(twin.csr(x))
        first, second = code_values(bits, code_bits)
        shares.append((first == second).mean())
    return float(np.mean(shares)), float(np.std(shares) / np.sqrt(SEEDS))


@pytest.mark.parametrize("code_bits", [1, 2, 8])
@pytest.mark.parametrize(("shared", "alone"), [(2, 4), (15, 5), (60, 60), (90, 10), (0, 30)])
def test_min_hashes_agree_as_the_jaccard_similarity_says(
    shared: int, alone: int, code_bits: int
) -> None:
    # From six elements for up to 96 bins, nearly all of them empty, to a hundred; b bits of two
    # different hashes agree once in 2^b (Li and Koenig 2010).
    x = np.zeros((2, 300), np.float32)
    x[:, :shared] = 1
    x[0, shared : shared + alone] = 1
    x[1, shared + alone : shared + 2 * alone] = 1
    jaccard = shared / (shared + 2 * alone)
    got, error = agreement("minhash", x, code_bits)
    assert error < 0.015
    assert abs(got - (jaccard + (1 - jaccard) / 2**code_bits)) < 4 * error


@pytest.mark.parametrize("code_bits", [1, 2, 4])
@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.6, 0.95])
def test_winners_agree_as_those_of_random_bins(correlation: float, code_bits: int) -> None:
    random, d = np.random.default_rng(8), 4000
    z = random.normal(size=(2, d))
    x = np.stack([z[0], correlation * z[0] + np.sqrt(1 - correlation**2) * z[1]])
    x = x.astype(np.float32)
    got, error = agreement("dwta", x, code_bits)
    draws = random.integers(d, size=(200_000, 2**code_bits))
    equal = x[0][draws].argmax(axis=1) == x[1][draws].argmax(axis=1)
    allowed = 4 * np.hypot(error, equal.std() / np.sqrt(len(equal)))
    assert error < 0.006
    assert abs(got - equal.mean()) < allowed
    if code_bits == 1:  # which of two is larger is the sign of their difference: an angle
        sample = np.corrcoef(x)[0, 1]
        assert abs(got - (1 - np.arccos(sample) / np.pi)) < allowed + 0.01


def test_winners_know_nothing_but_the_order_of_entries() -> None:
    x = rows(20, 200)
    x = np.abs(x) + 0.1 * (x > 0)
    f = family("dwta", 200)
    np.testing.assert_array_equal(f.query_bits(twin.dense(x)), f.query_bits(twin.dense(x**3)))


def test_one_bin_of_all_inputs_agrees_where_the_largest_input_is_the_same() -> None:
    x = np.array([[1, 9, 3, 2], [5, 8, 2, 7], [9, 1, 3, 2]], np.float32)
    codes = code_values(family("dwta", 4).query_bits(twin.dense(x)), 2)
    assert (codes[0] == codes[1]).all()
    assert not (codes[0] == codes[2]).any()
    assert sorted(np.unique(codes)) == [0, 1, 2, 3]  # permutations differ


# ---- the index -----------------------------------------------------------------------------------


def network(name: str, n: int = 60, fraction: float = 0.2, opt: str = "sgd", **how: Any) -> Any:
    hidden = [twin.layer(n, "relu", "lsh", fraction, lsh=spec(name, **how)) for _ in range(2)]
    net = _core.Network(40, [*hidden, twin.layer(N_OUTPUTS)], "softmax", twin.optimizer(opt), 4)
    net.build(twin.dense(twin.clusters(31, 40, N_OUTPUTS, 200)[0]), np.arange(100, dtype=np.uint32))
    return net


def train(net: Any, n: int, batch_size: int = 0, threads: int = 1) -> None:
    x, y = twin.clusters(31, 40, N_OUTPUTS, 200)
    order = np.random.default_rng(1).integers(200, size=n)
    how = {"batch_size": batch_size, "threads": threads}
    twin.train(net, twin.csr(x), twin.labels(y, N_OUTPUTS), order, 0.02, **how)


def hashed_anew(net: Any, name: str, layer: int = 0) -> np.ndarray:
    """Codes of a layer's neurons, by the twin."""
    t = net.tensors()
    w = t[f"layers.{layer}.weight"]
    slow = Densified(name, w.shape[1], 48, 2, 4, layer)
    size = int(t[f"layers.{layer}.lsh.scale"][0])
    return np.array([slow.neuron_codes(row, size) for row in w])


def stored(net: Any, layer: int = 0) -> np.ndarray:
    words = net.tensors()[f"layers.{layer}.lsh.signature"]
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :96]
    return code_values(bits, 2)


@pytest.mark.parametrize("batch_size", [0, 8])
@pytest.mark.parametrize("name", FAMILIES)
def test_hashes_are_true_right_after_their_schedule(name: str, batch_size: int) -> None:
    net = network(name, rehash_every=160)
    assert net.tables()[0]["rehash"] == "rows"
    train(net, 160, batch_size)
    assert (stored(net) != hashed_anew(net, name)).any()
    x, _ = twin.clusters(31, 40, N_OUTPUTS, 200)
    nothing = twin.labels([[] for _ in range(200)], N_OUTPUTS)  # no gradient, only upkeep
    twin.train(net, twin.dense(x), nothing, [0], batch_size=batch_size)
    for layer in range(2):
        np.testing.assert_array_equal(stored(net, layer), hashed_anew(net, name, layer))


@pytest.mark.parametrize("ranking", ["signature", "collisions"])
@pytest.mark.parametrize("name", FAMILIES)
def test_tables_find_the_neurons_whose_keys_are_the_inputs(name: str, ranking: str) -> None:
    every = {"lookup": "tables", "ranking": ranking, "candidates": 60.0}
    hidden = twin.layer(60, "linear", "lsh", 1.0, lsh=spec(name, bits=4, tables=24, **every))
    net = _core.Network(40, [hidden, twin.layer(1)], "squared", twin.optimizer(), 4)
    x = twin.clusters(31, 40, N_OUTPUTS, 200)[0]
    net.build(twin.dense(x), np.arange(100, dtype=np.uint32))
    keys = hashed_anew(net, name).reshape(60, 24, 2)
    slow, found = Densified(name, 40, 48, 2, 4), 0
    for row in range(8):
        query = np.array(slow.codes(x[row])).reshape(24, 2)
        expected = set(np.nonzero((keys == query).all(axis=2).any(axis=1))[0].tolist())
        trace = _core.trace(net, twin.dense(x), twin.targets("squared", np.zeros((200, 1)), 1), row)
        assert set(trace[0]["ids"].tolist()) == expected
        found += len(expected)
    assert 0 < found < 8 * 60


@pytest.mark.parametrize("name", FAMILIES)
def test_a_scan_takes_the_neurons_with_which_most_codes_agree(name: str) -> None:
    net = network(name, fraction=0.2, candidates=1.0)
    codes, slow = hashed_anew(net, name), Densified(name, 40, 48, 2, 4)
    x, y = twin.clusters(31, 40, N_OUTPUTS, 200)
    for row in range(8):
        agreeing = (codes == slow.codes(x[row])).sum(axis=1)
        last = np.sort(agreeing)[-12]  # twelve are kept; equals at the border are picked at random
        found = _core.trace(net, twin.dense(x), twin.labels(y, N_OUTPUTS), row)[0]
        assert found["selected"] == 12
        assert (agreeing[found["ids"]] >= last).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_comparisons_are_no_multiplications(name: str) -> None:
    net = network(name, lookup="tables", rehash_every=50, rebuild_every=100)
    train(net, 200)
    first, second = net.ledger()["layers"][:2]
    for layer in (first, second):
        assert layer["query"] == layer["rehash"] == 0
        assert layer["forward"] > 0
    assert second["rebuild"] == 0
    assert first["rebuild"] > 0  # the sample's way through that layer to the next


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_bits_on_any_number_of_threads(name: str) -> None:
    one, two = (network(name, lookup="tables", rehash_every=40) for _ in range(2))
    train(one, 160, 8, threads=1)
    train(two, 160, 8, threads=2)
    for key, value in one.tensors().items():
        np.testing.assert_array_equal(value, two.tensors()[key])


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"code_bits": 3}, "code_bits must be 1, 2, 4 or 8, got 3"),
        ({"bits": 6, "code_bits": 4}, "bits must be a multiple of code_bits = 4 .*, got 6"),
        ({"transform": "simple"}, "transform must be 'none' where family is 'dwta', got 'simple'"),
        ({"probes": 2}, "probes must be 1 where family is 'dwta', got 2"),
        ({"rehash": "incremental"}, "rehash must be 'rows' where family is 'dwta'"),
        ({"code": "bytes", "projection": "subspace"}, "code 'bytes' must go with family 'simhash'"),
        ({"family": "simhash"}, "code_bits must be 0 where family is 'simhash', got 2"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        family("dwta", 10, **settings)
