"""`rectangles` and `rectangles-image`: is the rectangle tall or wide? (Larochelle et al. 2007)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .dataset import Dataset
from .streams import SIDE, balanced_labels, check_sizes, streams
from .textures import cut_patches, draw_textures

_N_TEXTURES = 20
_IMAGES_AT_ONCE = 4096  # keeps the work arrays in the processor's cache

_Mask: TypeAlias = npt.NDArray[np.bool_]
# Fills float32 images (n, 28, 28) from the masks of the rectangles' area and of their border.
_Painter: TypeAlias = Callable[[np.random.Generator, npt.NDArray[np.float32], _Mask, _Mask], None]


def make_rectangles(*, train_size: int = 12000, test_size: int = 50000, seed: int = 0) -> Dataset:
    """Generate `rectangles`: label 1 if the outlined rectangle is taller than wide, else 0.

    From the paper: 28 x 28 pixels, the rectangle's border white on black; height and width
    uniform, drawn again while they differ by less than 3 pixels; upper left corner uniform among
    the places where the rectangle fits; 50,000 test images.

    Our choice: tall is 1; half of the labels are 1; borders are one pixel thick; sides from 1 to
    28 pixels; white is 1.0; 12,000 training images, as Spring and Shrivastava report (the file
    that accompanies Larochelle et al. has 1,200).

    Args:
        train_size: training rows, 2 or more.
        test_size: test rows, 2 or more.
        seed: the same seed gives the same bytes; training and test rows come from independent
            streams.

    Raises:
        ValueError: a size below 2, or a negative seed.

    Example:
        >>> make_rectangles(train_size=100, test_size=50).x_train.shape
        (100, 784)

    Source: Larochelle, Erhan, Courville, Bergstra and Bengio, "An empirical evaluation of deep
    architectures on problems with many factors of variation", ICML 2007, "Discrimination between
    tall and wide rectangles".
    """
    sides = _tall_sides(min_side=1, min_difference=3, area=(0.0, 1.0))
    check_sizes(train_size, test_size)
    train, test, _ = streams("rectangles", seed)

    def paint(
        rng: np.random.Generator, images: npt.NDArray[np.float32], area: _Mask, border: _Mask
    ) -> None:
        images[...] = border

    x_train, y_train = _draw(train, train_size, sides, paint)
    x_test, y_test = _draw(test, test_size, sides, paint)
    return Dataset("rectangles", "classification", x_train, y_train, x_test, y_test, n_classes=2)


def make_rectangles_image(
    *, train_size: int = 12000, test_size: int = 50000, seed: int = 0
) -> Dataset:
    """Generate `rectangles-image`: as `rectangles`, with patches of images inside and outside.

    From the paper: border and inside of the rectangle show a patch of one image, the rest a patch
    of another; sides of 10 pixels or more that differ by 5 or more; the rectangle covers 25 % to
    75 % of the image; images cut from a set of 20; 12,000 training and 50,000 test images.

    Our choice: the 20 images are textures with the spectrum of photographs, drawn from the seed
    (`textures.draw_textures`), the same for training and test rows; both patches may come from the
    same texture; tall is 1; half of the labels are 1; grey levels are k / 255 in [0, 1].

    Args:
        train_size: training rows, 2 or more.
        test_size: test rows, 2 or more.
        seed: the same seed gives the same bytes; training and test rows come from independent
            streams.

    Raises:
        ValueError: a size below 2, or a negative seed.

    Example:
        >>> make_rectangles_image(train_size=100, test_size=50).x_train.shape
        (100, 784)

    Source: Larochelle, Erhan, Courville, Bergstra and Bengio, "An empirical evaluation of deep
    architectures on problems with many factors of variation", ICML 2007, "Discrimination between
    tall and wide rectangles".
    """
    sides = _tall_sides(min_side=10, min_difference=5, area=(0.25, 0.75))
    check_sizes(train_size, test_size)
    train, test, shared = streams("rectangles-image", seed)
    textures = draw_textures(shared, _N_TEXTURES)

    def paint(
        rng: np.random.Generator, images: npt.NDArray[np.float32], area: _Mask, border: _Mask
    ) -> None:
        inside = cut_patches(rng, textures, len(images), SIDE)
        outside = cut_patches(rng, textures, len(images), SIDE)
        np.divide(np.where(area, inside, outside), 255, out=images, dtype=np.float32)

    x_train, y_train = _draw(train, train_size, sides, paint)
    x_test, y_test = _draw(test, test_size, sides, paint)
    return Dataset(
        "rectangles-image", "classification", x_train, y_train, x_test, y_test, n_classes=2
    )


def _tall_sides(
    min_side: int, min_difference: int, area: tuple[float, float]
) -> npt.NDArray[np.int64]:
    """List every (height, width) a tall rectangle may have: (p, 2)."""
    low, high = (share * SIDE * SIDE for share in area)
    return np.array(
        [
            (height, width)
            for height in range(min_side, SIDE + 1)
            for width in range(min_side, height - min_difference + 1)
            if low <= height * width <= high
        ]
    )


def _draw(
    rng: np.random.Generator, n_rows: int, tall_sides: npt.NDArray[np.int64], paint: _Painter
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    labels = balanced_labels(rng, n_rows)
    # A wide rectangle is a tall one with its sides exchanged: one list serves both labels, and
    # drawing from it is drawing uniformly and rejecting.
    sides = tall_sides[rng.integers(0, len(tall_sides), size=n_rows)]
    sides = np.where(labels[:, None] == 1, sides, sides[:, ::-1])
    start = rng.integers(0, SIDE + 1 - sides)  # (n, 2): upper row, left column
    images = np.empty((n_rows, SIDE, SIDE), dtype=np.float32)
    for begin in range(0, n_rows, _IMAGES_AT_ONCE):
        some = slice(begin, begin + _IMAGES_AT_ONCE)
        area, border = _masks(start[some], start[some] + sides[some] - 1)
        paint(rng, images[some], area, border)
    return images.reshape(n_rows, SIDE * SIDE), labels


def _masks(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> tuple[_Mask, _Mask]:
    """Mark the area and the border of rectangles from their corners (n, 2): two (n, 28, 28)."""
    pixel = np.arange(SIDE)
    lower, upper = start[:, :, None], end[:, :, None]
    rows, columns = ((pixel >= lower) & (pixel <= upper)).swapaxes(0, 1)
    edge_rows, edge_columns = ((pixel == lower) | (pixel == upper)).swapaxes(0, 1)
    area = rows[:, :, None] & columns[:, None, :]
    border = area & (edge_rows[:, :, None] | edge_columns[:, None, :])
    return area, border
