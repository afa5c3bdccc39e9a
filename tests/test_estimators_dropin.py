"""A change of the import line is enough: scikit-learn's parameters, attributes and accuracy."""

import inspect
import warnings

import numpy as np
import pytest
from sklearn import neural_network as sk
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from hashgrad import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OURS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, test_size=0.33, random_state=0, stratify=y)


def scikit_learn(estimator, X, y):
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"solver": "sgd", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate_init": 0.5, "learning_rate": "invscaling", "power_t": 0.1},
        {"activation": "tanh", "alpha": 0.1},
        {"hidden_layer_sizes": (64, 32), "early_stopping": True, "learning_rate_init": 0.003},
    ],
    ids=["default", "sgd", "invscaling", "tanh", "early stopping"],
)
def test_digits_are_read_within_a_point_of_scikit_learns_accuracy(digits, parameters):
    X, X_test, y, y_test = digits
    settings = {"max_iter": 60, "random_state": 0, **parameters}
    theirs = scikit_learn(sk.MLPClassifier(**settings), X, y).score(X_test, y_test)
    ours = MLPClassifier(**settings).fit(X, y).score(X_test, y_test)
    assert theirs > 0.9
    assert ours >= theirs - 0.01


def test_a_wide_layer_that_keeps_two_fifths_is_within_a_point_of_the_dense_one(digits):
    X, X_test, y, y_test = digits
    settings = {"hidden_layer_sizes": (320,), "max_iter": 12, "learning_rate_init": 0.005}
    accuracy = {"lsh": [], "dense": []}
    for selector, scores in accuracy.items():
        for seed in range(3):  # one seed alone moves by a point
            model = MLPClassifier(**settings, selector=selector, random_state=seed).fit(X, y)
            scores.append(model.score(X_test, y_test))
        share = model.network_.report().to_dict()["layers"][0]["active_fraction"]
        assert share == {"lsh": 0.4, "dense": 1.0}[selector]
    assert np.mean(accuracy["lsh"]) >= np.mean(accuracy["dense"]) - 0.01


@pytest.mark.parametrize("name", list(OURS))
def test_every_parameter_of_scikit_learns_has_its_place_and_default(name):
    theirs = inspect.signature(getattr(sk, name)).parameters
    ours = inspect.signature(OURS[name])
    mine = [p.replace(annotation=inspect.Parameter.empty) for p in ours.parameters.values()]
    if "loss" not in theirs:  # new in scikit-learn 1.7, in the regressor
        mine = [parameter for parameter in mine if parameter.name != "loss"]
    assert list(theirs.values()) == mine[: len(theirs)]


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", list(OURS))
def test_every_fitted_attribute_of_scikit_learns_is_there(digits, name, early_stopping):
    X, _, y, _ = digits
    settings = {"max_iter": 2, "early_stopping": early_stopping, "hidden_layer_sizes": (8, 4)}
    theirs = scikit_learn(getattr(sk, name)(**settings), X, y)
    ours = OURS[name](**settings).fit(X, y)
    for attribute, value in vars(theirs).items():
        if not attribute.endswith("_") or attribute.startswith("_"):
            continue
        mine = getattr(ours, attribute)
        if attribute in ("coefs_", "intercepts_"):
            assert [a.shape for a in mine] == [a.shape for a in value]
        elif isinstance(value, list):
            assert len(mine) == len(value)
        elif isinstance(value, (int, str)) or value is None:
            assert mine == value, attribute
        else:
            assert type(mine) is type(value) or isinstance(mine, float), attribute


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_the_weights_read_as_scikit_learns_give_the_same_predictions(digits, activation):
    X, X_test, y, _ = digits
    ours = MLPClassifier((20, 10), activation, max_iter=3, random_state=0).fit(X, y)
    theirs = scikit_learn(sk.MLPClassifier((20, 10), activation, max_iter=1), X, y)
    theirs.coefs_, theirs.intercepts_ = ours.coefs_, ours.intercepts_
    np.testing.assert_allclose(
        ours.predict_proba(X_test), theirs.predict_proba(X_test), rtol=1e-3, atol=1e-6
    )


def test_the_loss_is_scikit_learns_with_the_penalty_of_alpha(digits):
    X, _, y, _ = digits
    X, y = X[:150], y[:150]  # one batch: the loss is that of the weights before the epoch
    model = MLPClassifier((16,), alpha=2.0, random_state=0, batch_size=150)
    model.partial_fit(X, y, classes=np.arange(10))
    before = log_loss(y, model.predict_proba(X), labels=np.arange(10))
    model.partial_fit(X, y)
    squares = sum(np.sum(coef**2) for coef in model.coefs_)
    assert model.loss_ == pytest.approx(before + 0.5 * 2.0 * squares / 150, rel=1e-3)


def test_the_loss_of_a_regression_is_half_the_squared_error_a_mean_over_outputs(digits):
    X, _, y, _ = digits
    X, Y = X[:150], np.stack([y[:150], -y[:150]], axis=1) / 10
    model = MLPRegressor(hidden_layer_sizes=(16,), alpha=0, random_state=0, batch_size=150)
    before = np.mean((model.partial_fit(X, Y).predict(X) - Y) ** 2) / 2
    assert model.partial_fit(X, Y).loss_ == pytest.approx(before, rel=1e-4)
