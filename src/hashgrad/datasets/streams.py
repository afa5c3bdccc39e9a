"""Seeded random streams of the generators, and the arguments they share."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from ..checks import Interval

SIDE = 28  # pixels along an image, in all of Larochelle et al.'s sets


def streams(
    name: str, seed: int
) -> tuple[np.random.Generator, np.random.Generator, np.random.Generator]:
    """Make independent generators for training rows, test rows and what both share.

    The name enters as well, so that two sets with one seed have nothing in common; and a change of
    the training size leaves the test rows as they are.

    Raises:
        TypeError: seed is no whole number.
        ValueError: seed is negative.
    """
    seed = Interval(0, integer=True).check("seed", seed)
    root = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
    train, test, shared = (np.random.default_rng(child) for child in root.spawn(3))
    return train, test, shared


def check_sizes(train_size: int, test_size: int) -> None:
    """Refuse to generate fewer than 2 rows, one of each class."""
    rule = Interval(2, integer=True)
    rule.check("train_size", train_size)
    rule.check("test_size", test_size)


def balanced_labels(rng: np.random.Generator, n_rows: int) -> npt.NDArray[np.int32]:
    """Draw labels 0 and 1 in random order, as many of each (one 0 more where n_rows is odd)."""
    return rng.permutation(np.arange(n_rows, dtype=np.int32) % 2)
