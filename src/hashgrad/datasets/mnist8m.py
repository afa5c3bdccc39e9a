"""`mnist8m`: 8,100,000 deformed digits, made while they are read (Loosli et al. 2007)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..checks import Interval, shown
from .dataset import Dataset
from .deformations import deform, draw_fields
from .streams import SIDE, streams

SIZE = 8_100_000
MOST_IN_MEMORY = 1_000_000  # training rows of `make_mnist8m`: 3.1 GB
_NAME = "mnist8m"

_N_FIELDS = 512
_STRENGTH = 2.0  # a field is this times the sum of two of the bank, each times a number in [-1, 1)
_THICKNESS = 1.0  # strokes grow by -1 to 1 pixel on either side
_SHIFT = 2  # most pixels that an image moves, along either side
_IMAGES_AT_ONCE = 128  # keeps the work arrays in the processor's cache

_Block: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]


class Mnist8m:
    """8,100,000 digits: the images of MNIST, again and again, each time deformed anew.

    Example i is training image i mod n of the n = 60,000, as in infinite MNIST shifted by whole
    pixels, and deformed to first order by a smooth random field, its strokes made thicker or
    thinner (`deformations.deform`). It depends on the seed and on i and on nothing else, and is
    made when it is asked for: what stays in memory are MNIST's images, a byte a pixel, and the
    fields.

    From the paper: smooth fields from a bank drawn once, the tangents of the image, the term for
    thickness, translations by one or two pixels.

    Our choice: 512 fields; an example's field is 2 (a f + b g) with f and g of the bank and a, b
    uniform in [-1, 1), 1.6 pixels in the root mean square; thickness uniform in [-1, 1) pixels;
    shifts of -2..2 pixels along each side; the first 60,000 are deformed as well; grey levels are
    k / 255 in [0, 1].

    Args:
        images: uint8, or floats in [0, 1], of shape (n, 784) or (n, 28, 28); None loads MNIST's.
        labels: whole numbers (n,); None where images is None.
        seed: the same seed gives the same examples.

    Raises:
        FileNotFoundError: MNIST is neither here nor within reach.
        TypeError: seed is no whole number.
        ValueError: images or labels of another shape, type or range, one without the other, or a
            negative seed.

    Example:
        >>> ring = np.zeros((1, 28, 28), dtype=np.uint8)
        >>> ring[:, 8:20, 8:20], ring[:, 11:17, 11:17] = 255, 0
        >>> x, y = Mnist8m(ring, [0]).rows(0, 5)
        >>> x.shape, y.tolist()
        ((5, 784), [0, 0, 0, 0, 0])

    Source: Loosli, Canu and Bottou, "Training invariant support vector machines using selective
    sampling", in Large Scale Kernel Machines, 2007.
    """

    def __init__(self, images: Any = None, labels: Any = None, *, seed: int = 0) -> None:
        if (images is None) != (labels is None):
            given = "images" if labels is None else "labels"
            raise ValueError(f"images and labels must come together, got {given} only")
        own, _, shared = streams(_NAME, seed)
        if images is None:
            # The module of the named sets, behind `load`, knows this one.
            from .loading import load

            digits = load("mnist")
            images, labels = digits.x_train, digits.y_train
        self._images = _framed(images)
        self._labels = _checked_labels(labels, len(self._images))
        self._fields = draw_fields(shared, _N_FIELDS)
        self._key = own.bit_generator.random_raw(2)

    def __len__(self) -> int:
        return SIZE

    def rows(self, start: int, stop: int) -> _Block:
        """Make the examples from start up to stop, which is left out.

        Args:
            start: first example, 0 or more.
            stop: above start, 8,100,000 at most.

        Returns:
            x, float32 (stop - start, 784), and y, int32 (stop - start,).

        Raises:
            TypeError: start or stop is no whole number.
            ValueError: start or stop is out of range.
        """
        start = Interval(0, SIZE - 1, integer=True).check("start", start)
        stop = Interval(start + 1, SIZE, integer=True).check("stop", stop)
        x = np.empty((stop - start, SIDE * SIDE), dtype=np.float32)
        for begin in range(0, len(x), _IMAGES_AT_ONCE):
            some = x[begin : begin + _IMAGES_AT_ONCE]
            self._paint(some.reshape(-1, SIDE, SIDE), start + begin)
        return x, self._labels[np.arange(start, stop) % len(self._labels)]

    def stream(
        self, size: int | None = None, *, block: int = 1000, start: int = 0
    ) -> Iterator[_Block]:
        """Make examples block by block; only the block at hand is in memory.

        Args:
            size: how many; None goes on to the last of the 8,100,000.
            block: examples of a block, 1 or more; the last block may have fewer.
            start: number of the first example.

        Returns:
            Iterator of x, float32 (block, 784), and y, int32 (block,).

        Raises:
            TypeError: an argument is no whole number.
            ValueError: an argument is out of range.
        """
        start = Interval(0, SIZE - 1, integer=True).check("start", start)
        left = SIZE - start
        size = Interval(1, left, integer=True, optional=True).check("size", size)
        block = Interval(1, integer=True).check("block", block)
        stop = start + (left if size is None else size)
        return (self.rows(begin, min(begin + block, stop)) for begin in range(start, stop, block))

    def _paint(self, out: npt.NDArray[np.float32], start: int) -> None:
        """Fill out (n, 28, 28) with the examples from start on."""
        uniform = _uniform(self._key, start, len(out))
        one, other = (uniform[:, :2] * _N_FIELDS).astype(np.intp).T
        weights = (_STRENGTH * (2 * uniform[:, 2:4] - 1)).astype(np.float32)
        thickness = (_THICKNESS * (2 * uniform[:, 4] - 1)).astype(np.float32)
        row, column = (uniform[:, 5:7] * (2 * _SHIFT + 1)).astype(np.intp).T

        fields = self._fields[one]
        fields *= weights[:, 0, None, None, None]
        second = self._fields[other]
        second *= weights[:, 1, None, None, None]
        fields += second

        # Images stand in a black margin, so that a window on it is a shifted image in its frame.
        windows = np.lib.stride_tricks.sliding_window_view(
            self._images, (SIDE + 2, SIDE + 2), axis=(1, 2)
        )
        which = np.arange(start, start + len(out)) % len(self._images)
        grey = deform(windows[which, row, column].astype(np.float32), fields, thickness)
        np.rint(grey, out=grey)
        np.clip(grey, 0, 255, out=grey)
        np.divide(grey, 255, out=out)


def mnist8m_stream(
    size: int | None = None,
    *,
    seed: int = 0,
    block: int = 1000,
    start: int = 0,
    images: Any = None,
    labels: Any = None,
) -> Iterator[_Block]:
    """Stream the examples of `mnist8m` block by block; see `Mnist8m` for what they are.

    Args:
        size: how many, up to 8,100,000; None goes on to the last.
        seed: the same seed gives the same examples, whatever the blocks.
        block: examples of a block, 1 or more; the last block may have fewer.
        start: number of the first example.
        images: uint8, or floats in [0, 1], of shape (n, 784) or (n, 28, 28); None loads MNIST's.
        labels: whole numbers (n,); None where images is None.

    Returns:
        Iterator of x, float32 (block, 784), and y, int32 (block,).

    Raises:
        FileNotFoundError: MNIST is neither here nor within reach.
        TypeError: a number is not whole.
        ValueError: an argument is out of range, or images and labels do not go together.

    Example:
        >>> from hashgrad import Dense, Network
        >>> images = np.random.default_rng(0).integers(256, size=(9, 28, 28), dtype=np.uint8)
        >>> net = Network(784, [Dense(10)])
        >>> for x, y in mnist8m_stream(250, block=100, images=images, labels=range(9)):
        ...     _ = net.partial_fit(x, y)
        >>> x.shape, y.shape
        ((50, 784), (50,))
    """
    return Mnist8m(images, labels, seed=seed).stream(size, block=block, start=start)


def make_mnist8m(
    *, train_size: int = 240_000, test_size: int | None = None, seed: int = 0
) -> Dataset:
    """Make a set in memory of the first examples of `Mnist8m`, and MNIST's own test images.

    Args:
        train_size: training rows, 1 to 1,000,000; at 240,000 they take 750 MB.
        test_size: test rows, the first of MNIST's 10,000; None takes all.
        seed: of the deformations.

    Raises:
        FileNotFoundError: MNIST is neither here nor within reach.
        TypeError: a size or the seed is no whole number.
        ValueError: a size out of range, or a negative seed.
    """
    from .loading import load

    train_size = Interval(1, integer=True).check("train_size", train_size)
    if train_size > MOST_IN_MEMORY:
        raise ValueError(
            f"train_size of {_NAME} must be at most {MOST_IN_MEMORY:,}, as all rows are held in "
            f"memory, got {train_size:,}; hashgrad.datasets.mnist8m_stream makes up to {SIZE:,} "
            "block by block"
        )
    digits = load("mnist", test_size=test_size)
    x_test, y_test, n_classes = digits.x_test, digits.y_test, digits.n_classes
    source = Mnist8m(digits.x_train, digits.y_train, seed=seed)
    del digits  # its training rows make room for the new ones
    x_train, y_train = source.rows(0, train_size)
    return Dataset(_NAME, "classification", x_train, y_train, x_test, y_test, n_classes=n_classes)


def _uniform(key: npt.NDArray[Any], start: int, n: int) -> npt.NDArray[np.float64]:
    """Draw eight numbers in [0, 1) for each of n examples: (n, 8).

    The generator's counter is the number of the example, so that no draw depends on which others
    are made.
    """
    words = np.random.Philox(key=key, counter=start).random_raw(4 * n).reshape(n, 4)
    halves = np.concatenate([words >> np.uint64(32), words & np.uint64(2**32 - 1)], axis=1)
    return np.asarray(halves * 2.0**-32)


def _framed(images: Any) -> npt.NDArray[np.uint8]:
    """Check images, and put them as grey levels 0..255 into a black margin."""
    array = np.asarray(images)
    n_pixels = SIDE * SIDE
    if array.ndim < 2 or len(array) == 0 or math.prod(array.shape[1:]) != n_pixels:
        raise ValueError(
            f"images must have the shape (n, {n_pixels}) or (n, {SIDE}, {SIDE}) with n >= 1, "
            f"got {array.shape}"
        )
    if array.dtype != np.uint8:
        got = str(array.dtype)
        if array.dtype.kind == "f":
            low, high = float(array.min()), float(array.max())
            got = "" if low >= 0 and high <= 1 else f"values from {low} to {high}"
        if got:
            raise ValueError(f"images must be uint8, or floats in [0, 1], got {got}")
    margin = _SHIFT + 1
    framed = np.zeros((len(array), SIDE + 2 * margin, SIDE + 2 * margin), dtype=np.uint8)
    inside = framed[:, margin:-margin, margin:-margin]
    for begin in range(0, len(array), _IMAGES_AT_ONCE):
        some = slice(begin, begin + _IMAGES_AT_ONCE)
        part = array[some].reshape(-1, SIDE, SIDE)
        inside[some] = part if part.dtype == np.uint8 else np.rint(part * 255)
    return framed


def _checked_labels(labels: Any, n_images: int) -> npt.NDArray[np.int32]:
    array = np.asarray(labels)
    if array.dtype.kind not in "iu" or array.shape != (n_images,):
        raise ValueError(
            f"labels must be {n_images} whole numbers, one for each image, "
            f"got {array.dtype} of shape {array.shape}"
        )
    if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
        raise ValueError(f"labels must be 0 or more and below 2**31, got {shown(array.tolist())}")
    return array.astype(np.int32)
