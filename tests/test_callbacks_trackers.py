"""TensorBoard by its real library; MLflow and wandb by stand-ins that note what they are told.

No test here runs MLflow or wandb themselves. The stand-ins have the signatures of
`mlflow.start_run`, `log_params`, `log_metrics`, `end_run` and of `wandb.init`, `Run.config.update`,
`Run.log` and `Run.finish`, so that a wrong call fails.
"""

from __future__ import annotations

import struct
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from conftest import from_bytes, network, to_bytes
from hashgrad.callbacks import MLflowLogger, TensorBoardLogger, WandbLogger, scalars
from hashgrad.callbacks.settings import settings


def events(folder: Path) -> dict[str, dict[int, float]]:
    """The scalars in a folder's event files: name -> step -> value."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            [length] = struct.unpack_from("<Q", data, at)
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            at += length + 16  # its length and two checksums
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_tensorboard_gets_every_number_of_every_epoch(blobs, tmp_path):
    pytest.importorskip("tensorboardX")
    net = network().fit(*blobs, epochs=3, validation=0.2, callbacks=[TensorBoardLogger(tmp_path)])
    found = events(tmp_path)
    for record in net.history:
        numbers = scalars(record)
        epoch = numbers.pop("epoch")
        for name, value in numbers.items():
            assert found[name.replace(".", "/")][epoch] == pytest.approx(value, rel=1e-6)
    assert "layer_1/recall" in found


def test_a_resumed_training_adds_to_the_folder(blobs, tmp_path):
    pytest.importorskip("tensorboardX")
    stop = [TensorBoardLogger(tmp_path), lambda record: record["epoch"] == 2]
    net = network().fit(*blobs, epochs=4, callbacks=stop)
    from_bytes(to_bytes(net)).fit(*blobs, epochs=4, callbacks=[TensorBoardLogger(tmp_path)])
    assert sorted(events(tmp_path)["loss"]) == [1, 2, 3, 4]


class MlflowError(Exception):
    pass


class StandInMlflow(types.ModuleType):
    """What MLflow is told, noted."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.exceptions = types.SimpleNamespace(MlflowException=MlflowError)
        self.calls: list[Any] = []
        self.active: object | None = None
        self.failing: set[int] = set()
        self.refuses = False
        self.parameters: dict[str, str] = {}

    def active_run(self) -> object | None:
        return self.active

    def set_experiment(
        self, experiment_name: str | None = None, experiment_id: str | None = None
    ) -> None:
        self.calls.append(("experiment", experiment_name))

    def start_run(self, run_id: str | None = None, *, run_name: str | None = None) -> None:
        assert self.active is None
        self.active, self.parameters = object(), {}
        self.calls.append(("start", run_name))

    def log_params(self, params: dict[str, Any]) -> None:
        texts = {key: str(value) for key, value in params.items()}
        if self.refuses or any(self.parameters.get(k, text) != text for k, text in texts.items()):
            raise MlflowError("parameters refused")  # as MLflow does with one that changes
        self.parameters.update(texts)
        self.calls.append(("params", params))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if step in self.failing:
            raise MlflowError("no answer")
        self.calls.append(("metrics", step, metrics))

    def end_run(self, status: str = "FINISHED") -> None:
        self.active = None
        self.calls.append(("end", status))


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> StandInMlflow:
    module = StandInMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return module


def test_mlflow_gets_a_run_with_settings_and_epochs(blobs, mlflow):
    net = network()
    net.fit(*blobs, epochs=2, callbacks=[MLflowLogger("experiment", "run")])
    assert [call[0] for call in mlflow.calls] == [
        "experiment", "start", "params", "metrics", "metrics", "end",
    ]  # fmt: skip
    assert mlflow.calls[1] == ("start", "run")
    assert mlflow.calls[2][1] == {**settings(net), "epochs": 2}
    for call, record in zip(mlflow.calls[3:5], net.history, strict=True):
        numbers = scalars(record)
        assert call == ("metrics", numbers.pop("epoch"), numbers)
    assert mlflow.calls[-1] == ("end", "FINISHED")


def test_an_active_mlflow_run_is_used_and_left_open(blobs, mlflow):
    mlflow.active = object()
    network().fit(*blobs, epochs=1, callbacks=[MLflowLogger()])
    assert [call[0] for call in mlflow.calls] == ["params", "metrics"]
    assert mlflow.active is not None


