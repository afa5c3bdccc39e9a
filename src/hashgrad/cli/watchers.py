"""What `hashgrad train` writes beside the training: files and TensorBoard, as the options say."""

from __future__ import annotations

from pathlib import Path

from hashgrad.callbacks import Callback, CSVLogger, JSONLLogger, TensorBoardLogger

LOGGERS = {".csv": CSVLogger, ".jsonl": JSONLLogger}


def watchers(log: str | None, tensorboard: str | None) -> list[Callback]:
    """The callbacks that write what the options ask for.

    Args:
        log: a file, `.csv` or `.jsonl`; None is none.
        tensorboard: a folder; None is none.

    Raises:
        ImportError: what writes for TensorBoard is not installed.
        ValueError: a file of another kind, or no folder.

    >>> [type(callback).__name__ for callback in watchers("epochs.csv", None)]
    ['CSVLogger']
    """
    found: list[Callback] = []
    if log is not None:
        if Path(log).suffix not in LOGGERS:
            raise ValueError(f"--log must name a {' or '.join(LOGGERS)} file, got {log!r}")
        found.append(LOGGERS[Path(log).suffix](log))
    if tensorboard is not None:
        if Path(tensorboard).exists() and not Path(tensorboard).is_dir():
            raise ValueError(f"--tensorboard must name a folder, got the file {tensorboard!r}")
        found.append(TensorBoardLogger(tensorboard))
    return found
