"""Small NORB: what is read of its files, and what is refused."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pooch
import pytest

from hashgrad.datasets import load, norb, read_norb_folder, read_norb_matrix

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = norb.FILES.values()
MAGIC = {
    "float32": 0x1E3D4C51,
    "float64": 0x1E3D4C53,
    "int32": 0x1E3D4C54,
    "uint8": 0x1E3D4C55,
    "int16": 0x1E3D4C56,
}


def matrix_bytes(array: np.ndarray) -> bytes:
    """The bytes of a file that holds the array; three sizes at least, as in the published ones."""
    sizes = array.shape + (1,) * (3 - array.ndim)
    header = struct.pack(f"<{2 + len(sizes)}i", MAGIC[array.dtype.name], array.ndim, *sizes)
    return header + array.astype(array.dtype.newbyteorder("<")).tobytes()


def write_matrix(path: Path, array: np.ndarray) -> Path:
    data = matrix_bytes(array)
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


def toys(n_train: int = 7, n_test: int = 4) -> list[np.ndarray]:
    """Images and labels of a small set, in the order of the files."""
    random = np.random.default_rng(5)
    return [
        random.integers(256, size=(n_train, 2, 96, 96)).astype(np.uint8),
        (np.arange(n_train) % 5).astype(np.int32),
        random.integers(256, size=(n_test, 2, 96, 96)).astype(np.uint8),
        (np.arange(n_test) % 5).astype(np.int32),
    ]


def write_toys(folder: Path, suffix: str = "", n_train: int = 7, n_test: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(norb.FILES.values(), toys(n_train, n_test), strict=True):
        write_matrix(folder / (name + suffix), array)
    return folder


def shrunk(images: np.ndarray) -> np.ndarray:
    """The rows that pairs of images become, in float64."""
    squares = images.reshape(-1, 2, 32, 3, 32, 3).astype(np.float64)
    return squares.mean(axis=(3, 5)).reshape(-1, 2048) / 255


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no data folder."""
    monkeypatch.delenv("HASHGRAD_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: str(tmp_path / "cache" / project))
    return tmp_path / "cache" / "hashgrad"


# One file


@pytest.mark.parametrize("dtype", MAGIC)
@pytest.mark.parametrize("shape", [(24,), (4, 6), (2, 3, 4), (2, 3, 2, 2)])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_value_type_comes_back(tmp_path: Path, dtype: str, shape: tuple, suffix: str):
    written = np.arange(24).reshape(shape).astype(dtype)
    read = read_norb_matrix(write_matrix(tmp_path / f"a.mat{suffix}", written))
    assert read.dtype == np.dtype(dtype)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, written)


def test_the_published_headers_are_understood(tmp_path: Path):
    path = tmp_path / "cat.mat"
    path.write_bytes(bytes.fromhex("544c3d1e 01000000 02000000 01000000 01000000 0400000003000000"))
    assert read_norb_matrix(path).tolist() == [4, 3]
    path.write_bytes(
        bytes.fromhex("554c3d1e 04000000 01000000 02000000 01000000 02000000 01020304")
    )
    assert read_norb_matrix(path).tolist() == [[[[1, 2]], [[3, 4]]]]


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\x55\x4c",
        b"\x1e\x3d\x4c\x55" + b"\0" * 8,
        b"\x52\x4c\x3d\x1e" + b"\0" * 8,
        b"MATLAB 5",
    ],
    ids=["empty", "short", "big-endian", "packed", "matlab"],
)
def test_a_wrong_magic_number_is_refused(tmp_path: Path, start: bytes):
    path = tmp_path / "broken.mat"
    path.write_bytes(start)
    with pytest.raises(
        ValueError, match=r"broken\.mat: a NORB file must start .*55 4c 3d 1e.* got"
    ):
        read_norb_matrix(path)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 1, 1, 1), r"the number of dimensions must be in \[1, 8\], got 0"),
        ((-3, 1, 1, 1), r"the number of dimensions must be in \[1, 8\], got -3"),
        ((9,) + (1,) * 9, r"the number of dimensions must be in \[1, 8\], got 9"),
        ((1, 5), "the header must hold 3 sizes of 4 bytes, got 4 bytes"),
        ((4, 5, 1, 1), "the header must hold 4 sizes of 4 bytes, got 12 bytes"),
        ((2, 5, -1, 1), r"no size may be negative, got \(5, -1\)"),
    ],
)
def test_a_header_out_of_range_is_refused(tmp_path: Path, numbers: tuple, message: str):
    path = tmp_path / "broken.mat"
    path.write_bytes(struct.pack(f"<{1 + len(numbers)}i", MAGIC["uint8"], *numbers))
    with pytest.raises(ValueError, match=rf"broken\.mat: {message}"):
        read_norb_matrix(path)


