"""Ctrl-C ends training cleanly, wherever it strikes."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from conftest import from_bytes, hashed, network, to_bytes

BIG = 2000  # epochs: far more than a test waits for


class Watcher:
    """A watcher that raises what it is told to, at the call it is told to."""

    def __init__(self, at, error=KeyboardInterrupt, after=1):
        self.at, self.error, self.left, self.stopped = at, error, after, 0

    def _call(self, name):
        if name == self.at:
            self.left -= 1
            if self.left == 0:
                raise self.error

    def start(self, total_examples, epochs, first_epoch=1):
        self._call("start")

    def update(self, examples, loss):
        self._call("update")

    def epoch(self, record):
        self._call("epoch")

    def stop(self):
        self.stopped += 1


def usable(net, X):
    return (
        np.isfinite(net.predict_proba(X)).all() and from_bytes(to_bytes(net)).epochs == net.epochs
    )


@pytest.mark.parametrize(
    ("at", "after", "finished", "partial"), [("update", 1, 0, True), ("epoch", 2, 2, False)]
)
def test_an_interrupt_in_a_watcher_keeps_finished_epochs_and_a_partial_record(
    blobs, at, after, finished, partial
):
    watcher = Watcher(at, after=after)
    net = network().fit(*blobs, epochs=5, progress=watcher)
    assert net.interrupted
    assert net.epochs == finished
    assert len(net.history) == finished + partial
    assert net.history[-1].get("partial", False) == partial
    assert net.history[-1]["loss"] > 0
    assert watcher.stopped == 1
    assert usable(net, blobs[0])


def test_an_interrupt_in_a_callback_ends_training(blobs):
    def interrupt(record):
        raise KeyboardInterrupt

    net = network().fit(*blobs, epochs=5, callbacks=[interrupt])
    assert net.interrupted
    assert net.epochs == 1
    assert usable(net, blobs[0])


def test_the_next_fit_clears_the_mark_and_the_partial_record(blobs):
    net = network().fit(*blobs, epochs=3, progress=Watcher("update"))
    net.fit(*blobs, epochs=3)
    assert not net.interrupted
    assert [record["epoch"] for record in net.history] == [1, 2, 3]


def press_ctrl_c(after, times=1):
    def press():
        for _ in range(times):
            time.sleep(after)
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


@pytest.mark.parametrize("settings", [{}, {"threads": 2}, {"batch_size": 50, "threads": 2}])
def test_a_real_ctrl_c_ends_training_within_a_chunk(blobs, settings):
    net = network(hashed(), hashed(40, lookup="tables"), **settings)
    before = signal.getsignal(signal.SIGINT)
    thread = press_ctrl_c(0.3)
    start = time.perf_counter()
    net.fit(*blobs, epochs=BIG)
    thread.join()
    assert time.perf_counter() - start < 5
    assert net.interrupted
    assert net.epochs < BIG
    assert signal.getsignal(signal.SIGINT) is before
    assert usable(net, blobs[0])
    examples = net._core.ledger()["examples"]
    assert examples == net._state.epochs * 600 + net._state.position  # no chunk was lost


def test_a_real_ctrl_c_ends_partial_fit(blobs):
    X = np.tile(blobs[0], (400, 1))
    y = np.tile(blobs[1], 400)
    net = network()
    thread = press_ctrl_c(0.3)
    net.partial_fit(X, y)
    thread.join()
    assert net.interrupted
    assert 0 < net._core.ledger()["examples"] < len(X)


def test_a_second_ctrl_c_ends_a_callback_that_does_not(blobs):
    def hang(record):
        time.sleep(30)

    start = time.perf_counter()
    thread = press_ctrl_c(0.2, times=2)
    net = network().fit(*blobs, epochs=5, callbacks=[hang])
    thread.join()
    assert time.perf_counter() - start < 10
    assert net.interrupted
    assert net.epochs == 1


def test_a_handler_of_the_users_own_is_left_in_place(blobs):
    heard = []
    before = signal.signal(signal.SIGINT, lambda *arguments: heard.append(arguments))
    try:
        thread = press_ctrl_c(0.1)
        net = network().fit(*blobs, epochs=BIG, callbacks=[lambda record: bool(heard)])
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard
    assert not net.interrupted


def test_training_works_outside_the_main_thread(blobs):
    nets = []
    thread = threading.Thread(target=lambda: nets.append(network().fit(*blobs, epochs=2)))
    thread.start()
    thread.join()
    assert nets[0].epochs == 2


@pytest.mark.parametrize("at", ["update", "epoch"])
def test_any_other_error_reaches_the_caller_and_leaves_the_network_usable(blobs, at):
    watcher = Watcher(at, error=RuntimeError("a fault of the watcher"))
    net = network()
    with pytest.raises(RuntimeError, match="a fault of the watcher"):
        net.fit(*blobs, epochs=3, progress=watcher)
    assert watcher.stopped == 1
    net.fit(*blobs, epochs=3)
    assert [record["epoch"] for record in net.history] == [1, 2, 3]
    assert usable(net, blobs[0])
