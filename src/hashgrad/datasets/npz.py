"""NumPy's `.npz` archives with agreed names inside."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .idx import as_pixels

_PARTS = (("x_train", "y_train"), ("x_test", "y_test"))
_SINGLE = ("X", "y")


def read_npz(path: str | Path) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[Any]]]:
    """Read (x, y) of the training rows, and of the test rows where there are any.

    The archive holds `x_train` and `y_train`, and perhaps `x_test` and `y_test`; or `X` and `y`
    alone. Every x is (rows, features) of numbers; arrays with more dimensions are images: they are
    flattened, and divided by 255 if stored in 8 bits. Other names in the archive are left alone.

    Args:
        path: the file, written by `numpy.savez` or `numpy.savez_compressed`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an archive, a name is missing, or an array is not of plain numbers; arrays
            of Python objects are refused, as reading them could run code.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.npz")
        ...     np.savez(path, X=np.eye(2), y=[0, 1])
        ...     read_npz(path)
        [(array([[1., 0.],
               [0., 1.]], dtype=float32), array([0, 1]))]
    """
    path = Path(path)
    with path.open("rb") as stream:
        try:
            archive = np.load(stream, allow_pickle=False)
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            raise ValueError(f"{path}: not an .npz archive, or cut short") from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError(f"{path}: an .npz archive is needed, got a single array")
        names = set(archive.files)
        if set(_SINGLE) <= names:
            wanted = [_SINGLE]
        elif set(_PARTS[0]) <= names:
            wanted = [pair for pair in _PARTS if set(pair) & names]
        else:
            raise ValueError(
                f"{path}: an archive must hold x_train and y_train (and perhaps x_test and "
                f"y_test), or X and y; got {sorted(names)}"
            )
        return [(_features(archive, path, x), _array(archive, path, y)) for x, y in wanted]


def _array(archive: Any, path: Path, name: str) -> npt.NDArray[Any]:
    if name not in archive.files:
        raise ValueError(f"{path}: {name} is missing; got {sorted(archive.files)}")
    try:
        array: npt.NDArray[Any] = archive[name]
    except ValueError as error:
        raise ValueError(
            f"{path}: {name} cannot be read: it must be a whole array of numbers or words, "
            "not of Python objects"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: {name} cannot be read ({error})") from error
    return array


def _features(archive: Any, path: Path, name: str) -> npt.NDArray[np.float32]:
    array = _array(archive, path, name)
    if array.ndim < 2 or array.dtype.kind not in "iubf":
        raise ValueError(
            f"{path}: {name} must be numbers in two dimensions or more, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return as_pixels(array) if array.ndim > 2 else array.astype(np.float32, copy=False)
