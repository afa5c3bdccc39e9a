"""Hash families: how often a bit of a neuron and of a query agree, against the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

SEEDS = range(8)  # times 2048 bits a family: a rate is known to 0.004, a fifth of what is allowed
NEAR = 0.02
TRANSFORMS = ["simple", "sign-alsh", "l2-alsh"]


def family(n_inputs: int, seed: int = 0, **settings: Any) -> Any:
    return _core.HashFamily(n_inputs, twin.lsh(**{"bits": 8, "tables": 256, **settings}), seed)


def points(n: int, d: int, seed: int = 1) -> np.ndarray:
    """Non-negative inputs that all point one way, as images do."""
    random = np.random.default_rng(seed)
    return (0.5 + random.normal(size=(n, d))).clip(0).astype(np.float32)


def neurons(n: int, d: int, near: np.ndarray, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Weights at all angles to the inputs `near`, of lengths from 0.3 to 1.5, and biases."""
    random = np.random.default_rng(seed)
    along = random.uniform(-1.5, 1.5, size=(n, 1)) * near[random.integers(len(near), size=n)]
    w = along + random.normal(size=(n, d)) * 0.5
    w *= random.uniform(0.3, 1.5, size=(n, 1)) / np.linalg.norm(w, axis=1, keepdims=True)
    return w.astype(np.float32), (0.3 * random.normal(size=n)).astype(np.float32)


def rates(
    w: np.ndarray, b: np.ndarray, x: np.ndarray, sample: np.ndarray, scale: float, **settings: Any
) -> np.ndarray:
    """Share of bits that agree, neurons x inputs, over all seeds."""
    total = np.zeros((len(w), len(x)))
    for seed in SEEDS:
        f = family(w.shape[1], seed, **settings)
        f.fit(twin.dense(sample))
        ours, theirs = f.neuron_bits(w, b, scale).astype(float), f.query_bits(twin.dense(x))
        total += (ours @ theirs.T + (1 - ours) @ (1.0 - theirs.T)) / ours.shape[1]
    return total / len(SEEDS)


def mean_of(sample: np.ndarray, center: bool) -> np.ndarray:
    return sample.astype(float).mean(axis=0) * center


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("projection", "d"), [("gaussian", 30), ("sparse", 600)])
def test_sign_bits_agree_as_the_angle_says(projection: str, d: int, center: bool) -> None:
    x = points(60, d)
    if projection == "sparse":  # true only where no single coordinate, as the bias's, stands out
        x -= 0.7
    w, b = neurons(40, d, x - center * x.mean(axis=0))
    b *= 1 if projection == "gaussian" else 0.1
    got = rates(w, b, x[:12], x, 0.0, projection=projection, center=center)
    v, u = twin.centred(w, b, x[:12], mean_of(x, center))
    expected = twin.sign_collision(v, u)
    assert np.ptp(expected) > 0.35
    np.testing.assert_allclose(got, expected, atol=NEAR)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transformed_bits_agree_as_the_formula_says(transform: str, center: bool) -> None:
    x = points(60, 30)
    w, b = neurons(40, 30, x - center * x.mean(axis=0))
    v, u = twin.centred(w, b, x[:12], mean_of(x, center))
    scale = float(np.linalg.norm(v, axis=1).max())
    got = rates(w, b, x[:12], x, scale, transform=transform, center=center)
    image = twin.transformed(transform, v, u, scale)
    formula = twin.parity_collision if transform == "l2-alsh" else twin.sign_collision
    expected = formula(*image)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(got, expected, atol=NEAR)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform_orders_neurons_by_inner_product(transform: str) -> None:
    # Ten inner products, evenly spaced; with these lengths, angles alone would order otherwise.
    random = np.random.default_rng(4)
    x = random.normal(size=(1, 30)).astype(np.float32)
    direction = x[0] / np.linalg.norm(x)
    along = np.linspace(-0.45, 0.45, 10)
    across = random.normal(size=(10, 30))
    across -= np.outer(across @ direction, direction)
    lengths = np.array([0.9, 0.05, 0.7, 0.1, 0.8, 0.05, 0.6, 0.1, 0.2, 0.8])
    across *= (lengths / np.linalg.norm(across, axis=1))[:, None]
    w = (np.outer(along, direction) + across).astype(np.float32)
    settings = {"transform": transform, "center": False}
    got = rates(w, np.zeros(10, np.float32), x, x, 1.01, **settings)[:, 0]
    assert (np.diff(got) > 0).all()
    by_angle = rates(w, np.zeros(10, np.float32), x, x, 0.0, center=False)[:, 0]
    assert (np.diff(by_angle) < 0).any()


