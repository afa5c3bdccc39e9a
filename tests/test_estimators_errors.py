"""The estimators name what they cannot use, and lose nothing over it."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from hashgrad import LSH, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSES = range(4)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("hidden_layer_sizes", (10, 0), r"hidden_layer_sizes\[1\] must be an integer >= 1, got 0"),
        ("activation", "relo", "activation must be one of .*, got 'relo'; did you mean 'relu'"),
        ("solver", "lbfgs", "solver must be one of .*, got 'lbfgs': it needs the gradient"),
        ("solver", "adma", "solver must be one of .*, got 'adma'; did you mean 'adam'"),
        ("alpha", -1, "alpha must be >= 0, got -1"),
        ("batch_size", 0, "batch_size must be 'auto' or an integer >= 1, got 0"),
        ("batch_size", "all", "batch_size must be 'auto' or an integer >= 1, got 'all'"),
        ("learning_rate", "cosine", "learning_rate must be one of 'constant', .*got 'cosine'"),
        ("learning_rate_init", 0, "learning_rate_init must be > 0, got 0"),
        ("power_t", -1, "power_t must be >= 0, got -1"),
        ("max_iter", 1.5, "max_iter must be an integer, got 1.5"),
        ("shuffle", "no", "shuffle must be True or False, got 'no'"),
        ("tol", np.nan, "tol must be >= 0, got nan"),
        ("verbose", -1, "verbose must be an integer >= 0, got -1"),
        ("warm_start", 1, "warm_start must be True or False, got 1"),
        ("momentum", 1, r"momentum must be in \[0, 1\), got 1"),
        ("nesterovs_momentum", None, "nesterovs_momentum must be True or False, got None"),
        ("early_stopping", "yes", "early_stopping must be True or False, got 'yes'"),
        ("validation_fraction", 1, r"validation_fraction must be in \(0, 1\), got 1"),
        ("beta_1", 1, r"beta_1 must be in \[0, 1\), got 1"),
        ("beta_2", -0.1, r"beta_2 must be in \[0, 1\), got -0.1"),
        ("epsilon", 0, "epsilon must be > 0, got 0"),
        ("n_iter_no_change", 0, "n_iter_no_change must be inf or an integer >= 1, got 0"),
        ("max_fun", 0, "max_fun must be an integer >= 1, got 0"),
        ("selector", "hash", "selector must be one of .*, got 'hash'"),
        ("active_fraction", 1.5, r"active_fraction must be 'auto' or in \(0, 1\], got 1.5"),
        ("lsh", "fast", "lsh must be None or a hashgrad.LSH, got 'fast'"),
        ("n_threads", -1, r"n_threads must be an integer in \[0, 1024\], got -1"),
    ],
)
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_bad_parameter_is_named_with_its_rule_and_value(blobs, estimator, name, value, message):
    with pytest.raises((ValueError, TypeError), match=message):
        estimator(**{name: value}).fit(*blobs)


def test_a_loss_that_is_not_trained_is_refused(line):
    with pytest.raises(ValueError, match="loss must be 'squared_error', got 'poisson'"):
        MLPRegressor(loss="poisson").fit(*line)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.linspace(0, 1, 600), "Unknown label type: continuous"),
        (np.arange(1200).reshape(600, 2) % 3, "y must hold one label a row or be a 0-1 matrix"),
        (np.zeros(599, dtype=int), "inconsistent numbers of samples"),
    ],
)
def test_targets_that_are_no_classes_are_refused(blobs, y, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier().fit(blobs[0], y)


def test_a_label_that_the_first_fit_did_not_know_is_named(blobs):
    X, y = blobs
    model = MLPClassifier((4,), warm_start=True, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=r"y must hold classes of \[0, 1, 2, 3\], got \[7\]"):
        model.fit(X, np.where(y == 0, 7, y))
    with pytest.raises(ValueError, match=r"y must hold classes of .*, got \[7\]"):
        model.partial_fit(X, np.where(y == 0, 7, y))
    with pytest.raises(ValueError, match="y must stay one label a row"):
        model.partial_fit(X, np.eye(4, dtype=int)[y])


def test_the_first_partial_fit_needs_the_classes_and_later_ones_the_same(blobs):
    with pytest.raises(ValueError, match="classes must be given in the first call of partial_fit"):
        MLPClassifier().partial_fit(*blobs)
    model = MLPClassifier((4,)).partial_fit(*blobs, classes=CLASSES)
    with pytest.raises(ValueError, match=r"classes must stay \[0, 1, 2, 3\].*got \[0, 1\]"):
        model.partial_fit(*blobs, classes=[0, 1])


def test_partial_fit_refuses_early_stopping(blobs):
    with pytest.raises(ValueError, match="early_stopping must be False for partial_fit, got True"):
        MLPClassifier(early_stopping=True).partial_fit(*blobs, classes=CLASSES)


def test_a_validation_share_of_no_rows_is_refused(blobs):
    X, y = blobs
    model = MLPClassifier(early_stopping=True, validation_fraction=0.01)
    with pytest.raises(ValueError, match=r"validation_fraction must hold out at least 2 rows"):
        model.fit(X[:60], y[:60])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([-1.0] * 600, "sample_weight must be >= 0, got -1 in row 0"),
        ([np.nan] * 600, "sample_weight must be finite, got nan in row 0"),
        ([0.0] * 600, "sample_weight must not be zero in every row"),
        ([1.0] * 10, r"sample_weight must have the shape \(600,\), got \(10,\)"),
    ],
)
def test_bad_weights_are_refused(blobs, weights, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier().fit(*blobs, sample_weight=weights)


def test_a_batch_larger_than_the_data_is_announced(blobs):
    with pytest.warns(UserWarning, match="batch_size=1000 is more than the 600 rows to train"):
        model = MLPClassifier((4,), batch_size=1000, max_iter=1).fit(*blobs)
    assert model.network_.batch_size == 600


def test_a_loss_that_grows_without_bound_stops_with_advice(line):
    X, y = line
    model = MLPRegressor(solver="sgd", learning_rate_init=1e6)
    with pytest.raises(ValueError, match=r"loss became NaN or infinite in iteration \d+: scale X"):
        model.fit(X, y)


def test_a_warm_start_refuses_other_layers(blobs):
    model = MLPClassifier((8,), warm_start=True, max_iter=1).fit(*blobs)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must stay \[8\] .*got \[9\]"):
        model.set_params(hidden_layer_sizes=(9,)).fit(*blobs)


def test_a_warm_start_refuses_another_number_of_values(line):
    X, y = line
    model = MLPRegressor(hidden_layer_sizes=(4,), warm_start=True, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="y must have 1 columns, as in the first fit, got 2"):
        model.fit(X, np.stack([y, y], axis=1))


@pytest.mark.parametrize(
    "bad",
    [
        {"sample_weight": [-1.0] * 600},
        {"early_stopping": True, "validation_fraction": 1e-4},
        {"alpha": -1},
        {"lsh": LSH(rehash="incremental")},  # not with Adam
    ],
    ids=["weights", "no validation rows", "alpha", "incremental Adam"],
)
def test_a_fit_that_is_refused_leaves_the_model_as_it_was(blobs, bad):
    X, y = blobs
    model = MLPClassifier((8,), max_iter=2, random_state=0).fit(X, y)
    before, curve = model.predict_proba(X), list(model.loss_curve_)
    weights = bad.pop("sample_weight", None)
    model.set_params(**bad)
    with pytest.raises(ValueError, match=r"must"):
        model.fit(X, y[::-1] % 2, sample_weight=weights)
    assert np.array_equal(model.predict_proba(X), before)
    assert model.loss_curve_ == curve


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "score"])
def test_a_model_that_was_not_fitted_says_so(blobs, method):
    X, y = blobs
    arguments = (X, y) if method == "score" else (X,)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(MLPClassifier(), method)(*arguments)
