"""Training that stops and goes on, in memory or through a file, ends with the same bits."""

import numpy as np
import pytest

import hashgrad
from conftest import hashed, network, same_bits
from hashgrad import (
    LSH,
    SGD,
    Adam,
    Adaptive,
    Constant,
    Dense,
    Exponential,
    Random,
    WinnerTakeAll,
)  # fmt: skip

EPOCHS = 4


def stop_after(epoch):
    return lambda record: record["epoch"] == epoch


def through_a_file(net, tmp_path):
    net.save(tmp_path / "net.safetensors")
    return hashgrad.load(tmp_path / "net.safetensors")


SETTINGS = {
    "sgd": {},
    "momentum": {"optimizer": "momentum"},
    "adagrad": {"optimizer": hashgrad.Adagrad(momentum=0.5)},
    "adam": {"optimizer": "adam"},
    "adam in bfloat16": {"optimizer": Adam(state="bfloat16")},
    "adam by row": {"optimizer": Adam(state="row")},
    "adam that is not lazy": {"optimizer": Adam(lazy=False), "batch_size": 4},
    "adam that is not lazy, alone": {"optimizer": Adam(lazy=False, state="row")},
    "adam in bytes": {"optimizer": Adam(state="8-bit"), "batch_size": 4},
    "row-adagrad": {"optimizer": "row-adagrad"},
    "decay": {"l2": 1e-4, "schedule": Exponential(0.7, warmup=1.5)},
}
LAYERS = {
    "dense": Dense(40),
    "random": Dense(40, active=Random(0.3)),
    "adaptive": Dense(40, active=Adaptive(0.3)),
    "winner-take-all": Dense(40, active=WinnerTakeAll(0.3)),
    "scan": hashed(rehash="auto"),
    "rows": hashed(rehash="rows"),
    "tables": hashed(lookup="tables"),
    "collisions": hashed(lookup="tables", ranking="collisions", projection="gaussian"),
    "simple": hashed(transform="simple", projection="sparse"),
    "sign-alsh": hashed(lookup="tables", transform="sign-alsh", rehash="rows"),
    "dwta": hashed(family="dwta", lookup="tables", probes=1),
    "minhash": hashed(family="minhash", code_bits=4, probes=1),
    "l2-alsh": hashed(transform="l2-alsh", center=False),
}


def check_resumption(make, data, tmp_path, **fit):
    whole = make().fit(*data, epochs=EPOCHS, **fit)
    kept = make().fit(*data, epochs=EPOCHS, **fit, callbacks=[stop_after(2)])
    loaded = through_a_file(kept, tmp_path)
    assert same_bits(loaded, kept)
    for stopped in (kept, loaded):
        stopped.fit(*data, epochs=EPOCHS, **fit)
        assert [record["epoch"] for record in stopped.history] == [1, 2, 3, 4]
        assert same_bits(stopped, whole)


@pytest.mark.parametrize("batch_size", [1, 25])
@pytest.mark.parametrize("settings", SETTINGS)
def test_every_optimizer_goes_on_exactly(blobs, tmp_path, settings, batch_size):
    def make():
        layers = [hashed(), hashed(40, lookup="tables")]
        return network(*layers, **{"batch_size": batch_size, **SETTINGS[settings]})

    check_resumption(make, blobs, tmp_path)


@pytest.mark.parametrize("batch_size", [1, 25])
@pytest.mark.parametrize("layer", LAYERS)
def test_every_selector_goes_on_exactly(blobs, tmp_path, layer, batch_size):
    def make():
        return network(LAYERS[layer], hashed(32), batch_size=batch_size, optimizer=SGD(0.02))

    check_resumption(make, blobs, tmp_path, validation=0.2, class_weight="balanced")


