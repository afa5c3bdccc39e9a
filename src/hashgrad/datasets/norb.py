"""Small NORB: pairs of grey images of toys, in files of the "binary matrix" format."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from .opening import existing, open_bytes, read_up_to

N_CLASSES = 5
_TRAIN = "smallnorb-5x46789x9x18x6x2x96x96-training"
_TEST = "smallnorb-5x01235x9x18x6x2x96x96-testing"
FILES = {
    "train images": f"{_TRAIN}-dat.mat",
    "train labels": f"{_TRAIN}-cat.mat",
    "test images": f"{_TEST}-dat.mat",
    "test labels": f"{_TEST}-cat.mat",
}

# The magic number, little-endian like all that follows it, gives the type of the values.
_DTYPES = {
    0x1E3D4C51: "<f4",
    0x1E3D4C53: "<f8",
    0x1E3D4C54: "<i4",
    0x1E3D4C55: "|u1",
    0x1E3D4C56: "<i2",
}
_MOST_DIMENSIONS = 8
_LEAST_SIZES = 3  # the header holds three sizes even of a matrix with fewer dimensions

_MOST_PAIRS = 24_300  # of either of the set's files
_PAIR = (2, 96, 96)
_THIRD = 32  # pixels along an image once 3 x 3 pixels have become one
_PAIRS_AT_ONCE = 128  # 2.4 MB of the file


def read_norb_matrix(path: str | Path) -> npt.NDArray[Any]:
    """Read one file of the format that NORB is published in, perhaps compressed.

    The file is a magic number, the number of dimensions, the sizes (three or more, of which those
    beyond the dimensions say nothing), all of them little-endian int32, then the values in
    row-major order.

    Args:
        path: the file.

    Returns:
        Array of the header's shape, in this machine's byte order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: wrong magic number, a header out of range, or more or fewer bytes than it
            promises.

    Example:
        >>> import struct, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toys-cat.mat")
        ...     _ = path.write_bytes(struct.pack("<8i", 0x1E3D4C54, 1, 3, 1, 1, 4, 0, 2))
        ...     read_norb_matrix(path)
        array([4, 0, 2], dtype=int32)

    Source: LeCun and Huang, "The small NORB dataset, v1.0", file format.
    """
    path = Path(path)
    with open_bytes(path) as stream:
        dtype, shape = _read_header(path, stream)
        promised = dtype.itemsize * math.prod(shape)
        data = read_up_to(stream, promised + 1)
    if len(data) != promised:
        raise _wrong_length(path, dtype, shape, len(data))
    values = np.frombuffer(data, dtype=dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def norb_files(folder: Path) -> dict[str, Path | None]:
    """Find the four files of small NORB, perhaps compressed; None where one is missing."""
    return {what: existing(folder, name) for what, name in FILES.items()}


def read_norb_folder(
    folder: str | Path,
) -> tuple[
    tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]],
    tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]],
]:
    """Read small NORB's four files as (x_train, y_train), (x_test, y_test).

    Each of a pair's two images of 96 x 96 grey levels becomes one of 32 x 32, every pixel the mean
    of 3 x 3, divided by 255: a row of 2 x 32 x 32 = 2048 features in [0, 1]. The files are read
    some pairs at a time, so that beside the rows little memory is needed.

    Raises:
        FileNotFoundError: one of the four files is missing.
        ValueError: a file is malformed, or images and labels differ in number.

    Source: LeCun, Huang and Bottou, "Learning methods for generic object recognition with
    invariance to pose and lighting", CVPR 2004, for the images; the size of 32 x 32 is Spring and
    Shrivastava's.
    """
    folder = Path(folder)
    files = norb_files(folder)
    missing = [what for what, path in files.items() if path is None]
    if missing:
        raise FileNotFoundError(
            f"{folder}: small NORB needs {', '.join(FILES.values())}, perhaps compressed; "
            f"missing: {', '.join(missing)}"
        )
    present = {what: path for what, path in files.items() if path is not None}
    return (
        _read_part(present["train images"], present["train labels"]),
        _read_part(present["test images"], present["test labels"]),
    )


def _read_part(
    images_path: Path, labels_path: Path
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    labels = read_norb_matrix(labels_path)
    if labels.dtype.kind != "i" or labels.ndim != 1:
        raise ValueError(
            f"{labels_path}: labels must be int32 with one dimension, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    wrong = labels[(labels < 0) | (labels >= N_CLASSES)]
    if wrong.size:
        raise ValueError(
            f"{labels_path}: every label must lie in 0..{N_CLASSES - 1}, got {wrong[0]}"
        )
    images = _read_pairs(images_path)
    if len(images) != len(labels):
        raise ValueError(
            f"{images_path} and {labels_path} must hold equally many rows, "
            f"got {len(images)} pairs of images and {len(labels)} labels"
        )
    return images, labels.astype(np.int32, copy=False)


def _read_pairs(path: Path) -> npt.NDArray[np.float32]:
    """Read pairs of images, shrunk to 32 x 32: (n, 2048)."""
    n_bytes = math.prod(_PAIR)
    with open_bytes(path) as stream:
        dtype, shape = _read_header(path, stream)
        if dtype != np.uint8 or shape[1:] != _PAIR or shape[0] > _MOST_PAIRS:
            raise ValueError(
                f"{path}: images must be uint8 of shape (n, 2, 96, 96) with n up to "
                f"{_MOST_PAIRS}, got {dtype} of shape {shape}"
            )
        rows = np.empty((shape[0], _PAIR[0], _THIRD, _THIRD), dtype=np.float32)
        for begin in range(0, len(rows), _PAIRS_AT_ONCE):
            some = rows[begin : begin + _PAIRS_AT_ONCE]
            data = read_up_to(stream, len(some) * n_bytes)
            if len(data) < len(some) * n_bytes:
                raise _wrong_length(path, dtype, shape, begin * n_bytes + len(data))
            pairs = np.frombuffer(data, dtype=np.uint8).reshape(-1, *_PAIR)
            np.divide(_sums_of_nine(pairs), 9 * 255, out=some, dtype=np.float32)
        if stream.read(1):
            raise _wrong_length(path, dtype, shape, len(rows) * n_bytes + 1)
    return rows.reshape(len(rows), -1)


def _sums_of_nine(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Add up the pixels of every 3 x 3 square: (..., 96, 96) to (..., 32, 32)."""
    columns = np.add(images[..., 0::3], images[..., 1::3], dtype=np.uint16)
    columns += images[..., 2::3]
    squares = columns[..., 0::3, :] + columns[..., 1::3, :]
    squares += columns[..., 2::3, :]
    return squares