@pytest.mark.parametrize(("change", "got"), [(-1, "only 23"), (1, "more")])
@pytest.mark.parametrize("compress", [False, True])
def test_the_length_must_be_what_the_header_says(
    tmp_path: Path, change: int, got: str, compress: bool
):
    data = matrix_bytes(np.zeros((2, 3), np.int32))
    data = data[:change] if change < 0 else data + b"\0"
    path = tmp_path / "broken.mat"
    path.write_bytes(gzip.compress(data) if compress else data)
    with pytest.raises(ValueError, match=rf"broken\.mat: .*24 bytes \(2 x 3 of int32\), got {got}"):
        read_norb_matrix(path)


def test_a_header_that_promises_terabytes_reserves_no_memory(tmp_path: Path):
    path = tmp_path / "broken.mat"
    path.write_bytes(struct.pack("<5i", MAGIC["float64"], 3, *(2**31 - 1,) * 3) + b"few")
    with pytest.raises(ValueError, match=r"promises \d{20,} bytes .* got only 3"):
        read_norb_matrix(path)


# The set


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("place", ["own", "cache", "path"])
def test_pairs_become_rows_of_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, place: str, suffix: str
):
    folders = {"own": tmp_path / "data" / "norb", "cache": cache / "norb", "path": tmp_path / "x"}
    folder = write_toys(folders[place], suffix)
    if place == "own":
        write_toys(cache / "norb", n_train=3)
        monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path / "data"))
    data = load(folder if place == "path" else "norb")
    train_images, train_labels, test_images, test_labels = toys()
    assert (data.task, data.n_classes, data.n_features) == ("classification", 5, 2048)
    assert (data.x_train.dtype, data.y_train.dtype) == (np.float32, np.int32)
    np.testing.assert_allclose(data.x_train, shrunk(train_images), rtol=1e-6)
    np.testing.assert_allclose(data.x_test, shrunk(test_images), rtol=1e-6)
    np.testing.assert_array_equal(data.y_train, train_labels)
    np.testing.assert_array_equal(data.y_test, test_labels)


def test_the_first_image_comes_first_and_lies_as_it_was(tmp_path: Path):
    write_toys(tmp_path)
    pair = np.zeros((1, 2, 96, 96), np.uint8)
    pair[0, 0, 3:6, 90:93] = 255  # one square of the left image
    pair[0, 1, 0, 0] = 90  # a ninth of a square of the right one
    write_matrix(tmp_path / TRAIN_IMAGES, pair)
    write_matrix(tmp_path / TRAIN_LABELS, np.zeros(1, np.int32))
    (x, _), _ = read_norb_folder(tmp_path)
    assert np.flatnonzero(x).tolist() == [1 * 32 + 30, 1024]
    assert x[0, [62, 1024]].tolist() == pytest.approx([1, 10 / 255])


@pytest.mark.parametrize("n_pairs", [127, 128, 129, 300])
def test_many_pairs_are_read_some_at_a_time(tmp_path: Path, n_pairs: int):
    write_toys(tmp_path, n_train=n_pairs, n_test=1)
    tracemalloc.start()
    try:
        (x, _), _ = read_norb_folder(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(x, shrunk(toys(n_pairs, 1)[0]), rtol=1e-6)
    # A block of the file, twice while it is read, its sums, and not the whole of it.
    assert peak < x.nbytes + 9_000_000


def test_the_first_rows_can_be_asked_for(cache: Path):
    write_toys(cache / "norb")
    data = load("norb", train_size=2, test_size=1)
    assert (data.x_train.shape, data.x_test.shape, data.n_classes) == ((2, 2048), (1, 2048), 5)
    with pytest.raises(ValueError, match=r"train_size of norb must be .* \[1, 7\], got 8"):
        load("norb", train_size=8)


def test_a_set_that_is_nowhere_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
):
    (tmp_path / "norb").mkdir()
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="norb is not on this machine") as caught:
        load("norb")
    for part in (*norb.FILES.values(), str(cache / "norb"), f"HASHGRAD_DATA is {str(tmp_path)!r}"):
        assert part in str(caught.value)


