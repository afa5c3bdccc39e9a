"""The generated sets: every label is recomputed from the pixels."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from hashgrad.datasets import (
    Dataset,
    is_convex,
    load,
    make_convex,
    make_rectangles,
    make_rectangles_image,
)
from hashgrad.datasets.textures import cut_patches, draw_textures

MAKERS = {
    "convex": make_convex,
    "rectangles": make_rectangles,
    "rectangles-image": make_rectangles_image,
}
generators = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def images(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, 28, 28)


@generators
def test_the_same_seed_gives_the_same_bytes(make: Callable[..., Dataset]):
    first, second = (make(train_size=300, test_size=200, seed=7) for _ in range(2))
    assert first.x_train.tobytes() == second.x_train.tobytes()
    assert first.y_train.tobytes() == second.y_train.tobytes()
    assert first.x_test.tobytes() == second.x_test.tobytes()
    other = make(train_size=300, test_size=200, seed=8)
    assert first.x_train.tobytes() != other.x_train.tobytes()


@generators
def test_test_rows_do_not_depend_on_the_training_rows(make: Callable[..., Dataset]):
    few, many = (make(train_size=size, test_size=200) for size in (10, 500))
    assert few.x_test.tobytes() == many.x_test.tobytes()
    same_size = make(train_size=200, test_size=200)
    assert same_size.x_train.tobytes() != same_size.x_test.tobytes()


@generators
@pytest.mark.parametrize(("size", "ones"), [(400, 200), (401, 200)])
def test_labels_are_balanced_and_mixed(make: Callable[..., Dataset], size: int, ones: int):
    data = make(train_size=size, test_size=2)
    assert data.y_train.sum() == ones
    assert 0.3 < data.y_train[: size // 2].mean() < 0.7


@generators
def test_rows_are_float32_in_the_unit_interval(make: Callable[..., Dataset]):
    data = make(train_size=100, test_size=50)
    assert (data.x_train.shape, data.x_test.shape) == ((100, 784), (50, 784))
    assert (data.x_train.dtype, data.y_train.dtype) == (np.float32, np.int32)
    assert data.x_train.min() >= 0
    assert data.x_train.max() <= 1
    assert (data.n_classes, data.task) == (2, "classification")


@generators
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_size": 1}, "train_size must be an integer >= 2, got 1"),
        ({"test_size": 0}, "test_size must be an integer >= 2, got 0"),
        ({"seed": -3}, "seed must be an integer >= 0, got -3"),
    ],
)
def test_sizes_and_seeds_out_of_range_are_refused(
    make: Callable[..., Dataset], arguments: dict[str, Any], message: str
):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize("name", MAKERS)
def test_load_passes_sizes_and_seed_on(name: str):
    loaded = load(name, train_size=20, test_size=10, seed=3)
    made = MAKERS[name](train_size=20, test_size=10, seed=3)
    assert loaded.x_train.tobytes() == made.x_train.tobytes()
    assert loaded.x_test.tobytes() == made.x_test.tobytes()


@pytest.mark.parametrize(
    ("name", "train_size"), [("convex", 8000), ("rectangles", 12000), ("rectangles-image", 12000)]
)
def test_the_papers_size_is_the_default(name: str, train_size: int):
    data = load(name, test_size=2)
    assert data.x_train.shape == (train_size, 784)
    assert (np.bincount(data.y_train) == train_size // 2).all()


def test_memory_stays_near_the_size_of_the_rows():
    tracemalloc.start()
    try:
        data = make_rectangles(train_size=20000, test_size=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.6 * data.x_train.nbytes


# rectangles


def sides(mask: np.ndarray) -> np.ndarray:
    """Height and width of the bounding box of each mask: (n, 2)."""
    lines = [mask.any(axis=axis) for axis in (2, 1)]
    return np.stack([28 - line[:, ::-1].argmax(1) - line.argmax(1) for line in lines], axis=1)


def test_rectangles_are_outlines_whose_label_says_tall():
    data = make_rectangles(train_size=3000, test_size=2)
    white = images(data.x_train)
    assert set(np.unique(white)) == {0, 1}
    height, width = sides(white > 0).T
    np.testing.assert_array_equal(data.y_train, height > width)
    assert np.abs(height - width).min() == 3
    for image, tall, wide in zip(white, height, width, strict=True):
        box = image[np.ix_(image.any(1), image.any(0))]
        outline = np.ones((tall, wide))
        outline[1:-1, 1:-1] = 0
        np.testing.assert_array_equal(box if min(tall, wide) > 1 else outline, outline)
        assert image.sum() == outline.sum()


def test_rectangles_take_every_size_and_reach_every_place():
    white = images(make_rectangles(train_size=20000, test_size=2).x_train) > 0
    found = sides(white)
    assert (found.min(axis=0) == 1).all()
    assert (found.max(axis=0) == 28).all()
    assert white.any(axis=0).all()


def test_rectangles_of_both_labels_have_the_same_sizes():
    data = make_rectangles(train_size=20000, test_size=2)
    found = np.sort(sides(images(data.x_train) > 0), axis=1)
    tall, wide = (found[data.y_train == label].mean(axis=0) for label in (1, 0))
    np.testing.assert_allclose(tall, wide, atol=0.3)


# rectangles-image


def test_the_rectangle_in_the_image_keeps_to_the_papers_bounds(monkeypatch: pytest.MonkeyPatch):
    # Patches of one grey each, light inside and dark outside, show the rectangle as it was drawn.
    greys = iter([255, 51] * 2)

    def plain(rng: Any, textures: Any, n_patches: int, side: int) -> np.ndarray:
        return np.full((n_patches, side, side), next(greys), np.uint8)

    monkeypatch.setattr("hashgrad.datasets.rectangles.cut_patches", plain)
    data = make_rectangles_image(train_size=3000, test_size=2)
    inside = images(data.x_train) == 1
    assert set(np.unique(data.x_train)) == {np.float32(0.2), np.float32(1)}
    height, width = sides(inside).T
    np.testing.assert_array_equal(data.y_train, height > width)
    np.testing.assert_array_equal(inside.sum(axis=(1, 2)), height * width)  # filled, border too
    assert np.abs(height - width).min() == 5
    assert min(height.min(), width.min()) >= 10
    area = height * width / 784
    assert area.min() >= 0.25
    assert area.max() <= 0.75


def test_rectangles_image_is_made_of_grey_levels():
    x = make_rectangles_image(train_size=200, test_size=2).x_train
    np.testing.assert_array_equal(x, np.round(x * 255).astype(np.float32) / np.float32(255))
    assert len(np.unique(x)) > 200
    assert images(x).std(axis=(1, 2)).min() > 0


def test_textures_fall_with_frequency_as_photographs_do():
    textures = draw_textures(np.random.default_rng(0), 8).astype(float)
    spectrum = np.abs(np.fft.fft2(textures - textures.mean(axis=(1, 2), keepdims=True)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    band = (frequency > 0.02) & (frequency < 0.2)
    slopes = [np.polyfit(np.log(frequency[band]), np.log(s[band]), 1)[0] for s in spectrum]
    np.testing.assert_allclose(slopes, -np.linspace(1.0, 1.4, 8), atol=0.1)


def test_patches_are_cut_from_the_textures():
    textures = draw_textures(np.random.default_rng(0), 2)
    patches = cut_patches(np.random.default_rng(1), textures, 5, 28)
    windows = np.lib.stride_tricks.sliding_window_view(textures, (28, 28), axis=(1, 2))
    for patch in patches:
        assert (windows[..., 0, :4] == patch[0, :4]).all(axis=-1).any()
        candidates = np.argwhere((windows[..., 0, :] == patch[0]).all(axis=-1))
        assert any((windows[tuple(place)] == patch).all() for place in candidates)


# convex


def is_convex_by_hull(image: np.ndarray) -> bool:
    """The definition itself: no black pixel inside the polygon around the white ones."""
    white = np.argwhere(image)
    hull = ConvexHull(white)
    pixels = np.argwhere(np.ones_like(image))
    inside = (pixels @ hull.equations[:, :2].T + hull.equations[:, 2] <= 1e-9).all(axis=1)
    return bool(inside.sum() == len(white))


def test_labels_of_convex_agree_with_the_convex_hull():
    data = make_convex(train_size=600, test_size=2)
    truth = [is_convex_by_hull(image > 0) for image in images(data.x_train)]
    np.testing.assert_array_equal(data.y_train, truth)
    np.testing.assert_array_equal(data.y_train, is_convex(images(data.x_train)))


def test_is_convex_agrees_with_the_convex_hull_on_noise():
    random = np.random.default_rng(0)
    # Dense noise of a few pixels a side, where both answers are frequent.
    noise = random.random((400, 5, 5)) < 0.92
    truth = [is_convex_by_hull(image) for image in noise]
    assert 0.05 < np.mean(truth) < 0.95
    np.testing.assert_array_equal(is_convex(noise), truth)


@pytest.mark.parametrize(
    ("picture", "convex"),
    [
        ("... ... ...", True),
        (".#. ... ...", True),
        ("##. .## ...", True),
        ("#.. .#. ..#", True),
        ("#.# ... ...", False),
        ("### #.# ###", False),
        ("##. #.. ###", False),
        ("#.. ..# ...", True),  # nothing of the grid lies between the two
        ("#.. ... ..#", False),  # the centre does
    ],
)
def test_is_convex_on_small_pictures(picture: str, convex: bool):
    image = np.array([[mark == "#" for mark in row] for row in picture.split()])
    for turned in (image, image.T, image[::-1], image[:, ::-1]):
        assert is_convex(turned[None]).tolist() == [convex]


def test_convex_regions_keep_to_the_papers_sizes():
    data = make_convex(train_size=4000, test_size=2)
    assert set(np.unique(data.x_train)) == {0, 1}
    pixels = data.x_train.sum(axis=1)
    assert pixels[data.y_train == 1].min() >= 19
    assert pixels[data.y_train == 0].min() >= 10


def test_the_number_of_white_pixels_does_not_give_the_class_away():
    data = make_convex(train_size=8000, test_size=2)
    convex, nonconvex = (data.x_train[data.y_train == label].mean() for label in (1, 0))
    assert abs(convex - nonconvex) < 0.03
