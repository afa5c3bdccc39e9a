"""Networks learn: with every selector, optimizer and loss, dense or sparse, at once or in parts."""

import copy
import pickle

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

import hashgrad
from conftest import N_CLASSES, N_INPUTS, hashed, network, same_bits
from hashgrad import (
    LSH,
    SGD,
    Adam,
    Adaptive,
    All,
    Constant,
    Dense,
    Network,
    Random,
    WinnerTakeAll,
)


def some(selector, **settings):
    """The selector of that name, keeping enough of a small layer to learn with."""
    if selector in ("dense", "lsh"):
        return hashed(**settings).selector if selector == "lsh" else All()
    return {"random": Random, "adaptive": Adaptive, "winner-take-all": WinnerTakeAll}[selector](0.3)


SELECTORS = ["dense", "random", "adaptive", "winner-take-all", "lsh"]


@pytest.mark.parametrize("batch_size", [1, 20])
@pytest.mark.parametrize("selector", SELECTORS)
def test_every_selector_learns_to_tell_blobs_apart(blobs, selector, batch_size):
    X, y = blobs
    rate = SGD(0.02 if batch_size == 1 else 0.2)
    layer = Dense(64, active=some(selector))
    net = network(layer, batch_size=batch_size, optimizer=rate)
    net.fit(X[:500], y[:500], epochs=4)
    assert net.evaluate(X[500:], y[500:])["accuracy"] > 0.9


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "adam", "row-adagrad"])
@pytest.mark.parametrize("batch_size", [1, 20])
def test_every_optimizer_lowers_the_loss(blobs, optimizer, batch_size):
    net = network(optimizer=optimizer, batch_size=batch_size, l2=1e-5).fit(*blobs, epochs=3)
    assert net.history[-1]["loss"] < 0.8 * net.history[0]["loss"]


def test_two_hashed_layers_and_a_hashed_output_layer_learn(blobs):
    X, y = blobs
    hidden = [hashed(64, 0.3), hashed(48, 0.3)]
    net = Network(N_INPUTS, [*hidden, hashed(40, 0.2)], optimizer=SGD(0.02))
    net.fit(X, y, epochs=4)
    assert net.evaluate(X, y)["accuracy"] > 0.9


def test_several_threads_learn_as_one_does(blobs):
    X, y = blobs
    for threads in (2, 4, 0):
        net = network(threads=threads, optimizer=SGD(0.02)).fit(X, y, epochs=4)
        assert net.evaluate(X, y)["accuracy"] > 0.9


def test_a_multi_label_network_learns_and_is_scored_by_its_precision(tags):
    X, Y = tags
    net = network(outputs=6, loss="logistic").fit(X, Y, epochs=15, validation=(X, Y))
    scores = net.evaluate(X, Y)
    assert list(scores) == ["precision_at_1", "precision_at_3", "precision_at_5"]
    guess_all = Y.toarray().mean(axis=0).max()
    assert scores["precision_at_1"] > guess_all + 0.1
    assert net.history[-1]["precision_at_1"] == scores["precision_at_1"]
    assert net.history[-1]["accuracy"] is None


def test_a_regression_learns_and_is_scored_by_r_squared(line):
    X, y = line
    net = Network(N_INPUTS, [Dense(64), Dense(1)], loss="squared", optimizer=SGD(0.01))
    net.fit(X, y, epochs=8, validation=(X, y))
    assert net.evaluate(X, y)["r2"] > 0.9
    assert net.history[-1]["r2"] == net.evaluate(X, y)["r2"]
    assert net.predict(X).shape == (400,)


def test_a_single_output_tells_two_classes_apart(blobs):
    X, y = blobs
    net = network(Dense(32), outputs=1, loss="logistic").fit(X, y == 0, epochs=3)
    assert net.evaluate(X, (y == 0).astype(int))["accuracy"] > 0.9


@pytest.mark.parametrize(
    "form",
    [
        lambda X: X,
        lambda X: X.astype(np.float64),
        lambda X: np.asfortranarray(X),
        lambda X: X.tolist(),
        lambda X: np.hstack([X, X])[:, :N_INPUTS],
        csr_array,
        coo_array,
    ],
    ids=["float32", "float64", "fortran", "lists", "strided", "csr", "coo"],
)
def test_the_form_of_the_input_does_not_change_what_is_learned(blobs, form):
    X, y = blobs
    expected = network().fit(X, y, epochs=1)
    assert same_bits(network().fit(form(X), y.tolist(), epochs=1), expected)


def test_the_users_sparse_matrix_is_not_changed(blobs):
    X, y = blobs
    messy = csr_array(X)
    messy.indices[:2] = messy.indices[:2][::-1].copy()
    messy.has_sorted_indices = messy.has_canonical_format = False
    before = messy.indices.copy()
    network().fit(messy, y, epochs=1)
    assert np.array_equal(messy.indices, before)


