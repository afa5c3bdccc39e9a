"""Workers without locks, simulated: their examples begin on weights that others then change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import SGD, Dense, Momentum, Network, _core

N_INPUTS, N_OUTPUTS, N_ROWS, SEED = 12, 4, 60, 7
PURPOSE = 6  # of the stream that says which worker is done
WORD = 2**64 - 1
LAYERS: dict[str, list[dict[str, Any]]] = {
    "neuron-major": [{}, {}],
    "input-major": [{"layout": "input"}, {"layout": "input"}],
    "winner-take-all": [{"selector": "winner_take_all"}, {"selector": "winner_take_all"}],
    "scan": [{"selector": "lsh"}, {"selector": "lsh", "code": "bytes", "projection": "subspace"}],
}


def examples() -> tuple[np.ndarray, list[list[int]]]:
    return twin.clusters(3, N_INPUTS, N_OUTPUTS, N_ROWS)


def network(way: str, optimizer: str = "sgd") -> Any:
    hidden = []
    for settings in LAYERS[way]:
        how = dict(settings)
        lsh = twin.lsh(**{key: how.pop(key) for key in ("code", "projection") if key in how})
        selector, layout = how.pop("selector", "all"), how.pop("layout", "neuron")
        hidden.append(twin.layer(24, "relu", selector, 0.5, layout=layout, lsh=lsh))
    specs = [*hidden, twin.layer(N_OUTPUTS)]
    net = _core.Network(N_INPUTS, specs, "softmax", twin.optimizer(optimizer), SEED)
    net.build(twin.dense(examples()[0]), twin.rows(*range(40)))
    return net


def train(net: Any, order: Any = range(N_ROWS), **how: Any) -> Any:
    x, y = examples()
    return twin.train(net, twin.dense(x), twin.labels(y, N_OUTPUTS), order, 0.05, **how)


def mixed(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & WORD
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def worker_of(step: int, workers: int) -> int:
    """Who is done when example `step` begins, and takes it."""
    state = mixed(mixed(mixed(mixed(SEED) ^ PURPOSE) ^ step))
    return ((mixed(state) >> 32) * workers) >> 32


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("way", ["neuron-major", "input-major"])
def test_steps_land_as_in_a_plain_simulation(way: str, workers: int) -> None:
    x, y = examples()
    net = network(way)
    W = [w.astype(float) for w in twin.augmented(net)]
    names = ["relu", "relu", "linear"]
    every = [(np.arange(len(w)), np.ones(len(w))) for w in W]
    under_way: dict[int, list[np.ndarray]] = {}

    def land(worker: int) -> None:
        for w, gradient in zip(W, under_way.pop(worker, ()), strict=False):
            w -= 0.05 * gradient

    for step in range(N_ROWS):
        land(worker_of(step, workers))
        walk = twin.forward(W, names, x[step], every)
        delta = twin.loss_and_delta("softmax", walk[-1].z, walk[-1].ids, y[step])[1]
        under_way[worker_of(step, workers)] = twin.backward(W, names, walk, delta)
    for worker in range(workers):
        land(worker)
    train(net, workers=workers)
    net.end_epoch()
    for got, expected in zip(twin.augmented(net), W, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("way", LAYERS)
def test_one_worker_does_what_one_thread_does(way: str) -> None:
    nets = network(way), network(way)
    results = train(nets[0]), train(nets[1], workers=1)
    nets[1].end_epoch()
    assert results[0].examples == results[1].examples == N_ROWS
    assert results[0].loss_sum == pytest.approx(results[1].loss_sum, rel=1e-5)
    for one, other in zip(twin.augmented(nets[0]), twin.augmented(nets[1]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", LAYERS)
def test_the_calls_into_which_an_epoch_is_cut_do_not_matter(way: str) -> None:
    whole, cut = network(way), network(way)
    train(whole, workers=8)
    for start in range(0, N_ROWS, 7):
        train(cut, range(start, min(start + 7, N_ROWS)), workers=8)
    for net in (whole, cut):
        net.end_epoch()
    for name, value in whole.tensors().items():
        assert np.array_equal(value, cut.tensors()[name]), name
    assert whole.ledger() == cut.ledger()


def test_steps_wait_for_their_workers_and_land_at_the_latest_as_the_epoch_ends() -> None:
    net = network("neuron-major")
    before = twin.augmented(net)
    steps = 10
    assert len({worker_of(step, 4096) for step in range(steps)}) == steps
    train(net, range(steps), workers=4096)
    assert all(np.array_equal(a, b) for a, b in zip(before, twin.augmented(net), strict=True))
    updates = sum(layer["update"] for layer in net.ledger()["layers"])
    assert updates == 0
    net.end_epoch()
    assert not np.array_equal(before[0], twin.augmented(net)[0])
    assert sum(layer["update"] for layer in net.ledger()["layers"]) > 0


def test_staleness_is_geometric_with_mean_workers_less_one() -> None:
    workers, steps = 8, 20000
    began: dict[int, int] = {}
    waited = []
    for step in range(steps):
        worker = worker_of(step, workers)
        if worker in began:
            waited.append(step - began[worker] - 1)
        began[worker] = step
    assert np.mean(waited) == pytest.approx(workers - 1, rel=0.05)
    assert np.mean(np.array(waited) == 0) == pytest.approx(1 / workers, rel=0.1)


@pytest.mark.parametrize(
    "how",
    [
        {"optimizer": Momentum()},
        {"l2": 0.1},
        {"known": 0.9},
        {"batch_size": 2},
    ],
)
def test_only_plain_sgd_on_single_examples_can_be_simulated(how: dict[str, Any]) -> None:
    net = Network(N_INPUTS, [Dense(8), Dense(N_OUTPUTS)], **{"optimizer": SGD(), **how})
    net.simulated_workers = 3
    x, y = examples()
    with pytest.raises(ValueError, match=r"simulated_workers need .*got simulated_workers=3 with"):
        net.fit(x, np.array(y)[:, 0])


@pytest.mark.parametrize("bad", [-1, 5000])
def test_the_number_of_workers_has_bounds(bad: int) -> None:
    net = Network(N_INPUTS, [Dense(8), Dense(N_OUTPUTS)])
    net.simulated_workers = bad
    x, y = examples()
    with pytest.raises(
        ValueError, match=rf"simulated_workers must be an integer in \[0, 4096\], got {bad}"
    ):
        net.fit(x, np.array(y)[:, 0])


def test_after_threads_have_trained_the_loss_is_the_simulations_own() -> None:
    x, y = examples()
    net = network("neuron-major")
    train(net, threads=2)
    z = net.scores(twin.dense(x[:1]), False)[0].astype(float)
    expected = twin.loss_and_delta("softmax", z, np.arange(N_OUTPUTS), y[0])[0]
    assert train(net, [0], workers=3).loss_sum == pytest.approx(expected, rel=1e-4)


def test_a_row_without_a_finite_loss_ends_it_with_all_earlier_steps_taken() -> None:
    x, y = examples()
    x[20] = 3e38 * np.sign(twin.augmented(network("neuron-major"))[0][0, :-1])
    nets = network("neuron-major"), network("neuron-major")
    labels, batch = twin.labels(y, N_OUTPUTS), twin.dense(x)
    result = twin.train(nets[0], batch, labels, range(40), 0.05, workers=7)
    assert (result.bad_row, result.examples) == (20, 20)
    twin.train(nets[1], batch, labels, range(20), 0.05, workers=7)
    nets[1].end_epoch()
    for one, other in zip(twin.augmented(nets[0]), twin.augmented(nets[1]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
