"""Predictions agree with one another, whatever the form of the input or of the question."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from conftest import N_CLASSES, N_INPUTS, hashed, network
from hashgrad import SGD, Dense, Network


@pytest.fixture(scope="module")
def fitted(blobs):
    return network(hashed(), hashed(48)).fit(*blobs, epochs=2)


def test_labels_probabilities_scores_and_top_k_agree(fitted, blobs):
    X, _ = blobs
    labels, scores = fitted.predict(X), fitted.decision_function(X)
    probabilities = fitted.predict_proba(X)
    indices, best = fitted.predict_topk(X, N_CLASSES)
    assert labels.dtype == np.int64
    assert np.array_equal(labels, scores.argmax(axis=1))
    assert np.array_equal(labels, indices[:, 0])
    assert np.array_equal(np.take_along_axis(scores, indices, axis=1), best)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert np.allclose(probabilities, expected, atol=1e-6)


def test_sparse_and_dense_rows_get_the_same_predictions(fitted, blobs):
    X, _ = blobs
    assert np.array_equal(fitted.decision_function(csr_array(X)), fitted.decision_function(X))


def test_any_number_of_threads_gives_the_same_predictions(fitted, blobs):
    X, _ = blobs
    expected = fitted.decision_function(X)
    for threads in (2, 4, 0):
        fitted.threads = threads
        assert np.array_equal(fitted.decision_function(X), expected)
    fitted.threads = 1


def test_one_row_gets_the_prediction_it_gets_among_others(fitted, blobs):
    X, _ = blobs
    assert np.array_equal(fitted.decision_function(X[7:8])[0], fitted.decision_function(X)[7])


def test_predicting_changes_nothing(fitted, blobs):
    X, y = blobs
    before = fitted.decision_function(X)
    fitted.evaluate(X, y, exact=True)
    fitted.predict_topk(X, 2)
    assert np.array_equal(fitted.decision_function(X), before)


def test_exact_prediction_finds_at_least_as_large_activations(blobs):
    X, y = blobs
    net = Network(N_INPUTS, [hashed(200, 0.05, candidates=1.0, code="bits")], optimizer="sgd").fit(
        X, y, epochs=1
    )
    hashed_best = net.predict_topk(X, 3)[1]
    exact_best = net.predict_topk(X, 3, exact=True)[1]
    assert (exact_best >= hashed_best).all()
    assert (exact_best > hashed_best).any()


def test_outputs_left_out_by_the_selector_have_no_probability(blobs):
    X, y = blobs
    net = Network(N_INPUTS, [Dense(32), hashed(40, 0.1)]).fit(X, y, epochs=1)
    scores, probabilities = net.decision_function(X), net.predict_proba(X)
    assert (np.isfinite(scores).sum(axis=1) <= 4).all()
    assert (probabilities[np.isneginf(scores)] == 0).all()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    indices, best = net.predict_topk(X, 40)
    assert (np.sort(indices) == np.arange(40)).all()
    assert (np.diff(best) <= 0).all()


def test_a_row_for_which_the_tables_find_no_output_is_predicted_exactly(blobs):
    X, y = blobs
    rare = {"bits": 12, "tables": 1, "probes": 1, "lookup": "tables"}
    net = Network(N_INPUTS, [Dense(32), hashed(4, 0.25, **rare)]).fit(X, y, epochs=1)
    lost = np.isneginf(net.decision_function(X)).all(axis=1)
    assert lost.sum() > 100
    exact = net.decision_function(X, exact=True)
    assert np.array_equal(net.predict(X)[lost], exact[lost].argmax(axis=1))
    assert np.isfinite(net.predict_proba(X)).all()
    assert net.evaluate(X, y)["accuracy"] == (net.predict(X) == y).mean()
    assert (net.predict_topk(X, 1)[0][lost] == -1).all()


def test_a_multi_label_prediction_is_a_sparse_indicator_matrix(tags):
    X, Y = tags
    net = network(outputs=6, loss="logistic").fit(X, Y, epochs=2)
    predicted, probabilities = net.predict(X), net.predict_proba(X)
    assert predicted.shape == Y.shape
    assert np.array_equal(predicted.toarray(), (probabilities > 0.5).astype(int))
    scores = net.decision_function(X).astype(np.float64)
    assert np.allclose(probabilities, 1 / (1 + np.exp(-scores)), atol=1e-6)


def test_a_multi_label_prediction_in_blocks_equals_that_in_one(tags, monkeypatch):
    X, Y = tags
    net = network(outputs=6, loss="logistic").fit(X, Y, epochs=1)
    whole = net.predict(X).toarray()
    monkeypatch.setattr("hashgrad.prediction._BLOCK_SCORES", 50)
    assert np.array_equal(net.predict(X).toarray(), whole)


def test_a_regression_of_several_outputs_predicts_a_matrix(line):
    X, y = line
    net = Network(N_INPUTS, [Dense(16), Dense(2)], loss="squared", optimizer=SGD(0.01))
    net.fit(X, np.c_[y, -y], epochs=1)
    assert net.predict(X).shape == (400, 2)
    assert net.evaluate(X, np.c_[y, -y])["r2"] > 0.5


def test_a_network_without_hashing_predicts_untrained(blobs):
    assert network(Dense(8)).predict(blobs[0]).shape == (600,)
