"""Where results go: JSON to a file or standard output, words for people beside it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hashgrad.atomic import write_atomically

STDOUT = "-"


def console(json_path: str | None, quiet: bool = False) -> Console:
    """The console for people: standard output, unless JSON goes there."""
    return Console(stderr=json_path == STDOUT, quiet=quiet, highlight=False, soft_wrap=True)


def check_writable(option: str, path: str | None) -> None:
    """Raise unless a file can be made at `path`, so that no work is done in vain.

    Args:
        option: the option that named the path, for messages.
        path: the file to be written; None and `-` (standard output) are always fine.

    Raises:
        ValueError: the path is a folder, or its folder is missing or not writable.
    """
    if path is None or path == STDOUT:
        return
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"{option} must name a file, got the folder {path!r}")
    if not target.parent.is_dir():
        raise ValueError(f"{option} must name a file in an existing folder, got {path!r}")
    try:
        # Permission bits do not tell all (read-only mounts, full disks): try it.
        with tempfile.NamedTemporaryFile(dir=target.parent) as probe:
            probe.write(b"0")
    except OSError as error:
        raise ValueError(
            f"{option} must name a file that can be written, got {path!r} ({error.strerror})"
        ) from None


def write_json(path: str | None, result: dict[str, Any]) -> None:
    """Write one JSON object to a file, or to standard output for `-`; nothing for None."""
    if path is None:
        return
    text = json.dumps(result, indent=2, default=_plain, allow_nan=False) + "\n"
    if path == STDOUT:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_atomically(path, [text.encode()])


def table(*rows: tuple[str, str]) -> Table:
    """Names and values in two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name), Text(value))
    return grid


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"results must be numbers, words or lists, got {type(value).__name__}")
