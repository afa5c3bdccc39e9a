"""Saving a model that was hours in the making: there is always a second place to try."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hashgrad import Network


def save(network: Network, path: str) -> tuple[str, OSError | None]:
    """Write the model to a file; if that fails, to the folder for temporary files.

    Args:
        network: the model.
        path: where it belongs.

    Returns:
        Where it is, and what went wrong with `path`, if anything did.

    Raises:
        OSError: it can be written nowhere.
    """
    try:
        network.save(path)
    except OSError as error:
        refuge = Path(tempfile.gettempdir(), f"{Path(path).stem}-{os.getpid()}.hashgrad")
        network.save(refuge)
        return str(refuge), error
    return path, None