@pytest.mark.parametrize("what", norb.FILES)
def test_a_missing_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, what: str
):
    write_toys(cache / "norb")
    folder = write_toys(tmp_path / "norb")
    (folder / norb.FILES[what]).unlink()
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path))
    for name_or_path in ("norb", folder):
        with pytest.raises(FileNotFoundError, match=f"small NORB needs .*missing: {what}$"):
            load(name_or_path)


@pytest.mark.parametrize("cut", [1, 18432, 18433, 40000])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_images_cut_short_are_refused(tmp_path: Path, cut: int, suffix: str):
    write_toys(tmp_path, suffix)
    path = tmp_path / (TRAIN_IMAGES + suffix)
    data = matrix_bytes(toys()[0])[:-cut]
    path.write_bytes(gzip.compress(data, 1) if suffix else data)
    message = (
        rf"training-dat\.mat.*129024 bytes \(7 x 2 x 96 x 96 of uint8\), got only {129024 - cut}"
    )
    with pytest.raises(ValueError, match=message):
        read_norb_folder(tmp_path)


def test_bytes_after_the_images_are_refused(tmp_path: Path):
    path = write_toys(tmp_path) / TEST_IMAGES
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(
        ValueError, match=r"testing-dat\.mat: the header promises 73728 .* got more"
    ):
        read_norb_folder(tmp_path)


def test_damaged_gzip_data_is_refused(tmp_path: Path):
    path = write_toys(tmp_path, ".gz") / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"training-dat\.mat\.gz: gzip data is cut short or damag"):
        read_norb_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (TRAIN_IMAGES, np.zeros((7, 2, 96, 32), np.uint8), r"uint8 of shape \(n, 2, 96, 96\)"),
        (TRAIN_IMAGES, np.zeros((7, 96, 96), np.uint8), r"got uint8 of shape \(7, 96, 96\)"),
        (TRAIN_IMAGES, np.zeros((7, 2, 96, 96), np.int16), r"got int16 of shape \(7, 2, 96, 96\)"),
        (TRAIN_IMAGES, np.zeros(7, np.int32), r"training-dat.*got int32 of shape \(7,\)"),
        (
            TEST_LABELS,
            np.zeros((4, 2), np.int32),
            r"testing-cat.*one dimension, got int32 of shape",
        ),
        (TEST_LABELS, np.zeros(4, np.float32), r"testing-cat.*labels must be int32.*got float32"),
        (TEST_LABELS, np.zeros(3, np.int32), r"testing-dat.*testing-cat.*4 pairs .* and 3 labels"),
        (TRAIN_LABELS, np.arange(7, dtype=np.int32), r"training-cat.*must lie in 0\.\.4, got 5"),
        (TRAIN_LABELS, np.full(7, -1, np.int32), r"training-cat.*must lie in 0\.\.4, got -1"),
    ],
)
def test_files_in_each_others_place_are_refused(
    tmp_path: Path, name: str, array: np.ndarray, message: str
):
    write_toys(tmp_path)
    write_matrix(tmp_path / name, array)
    with pytest.raises(ValueError, match=message):
        read_norb_folder(tmp_path)


def test_more_pairs_than_the_set_has_are_refused_before_memory_is_reserved(tmp_path: Path):
    path = write_toys(tmp_path) / TRAIN_IMAGES
    path.write_bytes(struct.pack("<6i", MAGIC["uint8"], 4, 2**31 - 1, 2, 96, 96))
    with pytest.raises(ValueError, match="with n up to 24300, got uint8 of shape"):
        read_norb_folder(tmp_path)