def low_rank(n: int, d: int, rank: int) -> np.ndarray:
    """Inputs that vary in `rank` directions only, about a mean."""
    random = np.random.default_rng(6)
    spread = random.normal(size=(n, rank)) @ random.normal(size=(rank, d))
    return (2 * random.random(d) + spread).astype(np.float32)


@pytest.mark.parametrize("transform", ["none", *TRANSFORMS[:2]])
def test_subspace_bits_agree_as_the_angle_inside_the_subspace_says(transform: str) -> None:
    # Five directions and the bias's own; what a neuron has outside of them no query can see.
    x = low_rank(60, 40, 5)
    w, b = neurons(40, 40, x - x.mean(axis=0))
    v, u = twin.centred(w, b, x[:12], mean_of(x, True))
    basis = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:5]
    inside = np.column_stack([v[:, :-1] @ basis.T, v[:, -1]])
    seen = np.column_stack([u[:, :-1] @ basis.T, u[:, -1]])
    scale = float(np.linalg.norm(inside, axis=1).max())
    settings = {"projection": "subspace", "rank": 6, "transform": transform}
    got = rates(w, b, x[:12], x, scale, **settings)
    expected = twin.sign_collision(*twin.transformed(transform, inside, seen, scale))
    assert np.ptp(expected) > 0.2
    np.testing.assert_allclose(got, expected, atol=NEAR)
    if transform == "none":  # the bits are nothing like those of the angle in the whole space
        assert np.abs(got - twin.sign_collision(v, u)).max() > 3 * NEAR


def test_euclidean_bits_agree_inside_the_subspace() -> None:
    x = low_rank(60, 40, 5)
    w, b = neurons(40, 40, x - x.mean(axis=0))
    v, u = twin.centred(w, b, x[:12], mean_of(x, True))
    basis = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:5]
    inside = np.column_stack([v[:, :-1] @ basis.T, v[:, -1]])
    seen = np.column_stack([u[:, :-1] @ basis.T, u[:, -1]])
    scale = float(np.linalg.norm(inside, axis=1).max())
    settings = {"projection": "subspace", "rank": 6, "transform": "l2-alsh"}
    got = rates(w, b, x[:12], x, scale, **settings)
    expected = twin.parity_collision(*twin.transformed("l2-alsh", inside, seen, scale))
    np.testing.assert_allclose(got, expected, atol=NEAR)


def test_the_subspace_is_the_principal_one() -> None:
    random = np.random.default_rng(8)
    d, rank = 50, 9
    x = (
        random.normal(size=(300, d))
        * 0.8 ** np.arange(d)
        @ np.linalg.qr(random.normal(size=(d, d)))[0]
    )
    x = (x + 3).astype(np.float32)
    hashed = twin.layer(10, selector="lsh", lsh=twin.lsh(projection="subspace", rank=rank))
    net = _core.Network(d, [hashed], "squared", twin.optimizer(), 0)
    net.build(twin.dense(x), np.arange(300, dtype=np.uint32))
    U = net.tensors()["layers.0.lsh.projection"].astype(float)[:, :rank]
    np.testing.assert_allclose(U.T @ U, np.eye(rank), atol=1e-5)
    assert U[-1, -1] == 1  # the bias's direction
    centred = x - x.mean(axis=0, dtype=float)
    caught = ((centred @ U[:-1, :-1]) ** 2).sum()
    best = (np.linalg.svd(centred)[1][: rank - 1] ** 2).sum()
    assert caught > 0.99 * best


