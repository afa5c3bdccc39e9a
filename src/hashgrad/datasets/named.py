"""The data sets that have a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .bad_rows import BadRows
from .convex import make_convex
from .dataset import Dataset
from .download import download
from .folders import cache_folder, own_folder, where_to_put
from .idx import idx_files, read_idx_folder
from .mnist8m import make_mnist8m
from .norb import FILES, N_CLASSES, norb_files, read_norb_folder
from .opening import existing
from .rectangles import make_rectangles, make_rectangles_image
from .xc import read_xc

_DIGITS_TEST_SHARE = 0.2


@dataclass(frozen=True)
class NamedSet:
    """A set that can be loaded by name: what it is, and how to make it."""

    summary: str
    # From train_size, test_size (None: all there is, or the paper's size) and seed.
    make: Callable[[int | None, int | None, int], Dataset]


def _idx(name: str) -> Callable[[int | None, int | None, int], Dataset]:
    def make(train_size: int | None, test_size: int | None, seed: int) -> Dataset:
        folder = own_folder(name)
        if folder is None:
            folder = cache_folder(name)
            if None in idx_files(folder).values():
                download(name, folder)
        return from_idx_folder(name, folder).first_rows(train_size, test_size)

    return make


def from_idx_folder(name: str, folder: Path) -> Dataset:
    """Make a data set of a folder's four IDX files."""
    (x_train, y_train), (x_test, y_test) = read_idx_folder(folder)
    if y_train.dtype.kind not in "iu" or y_test.dtype.kind not in "iu":
        raise ValueError(f"{folder}: labels must be whole numbers, got {y_train.dtype}")
    y_train, y_test = y_train.astype(np.int32), y_test.astype(np.int32)
    n_classes = 1 + max((int(y.max()) for y in (y_train, y_test) if y.size), default=0)
    return Dataset(name, "classification", x_train, y_train, x_test, y_test, n_classes=n_classes)


def _xc(name: str) -> Callable[[int | None, int | None, int], Dataset]:
    def make(train_size: int | None, test_size: int | None, seed: int) -> Dataset:
        for folder in (own_folder(name), cache_folder(name)):
            if folder is not None and is_xc_folder(folder):
                return from_xc_folder(name, folder).first_rows(train_size, test_size)
        raise FileNotFoundError(
            f"{name} is not on this machine, and there is no download of it in this format. "
            + where_to_put(name, "train.txt and test.txt, perhaps compressed, in XC format,")
        )

    return make


_XC_FOLDERS = (("train.txt", "test.txt"), ("trn_X_Xf.txt", "tst_X_Xf.txt"))


def _xc_files(folder: Path) -> list[Path]:
    """A folder's training and test file; none if it is not such a folder."""
    for names in _XC_FOLDERS:
        files = [existing(folder, name) for name in names]
        if None not in files:
            return [file for file in files if file is not None]
    return []


def is_xc_folder(folder: Path) -> bool:
    """Tell whether a folder holds two files of the Extreme Classification Repository's format.

    They are train.txt and test.txt, or trn_X_Xf.txt and tst_X_Xf.txt with labels beside them, each
    perhaps compressed.
    """
    return bool(_xc_files(folder))


def from_xc_folder(name: str, folder: Path, bad_rows: str | BadRows = "refuse") -> Dataset:
    """Make a data set of the files in a folder for which `is_xc_folder` holds."""
    files = _xc_files(folder)
    (x_train, y_train), (x_test, y_test) = (read_xc(path, bad_rows=bad_rows) for path in files)
    if y_train.shape[1] != y_test.shape[1]:
        raise ValueError(
            f"{folder}: {files[0].name} and {files[1].name} must have equally many labels, "
            f"got {y_train.shape[1]} and {y_test.shape[1]}"
        )
    n_labels = int(y_train.shape[1])
    return Dataset(name, "multilabel", x_train, y_train, x_test, y_test, n_classes=n_labels)


def _norb(train_size: int | None, test_size: int | None, seed: int) -> Dataset:
    for folder in (own_folder("norb"), cache_folder("norb")):
        if folder is not None and any(norb_files(folder).values()):
            return from_norb_folder("norb", folder).first_rows(train_size, test_size)
    raise FileNotFoundError(
        "norb is not on this machine, and is not downloaded. "
        + where_to_put("norb", f"{', '.join(FILES.values())}, perhaps compressed,")
    )


def from_norb_folder(name: str, folder: Path) -> Dataset:
    """Make a data set of a folder's four files of small NORB."""
    (x_train, y_train), (x_test, y_test) = read_norb_folder(folder)
    return Dataset(name, "classification", x_train, y_train, x_test, y_test, n_classes=N_CLASSES)


def _digits(train_size: int | None, test_size: int | None, seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)  # grey levels 0..16
    whole = Dataset("digits", "classification", x, y.astype(np.int32), n_classes=10)
    return whole.hold_out(_DIGITS_TEST_SHARE, seed).first_rows(train_size, test_size)


def _generated(
    make_set: Callable[..., Dataset],
) -> Callable[[int | None, int | None, int], Dataset]:
    def make(train_size: int | None, test_size: int | None, seed: int) -> Dataset:
        sizes = {"train_size": train_size, "test_size": test_size}
        return make_set(seed=seed, **{k: size for k, size in sizes.items() if size is not None})

    return make


NAMED_SETS = {
    "mnist": NamedSet("handwritten digits, 60,000 + 10,000 images of 28 x 28", _idx("mnist")),
    "mnist8m": NamedSet(
        "the same digits deformed and shifted at random: 240,000 unless told otherwise, of a "
        "stream of 8,100,000; MNIST's 10,000 test images",
        _generated(make_mnist8m),
    ),
    "fashion-mnist": NamedSet(
        "photographs of clothes, 60,000 + 10,000 images of 28 x 28", _idx("fashion-mnist")
    ),
    "digits": NamedSet(
        "scikit-learn's handwritten digits, 1,438 + 359 images of 8 x 8, split by the seed", _digits
    ),
    "convex": NamedSet(
        "is the white region convex? 8,000 + 50,000 generated images of 28 x 28",
        _generated(make_convex),
    ),
    "rectangles": NamedSet(
        "is the outlined rectangle tall or wide? 12,000 + 50,000 generated images of 28 x 28",
        _generated(make_rectangles),
    ),
    "rectangles-image": NamedSet(
        "the same with textures inside and outside, 12,000 + 50,000 generated images of 28 x 28",
        _generated(make_rectangles_image),
    ),
    "norb": NamedSet(
        "photographs of toys, 24,300 + 24,300 pairs of images of 32 x 32 (files needed)", _norb
    ),
    "bibtex": NamedSet(
        "159 tags of 4,880 + 2,515 bibliography entries (files needed)", _xc("bibtex")
    ),
    "eurlex57k": NamedSet(
        "4,271 subjects of 45,000 + 6,000 laws, words counted (files needed)", _xc("eurlex57k")
    ),
    "delicious": NamedSet("983 tags of 12,920 + 3,185 web pages (files needed)", _xc("delicious")),
}