def test_a_multi_label_network_with_a_hashed_output_layer_goes_on_exactly(tags, tmp_path):
    def make():
        layers = [Dense(16), hashed(6, 0.5)]
        return hashgrad.Network(24, layers, loss="logistic", optimizer="row-adagrad")

    check_resumption(make, tags, tmp_path)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", Adam(state="row"), Adam(state="8-bit")])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_in_bfloat16_go_on_exactly(tags, tmp_path, precision, optimizer):
    X, y = tags[0], (np.random.default_rng(5).random((400, 60)) < 0.05).astype(np.int8)

    def make():
        how = {"pooled": True, "fill": 20, "rehash_every": 50, "precision": precision}
        top = Dense(60, active=LSH(0.1, code="bits", rebuild_every=700, **how), dtype="bfloat16")
        settings = {"loss": "logistic", "optimizer": optimizer, "batch_size": 10}
        return hashgrad.Network(24, [Dense(16), top], **settings)

    check_resumption(make, (X, y), tmp_path)
    check_resumption(make, (X, y), tmp_path, validation=0.2)


def test_hashes_that_training_never_asks_go_on_exactly(tags, tmp_path, monkeypatch):
    X, y = tags[0], (np.random.default_rng(5).random((400, 60)) < 0.05).astype(np.int8)

    def make():
        how = {"pooled": True, "query_every": 0, "fill": 20, "rehash_every": 50}
        top = Dense(60, active=LSH(0.1, code="bits", rebuild_every=700, **how))
        settings = {"loss": "logistic", "optimizer": "adam", "batch_size": 10}
        return hashgrad.Network(24, [Dense(16), top], **settings)

    def interrupt(examples, loss):
        seen.append(examples)
        if sum(seen) > 500:
            raise KeyboardInterrupt

    check_resumption(make, (X, y), tmp_path)
    monkeypatch.setattr(hashgrad.training, "_CHUNK_SECONDS", 0.0)
    seen = []
    whole = make().fit(X, y, epochs=EPOCHS)
    net = make().fit(X, y, epochs=EPOCHS, progress=Interrupting(interrupt))
    assert 0 < net.history[-1]["examples"] < 400
    assert not net._core.tensors()["layers.1.lsh.dirty"].any()  # ready to predict
    loaded = through_a_file(net, tmp_path)
    for stopped in (net, loaded):
        stopped.fit(X, y, epochs=EPOCHS)
        for name, tensor in whole._core.tensors().items():
            assert np.array_equal(stopped._core.tensors()[name], tensor), name


@pytest.mark.parametrize("policy", ["longest", "fifo", "reservoir"])
def test_bounded_buckets_go_on_exactly(tags, tmp_path, policy):
    def make(threads=1):
        how = {"pooled": True, "bits": 2, "tables": 8, "bucket": 2, "lookup": "tables"}
        top = Dense(60, active=LSH(0.1, code="bits", rehash_every=50, policy=policy, **how))
        settings = {"loss": "logistic", "optimizer": "adam", "batch_size": 10, "threads": threads}
        return hashgrad.Network(24, [Dense(16), top], **settings)

    wide = np.random.default_rng(5).random((400, 60)) < 0.05
    check_resumption(make, (tags[0], wide.astype(np.int8)), tmp_path)
    fit = {"epochs": EPOCHS}
    one, two = (make(n).fit(tags[0], wide.astype(np.int8), **fit) for n in (1, 2))
    assert same_bits(one, two)
    assert one._core.tables()[1]["overflow"] > 0


def test_early_stopping_goes_on_exactly(blobs, tmp_path):
    """A file saved in a callback holds the best weights so far beside the current ones."""
    X, y = blobs
    fit = {"epochs": 20, "validation": (X[:100], (y[:100] + 1) % 4), "early_stopping": 3}

    def make():
        return network(schedule=Constant(), optimizer=SGD(0.02))

    whole = make().fit(X[100:], y[100:], **fit)
    saved = make()

    def save_and_stop(record):
        saved.save(tmp_path / "net.safetensors")
        return record["epoch"] == 2

    saved.fit(X[100:], y[100:], **fit, callbacks=[save_and_stop])
    loaded = hashgrad.load(tmp_path / "net.safetensors")
    loaded.fit(X[100:], y[100:], **fit)
    assert len(whole.history) < 20
    assert same_bits(loaded, whole)


