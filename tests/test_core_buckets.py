"""Bounded buckets: which of the neurons that fall into one it keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

POLICIES = ["longest", "fifo", "reservoir"]
NOWHERE, HERE = (
    np.uint64(2**64 - 1),
    np.uint64(0),
)  # signatures: of all tables the last bucket, and the first


def tables(
    policy: str, n: int, bucket: int, n_tables: int = 1, bits: int = 1, seed: int = 0
) -> Any:
    how = {"pooled": True, "bucket": bucket, "policy": policy, "lookup": "tables", "probes": 1}
    return _core.Tables(n, twin.lsh(bits=bits, tables=n_tables, **how), seed)


def fill(made: Any, signatures: Any, words: int = 1, norm: Any = None, threads: int = 1) -> None:
    rows = np.repeat(np.asarray(signatures, np.uint64)[:, None], words, axis=1)
    norm = np.ones(len(rows), np.float32) if norm is None else np.asarray(norm, np.float32)
    made.rebuild(rows, norm, threads)


def test_fifo_keeps_the_last_ones_that_came() -> None:
    made = tables("fifo", 12, 4)
    fill(made, [HERE] * 10 + [NOWHERE] * 2)
    assert sorted(made.bucket(0, 0)) == [6, 7, 8, 9]
    assert sorted(made.bucket(0, 1)) == [10, 11]
    made.move(11, np.array([HERE]), 1.0)
    assert sorted(made.bucket(0, 0)) == [7, 8, 9, 11]  # the oldest gave way
    assert sorted(made.bucket(0, 1)) == [10]
    made.move(11, np.array([HERE]), 1.0)  # where it is already: it stays, and nobody else goes
    assert sorted(made.bucket(0, 0)) == [7, 8, 9, 11]
    made.move(8, np.array([NOWHERE]), 1.0)
    made.move(10, np.array([HERE]), 1.0)  # takes the place of 7, the oldest; that of 8 is free
    assert sorted(made.bucket(0, 0)) == [9, 10, 11]
    made.move(0, np.array([HERE]), 1.0)  # the next oldest was 8, which has left
    assert sorted(made.bucket(0, 0)) == [0, 9, 10, 11]
    assert made.overflow() == 7  # 1 to 7


def test_the_longest_are_kept_whenever_they_come() -> None:
    made = tables("longest", 8, 3)
    fill(made, [HERE] * 7 + [NOWHERE], norm=[5, 1, 4, 2, 3, 6, 0.5, 9])
    assert sorted(made.bucket(0, 0)) == [0, 2, 5]
    made.move(7, np.array([HERE]), 4.5)
    assert sorted(made.bucket(0, 0)) == [0, 5, 7]
    made.move(7, np.array([HERE]), 0.1)
    made.move(1, np.array([HERE]), 0.2)
    assert sorted(made.bucket(0, 0)) == [0, 1, 5]


def kept(seeds: range, n: int, later: int) -> tuple[np.ndarray, int]:
    """How often each of n neurons is in a reservoir of ten; the `later` ones come by moves."""
    times, n_tables = np.zeros(n, int), 64
    for seed in seeds:
        made = tables("reservoir", n, 10, n_tables, seed=seed)
        fill(made, [HERE] * (n - later) + [NOWHERE] * later)
        for i in range(n - later, n):
            made.move(i, np.array([HERE]), 1.0)
        for t in range(n_tables):
            held = made.bucket(t, 0)
            assert len(held) == 10
            times[held] += 1
    return times, n_tables * len(seeds)


@pytest.mark.parametrize("later", [0, 15])
def test_a_reservoir_keeps_each_that_came_with_the_same_chance(later: int) -> None:
    n = 40
    times, draws = kept(range(60), n, later)
    assert times.sum() == 10 * draws
    # Of ten places among forty: a variance of 1/4 * 3/4 * draws each, which the rule of ten in all
    # lets sum up to n - 1 degrees of freedom.
    p = 10 / n
    chi2 = ((times - p * draws) ** 2).sum() / (p * (1 - p) * draws) * (n - 1) / n
    assert abs(chi2 - (n - 1)) < 4 * np.sqrt(2 * (n - 1))


def test_reservoirs_draw_anew_for_every_table_and_seed() -> None:
    made, other = (tables("reservoir", 40, 10, 64, seed=seed) for seed in (0, 1))
    for one in (made, other):
        fill(one, [HERE] * 40)
    held = {tuple(sorted(one.bucket(t, 0))) for one in (made, other) for t in range(64)}
    assert len(held) == 128


@pytest.mark.parametrize("policy", POLICIES)
def test_tables_are_the_same_for_any_number_of_threads(policy: str) -> None:
    random = np.random.default_rng(0)
    signatures, norm = random.integers(0, 2**64, 500, np.uint64), random.random(500)
    one, two = (tables(policy, 500, 6, 16, 4) for _ in range(2))
    fill(one, signatures, norm=norm)
    fill(two, signatures, norm=norm, threads=2)
    assert one.overflow() > 500
    for t in range(16):
        for key in range(16):
            np.testing.assert_array_equal(one.bucket(t, key), two.bucket(t, key))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_neuron_is_in_one_bucket_of_a_table_or_in_none(policy: str) -> None:
    random = np.random.default_rng(1)
    made = tables(policy, 200, 5, 8, 4)
    signatures = random.integers(0, 2**64, 200, np.uint64)
    fill(made, signatures)
    for i in random.integers(200, size=1000):
        signatures[i] = random.integers(0, 2**64, dtype=np.uint64)
        made.move(int(i), signatures[i : i + 1], float(random.random()))
    places = 0
    for t in range(8):
        held = np.concatenate([made.bucket(t, key) for key in range(16)])
        assert len(set(held)) == len(held)
        for key in range(16):
            assert (
                signatures[made.bucket(t, key)] >> np.uint64(4 * t) & np.uint64(15) == key
            ).all()
        places += len(held)
    assert places + made.overflow() == 200 * 8


def test_unbounded_buckets_have_no_policy() -> None:
    with pytest.raises(
        ValueError, match="policy must be 'longest' unless pooled is set, got 'fifo'"
    ):
        _core.HashFamily(10, twin.lsh(policy="fifo"), 0)
