"""Examples that are known already count in the loss, and are not learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hashgrad as library
from cli_help import SMALL, Hashgrad, caller
from conftest import from_bytes, hashed, network, same_bits, to_bytes
from hashgrad import SGD, Constant, Dense, MLPClassifier, Network

ALL_KNOWN = 1e-6  # every label has this probability from the start


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


def weights(net: Network) -> dict[str, np.ndarray]:
    tensors = net._core.tensors().items()
    return {name: np.array(t) for name, t in tensors if name.endswith((".weight", ".bias"))}


def test_all_examples_are_learned_from_unless_told_otherwise(blobs: Any) -> None:
    net = network().fit(*blobs, epochs=2)
    assert net.known is None
    assert [record["learned_fraction"] for record in net.history] == [1.0, 1.0]
    assert net.report().to_dict()["learned_fraction"] == 1.0


@pytest.mark.parametrize("settings", [{}, {"threads": 2}, {"batch_size": 20}])
def test_fewer_examples_are_learned_from_as_more_are_known(
    blobs: Any, settings: dict[str, Any]
) -> None:
    rate = SGD(0.2 if "batch_size" in settings else 0.02)
    net = network(known=0.9, optimizer=rate, **settings).fit(*blobs, epochs=5)
    learned = [record["learned_fraction"] for record in net.history]
    assert 1 > learned[0] == max(learned)
    assert learned[0] > 2 * learned[-1]
    assert learned[1] > 0
    assert net.report().to_dict()["learned_fraction"] == pytest.approx(np.mean(learned))
    assert net.evaluate(*blobs)["accuracy"] > 0.95


def test_what_is_not_learned_from_is_not_multiplied(blobs: Any) -> None:
    layers = [Dense(64, "tanh"), Dense(48, "tanh")]
    costs = []
    for known in (None, 0.9):
        net = network(*layers, known=known, optimizer=SGD(0.02)).fit(*blobs, epochs=5)
        costs.append(net.report().to_dict()["multiplications"])
    learned = net.report().to_dict()["learned_fraction"]
    for phase in ("backward", "update"):
        assert costs[1][phase] == pytest.approx(learned * costs[0][phase])


@pytest.mark.parametrize("batch_size", [1, 20])
def test_what_is_known_rests_in_the_next_epoch(blobs: Any, batch_size: int) -> None:
    net = network(Dense(64), known=0.9, optimizer=SGD(0.02 * batch_size), batch_size=batch_size)
    net.fit(*blobs, epochs=5)
    queries = net._core.ledger()["layers"][0]["queries"]
    learned = [round(600 * record["learned_fraction"]) for record in net.history]
    expected, rested = 0, 0
    for n in learned:
        expected += 600 - rested
        rested = 600 - rested - n
    assert queries == expected < 5 * 600


def test_a_run_that_was_stopped_while_some_rested_goes_on_as_one_that_was_not(
    blobs: Any,
) -> None:
    how = {"known": 0.9, "optimizer": SGD(0.02)}
    whole = network(**how).fit(*blobs, epochs=4)
    stopped = network(**how).fit(*blobs, epochs=4, callbacks=[lambda r: r["epoch"] == 2])
    assert stopped._state.resting is not None
    assert 0 < stopped._state.resting.sum() < 600
    again = from_bytes(to_bytes(stopped)).fit(*blobs, epochs=4)
    assert same_bits(whole, again)


def test_other_data_begin_with_nobody_at_rest(blobs: Any) -> None:
    X, y = blobs
    net = network(known=0.9, optimizer=SGD(0.02)).fit(X, y, epochs=3)
    net.fit(X[:500], y[:500], epochs=4)
    assert net._core.ledger()["layers"][0]["queries"] >= 500
    assert len(net._state.resting) == 500


@pytest.mark.parametrize("bad", [np.full(600, 2, np.uint8), np.zeros((300, 2), np.uint8)])
def test_rows_at_rest_that_no_training_leaves_are_refused(blobs: Any, bad: np.ndarray) -> None:
    net = network(known=0.9, optimizer=SGD(0.02)).fit(*blobs, epochs=2)
    net._state.resting = bad
    with pytest.raises(ValueError, match=r"training\.resting.* must be"):
        from_bytes(to_bytes(net))


def test_of_examples_that_are_all_known_only_the_loss_is_told(blobs: Any) -> None:
    X, y = blobs
    net = network(Dense(32), known=ALL_KNOWN, schedule=Constant())
    before, probabilities = weights(net), net.predict_proba(X)
    net.fit(X, y, epochs=2)
    for name, tensor in weights(net).items():
        assert np.array_equal(tensor, before[name]), name
    expected = -np.log(probabilities[np.arange(600), y]).mean()
    first, second = net.history
    assert first["learned_fraction"] == second["learned_fraction"] == 0
    assert first["loss"] == pytest.approx(expected, rel=1e-5)
    assert second["loss"] is None  # all rested


@pytest.mark.parametrize("batch_size", [1, 20])
def test_an_example_is_learned_from_if_its_label_is_less_probable_than_that(
    blobs: Any, batch_size: int
) -> None:
    X, y = blobs
    apart = network(Dense(32), optimizer=SGD(0.02)).fit(X, y, epochs=1)
    probability = apart.predict_proba(X)[np.arange(600), y]
    for known in (0.5, 0.9):
        net = network(Dense(32), known=known, optimizer=SGD(1e-12), batch_size=batch_size)
        for name, tensor in apart._core.tensors().items():
            net._core.tensors()[name][...] = tensor
        net.fit(X, y, epochs=1)
        assert net.history[0]["learned_fraction"] == pytest.approx(
            (probability < known).mean(), abs=1 / 600
        )


def test_knowing_does_not_depend_on_an_examples_weight(blobs: Any) -> None:
    X, y = blobs
    heavy = network(known=0.9, optimizer=SGD(0.01))
    heavy.fit(X, y, epochs=3, sample_weight=np.full(600, 2.0))
    plain = network(known=0.9, optimizer=SGD(0.02)).fit(X, y, epochs=3)
    assert [r["learned_fraction"] for r in heavy.history] == [
        r["learned_fraction"] for r in plain.history
    ]
    assert np.array_equal(heavy.decision_function(X), plain.decision_function(X))


def test_batches_that_leave_out_what_is_known_give_the_same_bits_on_any_number_of_threads(
    blobs: Any,
) -> None:
    one, two, four = (
        network(
            hashed(48), Dense(32), known=0.9, batch_size=25, optimizer=SGD(0.2), threads=threads
        ).fit(*blobs, epochs=3)
        for threads in (1, 2, 4)
    )
    assert same_bits(one, two)
    assert same_bits(one, four)
    assert 0 < one.history[-1]["learned_fraction"] < 1


@pytest.mark.parametrize("batch_size", [1, 20])
def test_a_training_that_leaves_out_what_is_known_can_be_saved_and_goes_on_as_it_would_have(
    blobs: Any, tmp_path: Path, batch_size: int
) -> None:
    def make() -> Network:
        return network(known=0.9, optimizer=SGD(0.02 * batch_size), batch_size=batch_size)

    whole = make().fit(*blobs, epochs=4)
    make().fit(*blobs, epochs=4, callbacks=[lambda r: r["epoch"] == 2]).save(tmp_path / "net")
    loaded = library.load(tmp_path / "net")
    assert loaded.known == 0.9
    assert loaded.report().to_dict()["learned_fraction"] < 1
    assert same_bits(loaded.fit(*blobs, epochs=4), whole)


def test_partial_fit_leaves_out_what_is_known_too(blobs: Any) -> None:
    X, y = blobs
    net = network(Dense(32), known=ALL_KNOWN)
    before = weights(net)
    net.partial_fit(X, y)
    assert all(np.array_equal(tensor, before[name]) for name, tensor in weights(net).items())
    assert net.report().to_dict()["learned_fraction"] == 0


def test_a_bad_row_is_found_though_all_are_known(blobs: Any) -> None:
    X, y = blobs[0].copy(), blobs[1]
    X[7] = 3e38
    with pytest.raises(FloatingPointError, match="the loss became NaN or infinite in epoch 1"):
        network(Dense(32), known=ALL_KNOWN).fit(X, y, epochs=1)


@pytest.mark.parametrize("known", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_probability_that_none_or_all_have_is_refused(known: float) -> None:
    with pytest.raises(ValueError, match=r"known must be in \(0, 1\), or None, got "):
        network(known=known)


@pytest.mark.parametrize("known", ["0.9", True, [0.9]])
def test_what_is_no_probability_is_refused(known: Any) -> None:
    with pytest.raises(TypeError, match="known must be a number, got "):
        network(known=known)


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_only_the_softmax_loss_can_leave_examples_out(loss: str) -> None:
    with pytest.raises(ValueError, match=f"known needs loss='softmax', got known=0.9, .*'{loss}'"):
        network(loss=loss, known=0.9)
    assert network(loss=loss, known=None).known is None


def test_the_setting_is_part_of_the_specification_and_shown() -> None:
    net = network(known=0.95)
    assert net.specification()["known"] == 0.95
    assert "known=0.95" in repr(net)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_learn_from_all_examples(blobs: Any) -> None:
    X, y = blobs
    model = MLPClassifier((32,), max_iter=5, early_stopping=True, random_state=0).fit(X, y)
    assert model.network_.known is None
    assert model.network_.report().to_dict()["learned_fraction"] == 1.0
    assert "known" not in model.get_params()


# The command line


def test_the_command_line_leaves_out_what_is_known(hashgrad: Hashgrad, tmp_path: Path) -> None:
    model = tmp_path / "model.hashgrad"
    words = ("train", "digits", *SMALL, "--epochs", 6)
    result = hashgrad(*words, "--known", 0.8, "--output", model, "--json", "-").json
    assert result["network"]["known"] == 0.8
    learned = [record["learned_fraction"] for record in result["history"]]
    assert 1 > learned[0] > learned[-1] > 0
    assert result["accuracy"] > 0.8
    assert library.load(model).known == 0.8
    everything = hashgrad(*words, "--json", "-").json
    assert everything["network"]["known"] is None
    assert {record["learned_fraction"] for record in everything["history"]} == {1.0}


def test_a_resumed_training_leaves_out_what_the_file_says(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    model = tmp_path / "model.hashgrad"
    assert hashgrad("train", "digits", *SMALL, "--known", 0.8, "--output", model).code == 0
    words = ("train", "digits", "--resume", model, "--epochs", 3)
    assert "--known has no effect with --resume" in hashgrad(*words, "--known", 0.9).complaint
    result = hashgrad(*words, "--json", "-").json
    assert result["network"]["known"] == 0.8
    assert result["history"][-1]["learned_fraction"] < 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--known 1", "--known must be in (0, 1), got 1.0"),
        ("--known 0", "--known must be in (0, 1), got 0.0"),
        ("--known much", "--known"),
    ],
)
def test_a_bad_probability_on_the_command_line_earns_one_line(
    hashgrad: Hashgrad, words: str, complaint: str
) -> None:
    assert complaint in hashgrad("train", "digits", *words.split()).complaint


def test_data_without_one_class_a_row_cannot_be_trained_on_by_what_is_known(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.savez(tmp_path / "values.npz", X=X, y=X[:, 0] + 0.5)
    np.savez(tmp_path / "sets.npz", X=X, y=(X > 0).astype(int))
    for name, loss in (("values", "squared"), ("sets", "logistic")):
        complaint = hashgrad("train", tmp_path / f"{name}.npz", *SMALL, "--known", 0.9).complaint
        assert f"known needs --loss softmax, got --known 0.9, --loss {loss}" in complaint


def test_the_same_rows_with_other_labels_are_other_data(blobs: Any) -> None:
    X, y = blobs
    net = network(Dense(32), known=0.9, optimizer=SGD(0.02)).fit(X, y, epochs=3)
    before = net._core.ledger()["layers"][0]["queries"]
    net.fit(X, (y + 1) % 4, epochs=4)
    assert net._core.ledger()["layers"][0]["queries"] == before + 600


def test_a_network_that_no_longer_asks_what_is_known_lets_nobody_rest(blobs: Any) -> None:
    net = network(Dense(32), known=0.9, optimizer=SGD(0.02)).fit(*blobs, epochs=3)
    net.known = None
    again = from_bytes(to_bytes(net))
    before = again._core.ledger()["layers"][0]["queries"]
    assert again.fit(*blobs, epochs=4)._core.ledger()["layers"][0]["queries"] == before + 600
