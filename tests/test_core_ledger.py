"""The ledger: every phase of a tiny network counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

# 31 inputs and a bias fill two blocks of 16 columns, 15 neurons and a bias one: a dense row product
# costs 32 and 16. Three neurons kept of 15 are read entry by entry: 3 and the bias.
INPUT, HIDDEN, KEPT, N, K, OUT = 32, 16, 4, 15, 3, 4
PER_WEIGHT = {"sgd": 1, "momentum": 3, "adagrad": 6, "adam": 9, "row_adagrad": 1}
PER_WEIGHT |= {"adam/bfloat16": 10, "adam/row": 7}  # random bits take one; the mean square two
SCALARS = 10  # a query's or a neuron's own few numbers: norms, roots, factors


def x(n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, INPUT - 1)).astype(np.float32)


def network(selector: str = "all", opt: Any = None, **hashing: Any) -> Any:
    hidden = twin.layer(N, "tanh", selector, 0.2, lsh=twin.lsh(candidates=2.0, **hashing))
    specs = [hidden, twin.layer(OUT)]
    net = _core.Network(INPUT - 1, specs, "softmax", opt or twin.optimizer(), 0)
    net.build(twin.dense(x()), np.arange(6, dtype=np.uint32))
    net.reset_ledger()
    return net


def y(n: int = 6) -> Any:
    return twin.labels([[i % OUT] for i in range(n)], OUT)


def train(net: Any, order: Any = (0,), batch_size: int = 0) -> list[dict[str, int]]:
    twin.train(net, twin.dense(x()), y(), order, 0.01, batch_size=batch_size)
    return net.ledger()["layers"]


def decay(name: str, l2: float) -> int:
    """What l2 adds for a weight; a row's mean square needs it as well."""
    return (l2 > 0) * (2 if name == "adam/row" else 1)


def expect(counts: dict[str, int], **expected: int) -> None:
    for phase, number in expected.items():
        assert counts[phase] == number, phase


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("name", PER_WEIGHT)
def test_dense_training(name: str, l2: float) -> None:
    net = network("all", twin.optimizer(name, l2=l2))
    hidden, out = train(net)
    cost = PER_WEIGHT[name] + decay(name, l2)
    own = [INPUT, HIDDEN] if name == "row_adagrad" else [0, 0]  # the input's squared length
    expect(hidden, forward=N * INPUT, backward=0, update=N * INPUT * cost + own[0])
    expect(hidden, query=0, rerank=0, rehash=0, rebuild=0, active=N, candidates=N, queries=1)
    expect(out, forward=OUT * HIDDEN, backward=OUT * HIDDEN, update=OUT * HIDDEN * cost + own[1])
    expect(out, query=0, rerank=0, active=OUT, candidates=OUT, queries=1)
    assert net.ledger()["examples"] == 1
    total = sum(layer[p] for layer in (hidden, out) for p in ("forward", "backward", "update"))
    assert total - sum(own) == net.dense_multiplications(1) == net.dense_multiplications(0)


def test_winner_take_all_and_random() -> None:
    for selector, rerank in (("winner_take_all", N - K), ("random", 0)):
        hidden, out = train(network(selector))
        candidates = N if rerank else K
        expect(hidden, forward=K * INPUT, rerank=rerank * INPUT, update=K * INPUT, query=0)
        expect(hidden, backward=0, active=K, candidates=candidates, queries=1)
        expect(out, forward=OUT * KEPT, backward=OUT * KEPT, update=OUT * KEPT, rerank=0)


def test_adaptive() -> None:
    net = network("adaptive")
    kept = _core.trace(net, twin.dense(x()), y(), 0)[0]["selected"]
    assert 0 < kept < N
    hidden, _ = train(net)
    expect(hidden, forward=kept * INPUT, rerank=(N - kept) * INPUT, update=kept * INPUT)
    expect(hidden, query=3 * N, active=kept, candidates=N)


def test_lsh_by_gaussian_bits() -> None:
    hidden, out = train(network("lsh"))
    bits = 64
    # projecting; the bias in the direction; x.mean and |x|^2; tables of signs; two a neuron
    query = INPUT * bits + bits + 2 * INPUT + bits + 2 * N
    assert 0 <= hidden["query"] - query <= SCALARS
    expect(
        hidden, forward=K * INPUT, rerank=K * INPUT, update=K * INPUT, active=K, candidates=2 * K
    )
    assert 0 <= hidden["rehash"] - K * bits <= K * SCALARS  # one step of each sketch
    expect(out, forward=OUT * KEPT, backward=OUT * KEPT, update=OUT * KEPT, query=0, rehash=0)


def test_lsh_by_bits_of_a_subspace() -> None:
    hidden, _ = train(network("lsh", projection="subspace", rank=16))
    bits, rank = 64, 16
    # to coordinates; those to bits, once as asked and once as a neuron would move
    query = INPUT * rank + 2 * rank * bits + 2 * INPUT + bits + 2 * N
    assert 0 <= hidden["query"] - query <= 2 * rank + SCALARS
    assert 0 <= hidden["rehash"] - K * (bits + 2 * rank) <= K * SCALARS


