"""The data sets of the benchmarks, as contenders take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrad import datasets

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]


def load(name: str) -> tuple[Rows, Labels, Rows, Labels]:
    """Training and test rows and labels of a named set, dense.

    >>> x, y, x_test, y_test = load("digits")
    >>> x.shape[1], y.dtype
    (64, dtype('int64'))
    """
    data = datasets.load(name)
    found: list[Any] = [data.x_train, data.y_train, data.x_test, data.y_test]
    return tuple(  # type: ignore[return-value]
        np.ascontiguousarray(part, dtype=np.float32 if number % 2 == 0 else np.int64)
        for number, part in enumerate(found)
    )
