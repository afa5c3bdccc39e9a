"""Small data sets that the tests share; every one is a second's work for a small network."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashgrad import LSH, Dense, Network, _core, calibration, load

os.environ[calibration.VARIABLE] = calibration.OFF  # choices as on the reference machine

N_INPUTS = 24
N_CLASSES = 4


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """A job that a shell puts in the background ignores Ctrl-C; the tests press it all the same."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=_core.simd_levels())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """One instruction set after the other, the one before restored at the end."""
    before = _core.simd_level()
    _core.set_simd_level(request.param)
    yield request.param
    _core.set_simd_level(before)


def hashed(n: int = 64, fraction: float = 0.2, **settings: Any) -> Dense:
    """A small LSH layer whose tables are rebuilt and re-hashed several times in a test."""
    defaults = {
        "bits": 4,
        "tables": 16,
        "lookup": "scan",
        "probes": 2,
        "rehash_every": 100,
        "rebuild_every": 500,
    }
    return Dense(n, active=LSH(fraction, **{**defaults, **settings}))


def network(*hidden: Dense, outputs: int = N_CLASSES, **settings: Any) -> Network:
    """A network over the tests' data; one hashed layer unless told otherwise."""
    return Network(N_INPUTS, [*(hidden or (hashed(),)), Dense(outputs)], **settings)


def smallest_batch(optimizer: Any) -> int:
    """The smallest batches that an optimizer can train by."""
    return 2 if getattr(optimizer, "state", "") == "8-bit" else 1


def same_bits(a: Network, b: Network) -> bool:
    """Whether two networks would write the same file: weights, optimizer, counters, history."""
    return to_bytes(a) == to_bytes(b)


def to_bytes(net: Network) -> bytes:
    """The bytes of the network's file."""
    with tempfile.TemporaryDirectory() as folder:
        net.save(Path(folder) / "net")
        return (Path(folder) / "net").read_bytes()


def from_bytes(data: bytes) -> Network:
    """The network whose file has these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net").write_bytes(data)
        return load(Path(folder) / "net")


@pytest.fixture(scope="session")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """X (600, 24) and labels of 4 classes, each a noisy ball around a centre of its own."""
    random = np.random.default_rng(1)
    y = random.integers(N_CLASSES, size=600)
    centres = 2 * random.normal(size=(N_CLASSES, N_INPUTS))
    X = (centres[y] + random.normal(size=(600, N_INPUTS))).astype(np.float32)
    X.setflags(write=False)
    return X, y


@pytest.fixture(scope="session")
def tags() -> tuple[Any, Any]:
    """Sparse X (400, 24) and an indicator matrix of 6 labels, each a threshold of some columns."""
    from scipy.sparse import csr_array

    random = np.random.default_rng(2)
    X = random.random((400, N_INPUTS)) * (random.random((400, N_INPUTS)) < 0.3)
    Y = (X @ random.normal(size=(N_INPUTS, 6)) > 0.4).astype(np.int8)
    return csr_array(X.astype(np.float32)), csr_array(Y)


@pytest.fixture(scope="session")
def line() -> tuple[np.ndarray, np.ndarray]:
    """X (400, 24) and a value that depends on two of its columns."""
    random = np.random.default_rng(3)
    X = random.normal(size=(400, N_INPUTS)).astype(np.float32)
    return X, (X[:, 0] - 2 * X[:, 1]).astype(np.float64)
