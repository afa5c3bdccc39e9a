"""Data frames of pandas, polars and Arrow go in as they are; what they cannot mean is refused."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conftest import network
from hashgrad import Dense, MLPClassifier, MLPRegressor, Network
from hashgrad.data import as_inputs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MAKERS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "Arrow table": pa.table,
    "Arrow batch": pa.RecordBatch.from_pydict,
}


@pytest.fixture(params=list(MAKERS))
def frame(request):
    """How one library makes a frame of columns."""
    return MAKERS[request.param]


def columns(X):
    """The columns of a matrix, by name."""
    return {f"x{j}": X[:, j] for j in range(X.shape[1])}


def series(frame, values):
    """One column of the same library."""
    made = frame({"y": values})
    return made.column("y") if frame in (pa.table, pa.RecordBatch.from_pydict) else made["y"]


def test_a_network_learns_from_a_frame_as_from_its_numbers(blobs, frame):
    X, y = blobs
    a, b = network().fit(X, y, epochs=2), network()
    b.fit(frame(columns(X)), series(frame, y), epochs=2, sample_weight=series(frame, 1.0 + 0 * y))
    assert np.array_equal(a.decision_function(X), b.decision_function(frame(columns(X))))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_an_estimator_learns_from_a_frame_and_keeps_its_names(blobs, frame, kind):
    X, y = blobs
    settings = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}
    plain = kind(**settings).fit(X, y)
    named = kind(**settings).fit(frame(columns(X)), series(frame, y))
    assert named.feature_names_in_.tolist() == list(columns(X))
    assert named.n_features_in_ == X.shape[1]
    assert np.array_equal(named.predict(frame(columns(X))), plain.predict(X))
    assert not hasattr(plain, "feature_names_in_")


def test_columns_in_another_order_or_of_other_names_are_refused(blobs, frame):
    X, y = blobs
    model = MLPClassifier((16,), max_iter=1).fit(frame(columns(X)), y)
    turned = dict(reversed(columns(X).items()))
    with pytest.raises(ValueError, match="same order"):
        model.predict(frame(turned))
    other = {name.replace("x3", "z"): column for name, column in columns(X).items()}
    with pytest.raises(ValueError, match=r"(?s)unseen at fit time:\n- z\n.*now missing:\n- x3"):
        model.predict(frame(other))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


def test_words_are_labels_and_come_back(blobs, frame):
    X, y = blobs
    words = np.array(["ash", "birch", "cedar", "dogwood"])[y]
    settings = {"max_iter": 15, "learning_rate_init": 0.01, "random_state": 0}
    model = MLPClassifier((64,), **settings).fit(frame(columns(X)), series(frame, words.tolist()))
    assert model.classes_.tolist() == ["ash", "birch", "cedar", "dogwood"]
    assert np.mean(model.predict(frame(columns(X))) == words) > 0.9


def test_several_columns_of_answers_are_several_outputs(line, frame):
    X, y = line
    targets = frame({"a": y, "b": -y})
    model = MLPRegressor(hidden_layer_sizes=(16,), max_iter=2).fit(frame(columns(X)), targets)
    assert model.predict(frame(columns(X))).shape == (len(y), 2)


def test_integers_booleans_and_numbers_that_may_be_missing_are_numbers(frame):
    given = {"i": [1, 2], "b": [True, False], "f": [0.5, -1.0]}
    assert as_inputs(frame(given)).dense.tolist() == [[1, 1, 0.5], [2, 0, -1]]
    nullable = pd.DataFrame(given).convert_dtypes()
    assert as_inputs(nullable).dense.tolist() == [[1, 1, 0.5], [2, 0, -1]]


def test_a_column_that_lacks_values_is_named_with_their_number(frame):
    bad = frame({"age": [1, 2, 3], "size": [None, 2.0, None]})
    rule = "must have no missing values, got 2 in column 'size', the first in row 0"
    with pytest.raises(ValueError, match=f"X {rule}"):
        as_inputs(bad)
    with pytest.raises(ValueError, match=f"X {rule}"):
        MLPClassifier().fit(bad, [0, 1, 1])
    with pytest.raises(
        ValueError, match=r"y must have no missing values, got 1, the first in row 1"
    ):
        Network(1, [Dense(2)]).fit([[1.0]] * 2, series(frame, [1, None]))


def test_a_column_that_holds_no_numbers_is_named(frame):
    bad = frame({"age": [1, 2], "colour": ["red", "blue"]})
    for refused in (lambda: as_inputs(bad), lambda: MLPClassifier().fit(bad, [0, 1])):
        with pytest.raises(TypeError, match=r"X must hold numbers, got .* in column 'colour': enc"):
            refused()


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (pd.DataFrame({"c": pd.Categorical([1, 2])}), "Categorical"),
        (pl.DataFrame({"c": ["a", "b"]}, schema={"c": pl.Categorical}), "Categorical"),
        (pd.DataFrame({"c": [object(), 2]}), "Object"),
        (pd.DataFrame({"c": pd.to_datetime(["2020-01-01", "2020-01-02"])}), "Datetime"),
        (pa.table({"c": pa.array(["a", "b"]).dictionary_encode()}), "Categorical"),
    ],
)
def test_categories_objects_and_dates_are_no_numbers(bad, kind):
    with pytest.raises(TypeError, match=rf"X must hold numbers, got {kind}.* in column 'c'"):
        as_inputs(bad)


@pytest.mark.parametrize(
    ("value", "rule"),
    [(np.inf, "finite, got inf"), (1e300, r"within float32's range, got 1e\+300")],
)
def test_a_number_that_cannot_be_learned_from_is_named_with_its_column_and_row(frame, value, rule):
    with pytest.raises(ValueError, match=rf"X must be {rule} in column 'f' in row 1"):
        as_inputs(frame({"f": [0.0, value]}))


def test_a_frame_that_is_not_in_memory_is_refused_with_what_to_do(blobs):
    X, y = blobs
    lazy = pl.LazyFrame(columns(X))
    message = r"X must be in memory, got a polars LazyFrame: use X.collect\(\)"
    for refused in (lambda: network().fit(lazy, y), lambda: MLPClassifier().fit(lazy, y)):
        with pytest.raises(TypeError, match=message):
            refused()


def test_two_columns_of_one_name_are_refused():
    twice = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    for refused in (lambda: as_inputs(twice), lambda: MLPClassifier().fit(twice, [0])):
        with pytest.raises(ValueError, match=r"(?s)X must have columns of different names:.*'a'"):
            refused()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_pipeline_hands_on_frames_that_set_output_asks_for(blobs, library):
    X, y = blobs
    given = MAKERS[library](columns(X))
    settings = {"max_iter": 15, "learning_rate_init": 0.01, "random_state": 0}
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((64,), **settings))
    pipeline.set_output(transform=library)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="X does not have valid feature names")
        assert pipeline.fit(given, y).score(given, y) > 0.9
    assert pipeline[-1].feature_names_in_.tolist() == list(columns(X))
