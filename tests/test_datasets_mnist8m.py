"""`mnist8m`: a stream of deformed digits in which each depends on its number and the seed alone."""

from __future__ import annotations

import inspect
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest

from data_files import IDX_NAMES, write_idx
from hashgrad.datasets import Mnist8m, load, mnist8m_stream
from hashgrad.datasets import mnist8m as module
from hashgrad.datasets.deformations import deform, draw_fields, tangents
from hashgrad.datasets.named import NAMED_SETS

LABELS = np.arange(20) % 10


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Twenty of scikit-learn's digits, brought to MNIST's size and margins."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    images = np.zeros((20, 28, 28), np.uint8)
    small = load_digits().images[:20] * (255 / 16)
    images[:, 4:24, 4:24] = np.rint(zoom(small, (1, 2.5, 2.5), order=1))
    return images


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: np.ndarray) -> Path:
    """A folder of data with a small set called mnist in it."""
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    labels = LABELS.astype(np.uint8)
    for name, array in zip(IDX_NAMES, [digits, labels, digits[:6], labels[:6]], strict=True):
        write_idx(folder / name, array)
    monkeypatch.setenv("HASHGRAD_DATA", str(folder.parent))
    return folder


def joined(blocks: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = zip(*blocks, strict=True)
    return np.concatenate(x), np.concatenate(y)


def shifted(images: np.ndarray) -> np.ndarray:
    """Every image at each of 25 places: (n, 25, 784) in [0, 1]."""
    moves = [(row, column) for row in range(-2, 3) for column in range(-2, 3)]
    rolled = [np.roll(images, move, axis=(1, 2)) for move in moves]
    return (np.stack(rolled, axis=1) / np.float32(255)).reshape(len(images), 25, 784)


# The stream


@pytest.mark.parametrize("block", [1, 7, 128, 129, 300, 1000])
def test_blocks_change_nothing(digits: np.ndarray, block: int):
    x, y = Mnist8m(digits, LABELS, seed=4).rows(0, 300)
    blocks = list(mnist8m_stream(300, seed=4, block=block, images=digits, labels=LABELS))
    assert [len(part) for part, _ in blocks[:-1]] == [block] * (len(blocks) - 1)
    assert joined(blocks)[0].tobytes() == x.tobytes()
    assert joined(blocks)[1].tolist() == y.tolist()


def test_an_example_depends_on_its_number_alone(digits: np.ndarray):
    source = Mnist8m(digits, LABELS)
    x, y = source.rows(1000, 1200)
    later, labels = joined(source.stream(70, block=9, start=1130))
    assert later.tobytes() == x[130:].tobytes()
    assert labels.tolist() == y[130:].tolist()


def test_the_seed_decides(digits: np.ndarray):
    first, again, other = (Mnist8m(digits, LABELS, seed=s).rows(0, 50)[0] for s in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert not (first == other).all(axis=1).any()


def test_labels_follow_the_images_round_and_round(digits: np.ndarray):
    x, y = Mnist8m(digits, LABELS).rows(0, 65)
    assert y.tolist() == [LABELS[i % 20] for i in range(65)]
    assert (x.dtype, y.dtype) == (np.float32, np.int32)
    assert len(np.unique(x, axis=0)) == 65  # no pass repeats another


def test_pixels_are_grey_levels_in_the_unit_interval(digits: np.ndarray):
    x, _ = Mnist8m(digits, LABELS).rows(0, 500)
    assert (x.min(), x.max()) == (0, 1)
    assert set(np.unique(x)) <= set(np.arange(256, dtype=np.float32) / np.float32(255))


def test_the_stream_reaches_its_last_example_and_no_further(digits: np.ndarray):
    source = Mnist8m(digits, LABELS)
    assert len(source) == 8_100_000
    blocks = list(source.stream(block=4, start=8_099_990))
    assert [len(x) for x, _ in blocks] == [4, 4, 2]
    assert joined(blocks)[1][-1] == LABELS[8_099_999 % 20]
    with pytest.raises(ValueError, match=r"size must be .* in \[1, 10\], or None, got 11"):
        source.stream(11, start=8_099_990)


def test_only_a_block_is_in_memory(digits: np.ndarray):
    stream = mnist8m_stream(images=digits, labels=LABELS, block=1000)
    next(stream)
    tracemalloc.start()
    try:
        for x, _ in islice(stream, 5):
            size = x.nbytes
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * size + 8_000_000  # a block, the next one, and the work arrays


def test_images_may_be_bytes_or_floats_flat_or_not(digits: np.ndarray):
    expected = Mnist8m(digits, LABELS).rows(0, 40)[0].tobytes()
    floats = digits.reshape(20, 784) / np.float32(255)
    for images in (digits.reshape(20, 784), floats, floats.astype(np.float64)):
        assert Mnist8m(images, list(LABELS)).rows(0, 40)[0].tobytes() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, r"size must be an integer in \[1, 8100000\], or None, got 0"),
        ({"size": 8_100_001}, "size must be .* got 8100001"),
        ({"block": 0}, "block must be an integer >= 1, got 0"),
        ({"start": -1}, r"start must be an integer in \[0, 8099999\], got -1"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"labels": None}, "images and labels must come together, got images only"),
        ({"images": None}, "images and labels must come together, got labels only"),
        ({"images": np.zeros((20, 27, 28), np.uint8)}, r"images must .* got \(20, 27, 28\)"),
        ({"images": np.zeros((0, 784), np.uint8)}, r"images must .* n >= 1, got \(0, 784\)"),
        ({"images": np.zeros((20, 784), np.int32)}, "images must be uint8, .* got int32"),
        ({"images": np.full((20, 784), 1.5)}, "images must .* got values from 1.5 to 1.5"),
        ({"images": np.full((20, 784), np.nan)}, "images must .* got values from nan to nan"),
        ({"labels": range(3)}, r"labels must be 20 whole numbers, .* of shape \(3,\)"),
        ({"labels": np.zeros(20)}, r"labels must be 20 whole numbers, .* got float64"),
        ({"labels": np.full(20, -1)}, r"labels must be 0 or more .* got \[-1, -1"),
    ],
)
def test_arguments_out_of_range_are_refused_at_once(
    digits: np.ndarray, arguments: dict[str, Any], message: str
):
    with pytest.raises(ValueError, match=message):
        mnist8m_stream(**{"images": digits, "labels": LABELS, **arguments})