@pytest.mark.parametrize("form", ["lists", "dense", "csr", "sets"])
def test_label_sets_mean_the_same_in_every_form(tags, form):
    X, Y = tags
    rows = [Y[[i]].indices.tolist() for i in range(Y.shape[0])]
    forms = {"lists": rows, "dense": Y.toarray(), "csr": Y, "sets": [set(row) for row in rows]}
    expected = network(outputs=6, loss="logistic").fit(X, Y, epochs=1)
    assert same_bits(network(outputs=6, loss="logistic").fit(X, forms[form], epochs=1), expected)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 16}])
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(blobs, settings):
    one, two, other = (network(seed=s, **settings).fit(*blobs, epochs=2) for s in (5, 5, 6))
    assert same_bits(one, two)
    assert not np.array_equal(one.predict_proba(blobs[0]), other.predict_proba(blobs[0]))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "adam", "row-adagrad"])
@pytest.mark.parametrize("selector", SELECTORS)
def test_batches_give_the_same_bits_for_any_number_of_threads(blobs, optimizer, selector):
    active = some(selector, lookup="tables")
    one, two, four = (
        network(
            Dense(40, active=active),
            hashed(32, transform="simple"),
            optimizer=optimizer,
            batch_size=25,
            threads=threads,
        ).fit(*blobs, epochs=1, validation=0.1)
        for threads in (1, 2, 4)
    )
    assert same_bits(one, two)
    assert same_bits(one, four)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 7}, {"optimizer": "adam"}])
def test_the_size_of_chunks_changes_neither_what_is_learned_nor_the_recorded_loss(
    blobs, monkeypatch, settings
):
    whole = network(**settings).fit(*blobs, epochs=2)
    monkeypatch.setattr(hashgrad.training, "_CHUNK_SECONDS", 0.0)
    for first in (1, 10, 300):
        monkeypatch.setattr(hashgrad.training, "_FIRST_CHUNK", first)
        chunks = []
        other = network(**settings).fit(*blobs, epochs=2, progress=_Watcher(update=chunks.append))
        assert len(chunks) > 100 or first == 300
        assert [r["loss"] for r in other.history] == [r["loss"] for r in whole.history]
        assert same_bits(other, whole)


def test_a_part_of_the_rows_can_be_held_out(blobs):
    X, y = blobs
    net = network().fit(X, y, epochs=2, validation=0.25)
    assert net.history[0]["examples"] == 450
    assert net.history[1]["accuracy"] > 0.8


def test_early_stopping_ends_training_and_returns_the_best_weights(blobs):
    X, y = blobs
    random = np.random.default_rng(0)
    noise = random.integers(N_CLASSES, size=200)  # nothing to learn: the score soon stops rising
    held_out = (X[:200], noise)
    net = network(schedule=Constant(), optimizer=SGD(0.02))
    net.fit(X[200:], y[200:], epochs=50, validation=held_out, early_stopping=3)
    scores = [record["accuracy"] for record in net.history]
    assert len(scores) < 50
    assert len(scores) == np.argmax(scores) + 1 + 3
    assert net.evaluate(*held_out)["accuracy"] == max(scores)


def test_a_callback_sees_every_record_and_can_stop(blobs):
    seen = []
    net = network()
    net.fit(*blobs, epochs=9, callbacks=[seen.append, lambda record: record["epoch"] == 3])
    assert [record["epoch"] for record in seen] == [1, 2, 3]
    assert seen == net.history
    assert not net.interrupted


def test_class_weights_pull_predictions_towards_the_heavy_class(blobs):
    X, y = np.random.default_rng(4).normal(size=(600, N_INPUTS)), blobs[1]  # nothing to learn
    plain, dict_, array = (
        network(Dense(16)).fit(X, y, epochs=2, class_weight=w).predict(X)
        for w in (None, {2: 5}, [1, 1, 5, 1])
    )
    assert (dict_ == 2).mean() > (plain == 2).mean() + 0.2
    assert np.array_equal(dict_, array)


def test_balanced_class_weights_make_a_rare_class_count(blobs):
    X, y = blobs
    kept = (y != 1) | (np.cumsum(y == 1) <= 6)
    near, y = (X[kept] - X.mean(axis=0)) * 0.1, y[kept]
    plain, balanced = (
        network(Dense(16)).fit(near, y, epochs=3, class_weight=w).predict(near)
        for w in (None, "balanced")
    )
    assert (balanced[y == 1] == 1).mean() > (plain[y == 1] == 1).mean()


def test_class_weights_of_a_multi_label_network_pull_as_well(tags):
    X, Y = tags
    plain, heavy = (
        network(Dense(16), outputs=6, loss="logistic").fit(X, Y, epochs=2, class_weight=w)
        for w in (None, {0: 0.01})
    )
    assert heavy.history[-1]["loss"] < plain.history[-1]["loss"]


