"""The ledger counts every multiplication, and reports and records say what it counted."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

import hashgrad
from conftest import hashed, network
from hashgrad import LSH, Dense, Network, WinnerTakeAll
from hashgrad.ledger import PHASES
from hashgrad.metrics import accuracy, precision_at_k, r2

WEIGHTS = 40 * 25 + 30 * 41 + 4 * 31  # of a 24-40-30-4 network, biases included


def test_a_dense_network_with_full_inputs_costs_what_the_reference_says(blobs):
    """The core reads rows in blocks of 16, padding counted; these sizes need none with the bias."""
    X, y = np.hstack([blobs[0], blobs[0][:, :7]]), blobs[1]
    # by neuron: by input, the four outputs would be counted as the sixteen of a cache line
    tanh = [Dense(n, "tanh", layout="neuron") for n in (47, 15)]
    net = Network(31, [*tanh, Dense(4, layout="neuron")]).fit(X, y, epochs=2)
    first, others = 47 * 32, 15 * 48 + 4 * 16
    counted = net.report().to_dict()["multiplications"]
    assert counted["forward"] == 1200 * (first + others)
    assert counted["backward"] == 1200 * others
    assert counted["update"] == 1200 * (first + others)
    assert counted["total"] == counted["dense"]
    assert net.report().to_dict()["multiplications_fraction"] == 1.0


@pytest.mark.parametrize(
    ("optimizer", "l2", "cost"),
    [("sgd", 0, 1), ("sgd", 0.1, 2), ("momentum", 0, 3), ("adagrad", 0, 6), ("adam", 0, 9)],
)
def test_the_dense_reference_counts_what_an_optimizer_does_to_a_weight(blobs, optimizer, l2, cost):
    net = network(Dense(40, "tanh"), Dense(30, "tanh"), optimizer=optimizer, l2=l2)
    expected = 2 * WEIGHTS - 40 * 25 + cost * WEIGHTS
    report = net.fit(*blobs, epochs=1).report().to_dict()
    assert report["multiplications"]["dense"] == 600 * expected
    batches = network(Dense(40), Dense(30), optimizer=optimizer, l2=l2, batch_size=50)
    steps = 0 if (optimizer, l2) == ("sgd", 0) else 12  # plain SGD: in the gradients' own factors
    report = batches.fit(*blobs, epochs=1).report().to_dict()
    assert report["multiplications"]["dense"] == (
        600 * (3 * WEIGHTS - 40 * 25) + steps * cost * WEIGHTS
    )


def test_a_selector_that_keeps_a_tenth_saves_updates_in_proportion(blobs):
    counted = [
        network(Dense(400, "tanh", active), Dense(300, "tanh", active))
        .fit(*blobs, epochs=1)
        .report()
        .to_dict()["multiplications"]
        for active in (None, WinnerTakeAll(0.1))
    ]
    assert counted[1]["update"] < 0.12 * counted[0]["update"]
    assert counted[1]["dense"] == counted[0]["dense"]


@pytest.mark.parametrize("batch_size", [1, 20])
def test_a_record_holds_what_one_epoch_did(blobs, batch_size):
    X, y = blobs
    net = network(hashed(64, 0.25, lookup="tables"), Dense(30), batch_size=batch_size)
    net.fit(X, y, epochs=3, validation=0.1)
    for number, record in enumerate(net.history, start=1):
        assert record["epoch"] == number
        assert record["examples"] == 540
        assert record["multiplications_fraction"] > 0
        assert record["active_fraction"] == pytest.approx(0.25)
        assert 0.25 < record["selection_recall"] <= 1
        assert 0 < record["accuracy"] <= 1
        phases = record["multiplications"]
        assert phases["total"] == sum(phases[phase] for phase in PHASES)
        lsh, dense, _ = record["layers"]
        assert lsh["candidates"] <= 64
        assert lsh["gain"] == pytest.approx(lsh["recall"] / 0.25)
        assert lsh["bucket_loads"]["mean"] == pytest.approx(64 / 16)
        assert lsh["bucket_loads"]["buckets"] == 16 * 16
        assert 0 <= lsh["staleness"] <= 1
        assert lsh["overflow"] == 0
        assert (dense["recall"], dense["gain"], dense["active_fraction"]) == (1, 1, 1)
    seconds = [record["seconds"] for record in net.history]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    total = sum(record["multiplications"]["total"] for record in net.history)
    assert total == net.report().to_dict()["multiplications"]["total"]
    json.dumps(net.history, allow_nan=False)


def test_winner_take_all_has_full_recall_and_random_choice_none_to_speak_of(blobs):
    recalls = {}
    for name in ("winner-take-all", "random", "dense"):
        selector = hashgrad.selectors.SELECTORS[name]
        active = selector() if name == "dense" else selector(0.2)
        net = network(Dense(100, active=active), optimizer=hashgrad.SGD(0.005))
        recalls[name] = net.fit(*blobs, epochs=1).history[0]["selection_recall"]
    assert recalls["winner-take-all"] == pytest.approx(1)
    assert recalls["dense"] == 1
    assert recalls["random"] == pytest.approx(0.2, abs=0.03)


def test_the_report_prints_tables_and_gives_numbers(blobs):
    net = network(hashed(lookup="tables"), Dense(30)).fit(*blobs, epochs=2)
    net.predict(blobs[0])
    report = net.report()
    text, numbers = str(report), report.to_dict()
    for word in ("layer", "candidates", "recall", "buckets", "lsh", "dense", *PHASES, "total"):
        assert word in text
    assert f"{numbers['multiplications_fraction']:.2%}" in text
    assert numbers["examples"] == 1200
    assert numbers["layers"][0]["recall"] == net.history[-1]["layers"][0]["recall"]
    assert numbers["prediction"]["multiplications_fraction"] > 0
    json.dumps(numbers, allow_nan=False)
    assert max(len(line) for line in text.splitlines()) < 130


def test_an_untrained_network_has_a_report_too():
    report = network().report()
    assert "0 examples" in str(report)
    assert report.to_dict()["multiplications_fraction"] == 0


def test_a_loaded_network_reports_what_the_saved_one_did(blobs, tmp_path):
    net = network().fit(*blobs, epochs=1)
    net.save(tmp_path / "net")
    assert hashgrad.load(tmp_path / "net").report().to_dict() == net.report().to_dict()


def test_sizes_are_told(blobs):
    net = network(Dense(40), Dense(30))
    assert net.n_parameters == WEIGHTS
    assert net.memory_bytes >= 4 * WEIGHTS
    assert "lsh" in repr(Network(4, [Dense(8, active=LSH()), Dense(2)])).lower()


def test_accuracy_and_r2_agree_with_scikit_learn():
    random = np.random.default_rng(0)
    y, p = random.integers(5, size=(2, 100))
    assert accuracy(y, p) == accuracy_score(y, p)
    for shape in ((50,), (50, 3)):
        y, p = random.normal(size=(2, *shape))
        assert r2(y, p) == pytest.approx(r2_score(y, p))
    constant = np.c_[np.ones(50), np.zeros(50)]
    guess = np.c_[np.ones(50), random.normal(size=50)]
    assert r2(constant, guess) == r2_score(constant, guess) == 0.5


def test_precision_at_k_counts_true_labels_among_the_best_k():
    random = np.random.default_rng(0)
    sets = [random.choice(20, random.integers(0, 5), replace=False) for _ in range(50)]
    ranked = np.array([random.permutation(20)[:5] for _ in range(50)])
    ranked[3, 2:] = -1
    indptr = np.concatenate(([0], np.cumsum([len(s) for s in sets])))
    for k in (1, 3, 5):
        expected = [len(set(s) & set(r[:k])) / k for s, r in zip(sets, ranked, strict=True)]
        found = precision_at_k(indptr, np.concatenate(sets), ranked, k)
        assert found == pytest.approx(np.mean(expected))


def test_metrics_refuse_what_they_cannot_compare():
    with pytest.raises(ValueError, match="same shape and at least one row"):
        accuracy([1, 2], [1])
    with pytest.raises(ValueError, match="same shape and at least one row"):
        r2([], [])
    with pytest.raises(ValueError, match=r"k must be in \[1, 2\]"):
        precision_at_k(np.array([0, 1]), np.array([0]), np.array([[0, 1]]), 3)
