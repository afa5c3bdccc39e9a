"""CSV and JSON lines beside a training: whole rows, files that go on, disks that are full."""

from __future__ import annotations

import csv
import json
import resource
import warnings
from pathlib import Path
from typing import Any

import pytest

from conftest import from_bytes, network, to_bytes
from hashgrad.callbacks import Callback, CSVLogger, JSONLLogger

LOGGERS = {"csv": CSVLogger, "jsonl": JSONLLogger}


@pytest.fixture(params=LOGGERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def epochs(path: Path) -> list[int]:
    return [int(row["epoch"]) for row in rows(path)]


def test_each_epoch_is_in_the_file_before_the_next_begins(blobs, tmp_path, kind):
    path, seen = tmp_path / f"log.{kind}", []
    log = LOGGERS[kind](path)
    network().fit(*blobs, epochs=3, callbacks=[log, lambda record: seen.append(epochs(path))])
    assert seen == [[1], [1, 2], [1, 2, 3]]


def test_ctrl_c_in_the_first_epoch_leaves_names_and_no_rows(blobs, tmp_path, kind):
    path = tmp_path / f"log.{kind}"

    class CtrlC(Callback):
        def on_chunk(self, network: Any, examples: int, loss: float) -> None:
            raise KeyboardInterrupt

    net = network().fit(*blobs, epochs=3, callbacks=[LOGGERS[kind](path), CtrlC()])
    assert net.interrupted
    assert path.read_text() == {"csv": "epoch,seconds,loss\n", "jsonl": ""}[kind]
    net.fit(*blobs, epochs=3, callbacks=[LOGGERS[kind](path)])
    assert epochs(path) == [1, 2, 3]


def test_csv_has_the_numbers_of_the_history(blobs, tmp_path):
    path = tmp_path / "log.csv"
    net = network().fit(*blobs, epochs=3, validation=0.2, callbacks=[CSVLogger(path)])
    for row, record in zip(rows(path), net.history, strict=True):
        for key in ("loss", "accuracy", "active_fraction", "selection_recall", "seconds"):
            assert float(row[key]) == record[key]
        assert int(row["multiplications"]) == record["multiplications"]["total"]
        assert float(row["layer_1.recall"]) == record["layers"][0]["recall"]
    assert path.read_text().startswith("epoch,seconds,loss,accuracy,")


def test_jsonl_has_the_whole_history(blobs, tmp_path):
    path = tmp_path / "log.jsonl"
    net = network().fit(*blobs, epochs=3, callbacks=[JSONLLogger(path)])
    assert rows(path) == net.history


def test_a_number_that_is_not_finite_is_null(blobs, tmp_path):
    log = JSONLLogger(tmp_path / "log.jsonl")
    net = network()
    log.on_train_begin(net, 1)
    log.on_epoch_end(net, {"epoch": 1, "r2": float("-inf"), "layers": [{"recall": float("nan")}]})
    assert rows(log.path) == [{"epoch": 1, "r2": None, "layers": [{"recall": None}]}]


def test_a_resumed_training_goes_on_with_the_file(blobs, tmp_path, kind):
    path = tmp_path / f"log.{kind}"
    net = network().fit(
        *blobs, epochs=5, callbacks=[LOGGERS[kind](path), lambda record: record["epoch"] == 2]
    )
    begun = path.read_text()
    from_bytes(to_bytes(net)).fit(*blobs, epochs=5, callbacks=[LOGGERS[kind](path)])
    assert epochs(path) == [1, 2, 3, 4, 5]
    assert path.read_text().startswith(begun)


def test_epochs_that_the_resumed_network_has_not_seen_leave_the_file(blobs, tmp_path, kind):
    path, saved = tmp_path / f"log.{kind}", []
    net = network()
    log = LOGGERS[kind](path)
    net.fit(*blobs, epochs=4, callbacks=[log, lambda record: saved.append(to_bytes(net))])
    from_bytes(saved[1]).fit(*blobs, epochs=3, callbacks=[LOGGERS[kind](path)])
    assert epochs(path) == [1, 2, 3]


def test_a_last_line_that_was_broken_off_is_dropped(blobs, tmp_path, kind):
    path = tmp_path / f"log.{kind}"
    net = network().fit(*blobs, epochs=2, callbacks=[LOGGERS[kind](path)])
    with path.open("a") as file:
        file.write('{"epoch": 3, "lo' if kind == "jsonl" else "3,0.1")
    net.fit(*blobs, epochs=3, callbacks=[LOGGERS[kind](path)])
    assert epochs(path) == [1, 2, 3]


def test_a_new_network_begins_the_file_anew(blobs, tmp_path, kind):
    path = tmp_path / f"log.{kind}"
    for last in (3, 2):
        network().fit(*blobs, epochs=last, callbacks=[LOGGERS[kind](path)])
    assert epochs(path) == [1, 2]


def test_new_numbers_are_new_columns(blobs, tmp_path):
    path = tmp_path / "log.csv"
    net = network().fit(*blobs, epochs=2, callbacks=[CSVLogger(path)])
    net.fit(*blobs, epochs=3, validation=0.2, callbacks=[CSVLogger(path)])
    assert [row["accuracy"] for row in rows(path)][:2] == ["", ""]
    assert float(rows(path)[2]["accuracy"]) == net.history[2]["accuracy"]
    assert float(rows(path)[0]["loss"]) == net.history[0]["loss"]


@pytest.mark.parametrize(
    ("kind", "text", "got"),
    [
        ("csv", "epoch,loss\none,0.5\n", "no row of an epoch in line 2"),
        ("csv", "a,b\n1,2\n", "no row of an epoch in line 2"),
        ("csv", "epoch,loss\n1,0.5,7\n", "no row of an epoch in line 2"),
        ("csv", "epoch,loss\n1," + "5" * 200_000 + "\n", "field larger than field limit"),
        ("jsonl", '{"epoch": 1}\n[]\n', "no record of an epoch in line 2"),
        ("jsonl", "epoch,loss\n", "no record of an epoch in line 1"),
        ("jsonl", b"\xff\xfe\n", "a file that is not text"),
        ("csv", b"\xff\xfe\n", "a file that is not text"),
    ],
)
def test_a_file_that_is_no_such_log_is_refused_and_left_alone(blobs, tmp_path, kind, text, got):
    net = network().fit(*blobs, epochs=1)
    path = tmp_path / f"log.{kind}"
    before = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(before)
    with pytest.raises(ValueError, match=f"{path.name} must be a log to go on with, got {got}"):
        net.fit(*blobs, epochs=2, callbacks=[LOGGERS[kind](path)])
    assert path.read_bytes() == before
    assert net.epochs == 1


def test_a_file_that_cannot_be_made_is_an_error_before_training(blobs, tmp_path, kind):
    net = network()
    path = tmp_path / "no folder" / f"log.{kind}"
    with pytest.raises(FileNotFoundError, match="no folder"):
        net.fit(*blobs, epochs=1, callbacks=[LOGGERS[kind](path)])
    assert net.epochs == 0
    assert not net.history


class FullDisk(Callback):
    """From one epoch to another, no file of this process may grow beyond a size."""

    def __init__(self, after: int, until: int, path: Path) -> None:
        self.after, self.until, self.path = after, until, path
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_epoch_end(self, network: Any, record: dict[str, Any]) -> None:
        if record["epoch"] == self.after:
            size = self.path.stat().st_size + 20  # a part of a line has room
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, self.before[1]))
        if record["epoch"] == self.until:
            self.on_train_end(network, None)

    def on_train_end(self, network: Any, error: BaseException | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_a_full_disk_is_a_warning_that_names_the_file_and_training_goes_on(blobs, tmp_path, kind):
    path = tmp_path / f"log.{kind}"
    full = FullDisk(2, 99, path)
    with pytest.warns(RuntimeWarning) as caught:
        net = network().fit(*blobs, epochs=6, callbacks=[LOGGERS[kind](path), full])
    assert len(caught) == 1
    assert f"{path} cannot be written (File too large): training goes on" in str(caught[0].message)
    assert net.epochs == 6
    assert epochs(path) == [1, 2]  # whole lines only
    assert path.read_text().endswith("\n")


def test_once_there_is_room_again_nothing_is_missing(blobs, tmp_path, kind):
    path = tmp_path / f"log.{kind}"
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        network().fit(*blobs, epochs=6, callbacks=[LOGGERS[kind](path), FullDisk(2, 4, path)])
    assert epochs(path) == [1, 2, 3, 4, 5, 6]


def test_what_a_full_disk_held_up_is_written_when_training_ends(blobs, tmp_path, kind):
    path = tmp_path / f"log.{kind}"
    with pytest.warns(RuntimeWarning, match="cannot be written"):  # room again at the end
        network().fit(*blobs, epochs=4, callbacks=[FullDisk(2, 99, path), LOGGERS[kind](path)])
    assert epochs(path) == [1, 2, 3, 4]


def test_a_full_disk_when_columns_are_new_leaves_no_row_without_its_name(blobs, tmp_path):
    path = tmp_path / "log.csv"
    net = network().fit(*blobs, epochs=2, callbacks=[CSVLogger(path)])

    class FullFromTheStart(FullDisk):
        def on_train_begin(self, network: Any, epochs: int) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, self.before[1]))

    full = FullFromTheStart(99, 3, path)
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        net.fit(*blobs, epochs=5, validation=0.2, callbacks=[CSVLogger(path), full])
    assert epochs(path) == [1, 2, 3, 4, 5]
    assert [row["accuracy"] != "" for row in rows(path)] == [False, False, True, True, True]
    for row, record in zip(rows(path), net.history, strict=True):
        assert float(row["loss"]) == record["loss"]


