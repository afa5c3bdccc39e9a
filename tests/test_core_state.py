"""Adam's moments in bfloat16 or bytes, rounded at random, and a second one of one number a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core
from test_core_optimizers import N_ROWS, Steps, examples, network

N, RATE, KEY = 96, 0.01, 0x9ABCDEF1
BIAS = N - 5  # columns beyond are padding
STATES = ["bfloat16", "row"]


def row(seed: int = 0) -> dict[str, np.ndarray]:
    """A row of weights with its state, and an input, some of which is zero."""
    random = np.random.default_rng(seed)
    x = random.normal(size=N) * (random.random(N) < 0.7)
    x[BIAS + 1 :] = 0
    state = {"w": random.normal(size=N), "m": random.normal(size=N), "v": random.random(N)}
    return {name: value.astype(np.float32) for name, value in {**state, "x": x}.items()}


def optimizer(state: str, l2: float = 0.0) -> Any:
    return twin.optimizer(f"adam/{state}", l2=l2, beta1=0.8, beta2=0.95, epsilon=1e-4)


def stored(x: np.ndarray) -> np.ndarray:
    """Bits of bfloat16, cut off."""
    return twin.to_bfloat16(x, np.zeros(x.shape, np.uint32))


def step(opt: Any, given: dict[str, np.ndarray], a: float = 1.5, sparse: bool = False) -> Any:
    """The core's weights and stored moments after one step."""
    m, v = stored(given["m"]), stored(given["v"])
    return _core.kernel_update(opt, given["w"], m, v, a, given["x"], sparse, RATE, BIAS, KEY)


