"""The uses that scikit-learn's guide shows of its MLP, with nothing changed but the import."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from hashgrad import MLPClassifier


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.5, random_state=0)


def test_two_points_are_learned_and_the_layers_have_the_shapes_that_were_asked_for():
    model = MLPClassifier(alpha=1e-5, hidden_layer_sizes=(5, 2), random_state=1, max_iter=2)
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        model.fit([[0.0, 0.0], [1.0, 1.0]], [0, 1])
    assert [coef.shape for coef in model.coefs_] == [(2, 5), (5, 2), (2, 1)]
    assert model.predict([[2.0, 2.0], [-1.0, -2.0]]).shape == (2,)
    assert np.allclose(model.predict_proba([[2.0, 2.0], [1.0, 2.0]]).sum(axis=1), 1)


def test_scaled_digits_are_searched_for_the_best_penalty_and_layers(digits):
    X_train, X_test, y_train, y_test = digits
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("mlp", MLPClassifier(learning_rate_init=0.01, max_iter=40, random_state=1)),
        ]
    )
    grid = {"mlp__alpha": [1e-4, 1.0], "mlp__hidden_layer_sizes": [(4,), (40,)]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)
    assert search.best_params_["mlp__hidden_layer_sizes"] == (40,)
    assert len(search.cv_results_["params"]) == 4
    assert search.score(X_test, y_test) > 0.95


def test_the_first_layers_weights_can_be_shown_as_images(digits):
    X_train, X_test, y_train, y_test = digits
    model = MLPClassifier(
        hidden_layer_sizes=(40,),
        max_iter=8,
        alpha=1e-4,
        solver="sgd",
        random_state=1,
        learning_rate_init=0.2,
    )
    with warnings.catch_warnings():  # eight epochs are not enough, in the guide either
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X_train / 16, y_train)
    assert model.score(X_test / 16, y_test) > 0.9
    images = [weights.reshape(8, 8) for weights in model.coefs_[0].T]
    assert len(images) == 40
    assert np.isfinite(images).all()
    assert len(model.loss_curve_) == model.n_iter_ == 8
