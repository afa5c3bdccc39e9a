"""Fitted estimators travel: by pickle, joblib and to other processes, as the bytes of a file."""

import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hashgrad
from conftest import hashed, network, same_bits
from hashgrad import MLPClassifier, MLPRegressor, files

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def model(blobs):
    return MLPClassifier((300,), max_iter=3, random_state=0).fit(*blobs)


def test_a_pickled_network_is_the_bytes_of_its_file(blobs, tmp_path):
    net = network(hashed(), optimizer="adam").fit(*blobs, epochs=2)
    net.save(tmp_path / "net")
    data = (tmp_path / "net").read_bytes()
    assert files.to_bytes(net) == data
    assert data in pickle.dumps(net)
    assert same_bits(files.from_bytes(data), net)


@pytest.mark.parametrize("cut", [0, 4, 8, 200, -1])
def test_bytes_that_are_not_whole_are_refused(blobs, cut):
    data = files.to_bytes(network().fit(*blobs, epochs=1))
    with pytest.raises(ValueError, match="data is not a valid hashgrad model"):
        files.from_bytes(data[:cut])


@pytest.mark.parametrize("compress", [0, 3])
def test_joblib_keeps_an_estimator(model, blobs, compress):
    X, _ = blobs
    file = io.BytesIO()
    joblib.dump(model, file, compress=compress)
    copy = joblib.load(io.BytesIO(file.getvalue()))
    assert np.array_equal(copy.predict_proba(X), model.predict_proba(X))
    assert copy.get_params() == model.get_params()
    assert (copy.loss_curve_, copy.t_) == (model.loss_curve_, model.t_)


def test_a_pickle_of_another_version_warns_and_loads(model, blobs, monkeypatch):
    data = pickle.dumps(model)
    version = hashgrad.__version__
    monkeypatch.setattr(hashgrad, "__version__", "99.0")
    message = rf"MLPClassifier was pickled by hashgrad {version} and is read by 99\.0"
    with pytest.warns(UserWarning, match=message):
        copy = pickle.loads(data)
    assert np.array_equal(copy.predict(blobs[0]), model.predict(blobs[0]))


def test_a_pickle_of_another_format_says_who_wrote_it(model, monkeypatch):
    data = pickle.dumps(model)
    monkeypatch.setattr(files, "FORMAT", files.FORMAT + 1)
    with pytest.raises(ValueError, match=r"format must be \d+, got \d+, written by version '0"):
        pickle.loads(data)


def test_a_model_that_was_not_fitted_is_pickled_and_cloned_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = pickle.loads(pickle.dumps(clone(MLPRegressor(alpha=0.5))))
    assert copy.alpha == 0.5
    assert vars(copy) == vars(MLPRegressor(alpha=0.5))


def test_cross_validation_in_other_processes_gives_the_same_scores(blobs):
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=5, random_state=0))
    alone, shared = (cross_val_score(pipeline, *blobs, cv=2, n_jobs=n) for n in (1, 2))
    assert np.array_equal(alone, shared)


def test_a_grid_is_searched_in_other_processes_and_the_best_comes_back(blobs):
    X, y = blobs
    grid = {"learning_rate_init": [1e-6, 0.01]}
    search = GridSearchCV(MLPClassifier((32,), max_iter=15, random_state=0), grid, cv=2, n_jobs=2)
    assert search.fit(X, y).best_params_ == {"learning_rate_init": 0.01}
    assert search.best_estimator_.score(X, y) > 0.9
