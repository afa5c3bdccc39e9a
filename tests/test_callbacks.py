"""Callbacks: who is told what and when, who may end a training, and what an error in one leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conftest import from_bytes, hashed, network, same_bits, to_bytes
from hashgrad import Network, fit_stream
from hashgrad.callbacks import Callback, scalars
from hashgrad.datasets import RowStream


class Note(Callback):
    """Notes every call, and does at one of them what it is told to."""

    def __init__(self, at: str = "", error: BaseException | None = None, name: str = "") -> None:
        self.at, self.error, self.name = at, error, name
        self.calls: list[str] = []
        self.ends: list[BaseException | None] = []
        self.seen: list[Any] = []

    def _note(self, what: str) -> None:
        self.calls.append(what)
        if what == self.at and self.error is not None:
            raise self.error

    def on_train_begin(self, network: Network, epochs: int) -> None:
        self._note(f"begin {network.epochs} of {epochs}")

    def on_chunk(self, network: Network, examples: int, loss: float) -> None:
        self.seen.append((examples, loss))
        self._note(f"chunk in epoch {network.epochs + 1}")

    def on_epoch_end(self, network: Network, record: dict[str, Any]) -> bool | None:
        assert network.history[-1] is record
        self._note(f"epoch {record['epoch']}")
        return self.at == f"stop {record['epoch']}"

    def on_train_end(self, network: Network, error: BaseException | None) -> None:
        self.ends.append(error)
        self._note("end")

    @property
    def outline(self) -> list[str]:
        """The calls, several in a row as one."""
        return [c for i, c in enumerate(self.calls) if i == 0 or c != self.calls[i - 1]]


def test_hooks_are_called_in_the_order_of_a_training(blobs):
    note = Note()
    network().fit(*blobs, epochs=2, callbacks=[note])
    assert note.outline == [
        "begin 0 of 2", "chunk in epoch 1", "epoch 1", "chunk in epoch 2", "epoch 2", "end",
    ]  # fmt: skip
    assert sum(examples for examples, _ in note.seen) == 2 * 600
    assert all(np.isfinite(loss) for _, loss in note.seen)
    assert note.ends == [None]


def test_a_stream_has_the_same_hooks(tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("0,2 1:1\n1 2:1\n2 1:1 3:1\n" * 20)
    note = Note("stop 2")
    net = Network(3, [hashed(16), *network().layers[-1:]], loss="logistic")
    fit_stream(net, RowStream(path), epochs=5, callbacks=[note])
    assert note.outline[0] == "begin 0 of 5"
    assert note.outline[-3:] == ["chunk in epoch 2", "epoch 2", "end"]


def test_a_floating_point_error_of_a_stream_leaves_the_network_to_go_on_from_there(tmp_path):
    class Overflowing(RowStream):
        faulty = True

        def rows(self, epoch: int) -> Any:
            for x, y in super().rows(epoch):
                yield x[:30], y[:30]
                if self.faulty:
                    raise FloatingPointError("in the rows")
                yield x[30:], y[30:]

    path = tmp_path / "rows.svm"
    path.write_text("0,2 1:1\n1 2:1\n2 1:1 3:1\n" * 20)
    stream = Overflowing(path)
    net = Network(3, [hashed(16), *network().layers[-1:]], loss="logistic")
    with pytest.raises(FloatingPointError, match="in the rows"):
        fit_stream(net, stream, epochs=1)
    assert net.history[-1]["partial"]
    stream.faulty = False
    assert fit_stream(net, stream, epochs=1).epochs == 1


def test_a_callback_ends_training_and_those_after_it_are_told_of_the_epoch_too(blobs):
    first, second = Note("stop 3"), Note()
    seen = []
    net = network().fit(*blobs, epochs=9, callbacks=[first, second, seen.append])
    assert net.epochs == 3
    assert not net.interrupted
    assert second.calls[-2:] == ["epoch 3", "end"]
    assert seen == net.history


def test_a_training_that_goes_on_tells_how_far_it_is(blobs):
    net = network().fit(*blobs, epochs=2)
    note = Note()
    net.fit(*blobs, epochs=3, callbacks=[note])
    assert note.outline == ["begin 2 of 3", "chunk in epoch 3", "epoch 3", "end"]


def test_watching_does_not_change_what_is_learned(blobs):
    def made(**watched):
        return network(threads=1).fit(*blobs, epochs=3, **watched)

    assert same_bits(made(), made(callbacks=[Note(), Note()]))


ERROR_AT = ["begin 0 of 4", "chunk in epoch 1", "chunk in epoch 3", "epoch 2", "end"]


@pytest.mark.parametrize("kind", [RuntimeError, FloatingPointError, SystemExit])
@pytest.mark.parametrize("at", ERROR_AT)
def test_an_error_in_a_hook_reaches_the_caller_and_the_network_goes_on_from_there(blobs, at, kind):
    note = Note(at, kind("in a hook"))
    net = network(hashed(lookup="tables"), threads=1)
    with pytest.raises(kind, match="in a hook"):
        net.fit(*blobs, epochs=4, callbacks=[note])
    assert [record["epoch"] for record in net.history if not record.get("partial")] == list(
        range(1, net.epochs + 1)
    )
    assert bool(net.history and net.history[-1].get("partial")) == at.startswith("chunk")
    if net.built:
        assert np.isfinite(net.predict_proba(blobs[0])).all()
    same = from_bytes(to_bytes(net))
    if at != "end":  # which came after the last epoch
        for one in (net, same):
            one.threads = 1
            one.fit(*blobs, epochs=4)
    assert net.epochs == 4
    assert [record["epoch"] for record in net.history] == [1, 2, 3, 4]
    assert same_bits(net, same)


@pytest.mark.parametrize("at", ["chunk in epoch 2", "epoch 2"])
def test_every_callback_that_began_hears_of_the_end_and_of_the_error(blobs, at):
    fault = RuntimeError("in a hook")
    before, guilty, after = Note(), Note(at, fault), Note()
    with pytest.raises(RuntimeError):
        network().fit(*blobs, epochs=4, callbacks=[before, guilty, after])
    for note in (before, guilty, after):
        assert note.ends == [fault]
        assert note.calls[-1] == "end"


def test_the_end_is_told_in_the_order_of_the_list(blobs):
    told: list[int] = []

    class Number(Callback):
        def __init__(self, number: int) -> None:
            self.number = number

        def on_train_end(self, network: Network, error: BaseException | None) -> None:
            told.append(self.number)

    network().fit(*blobs, epochs=1, callbacks=[Number(1), Number(2), Number(3)])
    assert told == [1, 2, 3]


def test_what_the_last_hook_returns_does_not_hide_the_error_from_others(blobs):
    class Truthy(Note):
        def on_train_end(self, network: Network, error: BaseException | None) -> Any:
            super().on_train_end(network, error)
            return True

    fault = RuntimeError("in a hook")
    notes = [Truthy(), Truthy("epoch 1", fault), Truthy()]
    with pytest.raises(RuntimeError, match="in a hook"):
        network().fit(*blobs, epochs=2, callbacks=notes)
    assert [note.ends for note in notes] == [[fault]] * 3


def test_who_did_not_begin_is_not_told_of_an_end(blobs):
    before, guilty, after = Note(), Note("begin 0 of 4", OSError("no place")), Note()
    with pytest.raises(OSError, match="no place"):
        network().fit(*blobs, epochs=4, callbacks=[before, guilty, after])
    assert [note.calls[-1:] for note in (before, guilty, after)] == [["end"], ["begin 0 of 4"], []]


def test_a_fault_at_the_end_does_not_keep_others_from_it(blobs):
    fault = RuntimeError("cannot close")
    before, guilty, after = Note(), Note("end", fault), Note()
    net = network()
    with pytest.raises(RuntimeError, match="cannot close"):
        net.fit(*blobs, epochs=2, callbacks=[before, guilty, after])
    assert [note.ends for note in (before, guilty, after)] == [[None], [None], [fault]]
    assert net.epochs == 2


@pytest.mark.parametrize("at", ["begin 0 of 4", "chunk in epoch 2", "epoch 2"])
def test_ctrl_c_in_a_hook_ends_training_cleanly(blobs, at):
    note = Note(at, KeyboardInterrupt())
    net = network().fit(*blobs, epochs=4, callbacks=[note])
    assert net.interrupted
    assert net.epochs < 4
    assert note.ends == ([] if at.startswith("begin") else [None])


def test_the_best_weights_are_back_when_training_ends(blobs):
    X, y = blobs
    wrong = (X[:100], (y[:100] + 1) % 4)  # the better the network, the worse the score
    scores = []

    class AtTheEnd(Callback):
        def on_train_end(self, network: Network, error: BaseException | None) -> None:
            scores.append(network.evaluate(*wrong))

    net = network().fit(
        X[100:], y[100:], epochs=9, validation=wrong, early_stopping=2, callbacks=[AtTheEnd()]
    )
    assert scores == [net.evaluate(*wrong)]


@pytest.mark.parametrize("callbacks", [Note(), Note, print, [Note], [3], [Note(), "log.csv"]])
def test_what_is_no_list_of_callbacks_is_refused(blobs, callbacks):
    message = "callbacks must be a list of functions and Callback objects, got "
    with pytest.raises(TypeError, match=message):
        network().fit(*blobs, epochs=1, callbacks=callbacks)


def test_scalars_hold_only_finite_numbers_and_name_the_layers(blobs):
    net = network(hashed(lookup="tables")).fit(*blobs, epochs=1)
    found = scalars({**net.history[0], "r2": float("-inf"), "partial": True})
    assert found["epoch"] == 1
    assert found["layer_1.active_fraction"] == net.history[0]["layers"][0]["active_fraction"]
    assert found["multiplications"] == net.history[0]["multiplications"]["total"]
    assert {"accuracy", "r2", "partial"}.isdisjoint(found)
    assert all(isinstance(value, int | float) for value in found.values())
