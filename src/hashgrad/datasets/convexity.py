"""Is the white part of an image convex? An exact test on the pixel grid."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt


def is_convex(images: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell for every image whether its white pixels are a convex set of the grid.

    A set S of pixel centres is convex if S = conv(S) ∩ Z²: every pixel inside the polygon spanned
    by white pixels is white. The intersection of half-planes with the grid always is. In column x,
    conv(S) reaches up to

        max over x1 <= x <= x2 of ((x2 - x) top(x1) + (x - x1) top(x2)) / (x2 - x1)

    where top(x) is the highest white pixel of column x; likewise downwards. S is convex if it has
    as many pixels as lie between the two bounds. All of it is whole-number arithmetic.

    Args:
        images: array (n, side, side); what is not zero is white.

    Returns:
        Boolean array (n,). An image without a white pixel counts as convex.

    Example:
        >>> is_convex(np.array([[[1, 1], [0, 1]]]))
        array([ True])
        >>> is_convex(np.array([[[1, 0, 1], [0, 0, 0], [0, 0, 0]]]))
        array([False])
    """
    white = np.asarray(images) != 0
    side = white.shape[1]
    # So low that no mean with a pixel of the image, of weight up to (side - 1) / side, reaches 0.
    nowhere = -side * side
    some = white.any(axis=1)  # (n, columns)
    first, last = white.argmax(axis=1), side - 1 - white[:, ::-1].argmax(axis=1)
    # Columns lead, so that the loop below runs along whole contiguous rows of images.
    bottom = np.ascontiguousarray(np.where(some, last, nowhere).T, dtype=np.int32)
    # Row 0 is the upper edge: the top is a maximum once rows are counted from the lower edge.
    top = np.ascontiguousarray(np.where(some, side - 1 - first, nowhere).T, dtype=np.int32)
    inside = _reach(bottom) + _reach(top) - (side - 2)
    area = np.maximum(inside, 0).sum(axis=0)
    return cast("npt.NDArray[np.bool_]", area == white.sum(axis=(1, 2)))


def _reach(extreme: npt.NDArray[Any]) -> Any:
    """Largest pixel of the hull in each column, from the largest white one; both (side, n)."""
    side = len(extreme)
    reach = extreme.copy()
    for gap in range(2, side):
        left, right = extreme[:-gap], extreme[gap:]
        for offset in range(1, gap):
            between = (gap - offset) * left + offset * right
            between //= gap
            target = reach[offset : offset + side - gap]
            np.maximum(target, between, out=target)
    return reach
