"""MLflow: a training as a run, with its parameters and the numbers of each epoch."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from .callback import Callback
from .scalars import scalars
from .settings import settings

if TYPE_CHECKING:
    from ..network import Network


class MLflowLogger(Callback):
    """The network's settings as parameters of an MLflow run, each epoch's numbers as metrics.

    A run that is active already is used and left open; otherwise one is begun, and ended as
    finished, failed, or killed by Ctrl-C. A tracking server that fails under way costs a warning.
    `epochs` is a parameter only of a run that is begun here: MLflow lets no parameter change, and a
    run of yours may see a second `fit` with more epochs.

    Tested against a stand-in with the signatures of MLflow's functions, not against MLflow itself.

    Args:
        experiment: the experiment's name; None is MLflow's own choice.
        run_name: the name of a run that is begun here.

    Raises:
        ImportError: MLflow is not installed; the message says how to get it.

    Source: MLflow's fluent interface, https://mlflow.org/docs/latest/api_reference/python_api/mlflow.html
    """

    def __init__(self, experiment: str | None = None, run_name: str | None = None) -> None:
        try:
            import mlflow
        except ModuleNotFoundError as error:
            raise ImportError(
                f"MLflowLogger needs {error.name}: pip install 'hashgrad[mlflow]'"
            ) from None
        self.experiment, self.run_name = experiment, run_name
        self._mlflow: Any = mlflow
        self._ours = False
        self._warned = False

    def on_train_begin(self, network: Network, epochs: int) -> None:
        """Begin a run, unless one is active, and tell its parameters."""
        self._warned = False
        self._ours = self._mlflow.active_run() is None
        if self._ours:
            if self.experiment is not None:
                self._mlflow.set_experiment(self.experiment)
            self._mlflow.start_run(run_name=self.run_name)
        parameters = {**settings(network), "epochs": epochs} if self._ours else settings(network)
        try:
            self._mlflow.log_params(parameters)
        except BaseException:
            if self._ours:  # who did not begin is not told of an end
                self._mlflow.end_run("FAILED")
            raise

    def on_epoch_end(self, network: Network, record: dict[str, Any]) -> None:
        """Add the epoch's numbers, with the epoch as step."""
        numbers = scalars(record)
        epoch = numbers.pop("epoch")
        try:
            self._mlflow.log_metrics(numbers, step=epoch)
        except self._mlflow.exceptions.MlflowException as error:
            if not self._warned:
                warnings.warn(
                    f"MLflow has not taken epoch {epoch} ({error}): training goes on, and "
                    "Network.history has all epochs",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self._warned = True

    def on_train_end(self, network: Network, error: BaseException | None) -> None:
        """End the run that was begun here."""
        if self._ours:
            ended = "FAILED" if error is not None else "FINISHED"
            self._mlflow.end_run("KILLED" if network.interrupted else ended)