def test_a_row_of_weight_zero_teaches_nothing(blobs):
    X, y = blobs
    wrong = np.where(np.arange(600) < 300, y, (y + 1) % N_CLASSES)
    weights = (np.arange(600) < 300).astype(float)
    net = network().fit(X, wrong, epochs=4, sample_weight=weights)
    assert net.evaluate(X, y)["accuracy"] > 0.9


def test_a_rate_that_warms_up_and_decays_is_recorded(blobs):
    schedule = hashgrad.Exponential(factor=0.5, warmup=1)
    net = network(schedule=schedule, optimizer=SGD(0.01)).fit(*blobs, epochs=3)
    rates = [record["learning_rate"] for record in net.history]
    assert rates == pytest.approx([0.005, 0.0025, 0.00125])


def test_partial_fit_learns_pass_by_pass_and_leaves_the_epochs_alone(blobs):
    X, y = blobs
    net = network(optimizer=SGD(0.02))
    for start in range(0, 600, 100):
        net.partial_fit(X[start : start + 100], y[start : start + 100])
    assert net.epochs == 0
    assert net.evaluate(X, y)["accuracy"] > 0.8
    net.fit(X, y, epochs=2)
    assert net.epochs == 2


def test_a_first_partial_fit_of_one_row_costs_the_hashes_nothing_later():
    """What one row says of the inputs' subspace is replaced as more of them come."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X / 16

    def accuracy(first, seed):
        order = np.random.default_rng(seed).permutation(len(X))
        rows, apart = order[:1400], order[1400:]
        layers = [Dense(200, active=LSH(fraction=0.1)), Dense(10)]
        net = Network(64, layers, optimizer=SGD(0.05), seed=seed)
        net.partial_fit(X[rows[:first]], y[rows[:first]])
        for _ in range(4):
            for start in range(0, 1400, 200):
                net.partial_fit(X[rows[start : start + 200]], y[rows[start : start + 200]])
        return net.evaluate(X[apart], y[apart])["accuracy"]

    one, all_ = (np.mean([accuracy(first, seed) for seed in range(4)]) for first in (1, 1400))
    assert all_ > 0.93
    assert abs(one - all_) < 0.03


def test_a_fit_after_partial_fits_still_has_a_rate_to_learn_with(blobs):
    X, y = blobs
    net = network()
    for _ in range(3):
        net.partial_fit(X[:50], y[:50])
    net.fit(X, y, epochs=1)
    assert net.evaluate(X, y)["accuracy"] > 0.8
    assert net.history[-1]["learning_rate"] == pytest.approx(0)


def test_one_row_is_enough_to_train_on(blobs):
    X, y = blobs
    net = network().fit(X[:1], y[:1], epochs=2)
    assert net.predict(X[:1]) == y[:1]


def test_a_constant_input_is_no_harm():
    X = np.zeros((20, N_INPUTS), np.float32)
    net = network().fit(X, np.arange(20) % 2, epochs=2)
    assert np.isfinite(net.predict_proba(X)).all()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_goes_on_as_the_original_does(blobs, copied):
    net = network(threads=1).fit(*blobs, epochs=4, callbacks=[lambda r: r["epoch"] == 2])
    twin = copied(net)
    assert twin.history == net.history
    twin.fit(*blobs, epochs=4)
    assert same_bits(twin, net.fit(*blobs, epochs=4))


def test_a_bar_can_be_asked_for(blobs, capsys):
    network().fit(*blobs, epochs=2, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]


def test_a_watcher_hears_of_every_example_and_epoch(blobs):
    heard = {"start": [], "update": [], "epoch": [], "stop": []}
    watcher = _Watcher(**{name: calls.append for name, calls in heard.items()})
    network(optimizer=Adam()).fit(*blobs, epochs=2, progress=watcher)
    assert heard["start"] == [(1200, 2, 1)]
    assert sum(examples for examples, _ in heard["update"]) == 1200
    assert [record[0]["epoch"] for record in heard["epoch"]] == [1, 2]
    assert heard["stop"] == [()]


class _Watcher:
    """Passes each call's arguments on, as a tuple."""

    def __init__(self, **calls):
        self._calls = calls

    def __getattr__(self, name):
        if name not in ("start", "update", "epoch", "stop"):
            raise AttributeError(name)
        return lambda *arguments: self._calls.get(name, lambda _: None)(arguments)


def test_a_batch_size_is_checked_when_it_is_set():
    head = Dense(60, active=LSH(0.1, pooled=True))
    for net in (
        Network(8, [Dense(16), head], batch_size=8),
        Network(8, [Dense(16)], batch_size=8, optimizer=Adam(state="8-bit")),
    ):
        with pytest.raises(ValueError, match=r"batch_size must be above 1 .*, got 1"):
            net.batch_size = 1
        for bad in (0, -3, 2.5, "8", None):
            with pytest.raises((ValueError, TypeError), match="batch_size must be"):
                net.batch_size = bad
        assert net.batch_size == 8
        net.batch_size = 16
        assert net.specification()["batch_size"] == 16