def test_a_file_that_is_deleted_in_the_first_epoch_begins_anew(blobs, tmp_path, kind):
    path = tmp_path / f"log.{kind}"

    class Deletes(Callback):
        def on_train_begin(self, network: Any, epochs: int) -> None:
            path.unlink(missing_ok=True)

    network().fit(*blobs, epochs=3, callbacks=[LOGGERS[kind](path), Deletes()])
    assert epochs(path) == [1, 2, 3]


def test_a_full_disk_at_the_first_epoch_leaves_no_row_without_its_name(blobs, tmp_path):
    path = tmp_path / "log.csv"

    class FullFromTheStart(FullDisk):
        def on_train_begin(self, network: Any, epochs: int) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20, self.before[1]))

    full = FullFromTheStart(99, 1, path)
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        network().fit(*blobs, epochs=3, callbacks=[CSVLogger(path), full])
    assert epochs(path) == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epoch,loss\none,0.5\n", "no row of an epoch in line 2"),
        ("epoch,loss\n1," + "5" * 200_000 + "\n", "field larger than field limit"),
    ],
)
def test_a_file_that_is_spoilt_during_training_does_not_end_it(tmp_path, text, reason):
    log, net = CSVLogger(tmp_path / "log.csv"), network()
    log.on_train_begin(net, 3)
    log.on_epoch_end(net, {"epoch": 1, "loss": 0.5})
    good = log.path.read_text()
    log.path.write_text(text)
    with pytest.warns(RuntimeWarning, match=reason):
        log.on_epoch_end(net, {"epoch": 2, "loss": 0.4, "accuracy": 0.8})
    assert log.path.read_text() == text
    log.path.write_text(good)
    log.on_epoch_end(net, {"epoch": 3, "loss": 0.3, "accuracy": 0.9})
    assert epochs(log.path) == [1, 2, 3]


def test_a_logger_can_serve_a_second_training(blobs, tmp_path, kind):
    log = LOGGERS[kind](tmp_path / f"log.{kind}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            network().fit(*blobs, epochs=2, callbacks=[log])
    assert epochs(log.path) == [1, 2]
