"""Counts of words, weighted and scaled to length 1, as networks for texts take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..checks import Interval, one_of, shown

WEIGHTINGS = ("tfidf", "log", "none")
IN_EXTRA = "input_weighting"  # where the command line keeps it in a network's `extra`
_COUNT = Interval(0, 2**53, integer=True)


@dataclass(frozen=True, eq=False)
class Weighting:
    """How counts become inputs: each row is weighted and then scaled to length 1.

    Args:
        name: `"tfidf"` (`log(1 + count) * (log((1 + rows) / (1 + rows with it)) + 1)`), `"log"`
            (`log(1 + count)`) or `"none"` (the counts as they are; rows are scaled all the same).
        n_rows: rows that it was fitted to.
        found: (d,) how many of them have each column; None unless `name` is `"tfidf"`.

    Raises:
        ValueError: an unknown name, or a negative count.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> X = csr_array(np.array([[3, 0, 1], [1, 0, 0]], dtype=np.float32))
    >>> Weighting.fitted("tfidf", X).apply(X).toarray().round(2)
    array([[0.82, 0.  , 0.57],
           [1.  , 0.  , 0.  ]], dtype=float32)

    Source: Manning, Raghavan and Schütze (2008), "Introduction to information retrieval", 6.2.
    """

    name: str
    n_rows: int = 0
    found: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.name not in WEIGHTINGS:
            raise one_of("weighting", self.name, WEIGHTINGS)
        if (self.found is None) == (self.name == "tfidf"):
            raise ValueError(
                f"found must be given with 'tfidf' and with nothing else, got {shown(self.found)} "
                f"with {self.name!r}"
            )

    @classmethod
    def fitted(cls, name: str, X: Any) -> Weighting:
        """The weighting of this name, with the rows of X counted.

        Args:
            name: one of `WEIGHTINGS`.
            X: (n, d) counts, dense or SciPy sparse.

        Raises:
            ValueError: an unknown name.
        """
        if name != "tfidf":
            return cls(name)
        counts = _csr(X)
        return cls(name, counts.shape[0], np.bincount(counts.indices, minlength=counts.shape[1]))

    def apply(self, X: Any) -> Any:
        """Weight rows: CSR of float32, (n, d). A row without entries stays without.

        Args:
            X: (n, d) counts, dense or SciPy sparse.

        Raises:
            ValueError: not two dimensions, another width than the rows it was fitted to, or a
                negative count.
        """
        rows = _csr(X)
        if self.found is not None and rows.shape[1] != len(self.found):
            raise ValueError(f"X must have {len(self.found)} columns, got {rows.shape[1]}")
        values = rows.data.astype(np.float64)
        if self.name != "none":
            if values.size and values.min() < 0:
                raise ValueError(f"X must hold counts, at least 0, got {values.min():g}")
            values = np.log1p(values)
        if self.found is not None:
            values *= (np.log((1 + self.n_rows) / (1 + self.found)) + 1)[rows.indices]
        sizes = np.diff(rows.indptr)
        where = np.repeat(np.arange(len(sizes)), sizes)
        length = np.sqrt(np.bincount(where, weights=values**2, minlength=len(sizes)))
        values /= np.where(length > 0, length, 1)[where]
        return sparse.csr_matrix(
            (values.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, for a model's `extra`."""
        found = None if self.found is None else self.found.tolist()
        return {"name": self.name, "n_rows": self.n_rows, "found": found}

    @classmethod
    def from_dict(cls, given: Any) -> Weighting:
        """The inverse of `to_dict`.

        Raises:
            TypeError: a value of the wrong type.
            ValueError: a missing key, or a value out of range.
        """
        if not isinstance(given, dict) or set(given) != {"name", "n_rows", "found"}:
            raise ValueError(
                f"weighting must be an object with name, n_rows and found, got {shown(given)}"
            )
        found = given["found"]
        if found is not None:
            if not isinstance(found, list):
                raise TypeError(f"weighting.found must be a list, got {shown(found)}")
            found = np.array([_COUNT.check("weighting.found", n) for n in found], dtype=np.int64)
        n_rows = _COUNT.check("weighting.n_rows", given["n_rows"])
        if found is not None and found.size and found.max() > n_rows:
            raise ValueError(f"weighting.found must be at most n_rows={n_rows}, got {found.max()}")
        return cls(given["name"], n_rows, found)


def _csr(X: Any) -> Any:
    if len(np.shape(X)) != 2:
        raise ValueError(f"X must have the shape (n, d), got {np.shape(X)}")
    rows = sparse.csr_matrix(X)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    if np.any(rows.data == 0):
        rows = rows.copy()
        rows.eliminate_zeros()
    return rows
