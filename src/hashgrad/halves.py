"""bfloat16 in NumPy, which has no such type: the upper halves of floats, as `uint16`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EXPONENT = np.uint16(0x7F80)  # all of its bits are set in infinity and NaN
_LARGEST = 0x7F7F
_NAN = 0x7FC0


def widened(tensor: NDArray[Any]) -> NDArray[Any]:
    """A tensor of the core's as numbers: halves as float32, any other as it is.

    >>> widened(np.array([0x3F80, 0xC000], np.uint16)).tolist()
    [1.0, -2.0]
    """
    if tensor.dtype != np.uint16:
        return tensor
    return (tensor.astype(np.uint32) << 16).view(np.float32)


def finite(tensor: NDArray[Any]) -> NDArray[Any]:
    """Which numbers of a tensor, of floats or of halves, are finite; halves stay as they are.

    >>> finite(np.array([0x3F80, 0x7F80], np.uint16)).tolist()
    [True, False]
    """
    if tensor.dtype != np.uint16:
        return np.asarray(np.isfinite(tensor))
    return np.asarray((tensor & _EXPONENT) != _EXPONENT)


def put(numbers: Any, tensor: NDArray[Any]) -> None:
    """Write numbers into a tensor of the core's, of floats or of halves: then the nearest ones.

    >>> tensor = np.zeros(2, np.uint16)
    >>> put([1.0, 0.1], tensor)
    >>> widened(tensor).tolist()
    [1.0, 0.10009765625]
    """
    if tensor.dtype != np.uint16:
        tensor[...] = numbers
        return
    floats = np.asarray(numbers, np.float32)
    bits = floats.view(np.uint32) & 0x7FFFFFFF
    even = (bits >> 16) & 1  # of two that are as near, the one whose last bit is zero
    size = (bits + 0x7FFF + even) >> 16
    size = np.where(np.isfinite(floats), np.minimum(size, _LARGEST), size)
    tensor[...] = np.where(
        np.isnan(floats), _NAN, size | np.signbit(floats).astype(np.uint32) << 15
    )
