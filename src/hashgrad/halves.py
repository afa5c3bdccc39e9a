"""bfloat16 in NumPy, which has no such type: the upper halves of floats, as `uint16`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def widened(tensor: NDArray[Any]) -> NDArray[Any]:
    """A tensor of the core's as numbers: halves as float32, any other as it is.

    >>> widened(np.array([0x3F80, 0xC000], np.uint16)).tolist()
    [1.0, -2.0]
    """
    if tensor.dtype != np.uint16:
        return tensor
    return (tensor.astype(np.uint32) << 16).view(np.float32)


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
    bits = np.asarray(numbers, np.float32).view(np.uint32)
    even = (bits >> 16) & 1  # of two that are as near, the one whose last bit is zero
    tensor[...] = (bits + 0x7FFF + even) >> 16
