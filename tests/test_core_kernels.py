"""Kernels that choose, that work on codes and on input-major weights, on every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

SIZES = [1, 15, 16, 17, 31, 33, 100, 784]
SHARES = [0.0, 0.05, 0.5, 1.0]
MIDDLE = 128  # the code of a neuron's zero


def sparse(n: int, share: float, seed: int = 0) -> np.ndarray:
    """Numbers, with this share of non-zeros; zeros of both signs."""
    random = np.random.default_rng([n, seed])
    return (random.normal(size=n) * (random.random(n) < share)).astype(np.float32)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal, zeros' signs and NaN included."""
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


# ---- choosing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("n", SIZES)
def test_nonzeros_are_found_in_order(level: str, n: int, share: float) -> None:
    assert _core.simd_level() == level
    x = sparse(n, share)
    index, value, block, copy = _core.kernel_nonzeros(x)
    expected = np.nonzero(x)[0]
    np.testing.assert_array_equal(index, expected)
    assert same_bits(value, x[expected])
    np.testing.assert_array_equal(block, np.unique(expected // 16))
    assert same_bits(copy, x)


@pytest.mark.parametrize("n", [6, 40])
def test_nan_and_the_smallest_numbers_are_no_zeros_and_minus_zero_is_one(
    level: str, n: int
) -> None:
    assert _core.simd_level() == level
    x = np.zeros(n, np.float32)
    x[:6] = [np.nan, -0.0, 1e-45, -1e-45, np.inf, 0.0]
    x[n - 1] = -0.0
    index, value, block, copy = _core.kernel_nonzeros(x)
    assert index.tolist() == [0, 2, 3, 4]
    assert same_bits(value, x[[0, 2, 3, 4]])
    assert block.tolist() == [0]
    assert same_bits(copy, x)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("n", SIZES)
def test_positives_stay_with_their_numbers(level: str, n: int, share: float) -> None:
    assert _core.simd_level() == level
    z = np.where(sparse(n, share) != 0, 1, -1).astype(np.float32) * np.arange(1, n + 1)
    z = z.astype(np.float32)
    ids = (3 * np.arange(n) + 5).astype(np.uint32)
    kept, value = _core.kernel_positives(ids, z)
    np.testing.assert_array_equal(kept, ids[z > 0])
    assert same_bits(value, z[z > 0])


@pytest.mark.parametrize("n", SIZES)
def test_nan_counts_as_positive_and_zeros_do_not(level: str, n: int) -> None:
    assert _core.simd_level() == level
    z = np.resize(np.array([np.nan, 0.0, -0.0, 1e-45, -1e-45, np.inf, -np.inf], np.float32), n)
    kept, value = _core.kernel_positives(np.arange(n, dtype=np.uint32), z)
    expected = np.nonzero(~(z <= 0))[0]
    np.testing.assert_array_equal(kept, expected)
    assert same_bits(value, z[expected])


def check_largest(z: np.ndarray, k: int) -> None:
    """The k-th largest of these, all finite, against a sort."""
    known, value, above, equal, position = _core.kernel_largest(z, k)
    expected = np.sort(z)[-k]
    assert known or np.abs(z).max() > 1e18  # whose square is not finite
    if not known:
        return
    assert value == expected
    assert (above, equal) == ((z > expected).sum(), (z == expected).sum())
    np.testing.assert_array_equal(position, np.nonzero(z >= expected)[0])


NUMBERS = {
    "normal": lambda random, n: random.normal(size=n),
    "positive": lambda random, n: random.exponential(size=n),
    "far from zero": lambda random, n: 1e4 + random.normal(size=n),
    "heavy tails": lambda random, n: random.standard_cauchy(size=n),
    "two heaps": lambda random, n: random.normal(size=n) + 100 * random.integers(2, size=n),
    "ties": lambda random, n: random.integers(-3, 4, size=n),
    "nearly all zero": lambda random, n: random.normal(size=n) * (random.random(n) < 0.02),
    "large": lambda random, n: 1e16 * random.normal(size=n),
    "tiny": lambda random, n: 1e-38 * random.normal(size=n),
    "huge": lambda random, n: 1e30 * random.normal(size=n),
    "every size": lambda random, n: np.exp(random.uniform(-60, 60, size=n)),
    "codes' products": lambda random, n: random.integers(-(10**5), 10**5, size=n),
    "ascending": lambda random, n: np.arange(n),
    "descending": lambda random, n: -np.arange(n),
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("n", [2, 15, 16, 17, 31, 33, 47, 49, 65, 100, 511, 784, 2000])
def test_the_k_largest_are_found_whatever_the_numbers(level: str, n: int, kind: str) -> None:
    assert _core.simd_level() == level
    z = NUMBERS[kind](np.random.default_rng(n), n).astype(np.float32)
    for k in sorted({1, 2, n // 20, n // 5, n // 2, n - 2, n - 1} & set(range(1, n))):
        check_largest(z, k)


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("n", [65_535, 65_536, 65_551, 200_000])
def test_the_k_largest_are_found_among_very_many(level: str, n: int, kind: str) -> None:
    assert _core.simd_level() == level
    z = NUMBERS[kind](np.random.default_rng(n), n).astype(np.float32)
    for k in (1, 7, 400, n // 100, n // 10, n - 1):
        check_largest(z, k)
    sampled = np.unique(np.arange(1024) * (n - 16) // 1023)[:, None] + np.arange(16)
    for value in (z.min(), z.max()):  # whom the sample misleads
        misled = z.copy()
        misled[sampled] = value
        check_largest(misled, 1000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_of_very_many_that_is_not_finite_is_noticed(level: str, bad: float) -> None:
    assert _core.simd_level() == level
    z = np.random.default_rng(0).normal(size=70_001).astype(np.float32)
    for at in (0, 17, 40_000, 70_000):
        spoilt = z.copy()
        spoilt[at] = bad
        assert not _core.kernel_largest(spoilt, 300)[0]


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1e-40, -1e30])
@pytest.mark.parametrize("n", [2, 16, 17, 49, 100, 784])
def test_all_equal_are_all_found(level: str, n: int, value: float) -> None:
    assert _core.simd_level() == level
    for k in {1, (n + 1) // 2, n - 1}:
        check_largest(np.full(n, value, np.float32), k)


@pytest.mark.parametrize("n", [17, 100, 784])
def test_one_that_stands_out_is_found_among_equals(level: str, n: int) -> None:
    assert _core.simd_level() == level
    for at in (0, n // 2, n - 1):
        for value in (-1e20, -1.0, 1e-6, 1e20):
            z = np.full(n, np.float32(1e-7))
            z[at] = value
            for k in (1, 2, n - 1):
                check_largest(z, k)


def test_zeros_of_both_signs_are_equal(level: str) -> None:
    assert _core.simd_level() == level
    z = np.resize(np.array([0.0, -0.0, -1.0], np.float32), 100)
    for k in (1, 34, 66, 67, 99):
        check_largest(z, k)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [2, 17, 100, 512])
def test_where_a_number_is_not_finite_the_largest_are_not_known(
    level: str, n: int, bad: float
) -> None:
    assert _core.simd_level() == level
    for at in {0, 1, n // 2, n - 1}:
        z = np.random.default_rng(n).normal(size=n).astype(np.float32)
        z[at] = bad
        assert not _core.kernel_largest(z, max(1, n // 5))[0]


def test_a_nan_is_noticed_wherever_it_stands(level: str) -> None:
    assert _core.simd_level() == level
    z = np.random.default_rng(0).normal(size=1001).astype(np.float32)
    for at in range(0, 1001, 7):
        spoilt = z.copy()
        spoilt[at] = np.nan
        assert not _core.kernel_largest(spoilt, 50)[0]


def reach_of(norm: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """Pairs of numbers as the upper halves of floats, the first one lower; both are cut."""
    return (norm.view(np.uint32) >> 16) | (tail.view(np.uint32) & 0xFFFF0000)


def cut(x: np.ndarray) -> np.ndarray:
    """The upper halves of floats."""
    return (x.view(np.uint32) & 0xFFFF0000).view(np.float32)


@pytest.mark.parametrize("words", [1, 2, 3, 5, 8, 32])
@pytest.mark.parametrize("n", [1, 15, 16, 64, 100, 301])
def test_signs_are_matched_with_a_querys_numbers(level: str, n: int, words: int) -> None:
    assert _core.simd_level() == level
    random = np.random.default_rng([n, words])
    bits = random.integers(0, 2, size=(n, 64 * words))
    x = random.normal(size=64 * words).astype(np.float32)
    bits[0] = x >= 0  # the largest sum
    bits[n // 2] = x < 0  # none
    signatures = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    norm, tail = random.normal(size=(2, n)).astype(np.float32)
    product, entry, unit, least = twin.signed_products(bits, x)
    # An entry is off by half a unit at most, and there are sixteen a word.
    assert np.abs(product - (2 * bits - 1) @ x).max() <= 0.5 * float(unit) * 16 * words
    everyone, some = None, random.permutation(n).astype(np.uint32)[: max(1, n - 3)]
    for rows in (everyone, some):
        place = np.arange(n) if rows is None else rows
        for b in (tail, np.zeros_like(tail)):
            reach = reach_of(norm, b)
            got, *tables = _core.kernel_match_signs(signatures, x, reach, rows)
            np.testing.assert_array_equal(tables[0], entry)
            np.testing.assert_allclose(tables[1:], [unit, least], rtol=1e-6)
            expected = cut(norm).astype(float)[place] * product[place] + cut(b)[place]
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4 * words)
            if rows is None:  # whoever has a part of them finds the same bits
                for first in (n // 3, n // 2):
                    rest = _core.kernel_match_signs(signatures[first:], x, reach[first:], None)[0]
                    np.testing.assert_array_equal(rest, got[first:])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, 1e-38, 0])
def test_signs_of_odd_queries(level: str, value: float) -> None:
    assert _core.simd_level() == level
    x = np.full(64, value, np.float32) if abs(value) < 1 else np.ones(64, np.float32)
    x[5] = value
    signatures = np.arange(40, dtype=np.uint64)[:, None]
    norm, tail = np.ones((2, 40), np.float32)
    got, entry, _, _ = _core.kernel_match_signs(signatures, x, reach_of(norm, tail), None)
    assert not entry.any()
    if abs(value) < 1:  # no signs are better than others
        np.testing.assert_array_equal(got, 1)
    else:
        assert np.isnan(got).all()


# ---- codes of hashes -----------------------------------------------------------------------------


def codes(n: int, width: int, seed: int = 0) -> np.ndarray:
    """Neurons' codes, the least and the greatest among them."""
    code = np.random.default_rng([n, width, seed]).integers(1, 256, size=(n, width))
    code[0], code[-1] = 1, 255
    return code.astype(np.uint8)


def queries(n: int, width: int) -> np.ndarray:
    """Inputs' codes, the least and the greatest among them."""
    code = np.random.default_rng([n, width]).integers(-63, 64, size=(n, width))
    code[0] = 63
    code[-1, ::2] = -63
    return code.astype(np.int8)


@pytest.mark.parametrize("n_queries", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("width", [16, 32, 48, 128])
def test_a_scan_is_the_product_of_codes(level: str, width: int, n_queries: int) -> None:
    assert _core.simd_level() == level
    code, query = codes(112, width), queries(n_queries, width)
    products = query.astype(int) @ code.astype(int).T
    np.testing.assert_array_equal(_core.kernel_scan(code, query, 0, 112), products)


def test_a_scan_of_some_neurons_leaves_the_others_scores_alone(level: str) -> None:
    assert _core.simd_level() == level
    code, query = codes(112, 32), queries(6, 32)
    products = (query.astype(int) @ code.astype(int).T).astype(float)
    for begin, end in ((0, 16), (48, 112), (32, 80), (64, 64)):
        expected = np.full_like(products, np.nan)
        expected[:, begin:end] = products[:, begin:end]
        np.testing.assert_array_equal(_core.kernel_scan(code, query, begin, end), expected)


@pytest.mark.parametrize(("most", "middle"), [(127.0, MIDDLE), (63.0, 0)])
@pytest.mark.parametrize("width", [16, 32, 80])
def test_codes_are_the_nearest_integers(level: str, width: int, most: float, middle: int) -> None:
    assert _core.simd_level() == level
    x = np.random.default_rng(width).normal(scale=50, size=width).astype(np.float32)
    x[:12] = [
        0.0,
        -0.0,
        0.5,
        1.5,
        -0.5,
        -2.5,
        1e30,
        -1e30,
        most + 0.5,
        -most - 0.5,
        np.inf,
        -np.inf,
    ]
    for scale in (1.0, 0.37, 3.0):
        nearest = np.rint(np.clip(x * np.float32(scale), -most, most)).astype(int)
        expected = ((nearest + middle) % 256).astype(np.uint8)
        for step in (16, 40):
            got = _core.kernel_quantize(x, scale, most, middle, step)
            np.testing.assert_array_equal(got[:, :16].ravel(), expected)
            assert not got[:, 16:].any()


# ---- compact weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("n", SIZES)
def test_products_of_compact_rows(level: str, n: int, share: float) -> None:
    assert _core.simd_level() == level
    random = np.random.default_rng(n)
    w = codes(11, n)
    x = (random.integers(-63, 64, size=n) * (random.random(n) < share)).astype(np.int8)
    units, bias = random.normal(size=(2, 11)).astype(np.float32)
    unit = np.float32(0.013)
    products = (w.astype(int) - MIDDLE) @ x.astype(int)
    expected = products * (float(unit) * units.astype(float)) + bias
    size = np.abs(expected - bias) + np.abs(bias)
    for rows in (None, [], [10], [3, 0, 3, 7], [0, 1, 2, 3, 4, 5, 6]):
        chosen = slice(None) if rows is None else rows
        wanted = None if rows is None else twin.rows(*rows)
        got = _core.kernel_dot_codes(w, wanted, x, unit, units, bias)
        twin.close(got, expected[chosen], size[chosen])


@pytest.mark.parametrize("entries", [0, 1, 2, 3, 4, 5, 50])
@pytest.mark.parametrize("neurons", [1, 63, 64, 65, 200, 257, 784])
def test_sums_of_compact_columns(level: str, neurons: int, entries: int) -> None:
    assert _core.simd_level() == level
    random = np.random.default_rng(neurons)
    w = codes(60, neurons)
    index = np.sort(random.choice(60, entries, replace=False)).astype(np.uint32)
    value = random.integers(-63, 64, size=entries).astype(np.int8)
    bias = random.normal(size=neurons).astype(np.float32)
    unit = np.float32(0.013)
    products = value.astype(int) @ (w[index].astype(int) - MIDDLE)
    expected = products * float(unit) + bias
    got = _core.kernel_add_codes(w, index, value, unit, bias)
    twin.close(got, expected, np.abs(expected - bias) + np.abs(bias))


# ---- input-major weights -------------------------------------------------------------------------


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("neurons", [*SIZES, 208])
def test_sums_of_columns(level: str, neurons: int, share: float) -> None:
    assert _core.simd_level() == level
    x = sparse(70, share)[None]
    w = np.random.default_rng(neurons).normal(size=(71, neurons)).astype(np.float32)
    terms = w.astype(float) * np.append(x[0], 1)[:, None]
    for batch in (twin.dense(x), twin.csr(x)):
        got = _core.kernel_add_columns(w, batch)
        twin.close(got, terms.sum(axis=0), np.abs(terms).sum(axis=0))


def check_learning(
    n_rows: int, neurons: int, cut: list[int], index: np.ndarray | None, seed: int
) -> None:
    """Sums alone, steps alone, and both: the sums are of the rows before the step."""
    random = np.random.default_rng(seed)
    w = random.normal(size=(n_rows, neurons)).astype(np.float32)
    step = random.normal(size=n_rows).astype(np.float32)
    value = random.normal(size=neurons if index is None else len(index)).astype(np.float32)
    at = np.arange(neurons) if index is None else index
    terms = w[:, at].astype(float) * value
    after = w.astype(float)
    after[:, at] -= step[:, None].astype(float) * value
    covered = at[cut[0] : cut[-1]]
    left = np.setdiff1d(np.arange(neurons), covered)
    size = np.abs(w.astype(float))
    size[:, at] += np.abs(step[:, None] * value)
    for steps, sums in ((None, True), (step, False), (step, True)):
        arguments: Any = (w, steps, np.array(cut, np.uint32), index, value, sums)
        rows, towards = _core.kernel_learn_columns(*arguments)
        if steps is None:
            assert same_bits(rows, w)
        else:
            twin.close(rows[:, covered], after[:, covered], size[:, covered])
            assert same_bits(rows[:, left], w[:, left])
        for p in range(len(cut) - 1):
            part = terms[:, cut[p] : cut[p + 1]] * sums
            twin.close(towards[p], part.sum(axis=1), np.abs(part).sum(axis=1))


@pytest.mark.parametrize("neurons", SIZES)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 4])
def test_rows_of_inputs_learn_from_every_neuron(level: str, n_rows: int, neurons: int) -> None:
    assert _core.simd_level() == level
    end = -(-neurons // 16) * 16
    middle = end // 32 * 16
    for cut in ([0, end], [0, middle, end], [0, 0, end], [0, middle]):
        check_learning(n_rows, neurons, cut, None, neurons)


@pytest.mark.parametrize("neurons", SIZES)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 4])
def test_rows_of_inputs_learn_from_chosen_neurons(level: str, n_rows: int, neurons: int) -> None:
    assert _core.simd_level() == level
    for n_chosen in {0, 1, neurons // 3, neurons}:
        chosen = np.random.default_rng(neurons).choice(neurons, n_chosen, replace=False)
        index = np.sort(chosen).astype(np.uint32)
        for cut in (
            [0, n_chosen],
            [0, n_chosen // 3, n_chosen // 2, n_chosen],
            [n_chosen // 2] * 2,
        ):
            check_learning(n_rows, neurons, cut, index, neurons)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda f: _core.kernel_largest(f(4), 4), r"k must be in \[1, n - 1\], got 4"),
        (lambda f: _core.kernel_largest(f(4), 0), r"k must be in \[1, n - 1\], got 0"),
        (lambda f: _core.kernel_quantize(f(15), 1.0, 1.0, 0, 16), "x must hold whole blocks of 16"),
        (
            lambda f: _core.kernel_learn_columns(f(5, 9), None, twin.rows(0, 16), None, f(9), True),
            "w must have 1 to 4 rows",
        ),
        (
            lambda f: _core.kernel_learn_columns(f(1, 9), None, twin.rows(0, 9), None, f(9), True),
            "cut must lie within the neurons and, without an index, at whole blocks",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        call(lambda *shape: np.ones(shape, np.float32))
