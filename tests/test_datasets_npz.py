"""`.npz` archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashgrad.datasets import load


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


X = np.arange(8, dtype=np.float64).reshape(4, 2)
Y = np.array([0, 1, 2, 1])


def test_training_and_test_rows_are_read(tmp_path: Path):
    data = load(write(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2]))
    assert data.x_train.dtype == np.float32
    np.testing.assert_array_equal(data.x_train, X)
    assert data.y_test.tolist() == [0, 1]
    assert data.n_classes == 3


def test_x_and_y_alone_have_no_test_rows(tmp_path: Path):
    data = load(write(tmp_path / "a.npz", X=X, y=Y, note="left alone"))
    assert data.x_test is None
    assert data.x_train.shape == (4, 2)


def test_images_are_flattened_and_scaled(tmp_path: Path):
    images = np.full((4, 2, 3), 51, np.uint8)
    data = load(write(tmp_path / "a.npz", x_train=images, y_train=Y))
    assert data.x_train.shape == (4, 6)
    assert data.x_train.max() == np.float32(0.2)


def test_two_archives_make_training_and_test_rows(tmp_path: Path):
    train = write(tmp_path / "train.npz", X=X, y=Y)
    test = write(tmp_path / "test.npz", X=X[:1], y=Y[:1])
    assert load(train, test=test).x_test.shape == (1, 2)
    both = write(tmp_path / "both.npz", x_train=X, y_train=Y, x_test=X, y_test=Y)
    with pytest.raises(ValueError, match="test rows of its own"):
        load(both, test=test)
    with pytest.raises(ValueError, match=r"test rows of its own, got test=0\.5"):
        load(both, test=0.5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": X}, r"must hold x_train and y_train .* or X and y; got \['data'\]"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "y_test is missing"),
        ({"x_train": X, "y_train": Y, "y_test": Y}, "x_test is missing"),
        ({"X": X, "y": Y[:3]}, "x_train and y_train must have equally many rows, got 4 and 3"),
        ({"X": X[:, 0], "y": Y}, r"X must be numbers in two dimensions .* of shape \(4,\)"),
        ({"X": X.astype(str), "y": Y}, "X must be numbers"),
        ({"X": np.array([[{}]]), "y": [0]}, "X cannot be read"),
        ({"X": X[:0], "y": Y[:0]}, "x_train must have at least one row"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y},
            "x_test must have the 2 features of x_train, got 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=rf"bad\.npz.*{message}"):
        load(path)


@pytest.mark.parametrize("n_bytes", [0, 3, 100, -60])
def test_an_archive_cut_short_is_refused(tmp_path: Path, n_bytes: int):
    path = write(tmp_path / "cut.npz", X=X, y=Y)
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=r"cut\.npz: not an \.npz archive, or cut short"):
        load(path)


def test_a_damaged_member_is_refused(tmp_path: Path):
    path = write(tmp_path / "damaged.npz", X=np.zeros((50, 50)), y=np.zeros(50, int))
    data = bytearray(path.read_bytes())
    data[5000] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged\.npz: X cannot be read"):
        load(path)


def test_a_single_array_is_refused(tmp_path: Path):
    path = tmp_path / "single.npz"
    with path.open("wb") as stream:
        np.save(stream, X)
    with pytest.raises(ValueError, match=r"an \.npz archive is needed, got a single array"):
        load(path)
