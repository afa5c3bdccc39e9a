"""Checksums of a model file's tensors: bits that a disk or a network flips do not pass for weights.

A file's header holds a CRC-32 of each tensor's bytes. That finds damage, not intent: whoever alters
a file can alter its checksums too, or leave them out, as files of earlier versions do.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from typing import Any

from numpy.typing import NDArray

from .checks import shown, wrong_type


def of(tensors: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """The CRC-32 of each tensor's bytes, row-major, by name.

    >>> import numpy as np
    >>> of({"text": np.frombuffer(b"123456789", np.uint8)})  # the check value of CRC-32
    {'text': 3421780262}
    """
    return {name: zlib.crc32(tensor.data) for name, tensor in tensors.items()}


def checked(value: Any, names: Collection[str]) -> dict[str, int]:
    """What a header says of the tensors; ValueError or TypeError unless it is one of each name."""
    if not isinstance(value, dict):
        raise wrong_type("checksums", "an object", value)
    for name in sorted(set(names) ^ set(value)):
        raise ValueError(
            f"checksums must name the file's tensors, got {shown(name)} in one of them alone"
        )
    for name, number in value.items():
        if type(number) is not int or not 0 <= number < 1 << 32:
            raise ValueError(f"checksums.{name} must be in [0, 2**32), got {shown(number)}")
    return value


def check(name: str, tensor: NDArray[Any], stated: int) -> None:
    """Raise ValueError unless a tensor's bytes have the checksum that the header states.

    >>> import numpy as np
    >>> check("layers.0.bias", np.zeros(4, np.float32), 0)
    Traceback (most recent call last):
    ValueError: tensor 'layers.0.bias' is damaged: its CRC-32 must be 00000000, got ecbb4b55
    """
    got = zlib.crc32(tensor.data)
    if got != stated:
        raise ValueError(
            f"tensor {name!r} is damaged: its CRC-32 must be {stated:08x}, got {got:08x}"
        )
