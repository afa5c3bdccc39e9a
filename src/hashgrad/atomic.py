"""Files written whole or not at all: a crash or a full disk leaves the old one as it was."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from safetensors import SafetensorError


def write_atomically(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file so that a crash leaves the old one, or the new one, whole.

    The bytes go to a temporary file in the same folder, which is flushed to the disk and renamed.

    Args:
        path: the file; a symbolic link is followed.
        pieces: its bytes.

    Raises:
        OSError: it cannot be written (no permission, disk full); the old file is untouched.
    """
    with replacing(path) as temporary, Path(temporary).open("wb") as file:
        file.writelines(pieces)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """A temporary file to write; it then takes the file's place, unless there was an error.

    Args:
        path: the file; a symbolic link is followed.

    Yields:
        The temporary file's path, in the same folder.

    Raises:
        OSError: something cannot be written, or the path is a device or a pipe; the old file is
            untouched, the temporary one gone.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(f"{folder}/file") as temporary:
        ...         _ = Path(temporary).write_text("whole")
        ...     Path(f"{folder}/file").read_text()
        'whole'
    """
    target = Path(path).resolve()
    # Renaming would put a file in the place of a device or a pipe.
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise OSError(errno.EINVAL, "only a regular file can be replaced", os.fspath(path))
    temporary = None
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        descriptor, temporary = tempfile.mkstemp(
            prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent
        )
        os.close(descriptor)
        yield temporary
        Path(temporary).chmod(_mode(target))
        _flush(temporary, os.O_RDWR)
        Path(temporary).replace(target)
        temporary = None
        if os.name == "posix":  # elsewhere a folder cannot be opened
            _flush(target.parent, os.O_RDONLY)
    except (OSError, SafetensorError) as error:
        raise system_error(error, path, "written") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _mode(target: Path) -> int:
    """Permissions of the file to be replaced, or those that a new file would get."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _flush(path: str | os.PathLike[str], flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def system_error(error: Exception, path: str | os.PathLike[str], what: str) -> OSError:
    """The error with the file's name; the library has the system's number in its text only."""
    number = getattr(error, "errno", None)
    if number is None:
        found = re.search(r"(?:os error|code:) (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
    reason = f"{os.strerror(number)}; the file could not be {what}"
    return OSError(number, reason, os.fspath(path))
