"""Grey textures with the spectrum of photographs, to cut image patches from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_SIZE = 256  # pixels along a texture
_EXPONENTS = (1.0, 1.4)  # of the amplitude's fall with frequency; photographs lie near 1.2
_CONTRAST = 64  # standard deviation in grey levels of 0..255


def draw_textures(rng: np.random.Generator, n_textures: int) -> npt.NDArray[np.uint8]:
    """Draw square textures of 256 x 256 grey levels.

    White noise is filtered to the amplitude 1 / f^a, with a evenly spread from 1.0 to 1.4 over the
    textures, then brought to a mean of 127.5 and a standard deviation of 64 and rounded to 8 bits,
    as a photograph is stored.

    Args:
        rng: the stream to draw from.
        n_textures: how many, 1 or more.

    Returns:
        uint8 array (n_textures, 256, 256).

    Example:
        >>> draw_textures(np.random.default_rng(0), 2).shape
        (2, 256, 256)

    Source: Field, "Relations between the statistics of natural images and the response properties
    of cortical cells", 1987, for the spectrum.
    """
    frequency = np.hypot(np.fft.fftfreq(_SIZE)[:, None], np.fft.rfftfreq(_SIZE))
    frequency[0, 0] = np.inf  # no constant part
    textures = np.empty((n_textures, _SIZE, _SIZE), dtype=np.uint8)
    for texture, exponent in zip(textures, np.linspace(*_EXPONENTS, n_textures), strict=True):
        noise = rng.standard_normal((_SIZE, _SIZE))
        grey = np.fft.irfft2(np.fft.rfft2(noise) * frequency**-exponent, s=noise.shape)
        grey *= _CONTRAST / grey.std()
        texture[...] = np.clip(np.rint(grey + 127.5), 0, 255)
    return textures


def cut_patches(
    rng: np.random.Generator, textures: npt.NDArray[np.uint8], n_patches: int, side: int
) -> npt.NDArray[np.uint8]:
    """Cut square patches at random places of random textures.

    Args:
        rng: the stream to draw from.
        textures: (t, size, size).
        n_patches: how many.
        side: pixels along a patch, at most size.

    Returns:
        uint8 array (n_patches, side, side).
    """
    windows = np.lib.stride_tricks.sliding_window_view(textures, (side, side), axis=(1, 2))
    which, row, column = (rng.integers(0, bound, size=n_patches) for bound in windows.shape[:3])
    patches: npt.NDArray[np.uint8] = windows[which, row, column]
    return patches
