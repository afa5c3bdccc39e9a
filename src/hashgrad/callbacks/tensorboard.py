"""TensorBoard: the numbers of each epoch as its scalars."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .callback import Callback
from .scalars import scalars

if TYPE_CHECKING:
    from ..network import Network


class TensorBoardLogger(Callback):
    """The numbers of each epoch for TensorBoard, by `tensorboardX`, which needs no PyTorch.

    A training is one file of events in the folder; one that goes on adds a file, and TensorBoard
    hides what an earlier one says of later epochs.

    Args:
        folder: where to; made if it is not there.

    Raises:
        ImportError: tensorboardX is not installed; the message says how to get it.

    Source: the format of TensorFlow's event files, as tensorboardX writes them.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            import tensorboardX  # noqa: F401
        except ModuleNotFoundError as error:
            raise ImportError(
                f"TensorBoardLogger needs {error.name}: pip install 'hashgrad[tensorboard]'"
            ) from None
        self.folder = Path(folder)
        self._writer: Any = None

    def on_train_begin(self, network: Network, epochs: int) -> None:
        """Begin a file of events."""
        from tensorboardX import SummaryWriter

        after = network.epochs + 1
        self._writer = SummaryWriter(
            str(self.folder),
            purge_step=after if network.epochs else None,
            filename_suffix=f".{after}",  # its name says but the second
        )

    def on_epoch_end(self, network: Network, record: dict[str, Any]) -> None:
        """Add the epoch's numbers; those of layer n stand under `layer_n/`."""
        numbers = scalars(record)
        epoch = numbers.pop("epoch")
        for name, value in numbers.items():
            self._writer.add_scalar(name.replace(".", "/"), value, epoch)
        self._writer.flush()

    def on_train_end(self, network: Network, error: BaseException | None) -> None:
        """Close the file."""
        self._writer.close()