@pytest.mark.parametrize(("transform", "terms"), [("simple", 1), ("sign-alsh", 2), ("l2-alsh", 3)])
def test_lsh_with_a_transform(transform: str, terms: int) -> None:
    hidden, _ = train(network("lsh", transform=transform))
    bits, euclidean = 64, transform == "l2-alsh"
    query = INPUT * bits + bits + 2 * INPUT
    encode = bits * (1 + terms)  # scaling, and the added coordinates
    if euclidean:
        query += bits + INPUT  # the query's length is made 1
        query += bits  # dividing by the width of a cell
        encode += bits
    assert 0 <= hidden["query"] - query <= SCALARS
    assert 0 <= hidden["rehash"] - K * (bits + encode) <= K * SCALARS


def test_rehashing_by_rows_counts_whole_rows() -> None:
    net = network("lsh", twin.optimizer("adam"), rehash_every=4)
    hidden, _ = train(net, range(4))
    expect(hidden, rehash=0)
    touched = int(net.tensors()["layers.0.lsh.dirty"].sum())
    assert K <= touched < N
    hidden, _ = train(net, [4])
    row = INPUT * (64 + 2)  # its sketch, w.mean and |w|^2
    assert 0 <= hidden["rehash"] - touched * row <= touched * SCALARS


def test_rebuilds_count_the_mean_and_every_row() -> None:
    net = network("lsh", rebuild_every=2)
    expect(train(net, range(2))[0], rebuild=0)
    counts = train(net, [2])[0]
    rows = N * INPUT * (64 + 2)
    staleness = (
        rows  # every neuron of so small a layer is hashed once more, to tell how stale it was
    )
    shared = INPUT * (64 + 1)  # the mean, and its projection
    assert 0 <= counts["rebuild"] - rows - staleness - shared <= 3 * N * SCALARS


def test_sparse_inputs_cost_what_they_hold() -> None:
    net = _core.Network(
        784, [twin.layer(15, "tanh"), twin.layer(OUT)], "softmax", twin.optimizer(), 0
    )
    sparse = np.zeros((1, 784))
    sparse[0, [5, 300, 700]] = 1
    twin.train(net, twin.csr(sparse), y(1), [0])
    expect(net.ledger()["layers"][0], forward=15 * 4, update=15 * 4)


@pytest.mark.parametrize("name", PER_WEIGHT)
def test_a_batch_updates_each_row_once(name: str) -> None:
    net = network("all", twin.optimizer(name))
    hidden, out = train(net, range(6), 6)
    cost = (
        0 if name == "sgd" else PER_WEIGHT[name] + (name == "row_adagrad")
    )  # SGD: in each gradient
    expect(hidden, forward=6 * N * INPUT, update=6 * N * INPUT + N * INPUT * cost, queries=6)
    expect(out, forward=6 * OUT * HIDDEN, backward=6 * OUT * HIDDEN)
    expect(out, update=6 * OUT * HIDDEN + OUT * HIDDEN * cost)
    total = sum(layer[p] for layer in (hidden, out) for p in ("forward", "backward", "update"))
    own = N * INPUT + OUT * HIDDEN if name == "row_adagrad" else 0
    assert total - own == pytest.approx(6 * net.dense_multiplications(6))


@pytest.mark.parametrize("name", ["sgd", "momentum"])
def test_a_batch_of_hashed_layers_counts_only_touched_rows(name: str) -> None:
    net = network("lsh", twin.optimizer(name))
    traces = [_core.trace(net, twin.dense(x()), y(), row)[0]["ids"] for row in range(6)]
    times = np.unique(np.concatenate(traces), return_counts=True)[1]
    assert times.max() > 1
    hidden, _ = train(net, range(6), 6)
    expect(hidden, forward=6 * K * INPUT, rerank=6 * K * INPUT, candidates=12 * K, active=6 * K)
    gradients = 6 * K if name == "sgd" else times[times > 1].sum()  # one alone is the step's own
    steps = 0 if name == "sgd" else len(times) * PER_WEIGHT[name]
    expect(hidden, update=(gradients + steps) * INPUT)


LINE = 16  # by input, a row of weights holds 15 neurons, or 4 outputs, and fills a cache line


def by_input(selector: str, opt: Any = None) -> Any:
    hidden = twin.layer(N, "tanh", selector, 0.2, layout="input")
    specs = [hidden, twin.layer(OUT, layout="input")]
    return _core.Network(INPUT - 1, specs, "softmax", opt or twin.optimizer(), 0)


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("name", list(PER_WEIGHT))
def test_dense_training_of_weights_by_input(name: str, l2: float) -> None:
    hidden, out = train(by_input("all", twin.optimizer(name, l2=l2)))
    plain, cost = name == "sgd" and l2 == 0, PER_WEIGHT[name] + decay(name, l2)
    step = LINE * (1 if plain else cost + (name == "row_adagrad"))  # and the gradient's square
    expect(hidden, forward=INPUT * LINE, rerank=0, backward=0, update=INPUT * step)
    expect(hidden, query=0, rehash=0, rebuild=0, active=N, candidates=N, queries=1)
    expect(out, forward=HIDDEN * LINE, backward=HIDDEN * LINE, update=HIDDEN * step)
    expect(out, rerank=0, active=OUT, candidates=OUT, queries=1)


