"""Writers of small data files for the tests of the readers."""

from __future__ import annotations

import gzip
import importlib
import struct
import sys
from pathlib import Path

import numpy as np

_CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def packed(ending: str, data: bytes) -> bytes:
    """The data compressed as the ending of a file's name says."""
    if ending == ".zst":
        name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        zstd = importlib.import_module(name)
        checked = {zstd.CompressionParameter.checksum_flag: 1}  # as the command zstd does
        whole: bytes = zstd.compress(data, options=checked)
        return whole
    return gzip.compress(data) if ending == ".gz" else data


def idx_bytes(array: np.ndarray) -> bytes:
    """The bytes of an IDX file that holds the array."""
    header = bytes([0, 0, _CODES[array.dtype.name], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(path: Path, array: np.ndarray) -> Path:
    """Write an IDX file, compressed where the name ends in .gz."""
    data = idx_bytes(array)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def small_images(n_train: int = 6, n_test: int = 4) -> list[np.ndarray]:
    """Images and labels of a small set, in the order of IDX_NAMES."""
    random = np.random.default_rng(5)
    return [
        random.integers(256, size=(n_train, 4, 3)).astype(np.uint8),
        (np.arange(n_train) % 3).astype(np.uint8),
        random.integers(256, size=(n_test, 4, 3)).astype(np.uint8),
        (np.arange(n_test) % 3).astype(np.uint8),
    ]


def write_idx_set(folder: Path, suffix: str = "", n_train: int = 6, n_test: int = 4) -> Path:
    """Write the four files of a small set into a folder, made where it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(IDX_NAMES, small_images(n_train, n_test), strict=True):
        write_idx(folder / (name + suffix), array)
    return folder