def test_rows_need_a_range(digits: np.ndarray):
    source = Mnist8m(digits, LABELS)
    with pytest.raises(ValueError, match=r"stop must be an integer in \[6, 8100000\], got 5"):
        source.rows(5, 5)
    with pytest.raises(TypeError, match=r"start must be an integer, got 0\.5"):
        source.rows(0.5, 5)


# The deformations


def test_without_deformation_an_example_is_a_shifted_image(
    digits: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_STRENGTH", 0.0)
    monkeypatch.setattr(module, "_THICKNESS", 0.0)
    x, _ = Mnist8m(digits, LABELS).rows(0, 2000)
    same = (x.reshape(100, 20, 1, 784) == shifted(digits)).all(axis=3)
    assert same.any(axis=2).all()
    assert same.any(axis=(0, 1)).all()  # each of the 25 shifts occurs
    often = same.sum(axis=(0, 1))
    assert often.max() < 2 * often.min()


def test_a_deformed_digit_is_nearest_to_its_own_image(digits: np.ndarray):
    x, _ = Mnist8m(digits, LABELS).rows(0, 1000)
    known = shifted(digits).reshape(500, 784)
    distances = (known**2).sum(axis=1) - 2 * x @ known.T
    nearest = distances.argmin(axis=1) // 25
    assert np.mean(nearest == np.arange(1000) % 20) > 0.95


def test_the_examples_of_an_image_differ_in_shape_and_in_thickness(digits: np.ndarray):
    x, _ = Mnist8m(digits[:1], LABELS[:1]).rows(0, 500)
    white = x.sum(axis=1) / (digits[0].sum() / 255)
    assert white.min() < 0.9 < 1.1 < white.max()
    assert 0.95 < white.mean() < 1.1
    changed = np.abs(x[:, None] - shifted(digits[:1])).mean(axis=2).min(axis=1)
    assert (changed > 0.01).mean() > 0.95


def blob(row: float, column: float) -> np.ndarray:
    """A Gaussian spot of 3 pixels, a frame of one pixel around it: (1, 30, 30)."""
    place = np.arange(30)
    spread = [np.exp(-((place - centre) ** 2) / 18) for centre in (row, column)]
    return (255 * np.outer(*spread))[None].astype(np.float32)


def test_tangents_are_derivatives():
    down, right = tangents(blob(14, 17))
    place = np.arange(1, 29)
    inside = blob(14, 17)[:, 1:-1, 1:-1]
    np.testing.assert_allclose(down, inside * (14 - place)[:, None] / 9, atol=4)
    np.testing.assert_allclose(right, inside * (17 - place) / 9, atol=4)


@pytest.mark.parametrize(("row", "column"), [(0.5, 0), (0, -0.5), (0.3, 0.4)])
def test_a_constant_field_moves_the_image(row: float, column: float):
    field = np.empty((1, 2, 28, 28), np.float32)
    field[:, 0], field[:, 1] = row, column
    moved = deform(blob(14, 14), field, np.zeros(1, np.float32))
    np.testing.assert_allclose(moved, blob(14 - row, 14 - column)[:, 1:-1, 1:-1], atol=6)
    assert np.abs(moved - blob(14, 14)[:, 1:-1, 1:-1]).max() > 15


def test_thickness_moves_edges_outwards_or_inwards():
    framed = np.repeat(blob(14, 14), 2, axis=0)
    still = np.zeros((2, 2, 28, 28), np.float32)
    thick, thin = deform(framed, still, np.array([0.5, -0.5], np.float32))
    distance = np.hypot(*np.ogrid[-13:15, -13:15])
    for grown, pixels in ((thick, 0.5), (thin, -0.5)):
        wider = 255 * np.exp(-((distance - pixels) ** 2) / 18)
        np.testing.assert_allclose(grown[distance > 2], wider[distance > 2], atol=6)


def test_fields_are_smooth_of_unit_size_and_unlike_each_other():
    fields = draw_fields(np.random.default_rng(0), 400)
    assert fields.dtype == np.float32
    assert abs(np.mean(fields**2) - 1) < 0.05
    for axis in (2, 3):
        near, far = (
            np.mean(fields * np.roll(fields, step, axis), where=valid)
            for step in (1, 12)
            for valid in [np.arange(28).reshape((1, 1, -1, 1) if axis == 2 else (1, -1)) >= step]
        )
        # Twice smoothed noise: the correlation at d pixels is exp(-d^2 / (4 * 4^2)).
        assert abs(near - np.exp(-1 / 64)) < 0.05
        assert abs(far - np.exp(-144 / 64)) < 0.1
    assert abs(np.mean(fields[:, 0] * fields[:, 1])) < 0.05
    assert abs(np.mean(fields[:-1] * fields[1:])) < 0.05


# The set with a name


def test_the_named_set_is_the_beginning_of_the_stream(mnist: Path, digits: np.ndarray):
    data = load("mnist8m", train_size=50, seed=3)
    x, y = Mnist8m(digits, LABELS, seed=3).rows(0, 50)
    assert data.x_train.tobytes() == x.tobytes()
    assert data.y_train.tolist() == y.tolist()
    assert (data.name, data.task, data.n_classes) == ("mnist8m", "classification", 10)
    np.testing.assert_array_equal(data.x_test, load("mnist").x_test)
    assert load("mnist8m", train_size=5, test_size=2).x_test.shape == (2, 784)


def test_the_stream_takes_its_digits_from_mnist(mnist: Path, digits: np.ndarray):
    x, _ = joined(mnist8m_stream(30, seed=3))
    assert x.tobytes() == Mnist8m(digits, LABELS, seed=3).rows(0, 30)[0].tobytes()


def test_the_summary_says_how_many_rows_there_are_by_default():
    sizes = inspect.signature(module.make_mnist8m).parameters
    assert f"{sizes['train_size'].default:,} unless told otherwise" in NAMED_SETS["mnist8m"].summary
    assert f"{module.SIZE:,}" in NAMED_SETS["mnist8m"].summary


def test_more_rows_than_memory_should_hold_are_refused(mnist: Path):
    message = (
        "train_size of mnist8m must be at most 1,000,000, .* got 8,100,000; "
        "hashgrad.datasets.mnist8m_stream makes up to 8,100,000 block by block"
    )
    with pytest.raises(ValueError, match=message):
        load("mnist8m", train_size=8_100_000)
    with pytest.raises(ValueError, match="train_size must be an integer >= 1, got 0"):
        load("mnist8m", train_size=0)
    with pytest.raises(ValueError, match=r"test_size of mnist must be .* \[1, 6\], got 7"):
        load("mnist8m", train_size=1, test_size=7)


def test_without_mnist_there_is_no_mnist8m(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(url: str, **_: Any) -> str:
        raise ConnectionError("no route")

    monkeypatch.delenv("HASHGRAD_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: str(tmp_path / project))
    monkeypatch.setattr(pooch, "retrieve", refuse)
    for ask in (lambda: load("mnist8m"), mnist8m_stream):
        with pytest.raises(FileNotFoundError, match="mnist is not on this machine"):
            ask()