def test_the_bias_is_part_of_the_neuron() -> None:
    x = points(5, 20)
    w = np.zeros((2, 20), np.float32)
    b = np.array([1.0, -1.0], np.float32)
    got = rates(w, b, x, x, 0.0, center=False)
    v, u = twin.centred(w, b, x, np.zeros(20))
    np.testing.assert_allclose(got, twin.sign_collision(v, u), atol=NEAR)
    np.testing.assert_allclose(got.sum(axis=0), 1, atol=1e-6)  # opposite neurons, opposite bits


def test_centring_spreads_out_inputs_that_point_one_way() -> None:
    x = points(40, 60) + 3

    def agreement(center: bool) -> float:
        f = family(60, center=center)
        f.fit(twin.dense(x))
        bits = f.query_bits(twin.dense(x)).astype(float)
        return float(np.abs(bits.mean(axis=0) - 0.5).mean())

    assert agreement(True) < 0.1
    assert agreement(False) > 0.35


EVERY_FAMILY = [
    {"projection": projection, "transform": transform}
    for projection in ("gaussian", "sparse", "subspace")
    for transform in ("none", *TRANSFORMS)
]


@pytest.mark.parametrize("settings", EVERY_FAMILY, ids=lambda s: "-".join(s.values()))
def test_a_sparse_input_hashes_like_the_same_input_dense(settings: dict[str, str]) -> None:
    x = points(50, 70)
    assert 0.2 < (x == 0).mean() < 0.5
    f = family(70, bits=7, tables=9, **settings)
    f.fit(twin.csr(x))
    np.testing.assert_array_equal(f.query_bits(twin.csr(x)), f.query_bits(twin.dense(x)))


@pytest.mark.parametrize("settings", EVERY_FAMILY, ids=lambda s: "-".join(s.values()))
def test_hashes_follow_from_the_seed_alone(settings: dict[str, str]) -> None:
    x = points(20, 70)
    w, b = neurons(20, 70, x)

    def bits(seed: int) -> list[np.ndarray]:
        f = family(70, seed, bits=7, tables=9, **settings)
        f.fit(twin.dense(x))
        return [f.neuron_bits(w, b, 2.0), f.query_bits(twin.dense(x))]

    for first, again, other in zip(bits(5), bits(5), bits(6), strict=True):
        np.testing.assert_array_equal(first, again)
        assert first.shape == (20, 63)
        assert 0.2 < (first != other).mean() < 0.8


def test_tables_hash_independently_of_each_other() -> None:
    f = family(30)
    x = np.random.default_rng(0).normal(size=(3000, 30)).astype(np.float32)
    f.fit(twin.dense(x))
    bits = f.query_bits(twin.dense(x))[:, :64] - 0.5
    correlation = 4 * bits.T @ bits / len(x) - np.eye(64)
    # Two bits are as alike as two directions of 31 dimensions: 0.12 at one standard deviation.
    assert np.abs(correlation).mean() < 0.15
    assert np.abs(correlation).max() < 0.6


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"bits": 0}, r"bits must be in \[1, "),
        ({"tables": 0}, r"tables must be in \[1, 256\], got 0"),
        ({"bits": 16, "tables": 256}, r"bits \* tables must be at most 2048, got 4096"),
        ({"probes": 17}, r"probes must be in .*16\], got 17"),
        ({"candidates": 0.5}, "candidates must be at least 1, got 0.5"),
        ({"lookup": "scan", "ranking": "collisions"}, "lookup must be 'tables'"),
        ({"rehash_every": 0}, "rehash_every must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        _core.HashFamily(10, twin.lsh(**settings), 0)


def test_unknown_words_are_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"projection must be one of subspace, .* got 'gausian'"):
        twin.lsh(projection="gausian")
    with pytest.raises(ValueError, match=r"transform must be one of none, simple, .* got 'l2'"):
        twin.lsh(transform="l2")
