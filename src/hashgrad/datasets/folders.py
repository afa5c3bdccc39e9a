"""Where the files of a named set lie: a folder of the user's own, or the cache."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "HASHGRAD_DATA"


def own_folder(name: str) -> Path | None:
    """Find `$HASHGRAD_DATA/<name>`; None where the variable is unset or has no such folder.

    Raises:
        FileNotFoundError: the variable names no folder at all.
    """
    root = os.environ.get(VARIABLE)
    if not root:
        return None
    if not Path(root).is_dir():
        raise FileNotFoundError(f"{VARIABLE} must name a folder, got {root!r}")
    folder = Path(root, name)
    return folder if folder.is_dir() else None


def cache_folder(name: str) -> Path:
    """Name the set's folder in the user's cache, whether or not it exists."""
    import pooch

    return Path(pooch.os_cache("hashgrad"), name)


def where_to_put(name: str, files: str) -> str:
    """Say what to do about a set that is nowhere to be found, for the end of a message."""
    root = os.environ.get(VARIABLE)
    setting = f"{VARIABLE} is {root!r}" if root else f"{VARIABLE} is not set"
    return (
        f"Put {files} into the folder {name} below the one that the environment variable "
        f"{VARIABLE} names ({setting}), or into {cache_folder(name)}"
    )