def test_winner_take_all_by_input_evaluates_whole_lines_and_learns_from_the_winners() -> None:
    hidden, out = train(by_input("winner_take_all"))
    expect(hidden, forward=K * INPUT, rerank=(LINE - K) * INPUT, update=K * INPUT, backward=0)
    expect(hidden, active=K, candidates=N, queries=1)
    expect(out, forward=KEPT * LINE, backward=KEPT * LINE, update=KEPT * LINE, rerank=0)


@pytest.mark.parametrize("name", list(PER_WEIGHT))
def test_a_batch_updates_each_row_of_an_input_once(name: str) -> None:
    hidden, out = train(by_input("all", twin.optimizer(name)), range(6), 6)
    step = 6 * LINE  # SGD: in each gradient
    if name != "sgd":
        step += LINE * (PER_WEIGHT[name] + (name == "row_adagrad"))
    expect(hidden, forward=6 * INPUT * LINE, update=INPUT * step, backward=0, queries=6)
    expect(out, forward=6 * HIDDEN * LINE, backward=6 * HIDDEN * LINE, update=HIDDEN * step)


def test_a_batch_in_a_wide_layer_by_input_counts_what_examples_take_back_of_each_other() -> None:
    wide, parts = 64, 2
    specs = [twin.layer(N, "tanh"), twin.layer(wide, "tanh", layout="input"), twin.layer(OUT)]
    net = _core.Network(INPUT - 1, specs, "softmax", twin.optimizer(), 0)
    _, middle, _ = train(net, range(6), 6)
    pairs = 6 * 5 // 2
    products = pairs * wide  # of two examples' deltas
    back = pairs * N * (parts + 1)  # of each input they share: the step, and its part in each sum
    expect(middle, forward=6 * HIDDEN * wide, update=6 * HIDDEN * wide)
    expect(middle, backward=6 * HIDDEN * wide + products + back)


def test_lsh_by_bytes() -> None:
    hidden, _ = train(network("lsh", projection="subspace", rank=16, code="bytes"))
    rank = width = 16
    # to coordinates; those to projections, once as asked and once as a neuron would move; x.mean
    # and |x|^2; to bytes; and those times every neuron's
    query = INPUT * rank + 2 * rank * width + 2 * INPUT + width + 1 + N * width
    assert 0 <= hidden["query"] - query <= 2 * rank + SCALARS
    expect(hidden, forward=K * INPUT, rerank=K * INPUT, active=K, candidates=2 * K)
    assert 0 <= hidden["rehash"] - K * 2 * width <= K * SCALARS  # the step, and to bytes again


def test_an_example_that_is_known_goes_forward_only() -> None:
    net = network("winner_take_all")
    for _ in range(200):
        train(net, [0])
    net.reset_ledger()
    twin.train(net, twin.dense(x()), y(), [0], 0.01, known=0.3)
    hidden, out = net.ledger()["layers"]
    expect(hidden, forward=K * INPUT, rerank=(N - K) * INPUT, backward=0, update=0, queries=1)
    expect(out, forward=OUT * KEPT, backward=0, update=0, queries=1)
    assert (net.ledger()["examples"], net.ledger()["learned"]) == (1, 0)


def test_threads_share_one_ledger() -> None:
    ledgers = []
    for threads in (1, 3):
        net = network("winner_take_all")
        twin.train(net, twin.dense(x()), y(), list(range(6)) * 5, 0.01, threads=threads)
        ledgers.append(net.ledger())
    assert ledgers[0] == ledgers[1]
    assert ledgers[0]["examples"] == ledgers[0]["learned"] == 30


def test_predictions_have_a_ledger_of_their_own() -> None:
    net = network("winner_take_all")
    net.scores(twin.dense(x()), False, 2)
    assert net.ledger()["examples"] == 0
    assert not any(net.ledger()["layers"][0].values())
    mine = net.prediction_ledger()
    assert mine["examples"] == 6
    expect(
        mine["layers"][0], forward=6 * K * INPUT, rerank=6 * (N - K) * INPUT, update=0, queries=6
    )
    assert net.dense_prediction_multiplications() == N * INPUT + OUT * HIDDEN
    assert net.n_parameters == N * INPUT + OUT * HIDDEN


def test_the_ledger_can_be_reset_and_restored() -> None:
    net = network("lsh")
    train(net, range(6))
    kept = net.ledger()
    net.reset_ledger()
    assert net.ledger()["examples"] == 0
    net.set_ledger(kept)
    assert net.ledger() == kept
