"""`convex`: is the white region of a 28 x 28 image convex? (Larochelle et al. 2007)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .convexity import is_convex
from .dataset import Dataset
from .streams import SIDE, balanced_labels, check_sizes, streams

# The paper's: chance that a region takes no further half-plane, and its smallest area in pixels.
_CONVEX = (0.195, 19)
_PIECE = (0.07, 10)
_PIECES = (2, 4)  # convex pieces of a nonconvex region, drawn uniformly
_UNIONS_AT_ONCE = 8192  # 8192 x 3 pieces x 784 pixels of one byte: 19 MB
_CANDIDATES_AT_ONCE = 32768


def make_convex(*, train_size: int = 8000, test_size: int = 50000, seed: int = 0) -> Dataset:
    """Generate `convex`: label 1 if the white pixels form a convex region, else 0.

    From the paper: a convex image is an intersection of half-planes of random place and
    orientation, their number geometric with parameter 0.195, kept if it has 19 pixels or more.
    A nonconvex one is the union of two to four such regions (parameter 0.07, 10 pixels or more),
    kept if it fails a test of convexity. Both classes have the same mean number of white pixels.
    8,000 training and 50,000 test images; label in {0, 1}.

    Our choice: the boundary passes through a point uniform over the image, at a uniform angle; the
    geometric number starts at 0, which is what makes the classes' means equal (to 1 %), and leaves
    a third of the convex images white all over; the test of convexity is `is_convex`; half of the
    labels are 1; white is 1.0 and black 0.0.

    Args:
        train_size: training rows, 2 or more.
        test_size: test rows, 2 or more.
        seed: the same seed gives the same bytes; training and test rows come from independent
            streams.

    Raises:
        ValueError: a size below 2, or a negative seed.

    Example:
        >>> data = make_convex(train_size=100, test_size=50)
        >>> data
        Dataset('convex', classification, 100 training rows, 50 test rows, 784 features, 2 classes)
        >>> bool((is_convex(data.x_test.reshape(-1, 28, 28)) == data.y_test).all())
        True

    Source: Larochelle, Erhan, Courville, Bergstra and Bengio, "An empirical evaluation of deep
    architectures on problems with many factors of variation", ICML 2007, "Recognition of convex
    sets".
    """
    check_sizes(train_size, test_size)
    train, test, _ = streams("convex", seed)
    x_train, y_train = _draw(train, train_size)
    x_test, y_test = _draw(test, test_size)
    return Dataset("convex", "classification", x_train, y_train, x_test, y_test, n_classes=2)


def _draw(
    rng: np.random.Generator, n_rows: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    labels = balanced_labels(rng, n_rows)
    images = np.empty((n_rows, SIDE, SIDE), dtype=np.float32)
    n_convex = int(labels.sum())
    images[labels == 1] = _fill(*_regions(rng, n_convex, *_CONVEX))
    images[labels == 0] = _nonconvex(rng, n_rows - n_convex)
    return images.reshape(n_rows, SIDE * SIDE), labels


def _nonconvex(rng: np.random.Generator, n_images: int) -> npt.NDArray[np.bool_]:
    """Draw unions of convex regions until n_images of them are not convex: (n_images, 28, 28)."""
    images = np.empty((n_images, SIDE, SIDE), dtype=np.bool_)
    done = 0
    while done < n_images:
        n_unions = min(n_images - done, _UNIONS_AT_ONCE)
        n_pieces = rng.integers(_PIECES[0], _PIECES[1] + 1, size=n_unions)
        pieces = _fill(*_regions(rng, int(n_pieces.sum()), *_PIECE))
        starts = np.cumsum(n_pieces) - n_pieces
        unions = np.logical_or.reduceat(pieces, starts, axis=0)
        kept = unions[~is_convex(unions)]
        images[done : done + len(kept)] = kept
        done += len(kept)
    return images


def _fill(first: npt.NDArray[np.int8], last: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Paint the columns first..last of every row: (n, 28) and (n, 28) to (n, 28, 28)."""
    column = np.arange(SIDE, dtype=np.int8)
    filled: npt.NDArray[np.bool_] = column >= first[:, :, None]
    filled &= column <= last[:, :, None]
    return filled


def _regions(
    rng: np.random.Generator, n_regions: int, stop: float, min_pixels: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Draw convex regions of at least min_pixels, as the first and last column of each row."""
    firsts, lasts, missing = [], [], n_regions
    while missing > 0:
        n_candidates = min(max(4 * missing, 64), _CANDIDATES_AT_ONCE)
        first, last = _candidates(rng, n_candidates, stop, min_pixels)
        firsts.append(first[:missing])
        lasts.append(last[:missing])
        missing -= len(firsts[-1])
    return np.concatenate(firsts), np.concatenate(lasts)


def _candidates(
    rng: np.random.Generator, n: int, stop: float, min_pixels: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Intersect n sets of half-planes; return those of min_pixels or more.

    A half-plane cuts every row of pixels at one point and keeps one side of it, so a convex region
    needs no more than its first and last column in each row, empty where first > last.
    """
    first = np.zeros((n, SIDE), dtype=np.int8)
    last = np.full((n, SIDE), SIDE - 1, dtype=np.int8)
    n_planes = np.floor(np.log1p(-rng.random(n)) / np.log1p(-stop)).astype(np.int64)
    row = np.arange(SIDE)
    depth = 0
    while (cut := np.flatnonzero(n_planes > depth)).size:
        # Through (x, y), with the normal (cos, sin): column c of row r stays if
        # (c - x) cos + (r - y) sin >= 0, that is, on one side of x - (r - y) tan.
        x, y = rng.random((2, cut.size, 1)) * SIDE - 0.5
        angle = rng.random((cut.size, 1)) * (2 * np.pi)
        edge = np.clip(x - np.tan(angle) * (row - y), -1, SIDE)
        keeps_right = np.cos(angle) > 0
        low = np.where(keeps_right, np.ceil(edge), 0).astype(np.int8)
        high = np.where(keeps_right, SIDE - 1, np.floor(edge)).astype(np.int8)
        first[cut] = np.maximum(first[cut], low)
        last[cut] = np.minimum(last[cut], high)
        pixels = np.maximum(last[cut] - first[cut] + 1, 0).sum(axis=1)
        # Too small already, and further half-planes only take away.
        n_planes[cut[pixels < min_pixels]] = -1
        depth += 1
    kept = n_planes >= 0
    return first[kept], last[kept]
