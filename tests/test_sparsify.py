"""`sparsify` returns a sparse network where that is faster and as good, and says no elsewhere."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from hashgrad import LSH, WinnerTakeAll, load, sparsify
from hashgrad.data import as_inputs
from hashgrad.sparsification import search, shares
from hashgrad.sparsification.dense_weights import built, read
from hashgrad.sparsification.networks import EXACT, WAYS, Way, make
from sparsify_help import (
    N_HIDDEN,
    N_INPUTS,
    all_are_alike,
    blobs,
    matched,
    sparse_is_faster,
)

SAMPLE = blobs(1600)


@pytest.fixture(scope="module", params=[1, 2])
def result(request):
    return sparsify(matched(request.param), SAMPLE, max_drop=1.0, stopwatch=sparse_is_faster)


def test_a_network_that_few_neurons_can_stand_in_for_becomes_sparse(result):
    assert result.verdict == "sparse"
    kept = [layer.selector.kept(layer.n) for layer in result.network.layers[:-1]]
    assert min(kept) < 0.1 * N_HIDDEN
    assert result.stated.drop <= result.max_drop
    assert result.stated.seconds * search.GAIN <= result.stated.dense_seconds


def test_what_is_stated_holds_on_rows_that_had_no_part_in_the_choice(result):
    X, y = SAMPLE
    tuning, judging = search.halves(as_inputs(X), y, seed=0)
    assert len(tuning.y) + len(judging.y) == len(y) == 2 * result.stated.rows
    rows = {row.tobytes() for row in tuning.inputs.dense}
    assert not any(row.tobytes() in rows for row in judging.inputs.dense)
    answers = result.predictor.predict(judging.inputs.dense)
    assert (answers == judging.y).mean() == pytest.approx(result.stated.accuracy)
    dense = read(matched(len(result.network.layers) - 1)).scores(judging.inputs.dense)
    assert (dense.argmax(axis=1) == judging.y).mean() == result.stated.dense_accuracy
    drop = 100 * (result.stated.dense_accuracy - result.stated.accuracy)
    assert result.stated.drop == pytest.approx(drop)


def test_the_curve_begins_with_the_dense_network_and_goes_on_to_too_few_neurons(result):
    first, *others = result.curve
    assert (first.share, first.drop) == (1, 0)
    assert [p.share for p in others] == sorted((p.share for p in others), reverse=True)
    assert all(0 < p.share < 1 and p.seconds > 0 for p in others)
    assert others[-1].multiplications < first.multiplications
    hashed = [p for p in result.curve if any("hashed" in way for way in p.ways)]
    assert hashed, "hashing was tried"


def test_judging_rows_that_rejected_none_had_no_part_in_the_choice(result):
    first = replace(result, stated=replace(result.stated, looks=1))
    assert "rows that had no part in the choice, 1 network judged" in first.report
    none = replace(first, verdict="leave it dense")
    assert "no part in the choice except to reject 1, 1 network judged" in none.report


def test_the_same_seed_finds_the_same_network(result, tmp_path):
    again = sparsify(
        matched(len(result.network.layers) - 1), SAMPLE, 1.0, stopwatch=sparse_is_faster
    )
    for name, network in (("a", result.network), ("b", again.network)):
        network.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert again.as_dict() == result.as_dict()


def test_the_network_can_be_saved_and_trained_on(result, tmp_path):
    X, y = SAMPLE
    result.network.save(tmp_path / "net")
    again = load(tmp_path / "net")
    assert (again.predict(X) == result.network.predict(X)).all()
    assert again.partial_fit(X, y).evaluate(X, y)["accuracy"] > 0.8


def test_the_result_is_plain_data_a_report_and_a_picture(result, tmp_path):
    told = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert told["verdict"] == "sparse"
    assert len(told["curve"]) == len(result.curve)
    assert str(result) == result.report
    assert f"{result.stated.accuracy:.2%}" in result.report
    result.plot(tmp_path / "curve.svg")
    assert "</svg>" in (tmp_path / "curve.svg").read_text()


def test_where_sparse_is_no_faster_the_answer_is_to_leave_it_dense():
    X, _ = SAMPLE
    result = sparsify(matched(), SAMPLE, max_drop=1.0, stopwatch=all_are_alike)
    assert result.verdict == "leave it dense"
    assert "1.25 times faster" in result.reason
    assert (result.stated.drop, result.stated.looks) == (0, 0)
    scores = read(matched()).scores(X)
    assert np.allclose(result.network.decision_function(X), scores, atol=1e-4)
    assert result.stated.dense_seconds == result.stated.seconds


def test_where_no_share_will_do_the_answer_is_to_leave_it_dense():
    # Each class is the parity of many neurons: all of them are needed.
    random = np.random.default_rng(0)
    n = 64
    model = [
        (random.normal(size=(n, N_INPUTS)), random.normal(size=n)),
        (random.choice([-1.0, 1.0], size=(4, n)), np.zeros(4)),
    ]
    X = random.normal(size=(3000, N_INPUTS)).astype(np.float32)
    result = sparsify(model, X, max_drop=0.1, activation="tanh", stopwatch=sparse_is_faster)
    assert result.verdict == "leave it dense"
    assert "no share of the neurons stays within 0.1 points" in result.reason
    assert "agreement" in result.report


def test_a_sample_too_small_to_tell_is_no_ground_for_a_sparse_network():
    X, y = blobs(60)
    result = sparsify(matched(), (X, y), max_drop=0.5, stopwatch=sparse_is_faster)
    assert result.verdict == "leave it dense"
    assert "give at least 400 rows" in result.reason


def test_a_network_that_fails_on_the_judging_rows_is_not_returned(monkeypatch):
    X, y = SAMPLE
    instance = search.Search(
        read(matched()), *search.halves(as_inputs(X), y, 0), max_drop=1.0, seed=0,
        stopwatch=sparse_is_faster, say=lambda text: None,
    )  # fmt: skip
    tried = instance.curve()
    monkeypatch.setattr(instance, "curve", lambda: tried)
    losses = [50.0]  # of the first network that is judged, beside what it does lose

    def compared(dense, sparse):
        drop, error = shares.compared(dense, sparse)
        return drop + (losses.pop() if losses else 0), error

    monkeypatch.setattr(search, "compared", compared)
    result = instance.run(None, labels=True)
    assert result.verdict == "sparse"
    assert result.stated.looks >= 2
    assert f"the choice except to reject {result.stated.looks - 1}, " in result.report
    assert result.stated.drop <= 1.0


def test_without_labels_agreement_with_the_models_own_answers_is_measured():
    result = sparsify(matched(), SAMPLE[0], max_drop=1.0, stopwatch=sparse_is_faster)
    assert not result.labels
    assert result.stated.dense_accuracy == 1
    assert result.stated.accuracy > 0.98


def test_sparse_rows_and_pictures_are_samples_too():
    X, y = SAMPLE[0][:400], SAMPLE[1][:400]
    expected = sparsify(matched(), (X, y), 1.0, stopwatch=sparse_is_faster).as_dict()
    for other in (csr_matrix(X), X.reshape(-1, 4, 5)):
        found = sparsify(matched(), (other, y), 1.0, stopwatch=sparse_is_faster)
        assert found.as_dict() == expected


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_each_way_answers_as_the_exact_selection_when_it_keeps_all_it_needs(way):
    X, y = SAMPLE
    weights = read(matched(2))
    network = make(weights, (40, 40), [way, way], as_inputs(X), seed=0)
    kinds = [type(layer.selector) for layer in network.layers[:-1]]
    assert kinds == [WinnerTakeAll if way == EXACT else LSH] * 2
    exact = shares.ExactSelection(weights, X, y).right((40, 40))
    assert ((network.predict(X, exact=True) == y) == exact).mean() > 0.99
    assert ((network.predict(X) == y) == exact).mean() > 0.95


def test_a_layer_that_keeps_all_is_dense_whatever_the_way():
    network = make(read(matched()), (N_HIDDEN,), [Way(1.5)], as_inputs(SAMPLE[0]), seed=0)
    assert network.layers[0].selector.word == "dense"


def test_the_exact_selection_is_that_of_a_plain_loop():
    X, y = blobs(50)
    weights = built([*matched(2)], ["relu", "relu"])
    h = X
    for W, b, k in zip(weights.weights[:2], weights.biases[:2], (30, 10), strict=True):
        z = h @ W.T + b
        h = np.zeros_like(z)
        for row in range(len(z)):
            best = np.argsort(-z[row])[:k]
            h[row, best] = np.maximum(z[row, best], 0)
    right = (h @ weights.weights[2].T + weights.biases[2]).argmax(axis=1) == y
    assert (shares.ExactSelection(weights, X, y).right((30, 10)) == right).mean() > 0.97


@pytest.mark.parametrize(
    ("sample", "settings", "message"),
    [
        (SAMPLE, {"max_drop": 0}, r"max_drop must be in \(0, 100\), got 0"),
        ((SAMPLE[0][:, :5], SAMPLE[1]), {}, r"X must have 20 columns"),
        ((SAMPLE[0], SAMPLE[1][:5]), {}, r"y must have one label for each of the 1600 rows"),
        ((SAMPLE[0], SAMPLE[1] + 3), {}, r"y must be in \[0, 3\], the model's outputs, got"),
        (SAMPLE[0][:3], {}, r"sample must have at least 4 rows, got 3"),
        (SAMPLE, {"activation": "gelu"}, r"activation must be one of .*, got 'gelu'"),
        (SAMPLE, {"seed": -1}, r"seed must be an integer"),
    ],
)
def test_what_does_not_go_together_is_refused(sample, settings, message):
    with pytest.raises(ValueError, match=message):
        sparsify(matched(), sample, **settings)
