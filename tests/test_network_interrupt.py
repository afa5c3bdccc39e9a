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


class Pressing:
    """The core, but Ctrl-C is pressed during its nth call of `train`.

    Python hears of a signal when the compiled call returns; here it is sent just then, so that no
    test depends on how fast the machine is.
    """

    def __init__(self, core, nth):
        self.core, self.left = core, nth

    def __getattr__(self, name):
        return getattr(self.core, name)

    def train(self, *arguments):
        result = self.core.train(*arguments)
        self.left -= 1
        if self.left == 0:
            press_ctrl_c()
        assert self.left >= 0, "a chunk was trained after Ctrl-C"
        return result


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("settings", [{}, {"threads": 2}, {"batch_size": 50, "threads": 2}])
def test_a_real_ctrl_c_ends_training_after_the_chunk_under_way(blobs, settings):
    net = network(hashed(), hashed(40, lookup="tables"), **settings)
    net._core = Pressing(net._core, nth=7)
    before = signal.getsignal(signal.SIGINT)
    net.fit(*blobs, epochs=BIG)
    assert net.interrupted
    assert net._core.left == 0
    assert net.epochs < 7
    assert signal.getsignal(signal.SIGINT) is before
    assert usable(net, blobs[0])
    examples = net._core.ledger()["examples"]
    assert examples == net._state.epochs * 600 + net._state.position  # no chunk was lost


def test_a_real_ctrl_c_ends_partial_fit_after_the_chunk_under_way(blobs):
    net = network()
    net._core = Pressing(net._core, nth=2)
    net.partial_fit(*blobs)
    assert net.interrupted
    assert 64 < net._core.ledger()["examples"] < 600


def test_the_next_partial_fit_clears_the_mark(blobs):
    net = network().fit(*blobs, epochs=3, progress=Watcher("update"))
    assert net.interrupted
    assert not net.partial_fit(*blobs).interrupted


def test_a_second_ctrl_c_ends_a_callback_that_does_not_end_by_itself(blobs):
    def hang(record):
        press_ctrl_c()
        reached.append("after the first")
        press_ctrl_c()
        time.sleep(1)  # the second is raised here at the latest
        reached.append("after the second")

    reached = []
    net = network().fit(*blobs, epochs=5, callbacks=[hang])
    assert reached == ["after the first"]
    assert net.interrupted
    assert net.epochs == 1


def test_a_handler_of_the_users_own_is_left_in_place(blobs):
    heard = []
    before = signal.signal(signal.SIGINT, lambda *arguments: heard.append(arguments))
    try:
        net = network().fit(*blobs, epochs=2, callbacks=[lambda record: press_ctrl_c()])
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(heard) == 2
    assert net.epochs == 2
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
