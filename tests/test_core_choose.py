"""The k largest of some numbers, whatever these are, and who goes of equals."""

from __future__ import annotations

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

SALTS = (0, 1, 2**40 + 7)
ODD = (0.0, 1e30, 3.4e38, np.inf, -np.inf, np.nan)


@pytest.mark.parametrize("salt", SALTS)
@pytest.mark.parametrize("odd", ODD)
def test_the_k_largest_of_numbers_with_many_equals(odd: float, salt: int) -> None:
    random = np.random.default_rng(7)
    for n, most in ((9, 3), (300, 5), (2000, 40)):
        z = random.integers(-most, most, n).astype(np.float32)
        z[random.random(n) < 0.3] = odd
        z[random.random(n) < 0.1] = -0.0
        for k in (1, 2, n // 3, n - 1):
            expected = twin.top_k(z, k, salt)
            np.testing.assert_array_equal(_core.choose_largest(z, k, salt), expected)


@pytest.mark.parametrize("value", [*ODD, -0.0, 0.1, -3.3, 1e-20, -3.4e38])
def test_no_place_is_favoured_among_equals(value: float) -> None:
    z = np.full(400, value, dtype=np.float32)
    np.testing.assert_array_equal(_core.choose_largest(z, 100, 0), np.arange(100))
    times = np.zeros(400, int)
    for salt in range(1, 201):
        chosen = _core.choose_largest(z, 100, salt)
        np.testing.assert_array_equal(chosen, twin.top_k(z, 100, salt))
        times[chosen] += 1
    assert times.min() > 20  # of 200, where 50 are expected, give or take 6
    assert times.max() < 80


def test_all_or_none_of_them() -> None:
    z = np.array([2, np.nan, 1], dtype=np.float32)
    assert _core.choose_largest(z, 0, 5).tolist() == []
    assert _core.choose_largest(z, 3, 5).tolist() == [0, 1, 2]
    assert _core.choose_largest(z, 9, 5).tolist() == [0, 1, 2]
    assert _core.choose_largest(z, 1, 5).tolist() == [1]
