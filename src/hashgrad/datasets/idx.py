"""IDX, the format of MNIST: a four-byte magic number, the dimensions, then the values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .dataset import Features
from .opening import existing, open_bytes, read_up_to

# Third byte of the magic number: type of the values, which are stored big-endian.
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> npt.NDArray[Any]:
    """Read one IDX file, perhaps compressed.

    The file is two zero bytes, a byte for the type, a byte for the number of dimensions, one
    big-endian uint32 for each dimension, then the values in row-major order.

    Args:
        path: the file.

    Returns:
        Array of the header's shape, in this machine's byte order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: wrong magic number, or more or fewer bytes than the header promises.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "labels-idx1-ubyte")
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        ...     read_idx(path)
        array([7, 2, 1], dtype=uint8)

    Source: LeCun, Cortes and Burges, "The MNIST database", file formats.
    """
    path = Path(path)
    with open_bytes(path) as stream:
        magic = stream.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
            raise ValueError(
                f"{path}: an IDX file must start with 00 00, a type in "
                f"{{{', '.join(f'{code:02x}' for code in _DTYPES)}}} and a number of dimensions, "
                f"got {magic.hex(' ') or 'an empty file'}"
            )
        dtype, n_dimensions = np.dtype(_DTYPES[magic[2]]), magic[3]
        header = stream.read(4 * n_dimensions)
        if len(header) < 4 * n_dimensions:
            raise ValueError(
                f"{path}: the header must hold {n_dimensions} dimensions of 4 bytes, "
                f"got {len(header)} bytes"
            )
        shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
        promised = dtype.itemsize * math.prod(shape)
        data = read_up_to(stream, promised + 1)
    if len(data) != promised:
        got = f"only {len(data)}" if len(data) < promised else "more"
        raise ValueError(
            f"{path}: the header promises {promised} bytes "
            f"({' x '.join(map(str, shape))} of {dtype.newbyteorder('=')}), got {got}"
        )
    values = np.frombuffer(data, dtype=dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def idx_files(folder: Path) -> dict[str, Path | None]:
    """Find the four files of an IDX set; None where one is missing.

    Names are those of MNIST, `train-images-idx3-ubyte` and so on, perhaps compressed; `.idx3` for
    `-idx3`, and `test` for `t10k`, are taken as well.
    """
    found: dict[str, Path | None] = {}
    for part, prefixes in (("train", ("train",)), ("test", ("t10k", "test"))):
        for what, rank in (("images", 3), ("labels", 1)):
            names = [f"{prefix}-{what}-idx{rank}-ubyte" for prefix in prefixes]
            names += [f"{prefix}-{what}.idx{rank}-ubyte" for prefix in prefixes]
            found[f"{part} {what}"] = existing(folder, *names)
    return found


def read_idx_folder(
    folder: str | Path,
) -> tuple[tuple[Features, npt.NDArray[Any]], tuple[Features, npt.NDArray[Any]]]:
    """Read the four IDX files of a folder as (x_train, y_train), (x_test, y_test).

    Images are flattened to float32 rows; pixels stored in 8 bits are divided by 255, so that they
    lie in [0, 1].

    Raises:
        FileNotFoundError: one of the four files is missing.
        ValueError: a file is malformed, or images and labels differ in number.
    """
    folder = Path(folder)
    files = idx_files(folder)
    missing = [what for what, path in files.items() if path is None]
    if missing:
        raise FileNotFoundError(
            f"{folder}: an IDX set needs train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, perhaps compressed; "
            f"missing: {', '.join(missing)}"
        )
    present = {what: path for what, path in files.items() if path is not None}
    return (
        _read_pair(present["train images"], present["train labels"]),
        _read_pair(present["test images"], present["test labels"]),
    )


def _read_pair(images_path: Path, labels_path: Path) -> tuple[Features, npt.NDArray[Any]]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim < 2:
        raise ValueError(
            f"{images_path}: images must have two dimensions or more, got {images.ndim}"
        )
    if labels.ndim != 1:
        raise ValueError(f"{labels_path}: labels must have one dimension, got {labels.ndim}")
    if len(images) != len(labels):
        raise ValueError(
            f"{images_path} and {labels_path} must hold equally many rows, "
            f"got {len(images)} images and {len(labels)} labels"
        )
    return as_pixels(images), labels


def as_pixels(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Flatten images (n, ...) to float32 rows, 8-bit values divided by 255."""
    flat = images.reshape(len(images), math.prod(images.shape[1:]))
    if images.dtype == np.uint8:
        return cast("npt.NDArray[np.float32]", np.divide(flat, 255, dtype=np.float32))
    return flat.astype(np.float32, copy=False)