def test_an_active_mlflow_run_takes_a_second_fit_with_more_epochs(blobs, mlflow):
    mlflow.active = object()
    net = network()
    for last in (1, 2):
        net.fit(*blobs, epochs=last, callbacks=[MLflowLogger()])
    assert [call[1] for call in mlflow.calls if call[0] == "params"] == [settings(net)] * 2
    assert [call[1] for call in mlflow.calls if call[0] == "metrics"] == [1, 2]


@pytest.mark.parametrize("active", [None, object()])
def test_refused_parameters_are_an_error_and_leave_no_run_of_ours_open(blobs, mlflow, active):
    mlflow.active, mlflow.refuses = active, True
    net = network()
    with pytest.raises(MlflowError, match="parameters refused"):
        net.fit(*blobs, epochs=1, callbacks=[MLflowLogger()])
    assert mlflow.active is active
    assert mlflow.calls == ([("start", None), ("end", "FAILED")] if active is None else [])
    assert net.epochs == 0


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (RuntimeError, "FAILED")]
)
def test_an_mlflow_run_ends_as_the_training_did(blobs, mlflow, error, status):
    def fail(record):
        raise error

    net = network()
    if error is KeyboardInterrupt:
        net.fit(*blobs, epochs=2, callbacks=[MLflowLogger(), fail])
    else:
        with pytest.raises(error):
            net.fit(*blobs, epochs=2, callbacks=[MLflowLogger(), fail])
    assert mlflow.calls[-1] == ("end", status)


def test_a_tracking_server_that_fails_costs_one_warning(blobs, mlflow):
    mlflow.failing = {2, 3}
    with pytest.warns(RuntimeWarning, match=r"MLflow has not taken epoch 2 \(no answer\)") as all_:
        net = network().fit(*blobs, epochs=4, callbacks=[MLflowLogger()])
    assert len(all_) == 1
    assert net.epochs == 4
    assert [call[1] for call in mlflow.calls if call[0] == "metrics"] == [1, 4]


class StandInRun:
    """A run of wandb, which notes what it is told."""

    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls
        self.config = self

    def update(self, d: dict[str, Any], allow_val_change: bool | None = None) -> None:
        self.calls.append(("config", d))

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        self.calls.append(("log", data))

    def finish(self, exit_code: int | None = None) -> None:
        self.calls.append(("finish", exit_code))


class StandInWandb(types.ModuleType):
    """What wandb is told, noted."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.calls: list[Any] = []
        self.run: StandInRun | None = None

    def init(self, project: str | None = None, name: str | None = None) -> StandInRun:
        self.calls.append(("init", project, name))
        return StandInRun(self.calls)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> StandInWandb:
    module = StandInWandb()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_wandb_gets_a_run_with_settings_and_epochs(blobs, wandb):
    net = network()
    net.fit(*blobs, epochs=2, callbacks=[WandbLogger("project", "run")])
    assert wandb.calls == [
        ("init", "project", "run"),
        ("config", {**settings(net), "epochs": 2}),
        *(("log", scalars(record)) for record in net.history),
        ("finish", 0),
    ]


def test_an_active_wandb_run_is_used_and_left_open(blobs, wandb):
    wandb.run = StandInRun(wandb.calls)
    network().fit(*blobs, epochs=1, callbacks=[WandbLogger()])
    assert [call[0] for call in wandb.calls] == ["config", "log"]


def test_a_wandb_run_knows_of_an_error(blobs, wandb):
    def fail(record):
        raise RuntimeError("in a callback")

    with pytest.raises(RuntimeError):
        network().fit(*blobs, epochs=2, callbacks=[WandbLogger(), fail])
    assert wandb.calls[-1] == ("finish", 1)


@pytest.mark.parametrize(
    ("logger", "module", "extra"),
    [
        (lambda: TensorBoardLogger("runs"), "tensorboardX", "tensorboard"),
        (MLflowLogger, "mlflow", "mlflow"),
        (WandbLogger, "wandb", "wandb"),
    ],
)
def test_a_missing_library_is_told_with_the_extra_that_brings_it(
    monkeypatch, logger, module, extra
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs {module}: pip install 'hashgrad\[{extra}\]'"):
        logger()


def test_settings_are_flat_and_name_the_layers():
    found = settings(network())
    assert found["layer_1.active.fraction"] == 0.2
    assert found["layer_2.active.name"] == "dense"
    assert found["n_inputs"] == 24
    assert all(isinstance(value, int | float | str | None) for value in found.values())
