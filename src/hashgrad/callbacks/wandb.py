"""Weights & Biases: a training as a run, with its configuration and the numbers of each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .callback import Callback
from .scalars import scalars
from .settings import settings

if TYPE_CHECKING:
    from ..network import Network


class WandbLogger(Callback):
    """The network's settings as configuration of a run, each epoch's numbers as its steps.

    A run that is active already is used and left open; otherwise `wandb.init` begins one, which
    ends with the training. `WANDB_MODE=offline` keeps it on this machine.

    Tested against a stand-in with the signatures of wandb's functions, not against wandb itself.

    Args:
        project: the project's name; None is the library's own choice.
        run_name: the name of a run that is begun here.

    Raises:
        ImportError: wandb is not installed; the message says how to get it.

    Source: https://docs.wandb.ai/ref/python
    """

    def __init__(self, project: str | None = None, run_name: str | None = None) -> None:
        try:
            import wandb
        except ModuleNotFoundError as error:
            raise ImportError(
                f"WandbLogger needs {error.name}: pip install 'hashgrad[wandb]'"
            ) from None
        self.project, self.run_name = project, run_name
        self._wandb: Any = wandb
        self._run: Any = None
        self._ours = False

    def on_train_begin(self, network: Network, epochs: int) -> None:
        """Begin a run, unless one is active, and tell its configuration."""
        self._ours = self._wandb.run is None
        if self._ours:
            self._run = self._wandb.init(project=self.project, name=self.run_name)
        else:
            self._run = self._wandb.run
        self._run.config.update({**settings(network), "epochs": epochs}, allow_val_change=True)

    def on_epoch_end(self, network: Network, record: dict[str, Any]) -> None:
        """Log the epoch's numbers; `epoch` is one of them."""
        self._run.log(scalars(record))

    def on_train_end(self, network: Network, error: BaseException | None) -> None:
        """End the run that was begun here."""
        if self._ours:
            self._run.finish(exit_code=0 if error is None else 1)
