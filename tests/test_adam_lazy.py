"""Adam with `lazy=False`: what a row of weights missed is made up for when its turn comes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import hashgrad
import reference as twin
from cli_help import caller
from conftest import same_bits
from hashgrad import LSH, Adam, Dense, Network
from hashgrad.defaults import from_dict
from hashgrad.optimizers import OPTIMIZERS


def network(**adam: object) -> Network:
    how = {"loss": "logistic", "batch_size": 10, "seed": 2}
    top = Dense(40, active=LSH(0.1, pooled=True, rank=8, rehash_every=50))
    return Network(12, [Dense(16), top], optimizer=Adam(0.01, **adam), **how)


def data(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which the labels 0 to 9 are frequent, and the others rare."""
    random = np.random.default_rng(5)
    y = np.zeros((n, 40), np.int8)
    y[np.arange(n), random.integers(0, 10, n)] = 1
    y[::20, 10:] = random.random((len(y[::20]), 30)) < 0.1
    return random.normal(size=(n, 12)).astype(np.float32), y


@pytest.mark.parametrize("state", ["float32", "bfloat16", "row", "8-bit"])
def test_where_no_row_is_passed_by_both_have_the_same_bits(state: str) -> None:
    X, y = data()
    layers = [Dense(16, activation="tanh"), Dense(40)]
    how = {"loss": "logistic", "batch_size": 10}
    lazy, full = (
        Network(12, layers, optimizer=Adam(0.01, state=state, lazy=word), **how).fit(X, y, epochs=2)
        for word in (True, False)
    )
    np.testing.assert_array_equal(lazy.decision_function(X), full.decision_function(X))


def test_rare_rows_take_longer_steps() -> None:
    """Else this would test nothing: pools leave rows out."""
    X, y = data()
    lazy, full = (network(lazy=word).fit(X, y, epochs=2) for word in (True, False))
    began = network()._core.tensors()["layers.1.weight"]
    moved = [np.abs(net._core.tensors()["layers.1.weight"] - began).mean(1) for net in (lazy, full)]
    rare = slice(10, None)
    assert moved[1][rare].mean() > 1.05 * moved[0][rare].mean()


@pytest.mark.parametrize("gap", [1, 3, 30, 300])
def test_a_row_that_moves_now_and_then_goes_as_far_as_by_adam_proper(gap: int) -> None:
    """Gradients now and then, zeros between, by PyTorch's Adam; the twin sees no zeros."""
    g, rate, updates = np.array([[0.3, -0.02, 1.0]]), 0.01, 6000
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    proper = torch.optim.Adam([w], lr=rate, eps=1e-8)
    moved = {}
    for name in ("adam//full", "adam"):
        opt = twin.optimizer(name, beta1=0.9, beta2=0.999, epsilon=1e-8)
        rule, moved[name] = twin.Optimizer(opt, g.shape), np.zeros(g.shape)
        for t in range(gap, updates + 1, gap):
            rule.step(moved[name], g, np.ones(g.shape, bool), rate, t)
    for t in range(1, updates + gap):
        w.grad = torch.from_numpy(g[0] * (t % gap == 0))
        proper.step()
    wanted = w.detach().numpy()
    np.testing.assert_allclose(moved["adam//full"][0], wanted, rtol=0.03)
    if gap >= 30:  # as many times as there are gradients in the time that v remembers
        assert (np.abs(moved["adam"][0]) < 0.6 * np.abs(wanted)).all()


def test_added_and_retired_labels_leave_the_others_as_they_were() -> None:
    X, y = data()
    net = network(lazy=False).fit(X, y, epochs=2)
    before = net._core.tensors()["layers.1.optimizer.row_update"].copy()
    assert before.max() == 40
    assert (before < 40).any()
    net.add_labels(3)
    after = net._core.tensors()["layers.1.optimizer.row_update"]
    np.testing.assert_array_equal(after, [*before, 40, 40, 40])  # no update passed the new ones by
    net.retire_labels([2])
    left = net._core.tensors()["layers.1.optimizer.row_update"]
    np.testing.assert_array_equal(left, np.delete(after, 2))


