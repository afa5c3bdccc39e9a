"""Bad input gets an error that names the argument, the rule and the value, and harms nothing."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from conftest import N_CLASSES, N_INPUTS, network, same_bits
from hashgrad import SGD, Dense, Network

X = np.random.default_rng(0).normal(size=(10, N_INPUTS)).astype(np.float32)
Y = np.arange(10) % N_CLASSES


def changed(value, row=3, column=2, dtype=np.float64):
    array = X.astype(dtype)
    array[row, column] = value
    return array


def holed_csr(value):
    sparse = csr_array(X)
    sparse.data[2 * N_INPUTS + 5] = value
    return sparse


BAD_X = [
    (X[0], ValueError, r"X must have two dimensions, got shape \(24,\) \(one row is X.resh"),
    (X[None], ValueError, r"X must have two dimensions, got shape \(1, 10, 24\)"),
    (5.0, ValueError, r"X must have two dimensions, got shape \(\)"),
    (X[:, :20], ValueError, r"X must have 24 columns \(n_inputs\), got shape \(10, 20\)"),
    (csr_array(X[:, :20]), ValueError, "X must have 24 columns"),
    (X[:0], ValueError, r"X must have at least one row and one column, got shape \(0, 24\)"),
    (csr_array((0, N_INPUTS)), ValueError, "X must have at least one row"),
    ([], ValueError, "X must have two dimensions"),
    (changed(np.nan), ValueError, "X must be finite, got nan in row 3, column 2"),
    (changed(-np.inf), ValueError, "X must be finite, got -inf in row 3, column 2"),
    (changed(1e300), ValueError, r"X must be within float32's range, got 1e\+300 in row 3"),
    (holed_csr(np.nan), ValueError, "X must be finite, got nan in row 2, column 5"),
    (holed_csr(np.inf), ValueError, "X must be finite, got inf in row 2, column 5"),
    (X.astype(complex), TypeError, "X must hold numbers, got dtype complex128"),
    (X.astype(str), TypeError, "X must hold numbers, got dtype <U"),
    (csr_array(X.astype(complex)), TypeError, "X must hold numbers, got dtype complex128"),
    ([["a"] * N_INPUTS] * 10, TypeError, "X must hold numbers, got dtype <U1"),
    ([[1.0, 2.0], [3.0]], ValueError, r"X must have rows of one length, got lengths \[1, 2\]"),
    (None, TypeError, "X must be an array of numbers, got None"),
    ([[None] * N_INPUTS] * 10, ValueError, "X must be finite, got nan in row 0, column 0"),
    ({"a": 1}, TypeError, "X must hold numbers"),
]


@pytest.mark.parametrize(("bad", "kind", "message"), BAD_X)
def test_a_bad_x_is_refused_in_training_and_prediction(bad, kind, message):
    net = network(Dense(8))
    for call in (lambda: net.fit(bad, Y), lambda: net.predict(bad), lambda: net.evaluate(bad, Y)):
        with pytest.raises(kind, match=message):
            call()


BAD_LABELS = [
    (Y[:9], ValueError, "y must have as many rows as X, got 9 and 10 in X"),
    (Y[:0], ValueError, "y must have at least one row, got none"),
    (
        np.where(Y == 2, 4, Y),
        ValueError,
        r"labels from 0 to 3 \(the last layer has 4 outputs\), got 4",
    ),
    (np.where(np.arange(10) == 7, -1, Y), ValueError, "got -1 in row 7"),
    (np.where(np.arange(10) == 7, np.nan, Y), ValueError, "missing labels, got nan in row 7"),
    (Y + 0.5, ValueError, "y must hold whole numbers as labels, got 0.5 in row 0"),
    ([0, 1, None, 2, 3, 0, 1, 2, 3, 0], ValueError, "missing .*row 2"),
    (Y[:, None], ValueError, r"y must have the shape \(n,\), got \(10, 1\); use y.ravel\(\)"),
    (np.eye(4)[Y], ValueError, r"y must have the shape \(n,\), got \(10, 4\)"),
    (Y.astype(str), TypeError, "y must hold numbers, got dtype <U"),
    (csr_array(np.eye(5)[Y]), ValueError, r"an indicator matrix \(n, 4\) .* got shape \(10, 5\)"),
    (None, TypeError, "y must be an array of numbers, got None"),
]


@pytest.mark.parametrize(("bad", "kind", "message"), BAD_LABELS)
def test_bad_classes_are_refused(bad, kind, message):
    with pytest.raises(kind, match=message):
        network(Dense(8)).fit(X, bad)


def test_softmax_takes_several_labels_a_row(tmp_path):
    lists = [[int(y), (int(y) + 1) % N_CLASSES] for y in Y]
    indicator = np.zeros((len(Y), N_CLASSES))
    for row, labels in enumerate(lists):
        indicator[row, labels] = 1
    nets = [network(Dense(8)).fit(X, y, epochs=3) for y in (lists, csr_array(indicator))]
    assert np.array_equal(*(net.decision_function(X) for net in nets))
    scores = nets[0].evaluate(X, lists)
    assert scores.keys() == {"precision_at_1", "precision_at_3"}
    one = [network(Dense(8)).fit(X, y, epochs=3) for y in (Y, [[int(y)] for y in Y])]
    assert np.array_equal(*(net.decision_function(X) for net in one))


INDICATOR = np.eye(N_CLASSES)[Y]
BAD_SETS = [
    (INDICATOR[:, :3], ValueError, r"indicator matrix \(n, 4\) or a list of lists.*got shape"),
    (csr_array(INDICATOR[:9]), ValueError, "y must have as many rows as X, got 9 and 10"),
    (2 * INDICATOR, ValueError, "y must hold only 0 and 1, got 2.0 in row 0"),
    (csr_array(-INDICATOR), ValueError, "y must hold only 0 and 1, got -1.0 in row 0"),
    (np.where(INDICATOR == 0, np.nan, 1), ValueError, "y must hold only 0 and 1, got nan in row 0"),
    ([[0], [4], *([[1]] * 8)], ValueError, "got 4 in row 1"),
    ([[0], [-1], *([[1]] * 8)], ValueError, "got -1 in row 1"),
    ([[0], [], ["a"], *([[1]] * 7)], TypeError, r"integer labels, got \['a'\] in row 2"),
    ([[0], [1.5], *([[1]] * 8)], ValueError, "whole numbers as labels, got 1.5 in row 1"),
    (Y, ValueError, "indicator matrix"),
]


@pytest.mark.parametrize(("bad", "kind", "message"), BAD_SETS)
def test_bad_label_sets_are_refused(bad, kind, message):
    with pytest.raises(kind, match=message):
        network(Dense(8), loss="logistic").fit(X, bad)


@pytest.mark.parametrize(
    ("bad", "kind", "message"),
    [
        (np.ones((10, 2)), ValueError, r"y must have the shape \(n,\) or \(n, 1\), got \(10, 2\)"),
        (np.where(Y == 2, np.nan, 1), ValueError, "y must be finite, got nan in row 2"),
        (np.full(10, 1e300), ValueError, "y must be within float32's range"),
        (csr_array(np.ones((10, 1))), TypeError, "y must be a dense array for the squared loss"),
        (["a"] * 10, TypeError, "y must hold numbers"),
    ],
)
def test_bad_values_of_a_regression_are_refused(bad, kind, message):
    with pytest.raises(kind, match=message):
        network(Dense(8), outputs=1, loss="squared").fit(X, bad)


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be an integer in"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer, got 1.5"),
        ({"validation": 1.0}, ValueError, r"validation must be in \(0, 1\), or None, got 1.0"),
        ({"validation": 0.99}, ValueError, "validation must leave rows to train on"),
        ({"validation": (X,)}, ValueError, r"validation must be \(X, y\) or a share, got 1"),
        ({"validation": (X[:, 1:], Y)}, ValueError, "validation X must have 24 columns"),
        ({"validation": (X, Y + 9)}, ValueError, "validation y must hold labels from 0 to 3"),
        ({"validation": "0.1"}, TypeError, "validation must be a number"),
        ({"early_stopping": -1}, ValueError, "early_stopping must be an integer in"),
        ({"early_stopping": 2}, ValueError, "early_stopping=2 needs validation, got"),
        ({"class_weight": "balance"}, ValueError, "did you mean 'balanced'"),
        (
            {"class_weight": {9: 1.0}},
            ValueError,
            "class_weight must have labels from 0 to 3, got 9",
        ),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] must be >= 0, got -1"),
        ({"class_weight": [1.0, 2.0]}, ValueError, r"class_weight must have the shape \(4,\)"),
        (
            {"class_weight": [1, 1, 1, np.inf]},
            ValueError,
            r"class_weight\[3\] must be >= 0, got inf",
        ),
        ({"sample_weight": np.ones(9)}, ValueError, r"sample_weight must have the shape \(10,\)"),
        (
            {"sample_weight": -np.ones(10)},
            ValueError,
            "sample_weight must be >= 0, got -1 in row 0",
        ),
        ({"sample_weight": np.zeros(10)}, ValueError, "sample_weight must not be zero in every"),
        ({"sample_weight": [np.nan] * 10}, ValueError, "sample_weight must be finite, got nan"),
        ({"callbacks": print}, TypeError, "callbacks must be a list of functions"),
        ({"callbacks": [3]}, TypeError, "callbacks must be a list of functions"),
        ({"progress": "bar"}, TypeError, "progress must be a bool or an object with start"),
    ],
)
def test_bad_settings_of_fit_are_refused(settings, kind, message):
    with pytest.raises(kind, match=message):
        network(Dense(8)).fit(X, Y, **settings)


def test_class_weights_need_classes():
    with pytest.raises(ValueError, match="class_weight must be None with the squared loss"):
        network(Dense(8), outputs=1, loss="squared").fit(X, Y, class_weight="balanced")


def test_refused_input_leaves_a_trained_network_as_it_was():
    net, twin = (network().fit(X, Y, epochs=2) for _ in range(2))
    for bad, kind, _ in BAD_X:
        with pytest.raises(kind):
            net.fit(bad, Y, epochs=5)
        with pytest.raises(kind):
            net.partial_fit(bad, Y)
    assert same_bits(net, twin)


@pytest.mark.parametrize("k", [0, 5])
def test_top_k_must_ask_for_outputs_that_exist(k):
    with pytest.raises(ValueError, match=r"k must be an integer in \[1, 4\], got"):
        network(Dense(8)).predict_topk(X, k)


def test_probabilities_need_a_loss_that_has_them():
    net = Network(N_INPUTS, [Dense(1)], loss="squared")
    with pytest.raises(ValueError, match="predict_proba needs the loss 'softmax' or 'logistic'"):
        net.predict_proba(X)


def test_a_hashed_network_cannot_predict_before_it_has_tables():
    with pytest.raises(RuntimeError, match="call fit or partial_fit first"):
        network().predict(X)


def test_data_that_explode_are_reported_with_their_epoch_and_row():
    X_huge = X.copy()
    X_huge[6] *= 1e30
    net = network(Dense(8), loss="squared", outputs=1)
    message = r"loss became NaN or infinite in epoch 1 at row \d+: lower the learning rate \(rate="
    with pytest.raises(FloatingPointError, match=message):
        net.fit(X_huge, Y.astype(float), epochs=50)
    assert net.predict(X).shape == (10,)
    with pytest.raises(FloatingPointError, match="in partial_fit 1 at row 6"):
        network(Dense(8), loss="squared", outputs=1).partial_fit(X_huge, Y.astype(float))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threads": 1}, "the network stands as it was before that row$"),
        ({"threads": 2}, "the network keeps what its other threads learned from their rows until"),
        ({"batch_size": 2, "threads": 2}, "the network stands as it was before that row's batch$"),
    ],
)
def test_the_error_of_data_that_explode_says_what_the_network_has_kept(settings, words):
    X_huge = np.full((10, N_INPUTS), 1e30, np.float32)  # no row can be learned from
    net = network(Dense(8), loss="squared", outputs=1, **settings)
    before = np.array(net._core.tensors()["layers.0.weight"])
    with pytest.raises(FloatingPointError, match=words):
        net.fit(X_huge, Y.astype(float), epochs=2)
    assert np.array_equal(net._core.tensors()["layers.0.weight"], before)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_weights_that_overflow_in_the_last_update_are_reported_with_epoch_and_layer(batch_size):
    net = Network(1, [Dense(1)], loss="squared", optimizer=SGD(1e38), batch_size=batch_size)
    message = (
        r"the weight of layers\[0\] became NaN or infinite in epoch 1: lower the learning rate"
    )
    with pytest.raises(FloatingPointError, match=message):
        net.fit([[1000.0]], [0.0], epochs=2)
    assert net.history == []
    net = Network(1, [Dense(1)], loss="squared", optimizer=SGD(1e38), batch_size=batch_size)
    with pytest.raises(FloatingPointError, match=r"layers\[0\] became .* in partial_fit 1"):
        net.partial_fit([[1000.0]], [0.0])


def test_a_network_too_large_for_memory_is_refused():
    message = r"got 1000000-100000000, which takes 363.8 TiB \(weights 363.8 TiB, examples"
    with pytest.raises(MemoryError, match=message):
        Network(10**6, [Dense(10**8)])


def test_an_unknown_name_of_the_package_is_met_with_the_nearest():
    import hashgrad

    with pytest.raises(AttributeError, match="did you mean 'Network'"):
        hashgrad.Netwrk  # noqa: B018