@pytest.mark.parametrize("batch_size", [1, 25])
@pytest.mark.parametrize(
    "settings",
    [
        {"lookup": "scan"},
        {"lookup": "scan", "rehash": "rows"},
        {"lookup": "tables"},
        {"lookup": "tables", "rehash": "rows"},
        {"lookup": "tables", "ranking": "collisions"},
    ],
    ids=lambda settings: "-".join(settings.values()),
)
def test_training_stopped_inside_an_epoch_goes_on_from_there(
    blobs, tmp_path, settings, batch_size, monkeypatch
):
    monkeypatch.setattr(hashgrad.training, "_CHUNK_SECONDS", 0.0)

    def interrupt(examples, loss):
        seen.append(examples)
        if sum(seen) > 700:
            raise KeyboardInterrupt

    def make():
        return network(hashed(**settings), hashed(40, **settings), batch_size=batch_size)

    seen = []
    whole = make().fit(*blobs, epochs=3)
    net = make().fit(*blobs, epochs=3, progress=Interrupting(interrupt))
    assert 0 < net.history[-1]["examples"] < 600
    loaded = through_a_file(net, tmp_path)
    assert same_bits(loaded, net)
    for stopped in (net, loaded):
        stopped.fit(*blobs, epochs=3)
        assert [record["examples"] for record in stopped.history] == [600, 600, 600]
        assert all(
            layer["overflow"] == 0 for layer in stopped.history[-1]["layers"] if "overflow" in layer
        )
        for name, tensor in whole._core.tensors().items():
            assert np.array_equal(stopped._core.tensors()[name], tensor), name
    assert same_bits(loaded, net)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("next_call", ["fit", "partial_fit"])
def test_the_best_weights_of_an_interrupted_fit_never_undo_later_training(
    blobs, tmp_path, next_call, stored
):
    X, y = blobs
    wrong = (X[:100], (y[:100] + 1) % 4)  # the better it learns, the worse the score

    def interrupt(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    net = network(schedule=Constant(), optimizer=SGD(0.02))
    net.fit(X, y, epochs=9, validation=wrong, early_stopping=4, callbacks=[interrupt])
    assert 0 < net._state.best_epoch < 3
    if stored:
        net = through_a_file(net, tmp_path)
    plain = network(schedule=Constant(), optimizer=SGD(0.02)).fit(X, y, epochs=3)
    for trained in (net, plain):
        if next_call == "partial_fit":
            trained.partial_fit(X, y)
            assert trained._state.best == {}
        trained.fit(X, y, epochs=6)
    assert net._state.best == {}
    for name, tensor in plain._core.tensors().items():
        assert np.array_equal(net._core.tensors()[name], tensor), name


def test_a_longer_fit_goes_on_where_the_last_one_ended(blobs):
    net = network(schedule=Constant()).fit(*blobs, epochs=2)
    net.fit(*blobs, epochs=4)
    assert same_bits(net, network(schedule=Constant()).fit(*blobs, epochs=4))


def test_a_finished_fit_is_left_as_it_is_with_a_warning(blobs):
    net, twin = (network().fit(*blobs, epochs=2) for _ in range(2))
    with pytest.warns(UserWarning, match="2 epochs are done already, epochs=2 asks for no more"):
        net.fit(*blobs, epochs=2)
    assert same_bits(net, twin)


def test_partial_fits_go_on_exactly_through_a_file(blobs, tmp_path):
    X, y = blobs
    whole, stopped = network(), network()
    for net in (whole, stopped):
        net.partial_fit(X[:300], y[:300])
    loaded = through_a_file(stopped, tmp_path)
    for net in (whole, loaded):
        net.partial_fit(X[300:], y[300:])
    assert same_bits(loaded, whole)


def test_other_data_start_the_epoch_again(blobs):
    X, y = blobs

    def interrupt(examples, loss):
        raise KeyboardInterrupt

    net = network().fit(X, y, epochs=2, progress=Interrupting(interrupt))
    net.fit(X[:200], y[:200], epochs=2)
    assert [record["examples"] for record in net.history] == [200, 200]
    assert net.history[-1]["learning_rate"] == pytest.approx(0)  # the schedule ends with the fit


class Interrupting:
    """A watcher that does something at every chunk."""

    def __init__(self, update):
        self.update = update

    def start(self, total_examples, epochs, first_epoch=1):
        pass

    def epoch(self, record):
        pass

    def stop(self):
        pass