def test_it_trains_without_locks() -> None:
    X, y = data()
    layers = [Dense(64, active=LSH(0.2, rank=8, lookup="scan")), Dense(40)]
    net = Network(12, layers, loss="logistic", optimizer=Adam(0.005, lazy=False), threads=2)
    before = net.fit(X, y, epochs=1).evaluate(X, y)["precision_at_1"]
    net.fit(X, y, epochs=10)
    assert np.isfinite(net.decision_function(X)).all()
    assert net.evaluate(X, y)["precision_at_1"] > before


def test_threads_make_no_difference_in_batches() -> None:
    X, y = data()
    one, two = (network(lazy=False) for _ in range(2))
    two.threads = 2
    assert same_bits(one.fit(X, y, epochs=2), two.fit(X, y, epochs=2))


def test_models_of_earlier_versions_are_lazy() -> None:
    older = Adam(0.5).to_dict()
    del older["lazy"]
    assert from_dict("optimizer", older, OPTIMIZERS) == Adam(0.5, lazy=True)


def test_the_word_is_checked() -> None:
    with pytest.raises(TypeError, match="lazy must be True or False, got 'no'"):
        Adam(lazy="no")  # type: ignore[arg-type]


def test_what_it_costs_is_counted() -> None:
    X, y = data(20)  # two updates: the pool of the second follows from the same weights
    lazy, full = (
        network(lazy=word).fit(X, y, epochs=1).report().to_dict()["multiplications"]["update"]
        for word in (True, False)
    )
    rows, left = divmod(full - lazy, 40)
    assert left == 0
    assert 0 < rows < 40 + 13


def test_it_is_in_the_model_file(tmp_path: object) -> None:
    X, y = data()
    net = network(lazy=False).fit(X, y, epochs=1)
    net.save(f"{tmp_path}/net.hg")
    again = hashgrad.load(f"{tmp_path}/net.hg")
    assert again.optimizer == net.optimizer
    assert again._core.tensors()["layers.1.optimizer.row_update"].max() == 20


def test_the_command_line_is_not_lazy_with_many_labels(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run, rows = caller(capsys), tmp_path / "rows.txt"
    rows.write_text("\n".join(["20 9 3", *(f"{i % 3} {i % 3}:2 {i % 6 + 3}:1" for i in range(20))]))

    def optimizer(*more: object) -> dict[str, object]:
        how = ("--epochs", 1, "--task", "multilabel", "--json", "-", *more)
        return run("train", rows, *how).json["network"]["optimizer"]

    assert optimizer()["lazy"] is False
    assert optimizer("--lazy")["lazy"] is True
    assert optimizer("--optimizer", "adam")["lazy"] is True  # as its own defaults
    assert optimizer("--optimizer", "adam", "--no-lazy")["lazy"] is False
    assert optimizer("--loss", "softmax", "--known", 0.9)["lazy"] is True
    refused = run("train", rows, "--optimizer", "sgd", "--no-lazy")
    assert refused.code == 2
    assert "--lazy has no effect with --optimizer sgd; it belongs to adam" in refused.err
    assert "no-lazy, " in " ".join(run("train", "--help").out.replace("│", " ").split())


def test_where_examples_rest_not_every_update_steps() -> None:
    with pytest.raises(ValueError, match=r"known must be None with Adam\(lazy=False\), got 0.9"):
        Network(4, [Dense(3), Dense(2)], optimizer=Adam(lazy=False), known=0.9)


def test_rows_without_a_gradient_are_passed_by() -> None:
    X, y = data(20)
    net = network(lazy=False).fit(X, y, epochs=1, sample_weight=np.eye(20)[3])
    updates = net._core.tensors()["layers.1.optimizer.row_update"]
    assert len(set(updates.tolist()) - {0}) == 1  # that of the one row with a weight


def test_of_a_networks_optimizer_only_the_rate_may_change() -> None:
    net = network(lazy=False)
    net.optimizer = Adam(0.5, lazy=False)
    assert net.optimizer.rate == 0.5
    for other in (Adam(0.5), Adam(0.5, beta1=0.5, lazy=False), "sgd"):
        with pytest.raises(ValueError, match="optimizer may change in nothing but its rate, got "):
            net.optimizer = other
