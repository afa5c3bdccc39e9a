"""Smooth random deformations of small images, to first order in how far each pixel moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .streams import SIDE

_CANVAS = 64  # noise is smoothed on a torus so wide that opposite edges of a field know nothing
_SMOOTHNESS = 4.0  # standard deviation, in pixels, of the Gaussian that smooths the noise


def draw_fields(rng: np.random.Generator, n_fields: int) -> npt.NDArray[np.float32]:
    """Draw displacement fields: how far every pixel moves down and to the right.

    Each of the two components is white Gaussian noise, smoothed by a Gaussian of 4 pixels and
    scaled so that its mean square over all fields is expected to be 1.

    Args:
        rng: the stream to draw from.
        n_fields: how many, 1 or more.

    Returns:
        float32 array (n_fields, 2, 28, 28).

    Example:
        >>> draw_fields(np.random.default_rng(0), 3).shape
        (3, 2, 28, 28)

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied
    to visual document analysis", ICDAR 2003, for smoothed noise as displacements.
    """
    frequency = np.fft.fftfreq(_CANVAS)
    gain = np.exp(-2 * (np.pi * _SMOOTHNESS * frequency) ** 2)
    gain /= np.sqrt(np.mean(gain**2))
    gains = gain[:, None] * gain[: _CANVAS // 2 + 1]
    fields = np.empty((n_fields, 2, SIDE, SIDE), dtype=np.float32)
    for field in fields:
        noise = rng.standard_normal((2, _CANVAS, _CANVAS))
        smooth = np.fft.irfft2(np.fft.rfft2(noise) * gains, s=(_CANVAS, _CANVAS))
        field[...] = smooth[:, :SIDE, :SIDE]
    return fields


def tangents(
    framed: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Differentiate images along their columns (downwards) and along their rows (to the right).

    Central differences, smoothed across by (1, 2, 1) / 4.

    Args:
        framed: images (n, height + 2, width + 2), with a frame of one pixel.

    Returns:
        Two arrays (n, height, width), in grey levels a pixel.

    Example:
        >>> ramp = np.tile(np.arange(4, dtype=np.float32), (1, 4, 1))
        >>> down, right = tangents(ramp)
        >>> down.tolist(), right.tolist()
        ([[[0.0, 0.0], [0.0, 0.0]]], [[[1.0, 1.0], [1.0, 1.0]]])
    """
    across = framed[:, :-2] + framed[:, 2:]
    across += framed[:, 1:-1]
    across += framed[:, 1:-1]
    right = across[:, :, 2:] - across[:, :, :-2]
    across = np.subtract(framed[:, 2:], framed[:, :-2], out=across)
    down = across[:, :, :-2] + across[:, :, 2:]
    down += across[:, :, 1:-1]
    down += across[:, :, 1:-1]
    for tangent in (down, right):
        tangent *= np.float32(0.125)
    return down, right


def deform(
    framed: npt.NDArray[np.float32],
    fields: npt.NDArray[np.float32],
    thickness: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Deform images x to first order, and make their strokes thicker or thinner.

        x + f_down * d_down + f_right * d_right + b * sqrt(d_down^2 + d_right^2)

    where d are the tangents of x, f its field and b its thickness. What moves by f in this way
    comes from f pixels further down and to the right.

    Args:
        framed: images (n, height + 2, width + 2), with a frame of one pixel.
        fields: (n, 2, height, width), in pixels.
        thickness: (n,), the pixels by which white grows over black at every edge.

    Returns:
        Array (n, height, width), not clipped to the range of the grey levels.

    Example:
        >>> ramp = np.tile(np.arange(4, dtype=np.float32), (1, 4, 1))
        >>> field = np.full((1, 2, 2, 2), 0.5, dtype=np.float32)
        >>> deform(ramp, field, np.zeros(1, dtype=np.float32)).tolist()
        [[[1.5, 2.5], [1.5, 2.5]]]

    Source: Loosli, Canu and Bottou, "Training invariant support vector machines using selective
    sampling", in Large Scale Kernel Machines, 2007.
    """
    down, right = tangents(framed)
    deformed = fields[:, 0] * down
    deformed += framed[:, 1:-1, 1:-1]
    deformed += fields[:, 1] * right
    down *= down
    right *= right
    down += right
    np.sqrt(down, out=down)
    down *= thickness[:, None, None]
    deformed += down
    return deformed