def _read_header(path: Path, stream: BinaryIO) -> tuple[np.dtype[Any], tuple[int, ...]]:
    start = stream.read(8)
    magic = int.from_bytes(start[:4], "little")
    if len(start) < 8 or magic not in _DTYPES:
        listed = ", ".join(code.to_bytes(4, "little").hex(" ") for code in _DTYPES)
        raise ValueError(
            f"{path}: a NORB file must start with one of {listed} and a number of dimensions, "
            f"got {start.hex(' ') or 'an empty file'}"
        )
    n_dimensions = int.from_bytes(start[4:], "little", signed=True)
    if not 1 <= n_dimensions <= _MOST_DIMENSIONS:
        raise ValueError(
            f"{path}: the number of dimensions must be in [1, {_MOST_DIMENSIONS}], "
            f"got {n_dimensions}"
        )
    n_sizes = max(n_dimensions, _LEAST_SIZES)
    header = stream.read(4 * n_sizes)
    if len(header) < 4 * n_sizes:
        raise ValueError(
            f"{path}: the header must hold {n_sizes} sizes of 4 bytes, got {len(header)} bytes"
        )
    shape = tuple(np.frombuffer(header, dtype="<i4")[:n_dimensions].tolist())
    if min(shape) < 0:
        raise ValueError(f"{path}: no size may be negative, got {shape}")
    return np.dtype(_DTYPES[magic]), shape


def _wrong_length(
    path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], n_bytes: int
) -> ValueError:
    promised = dtype.itemsize * math.prod(shape)
    got = f"only {n_bytes}" if n_bytes < promised else "more"
    return ValueError(
        f"{path}: the header promises {promised} bytes "
        f"({' x '.join(map(str, shape))} of {dtype.newbyteorder('=')}), got {got}"
    )
