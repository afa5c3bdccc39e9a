"""Data frames and their columns as arrays: pandas, polars, Arrow and what else narwhals knows.

An array, a list or a sparse matrix passes through untouched, and nothing is imported for it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLAIN = {"builtins", "numpy", "scipy", "array", "torch"}  # packages whose values are no frames


def is_frame(value: object) -> bool:
    """Whether a value is a table with named columns, in memory or not.

    >>> is_frame([[1.0, 2.0]]), is_frame(np.zeros((2, 2)))
    (False, False)
    """
    if not _foreign(value):
        return False
    import narwhals.stable.v2 as nw

    kinds = nw.dependencies
    return bool(
        _is_record_batch(value)
        or kinds.is_into_dataframe(value)
        or kinds.is_polars_lazyframe(value)
    )


def opened(frame: Any, name: str) -> Any:
    """The frame as scikit-learn and narwhals take it: an Arrow batch as a table.

    Raises:
        TypeError: it is not in memory.
        ValueError: two columns have one name.
    """
    import narwhals.stable.v2 as nw

    if nw.dependencies.is_polars_lazyframe(frame):
        raise TypeError(f"{name} must be in memory, got a polars LazyFrame: use {name}.collect()")
    if _is_record_batch(frame):
        frame = sys.modules["pyarrow"].Table.from_batches([frame])
    try:
        nw.from_native(frame, eager_only=True)
    except nw.exceptions.DuplicateError as error:
        raise ValueError(f"{name} must have columns of different names: {error}") from None
    return frame


def column_names(frame: Any, name: str) -> list[str]:
    """The names of a frame's columns, in order."""
    import narwhals.stable.v2 as nw

    return list(nw.from_native(opened(frame, name), eager_only=True).columns)


def as_matrix(frame: Any, name: str) -> NDArray[np.float32]:
    """A frame's numbers, (rows, columns) float32, in the order of its columns.

    Args:
        frame: of numbers and booleans; for other columns there are encoders.
        name: its name in messages.

    Raises:
        TypeError: a column does not hold numbers, or the frame is not in memory.
        ValueError: a column has missing values, NaN, infinity or numbers beyond float32, or the
            name of another.
    """
    import narwhals.stable.v2 as nw

    table = nw.from_native(opened(frame, name), eager_only=True)
    rows, columns = table.shape
    matrix = np.empty((rows, columns), dtype=np.float32)
    for j in range(columns):
        column = table[:, j]
        where = f" in column {column.name!r}"
        if not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
            raise TypeError(
                f"{name} must hold numbers, got {column.dtype}{where}: encode it, for "
                "instance with scikit-learn's OneHotEncoder"
            )
        matrix[:, j] = _numbers(column, name, where)
    return matrix


def as_column(value: Any, name: str) -> Any:
    """A column of a frame, (n,), or a whole one, (n, columns), as an array; all else untouched.

    Words and categories stay as they are, for labels.

    Raises:
        TypeError: the frame is not in memory.
        ValueError: values are missing.
    """
    if is_frame(value):
        import narwhals.stable.v2 as nw

        table = nw.from_native(opened(value, name), eager_only=True)
        parts = [_whole(table[:, j], name, f" in column {table.columns[j]!r}").to_numpy()
                 for j in range(table.shape[1])]  # fmt: skip
        return np.column_stack(parts) if parts else np.empty(table.shape)
    if not _foreign(value):
        return value
    import narwhals.stable.v2 as nw

    arrow = sys.modules.get("pyarrow")
    if arrow is not None and isinstance(value, arrow.Array):
        value = arrow.chunked_array([value])
    if not nw.dependencies.is_into_series(value):
        return value
    column = nw.from_native(value, series_only=True)
    return np.asarray(_whole(column, name, "").to_numpy())


def _foreign(value: object) -> bool:
    """Whether a value's type is from a package that may have frames."""
    return type(value).__module__.partition(".")[0] not in _PLAIN


def _is_record_batch(value: object) -> bool:
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and isinstance(value, arrow.RecordBatch)


def _whole(column: Any, name: str, where: str) -> Any:
    """The column; ValueError if values are missing."""
    missing = int(column.null_count())
    if missing:
        row = int(column.is_null().arg_true()[0])
        raise ValueError(
            f"{name} must have no missing values, got {missing}{where}, the first in row {row}"
        )
    return column


def _numbers(column: Any, name: str, where: str) -> NDArray[np.float32]:
    given = np.asarray(_whole(column, name, where).to_numpy())
    with np.errstate(over="ignore"):  # what overflows is reported as infinite
        values = given.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        rule = "within float32's range" if np.isfinite(float(given[row])) else "finite"
        raise ValueError(f"{name} must be {rule}, got {float(given[row]):g}{where} in row {row}")
    return values