def expected(opt: Any, given: dict[str, np.ndarray], a: float = 1.5, kind: Any = float) -> Any:
    """The same in NumPy, in numbers of this kind and in the core's order."""
    w = given["w"].astype(kind)
    m, v = (twin.from_bfloat16(stored(given[name])).astype(kind) for name in "mv")
    one, rate, scale = kind(1), kind(np.float32(RATE)), kind(a)
    beta1, beta2, epsilon, l2 = (
        kind(np.float32(getattr(opt, name))) for name in ("beta1", "beta2", "epsilon", "l2")
    )
    g = scale * given["x"].astype(kind)
    if l2:
        g = g + np.where(np.arange(N) == BIAS, kind(0), l2 * w)
    random = twin.random_bits(np.arange(N), KEY)
    m = beta1 * m + (one - beta1) * g
    if opt.state == "row":
        w_new, v_new = w - rate * m, stored(given["v"])
    else:
        v = beta2 * v + (one - beta2) * g * g
        w_new = w - rate * m / (np.sqrt(v) + epsilon)
        v_new = twin.to_bfloat16(v, random >> 16)
    moves = given["x"] != 0
    return (
        np.where(moves, w_new, w),
        np.where(moves, twin.to_bfloat16(m, random), stored(given["m"])),
        np.where(moves, v_new, stored(given["v"])),
    )


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("state", STATES)
def test_a_step_equals_the_twins(level: str, state: str, l2: float, sparse: bool) -> None:
    assert _core.simd_level() == level
    opt, apart = optimizer(state, l2), 0
    for seed in range(20):
        got = step(opt, row(seed), sparse=sparse)
        wanted = expected(opt, row(seed))
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-5, atol=1e-6)
        for ours, theirs in zip(got[1:], wanted[1:], strict=True):
            distance = np.abs(ours.astype(int) - theirs.astype(int))
            assert distance.max() <= 1  # the next number of bfloat16
            apart += np.count_nonzero(distance)
    assert apart <= 4  # of 3,840: an ulp of float32 is one of 65,536 random numbers


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("state", STATES)
def test_without_wide_instructions_a_step_has_the_twins_bits(
    state: str, l2: float, sparse: bool
) -> None:
    before = _core.simd_level()
    _core.set_simd_level("plain")
    try:
        for seed in range(20):
            got = step(optimizer(state, l2), row(seed), sparse=sparse)
            wanted = expected(optimizer(state, l2), row(seed), kind=np.float32)
            for ours, theirs in zip(got, wanted, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    finally:
        _core.set_simd_level(before)


def test_the_second_moments_small_steps_hold_on_average_where_the_nearest_would_stand_still() -> (
    None
):
    n, steps = 4096, 700
    opt = twin.optimizer("adam/bfloat16", beta2=0.999)
    w, m, one = np.zeros(n, np.float32), np.zeros(n, np.uint16), np.ones(n, np.float32)
    v = nearest = stored(one)
    x = np.full(n, 1e-6, np.float32)  # whose square adds nothing
    for t in range(steps):
        w, m, v = _core.kernel_update(opt, w, m, v, 1.0, x, False, 0.0, n, twin.mix(t) % 2**32)
        half = np.full(n, 0x8000, np.uint32)
        nearest = twin.to_bfloat16(np.float32(0.999) * twin.from_bfloat16(nearest), half)
    np.testing.assert_array_equal(nearest, stored(one))
    assert twin.from_bfloat16(v).mean() == pytest.approx(0.999**steps, rel=0.02)


def test_rounding_is_right_on_average_and_new_in_every_update_and_row() -> None:
    x = np.full(64, 1 + 3 / 1024, np.float32)  # 3/8 of the way between two numbers of bfloat16
    up = np.array(
        [
            [
                [twin.to_bfloat16(x, bits) != stored(x) for bits in (random, random >> 16)]
                for random in (
                    twin.random_bits(np.arange(64), twin.rounding_key(7, 1, update, i))
                    for i in range(50)
                )
            ]
            for update in range(20)
        ]
    )  # updates x rows x moments x columns
    shares = up.mean(axis=(0, 1))  # of each column, of 1000 draws
    assert np.abs(shares - 3 / 8).max() < 5 * (15 / 64 / 1000) ** 0.5
    off = up - 3 / 8
    pairs = {
        "updates": (off[1:], off[:-1]),
        "rows": (off[:, 1:], off[:, :-1]),
        "moments": (off[:, :, 0], off[:, :, 1]),
    }
    for name, (a, b) in pairs.items():  # of each column, of about 1000 pairs
        together = (a * b).mean(axis=tuple(range(a.ndim - 1)))
        assert np.abs(together).max() < 5 * 15 / 64 / 1000**0.5, name
    assert up.mean() == pytest.approx(3 / 8, abs=0.01)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_so(level: str, value: float) -> None:
    given = row()
    given["x"][:16] = value
    w, m, v = step(optimizer("bfloat16"), given)
    assert not np.isfinite(twin.from_bfloat16(m)[:16]).any()
    assert not np.isfinite(twin.from_bfloat16(v)[:16]).any()
    assert np.isnan(w[:16]).all()
    assert np.isfinite(w[16:]).all()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_a_rows_mean_square_is_over_the_gradients_there_are(
    level: str, l2: float, sparse: bool
) -> None:
    given, opt = row(), optimizer("row", l2)
    got = _core.kernel_mean_square(opt, given["w"], 1.5, given["x"], sparse, BIAS)
    g = 1.5 * given["x"].astype(float) + l2 * given["w"] * (np.arange(N) != BIAS)
    assert got == pytest.approx((g[given["x"] != 0] ** 2).mean(), rel=1e-5)
    nothing = np.zeros(N, np.float32)
    assert _core.kernel_mean_square(opt, given["w"], 1.5, nothing, sparse, BIAS) == 0


# ---- in bytes ------------------------------------------------------------------------------------


def moments(seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """m of a row, and a v of numbers of many sizes."""
    m, v = np.random.default_rng(seed).normal(size=(2, N))
    return np.float32(scale * m), np.float32(scale * np.exp(3 * v))


def there_and_back(m: Any, v: Any, key: int) -> Any:
    """The numbers that a row's bytes stand for."""
    return _core.kernel_widen_moments(*_core.kernel_narrow_moments(m, v, key))


def test_bytes_are_the_twins(level: str) -> None:
    assert _core.simd_level() == level
    for seed, scale in enumerate([1.0, 1e-20, 1e20, 3e-3]):
        (m, v), key = moments(seed, scale), twin.mix(seed) % 2**32
        m[::3] *= np.float32(1e-5)  # where numbers are evenly spaced
        m[5], v[6] = 0, 0
        random = twin.random_bits(np.arange(N), key)
        first, second = twin.signed_bytes(m, random), twin.byte_floats(v, random)
        got = _core.kernel_narrow_moments(m, v, key)
        for ours, theirs in zip(got, (first[0], second[0], first[2], second[2]), strict=True):
            np.testing.assert_array_equal(ours, np.squeeze(theirs))
        back = _core.kernel_widen_moments(*got)
        for ours, theirs in zip(back, (first[1], second[1]), strict=True):
            np.testing.assert_array_equal(ours, np.float32(theirs))
        assert (np.abs(back[0] - m) <= np.abs(m) / 8 + got[2] * 2.0**-17).all()
        assert (np.abs(back[1] - v) <= v / 8 + got[3] * 2.0**-31).all()


def test_bytes_that_no_step_has_moved_come_back(level: str) -> None:
    first = there_and_back(*moments(0), 1)
    for key in range(40):
        again = there_and_back(*first, key * KEY % 2**32)
        np.testing.assert_array_equal(again, first)
    larger = [np.append(x[1:], np.float32(2e3) * x.max()) for x in np.abs(first)]  # another unit
    for ours, theirs in zip(there_and_back(*larger, 3), larger, strict=True):
        large = theirs > 2.0**-13 * theirs.max()
        np.testing.assert_array_equal(ours[large][:-1], theirs[large][:-1])


def test_bytes_are_right_on_average(level: str) -> None:
    m, v = moments(3)
    m[::3] *= np.float32(1e-5)
    total = np.zeros((2, N))
    for t in range(2000):
        total += there_and_back(m, v, twin.mix(t) % 2**32)
    # of each number, the mean of 2000 roundings, whose deviation is half a gap at most
    step = np.maximum(np.abs(m) / 8, 2.0**-17 * 2 * np.abs(m).max())
    assert (np.abs(total[0] / 2000 - m) < 5 * step / 2 / 2000**0.5).all()
    assert (np.abs(total[1] / 2000 - v) < 5 * v / 8 / 2 / 2000**0.5).all()


def test_a_second_moment_is_never_rounded_to_nothing(level: str) -> None:
    v = np.full(N, 1e-25, np.float32)
    v[7], v[8] = 1.0, 0.0
    _, back = there_and_back(np.zeros(N, np.float32), v, KEY)
    assert np.delete(back, 8).min() == pytest.approx(2.0**-30, rel=0.2)  # the unit is 2
    assert (back[7], back[8]) == (1, 0)


@pytest.mark.parametrize("value", [0.0, 1e-31, np.inf])
def test_rows_without_a_unit(level: str, value: float) -> None:
    x = np.zeros(N, np.float32)
    x[5] = value
    for back in there_and_back(x, x, KEY):
        assert not back.any() if value < 1 else not np.isfinite(back[5])


def test_small_gradients_beside_large_ones_take_steps_of_the_rates_size() -> None:
    # Adam's step is the rate for whoever has the same gradient each time, however small it is.
    opt = twin.optimizer("adam/8-bit", beta1=0.9, beta2=0.999, epsilon=1e-8)
    net = _core.Network(6, [twin.layer(16, layout="neuron")], "squared", opt, 0)
    x = np.float32([[1, 0.1, 1e-2, 1e-3, 1e-4, 0]])
    y = _core.Targets.values(np.full((1, 16), 1e6, np.float32))
    before = twin.augmented(net)[0]
    for _ in range(100):
        twin.train(net, twin.dense(x), y, [0], rate=0.01, batch_size=1)
    moved = (twin.augmented(net)[0] - before) / (100 * 0.01)
    assert not moved[:, 5].any()
    means = np.delete(moved, 5, axis=1).mean(axis=0)
    np.testing.assert_allclose(means, 1, atol=0.1)
    assert np.delete(moved, 5, axis=1).std(axis=0).max() < 0.1


def test_the_second_moment_falls_on_average_in_bytes_too() -> None:
    steps, v = 700, np.ones(N, np.float32)
    m = np.zeros(N, np.float32)
    kept = []
    for seed in range(20):
        v = np.ones(N, np.float32)
        for t in range(steps):
            v = there_and_back(m, np.float32(0.999) * v, twin.mix(1000 * seed + t) % 2**32)[1]
        kept.append(v.mean())
    assert np.mean(kept) == pytest.approx(0.999**steps, rel=0.05)


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("batch_size", [0, 4])
@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("state", [*STATES, "8-bit"])
def test_training_equals_the_twins(state: str, layout: str, batch_size: int, l2: float) -> None:
    x, y = examples()
    opt = optimizer(state, l2)
    if state == "8-bit":  # not without locks
        batch_size = max(1, batch_size)
    for batch, selector, n in ((twin.dense(x), "winner_take_all", 20), (twin.csr(x), "all", 70)):
        net = network(selector, opt, layout=layout, n=n)
        steps, size = Steps(net, opt, batch, x, y), max(1, batch_size)
        for at in range(0, 12 * size, size):
            steps.step([row % N_ROWS for row in range(at, at + size)], 0.02, batch_size)
        for layer, rule in enumerate(steps.rules):
            tensors, here = net.tensors(), f"layers.{layer}.optimizer."
            twin.same_steps(twin.augmented(net)[layer], steps.W[layer], state)
            kept = {"moment1": rule.m, "moment2": rule.v}
            if state == "row":
                del kept["moment2"]
                got = tensors[here + "row_square"]
                np.testing.assert_allclose(got, rule.row.ravel(), rtol=2e-3)
            if state == "8-bit":
                units = tensors[here + "row_units"].T
                units = units[:, None, :] if layout == "input" else units[:, :, None]
                codes = tensors[here + "moment1"].astype(int), tensors[here + "moment2"].astype(int)
                size = np.abs(codes[0])
                m = np.where(size < 8, size * 2.0**-17, np.ldexp(8.0 + size % 8, size // 8 - 18))
                v = np.where(codes[1] > 0, np.ldexp(8.0 + codes[1] % 8, codes[1] // 8 - 34), 0)
                for got, unit, value in (
                    (np.sign(codes[0]) * m, units[0], rule.m),
                    (v, units[1], rule.v),
                ):
                    assert (np.abs(got * unit - value) > 1e-3 * np.abs(value)).mean() < 0.05
                continue
            for name, value in kept.items():
                same = tensors[here + name] == stored(value.astype(np.float32))
                assert same.mean() > 0.97


def test_a_state_is_refused_where_there_is_none_to_keep() -> None:
    with pytest.raises(ValueError, match=r"state must be 'float32' unless .* got 'row' with 'sgd'"):
        _core.Network(2, [twin.layer(2)], "softmax", twin.optimizer("sgd/row"), 0)
    words = "state must be one of float32, bfloat16, row, 8-bit, got 'int4'"
    with pytest.raises(ValueError, match=words):
        twin.optimizer("adam/int4")
