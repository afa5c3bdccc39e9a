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

from hashgrad import datasets, files
from hashgrad.atomic import write_atomically

STDOUT = "-"


def console(json_path: str | None, quiet: bool = False) -> Console:
    """The console for people: standard output, unless JSON goes there."""
    return Console(stderr=json_path == STDOUT, quiet=quiet, highlight=False, soft_wrap=True)


def check_writable(option: str, path: str | None, *inputs: str | None) -> None:
    """Raise unless a file can be made at `path`, so that no work is done in vain.

    Args:
        option: the option that named the path, for messages.
        path: the file to be written; None and `-` (standard output) are always fine.
        inputs: what else the command reads or writes, where this must not go.

    Raises:
        ValueError: the path is a folder, a device, a pipe or an input, or its folder is missing
            or not writable.
    """
    if path is None or path == STDOUT:
        return
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"{option} must name a file, got the folder {path!r}")
    if target.exists() and not target.is_file():
        raise ValueError(f"{option} must name a regular file, got the device or pipe {path!r}")
    for other in inputs:
        if other is not None and other not in datasets.names() and _same(target, Path(other)):
            raise ValueError(
                f"{option} must name a file that the command does not use otherwise, got {path!r}"
            )
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


def folder_for_pictures(option: str, path: str, extra: str) -> Path:
    """A folder that can be written to, made if it is not there, where Matplotlib will draw.

    Args:
        option: the option that named the folder, for messages.
        path: the folder.
        extra: the extra of the package that brings Matplotlib.

    Raises:
        ValueError: Matplotlib is missing, or the folder cannot be made or written to.
    """
    folder = Path(path)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise ValueError(f"{option} needs Matplotlib: pip install 'hashgrad[{extra}]'") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(b"0")
    except OSError as error:
        raise ValueError(
            f"{option} must name a folder that can be made, got {path!r} ({error.strerror})"
        ) from None
    return folder


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)  # also by a hard link
    return one.resolve() == other.resolve()


def check_replaceable(option: str, path: str | None) -> None:
    """Raise ValueError if a file that is no model stands where a model is to be written."""
    # An empty file is a place that someone reserved.
    if path is None or not Path(path).is_file() or Path(path).stat().st_size == 0:
        return
    try:
        files.read_header(path)
    except ValueError:
        raise ValueError(
            f"{option} must name a new file or a hashgrad model to replace, got {path!r}, "
            "which is neither: remove it first, or choose another name"
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
