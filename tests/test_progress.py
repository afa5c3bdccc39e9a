"""Progress: what a person or a log sees while a network trains."""

import io
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from conftest import hashed, network, same_bits
from hashgrad import Network, progress
from hashgrad.progress import LiveProgress, PlainProgress, default_progress, epoch_line

RECORD = {
    "epoch": 1,
    "seconds": 2.0,
    "loss": 0.5,
    "accuracy": 0.875,
    "multiplications_fraction": 0.031,
    "active_fraction": 0.05,
    "selection_recall": 0.81,
}


def pipe() -> Console:
    return Console(file=io.StringIO(), width=40)


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=160, legacy_windows=False)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def run(watcher: progress.EpochProgress) -> None:
    watcher.start(200, 2)
    for epoch in (1, 2):
        watcher.update(60, 0.7)
        watcher.update(40, 0.3)
        watcher.epoch({**RECORD, "epoch": epoch})
    watcher.stop()


def test_a_pipe_gets_exactly_one_unwrapped_line_an_epoch() -> None:
    console = pipe()
    run(PlainProgress(console))
    lines = written(console).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "\x1b" not in written(console)


def test_a_line_holds_loss_accuracy_cost_and_recall() -> None:
    line = epoch_line(RECORD, 15, 5000)
    for part in ("epoch  1/15", "loss 0.5000", "accuracy 87.50%", "multiplications 3.10%"):
        assert part in line
    for part in ("active 5.0%", "recall 0.81", "5,000 examples/s", "2.0 s"):
        assert part in line


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [("precision_at_1", 0.42, "P@1 42.00%"), ("r2", 0.9, "R² 0.9000")],
)
def test_the_quality_shown_suits_the_task(key: str, value: float, shown: str) -> None:
    line = epoch_line({"epoch": 1, "loss": 1.0, key: value}, 1, 0)
    assert shown in line
    assert "accuracy" not in line


def test_a_record_without_evaluation_still_makes_a_line() -> None:
    record = {"epoch": 2, "loss": 0.25, "accuracy": None, "seconds": 1.0}
    assert epoch_line(record, 3, 0) == "epoch 2/3  loss 0.2500  1.0 s"


def test_a_terminal_gets_a_bar_with_speed_and_time_left() -> None:
    console = terminal()
    watcher = LiveProgress(console)
    watcher.start(200, 2)
    watcher.update(100, 0.5)
    watcher.selection(0.05, 0.81)
    watcher.epoch(RECORD)
    watcher.stop()
    text = written(console)
    for part in ("epoch 1/2", "epoch 2/2", "50%", "loss 0.5000", "recall 0.81", "examples/s"):
        assert part in text
    assert "left" in text


@pytest.mark.parametrize("width", [56, 72, 80, 96, 160])
def test_the_bar_shows_loss_active_share_and_recall_at_any_width(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False)
    watcher = LiveProgress(console)
    watcher.start(900_000, 15)
    watcher.update(5000, 2.5)
    watcher.selection(0.05, 0.958)
    watcher.stop()
    assert "loss 2.5000 active 5.0% recall 0.96" in Text.from_ansi(written(console)).plain


class Seen(LiveProgress):
    """A live bar that notes what it is told of the selection."""

    def __init__(self) -> None:
        super().__init__(terminal())
        self.seen: list[tuple[float, float]] = []

    def selection(self, active_fraction: float, recall: float) -> None:
        self.seen.append((active_fraction, recall))
        super().selection(active_fraction, recall)


def test_the_first_chunk_already_tells_share_and_recall(blobs: tuple[Any, Any]) -> None:
    watcher = Seen()
    net = network().fit(*blobs, epochs=2, progress=watcher)
    assert len(watcher.seen) >= 2
    for share, recall in watcher.seen:
        assert share == pytest.approx(net.history[0]["active_fraction"], abs=0.02)
        assert 0.5 < recall <= 1


def test_looking_at_the_recall_does_not_change_what_is_learned(blobs: tuple[Any, Any]) -> None:
    def made(**watched: Any) -> Network:
        return network(hashed(lookup="tables"), threads=1).fit(*blobs, epochs=3, **watched)

    assert same_bits(made(), made(progress=Seen()))


def test_stopping_twice_or_before_the_start_does_no_harm() -> None:
    watcher = LiveProgress(terminal())
    watcher.stop()
    run(watcher)
    watcher.stop()


def test_a_watcher_can_serve_a_second_run() -> None:
    console = pipe()
    watcher = PlainProgress(console)
    run(watcher)
    run(watcher)
    assert len(written(console).splitlines()) == 4


def test_evaluation_between_epochs_does_not_slow_the_speed_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    console = pipe()
    watcher = PlainProgress(console)
    watcher.start(200, 2)
    for epoch in (1, 2):
        now[0] += 1.0  # a second of training
        watcher.update(100, 0.5)
        now[0] += 9.0  # evaluation
        watcher.epoch({"epoch": epoch, "loss": 0.5})
    assert written(console).splitlines() == [
        "epoch 1/2  loss 0.5000  100 examples/s",
        "epoch 2/2  loss 0.5000  100 examples/s",
    ]


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, LiveProgress), (False, PlainProgress)])
def test_the_default_watcher_suits_standard_error(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, kind: type
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: is_terminal, raising=False)
    assert type(default_progress()) is kind
