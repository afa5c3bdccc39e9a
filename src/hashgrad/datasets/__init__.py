"""Data sets: readers of common files, sets with a name, and seeded generators.

`load` is the door to all of them; it returns a `Dataset`.
"""

from .amat import read_amat
from .bad_rows import BadRows
from .convex import make_convex
from .convexity import is_convex
from .dataset import Dataset
from .idx import read_idx, read_idx_folder
from .loading import load, names
from .mnist8m import Mnist8m, mnist8m_stream
from .norb import read_norb_folder, read_norb_matrix
from .npz import read_npz
from .parquet import read_parquet
from .rectangles import make_rectangles, make_rectangles_image
from .row_stream import RowStream
from .svmlight import read_svmlight
from .weighting import Weighting
from .xc import read_xc

__all__ = [
    "BadRows",
    "Dataset",
    "Mnist8m",
    "RowStream",
    "Weighting",
    "is_convex",
    "load",
    "make_convex",
    "make_rectangles",
    "make_rectangles_image",
    "mnist8m_stream",
    "names",
    "read_amat",
    "read_idx",
    "read_idx_folder",
    "read_norb_folder",
    "read_norb_matrix",
    "read_npz",
    "read_parquet",
    "read_svmlight",
    "read_xc",
]
