"""IDX files: what is read, and what is refused."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from data_files import IDX_NAMES, idx_bytes, small_images, write_idx, write_idx_set
from hashgrad.datasets import load, read_idx, read_idx_folder


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_value_type_comes_back_in_native_order(tmp_path: Path, dtype: str, suffix: str):
    written = np.arange(24).reshape(2, 3, 4).astype(dtype)
    read = read_idx(write_idx(tmp_path / f"values{suffix}", written))
    assert read.dtype == np.dtype(dtype)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, written)


def test_compression_is_recognised_without_the_ending(tmp_path: Path):
    path = tmp_path / "labels-idx1-ubyte"
    path.write_bytes(gzip.compress(idx_bytes(np.array([3, 1], np.uint8))))
    assert read_idx(path).tolist() == [3, 1]


@pytest.mark.parametrize(
    "start", [b"", b"\0\0", b"\0\1\x08\1", b"\0\0\x07\1", b"\x89PNG"], ids=lambda b: b.hex()
)
def test_a_wrong_magic_number_is_refused(tmp_path: Path, start: bytes):
    path = tmp_path / "broken"
    path.write_bytes(start)
    with pytest.raises(ValueError, match=r"broken: an IDX file must start with 00 00.* got"):
        read_idx(path)


def test_a_header_cut_short_is_refused(tmp_path: Path):
    path = tmp_path / "broken"
    path.write_bytes(idx_bytes(np.zeros((2, 2), np.uint8))[:9])
    with pytest.raises(ValueError, match=r"broken: the header must hold 2 dimensions.* got 5"):
        read_idx(path)


@pytest.mark.parametrize(("change", "got"), [(-1, "only 5"), (1, "more")])
@pytest.mark.parametrize("compress", [False, True])
def test_the_length_must_be_what_the_header_says(
    tmp_path: Path, change: int, got: str, compress: bool
):
    data = idx_bytes(np.zeros((2, 3), np.uint8))
    data = data[:change] if change < 0 else data + b"\0"
    path = tmp_path / "broken"
    path.write_bytes(gzip.compress(data) if compress else data)
    with pytest.raises(ValueError, match=rf"broken: .*6 bytes \(2 x 3 of uint8\), got {got}"):
        read_idx(path)


def test_a_header_that_promises_terabytes_reserves_no_memory(tmp_path: Path):
    path = tmp_path / "broken"
    path.write_bytes(bytes([0, 0, 14, 2]) + b"\xff" * 8 + b"few")
    with pytest.raises(ValueError, match=r"promises \d{20,} bytes .* got only 3"):
        read_idx(path)


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damaged_gzip_data_is_refused(tmp_path: Path, damage: str):
    data = bytearray(gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8))))
    if damage == "cut":
        del data[-20:]
    else:
        data[-6] ^= 0xFF  # in the checksum at the end
    path = tmp_path / "broken.gz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"broken\.gz: gzip data is cut short or damaged"):
        read_idx(path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_becomes_rows_scaled_to_one(tmp_path: Path, suffix: str):
    (x_train, y_train), (x_test, y_test) = read_idx_folder(write_idx_set(tmp_path, suffix))
    train_images, train_labels, test_images, test_labels = small_images()
    assert x_train.dtype == np.float32
    np.testing.assert_array_equal(x_train, train_images.reshape(6, 12) / np.float32(255))
    np.testing.assert_array_equal(x_test, test_images.reshape(4, 12) / np.float32(255))
    np.testing.assert_array_equal(y_train, train_labels)
    np.testing.assert_array_equal(y_test, test_labels)


def test_memory_stays_near_the_size_of_the_rows(tmp_path: Path):
    images = np.zeros((500, 28, 28), np.uint8)
    for name, array in zip(IDX_NAMES, [images, images[:, 0, 0]] * 2, strict=True):
        write_idx(tmp_path / name, array)
    tracemalloc.start()
    try:
        (x_train, _), (x_test, _) = read_idx_folder(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * (x_train.nbytes + x_test.nbytes)


def test_pixels_of_other_types_are_not_scaled(tmp_path: Path):
    write_idx_set(tmp_path)
    write_idx(tmp_path / IDX_NAMES[2], np.full((4, 4, 3), 2.5, np.float32))
    assert read_idx_folder(tmp_path)[1][0].max() == 2.5


def test_names_with_a_dot_and_test_for_t10k_are_understood(tmp_path: Path):
    write_idx_set(tmp_path)
    for name in IDX_NAMES:
        new = name.replace("-idx", ".idx").replace("t10k", "test")
        (tmp_path / name).rename(tmp_path / new)
    assert load(tmp_path).x_test.shape == (4, 12)


def test_a_missing_file_is_named(tmp_path: Path):
    write_idx_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-labels-idx1-ubyte.*missing: test labels"):
        load(tmp_path)


def test_images_and_labels_must_agree_in_number(tmp_path: Path):
    write_idx_set(tmp_path)
    write_idx(tmp_path / IDX_NAMES[1], np.zeros(5, np.uint8))
    with pytest.raises(ValueError, match=r"train-images.*train-labels.*6 images and 5 labels"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("which", "array", "message"),
    [
        (0, np.zeros(6, np.uint8), "images must have two dimensions or more, got 1"),
        (1, np.zeros((6, 1), np.uint8), "labels must have one dimension, got 2"),
        (1, np.zeros(6, np.float32), "labels must be whole numbers, got float32"),
        (1, np.full(6, -1, np.int8), r"y_train must lie in 0\.\.2, got -1"),
    ],
)
def test_files_in_each_others_place_are_refused(
    tmp_path: Path, which: int, array: np.ndarray, message: str
):
    write_idx_set(tmp_path)
    write_idx(tmp_path / IDX_NAMES[which], array)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)
