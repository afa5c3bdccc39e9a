"""What users pass as X, checked and turned into the core's batches: n rows, d columns."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .checks import shown, wrong_type
from .frames import as_column, as_matrix, is_frame

_BLOCK = 1 << 22  # values examined at a time: the scan's own memory stays small
_MOST_ROWS = 2**32 - 1  # the core numbers rows in 32 bits
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Inputs:
    """Checked rows: either `dense` (n, d), or the three arrays of a CSR matrix."""

    n_rows: int
    n_columns: int
    dense: Floats | None = None
    csr: tuple[NDArray[np.int64], NDArray[np.int32], Floats] | None = None

    @functools.cached_property
    def batch(self) -> _core.Batch:
        """The rows as the core reads them: checked once more, not copied."""
        if self.dense is not None:
            return _core.Batch.dense(self.dense)
        assert self.csr is not None
        return _core.Batch.csr(*self.csr, self.n_columns)

    @property
    def matrix(self) -> Any:
        """The rows as NumPy or SciPy multiply them: an array or a CSR matrix, not copied."""
        if self.dense is not None:
            return self.dense
        from scipy.sparse import csr_matrix

        assert self.csr is not None
        indptr, indices, values = self.csr
        return csr_matrix((values, indices, indptr), (self.n_rows, self.n_columns))

    def take(self, rows: NDArray[Any]) -> Inputs:
        """A copy of some rows, in the given order."""
        if self.dense is not None:
            return Inputs(len(rows), self.n_columns, dense=np.ascontiguousarray(self.dense[rows]))
        assert self.csr is not None
        indptr, indices, values = self.csr
        starts, picked = gather(indptr, rows)
        return Inputs(len(rows), self.n_columns, csr=(starts, indices[picked], values[picked]))

    def block(self, start: int, stop: int) -> Inputs:
        """Rows `start` to `stop`; dense rows are not copied."""
        if self.dense is not None:
            return Inputs(stop - start, self.n_columns, dense=self.dense[start:stop])
        return self.take(np.arange(start, stop))


def is_sparse(value: object) -> bool:
    """Whether the value is a SciPy sparse matrix or array; does not import SciPy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def as_inputs(X: Any, n_columns: int | None = None, name: str = "X") -> Inputs:
    """Check a user's X and convert it to float32, dense or CSR, without densifying.

    Args:
        X: anything NumPy reads as a matrix of numbers (n, d), a SciPy sparse matrix, or a data
            frame (pandas, polars, Arrow, ...) whose columns hold numbers.
        n_columns: the number of columns it must have.
        name: its name in messages.

    Raises:
        TypeError: it does not hold numbers.
        ValueError: it is empty, has the wrong shape, or holds NaN, infinity or a number beyond
            float32; the message names the row, and a frame's column.

    >>> as_inputs([[0.0, 1.0], [2.0, float("nan")]])
    Traceback (most recent call last):
    ValueError: X must be finite, got nan in row 1, column 1
    """
    shape = X.shape if is_sparse(X) else None
    frame = is_frame(X)
    array = None if shape is not None else as_matrix(X, name) if frame else numbers(X, name)
    if array is not None:
        shape = array.shape
    assert shape is not None
    if len(shape) != 2:
        hint = " (one row is X.reshape(1, -1))" if len(shape) == 1 else ""
        raise ValueError(f"{name} must have two dimensions, got shape {shape}{hint}")
    if shape[0] == 0 or shape[1] == 0:
        raise ValueError(f"{name} must have at least one row and one column, got shape {shape}")
    if shape[0] > _MOST_ROWS:
        raise ValueError(f"{name} must have fewer than 2**32 rows, got shape {shape}")
    if n_columns is not None and shape[1] != n_columns:
        raise ValueError(f"{name} must have {n_columns} columns (n_inputs), got shape {shape}")
    if array is not None:
        return Inputs(shape[0], shape[1], dense=array if frame else finite_rows(array, name))
    return _csr(X, name)


def _csr(X: Any, name: str) -> Inputs:
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold numbers, got dtype {X.dtype}")
    n, d = X.shape
    if d > 2**31 - 1:
        raise ValueError(f"{name} must have fewer than 2**31 columns, got shape {X.shape}")
    csr = X.tocsr()
    if not csr.has_canonical_format:
        csr = csr.copy() if csr is X else csr  # never change the user's matrix
        csr.sum_duplicates()
    indptr = np.ascontiguousarray(csr.indptr, dtype=np.int64)
    values = _to_float32(csr.data)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        row = int(np.searchsorted(indptr, bad[0], side="right")) - 1
        raise _not_finite(name, csr.data[bad[0]], row, int(csr.indices[bad[0]]))
    return Inputs(n, d, csr=(indptr, np.ascontiguousarray(csr.indices, dtype=np.int32), values))


def numbers(value: Any, name: str) -> NDArray[Any]:
    """The value as an array of bools, integers or floats; None inside it becomes NaN.

    Raises:
        TypeError: it does not hold numbers.
        ValueError: its rows have different lengths, or a frame's column lacks values.
    """
    if value is None:
        raise wrong_type(name, "an array of numbers", value)
    value = as_column(value, name)
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":  # mixed columns of a data frame, Python integers, None
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise _notnumbers(name, value, error) from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype}")
    return array


def _notnumbers(name: str, value: Any, error: Exception) -> Exception:
    if isinstance(value, (list, tuple, np.ndarray)):
        lengths = {len(row) for row in value if hasattr(row, "__len__")}
        if len(lengths) > 1:
            return ValueError(
                f"{name} must have rows of one length, got lengths {sorted(lengths)[:5]}"
            )
    return TypeError(f"{name} must hold numbers, got {shown(value)}: {error}")


def _to_float32(array: NDArray[Any]) -> Floats:
    with np.errstate(over="ignore"):  # what overflows is reported as infinite, by row
        return np.ascontiguousarray(array, dtype=np.float32)


def finite_rows(array: NDArray[Any], name: str) -> Floats:
    """A matrix as contiguous float32; ValueError naming the first row that is not finite."""
    converted = _to_float32(array)
    if array.dtype.kind != "f":
        return converted
    step = max(1, _BLOCK // max(1, converted.shape[1]))
    for start in range(0, len(converted), step):
        finite = np.isfinite(converted[start : start + step])
        if not finite.all():
            row, column = (int(i[0]) for i in np.nonzero(~finite))
            raise _not_finite(name, array[start + row, column], start + row, column)
    return converted


def _not_finite(name: str, value: Any, row: int, column: int) -> ValueError:
    rule = "within float32's range" if np.isfinite(value) else "finite"
    return ValueError(f"{name} must be {rule}, got {value:g} in row {row}, column {column}")


def gather(
    indptr: NDArray[np.int64], rows: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row starts of the picked rows, and where their entries stand in the CSR arrays."""
    lengths = indptr[rows + 1] - indptr[rows]
    starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    picked = np.arange(starts[-1]) + np.repeat(indptr[rows] - starts[:-1], lengths)
    return starts, picked
