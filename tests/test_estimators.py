"""What the estimators learn, keep and repeat."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conftest import N_CLASSES
from hashgrad import LSH, MLPClassifier, MLPRegressor
from hashgrad.estimators import base

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL_HASHES = LSH(0.25, bits=4, tables=16, lookup="scan", probes=2)


def classifier(**settings):
    """A small hashed classifier that learns the blobs in a few epochs."""
    defaults = {"lsh": SMALL_HASHES, "max_iter": 5, "batch_size": 20, "random_state": 0}
    return MLPClassifier((64,), **{"learning_rate_init": 0.01, **defaults, **settings})


def regressor(**settings):
    defaults = {"max_iter": 20, "batch_size": 20, "learning_rate_init": 0.01, "random_state": 0}
    return MLPRegressor(hidden_layer_sizes=(64,), **{**defaults, **settings})


# Targets


@pytest.mark.parametrize("selector", ["lsh", "dense", "random", "adaptive", "winner-take-all"])
def test_every_selector_learns_the_blobs(blobs, selector):
    X, y = blobs
    model = classifier(selector=selector, active_fraction=0.25).fit(X[:400], y[:400])
    assert model.network_.layers[0].active.word == selector
    assert model.score(X[400:], y[400:]) > 0.9


@pytest.mark.parametrize("solver", ["adam", "sgd", "momentum", "adagrad", "row-adagrad"])
def test_every_solver_learns_the_blobs(blobs, solver):
    X, y = blobs
    model = classifier(solver=solver, learning_rate_init=0.02).fit(X[:400], y[:400])
    expected = {"sgd": "momentum"}.get(solver, solver)
    assert model.network_.optimizer.word == expected
    assert model.score(X[400:], y[400:]) > 0.9


def test_plain_sgd_without_momentum_moves_hashes_incrementally(blobs):
    model = classifier(solver="sgd", momentum=0, alpha=0, learning_rate_init=0.1).fit(*blobs)
    assert model.network_.optimizer.word == "sgd"
    assert model.network_.report().to_dict()["layers"][0]["rehash"] == "incremental"


def test_one_row_at_a_time_trains_without_locks_on_several_threads(blobs):
    X, y = blobs
    model = classifier(batch_size=1, solver="sgd", learning_rate_init=0.002, n_threads=2)
    model.fit(X[:400], y[:400])
    assert model.network_.batch_size == 1
    assert model.score(X[400:], y[400:]) > 0.9


@pytest.mark.parametrize(
    "names",
    [["a", "b", "c", "d"], [10, -3, 7, 99], [1.0, 2.0], [False, True], ["no", "yes"]],
    ids=["words", "integers", "floats", "bools", "two words"],
)
def test_labels_come_back_as_they_were_given(blobs, names):
    X, y = blobs
    names = np.array(names)
    labels = names[y % len(names)]
    model = classifier(max_iter=15).fit(X, labels)
    predicted = model.predict(X)
    assert np.array_equal(model.classes_, np.sort(names))
    assert predicted.dtype == labels.dtype
    assert np.mean(predicted == labels) > 0.9
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (len(X), len(names))
    assert np.array_equal(model.classes_[probabilities.argmax(axis=1)], predicted)
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_one_class_alone_is_predicted_with_certainty(blobs):
    X, _ = blobs
    model = classifier().fit(X, np.full(len(X), "only"))
    assert set(model.predict(X)) == {"only"}
    assert np.array_equal(model.predict_proba(X), np.ones((len(X), 1)))


def test_log_probabilities_stay_finite_where_probabilities_vanish(blobs):
    X, y = blobs
    model = classifier().fit(X, y)
    far = 1e4 * X[:20]
    assert (model.predict_proba(far) == 0).any()
    assert np.isfinite(model.predict_log_proba(far)).all()
    near = model.predict_proba(X)
    assert np.allclose(model.predict_log_proba(X), np.log(near))


@pytest.mark.parametrize("form", [csr_matrix, lambda Y: Y.toarray()], ids=["sparse", "dense"])
def test_several_labels_a_row_are_learned_and_come_back_in_their_form(tags, form):
    X, Y = tags
    Y = form(Y)
    model = classifier(max_iter=30).fit(X, Y)
    predicted = model.predict(X)
    assert issparse(predicted) == issparse(Y)
    assert predicted.shape == Y.shape
    dense = predicted.toarray() if issparse(predicted) else predicted
    assert np.mean(dense == tags[1].toarray()) > 0.9
    assert np.array_equal(model.predict_proba(X) > 0.5, dense == 1)
    assert np.array_equal(model.classes_, np.arange(6))
    assert model.score(X, Y) == np.mean((dense == tags[1].toarray()).all(axis=1))


def test_a_line_is_regressed(line):
    X, y = line
    for target in (y, np.stack([y, X[:, 2]], axis=1)):
        model = regressor().fit(X[:300], target[:300])
        assert model.predict(X).shape == target.shape
        assert model.score(X[300:], target[300:]) > 0.9


# Inputs


def test_sparse_rows_give_the_results_of_dense_ones(tags):
    X, Y = tags
    sparse = classifier().fit(X, Y).predict_proba(X)
    dense = classifier().fit(X.toarray(), Y).predict_proba(X.toarray())
    np.testing.assert_allclose(sparse, dense, atol=1e-4)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_weight_counts_as_often_as_repeated_rows(blobs, make):
    X, y = blobs[0][:100], blobs[1][:100]
    times = np.random.default_rng(0).integers(0, 4, size=100)
    whole = {"batch_size": 300, "max_iter": 30, "selector": "dense", "alpha": 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the batch holds all rows, that is the point
        weighted = make(**whole).fit(X, y, sample_weight=times)
        repeated = make(**whole).fit(X.repeat(times, axis=0), y.repeat(times))
        unweighted = make(**whole).fit(X, y)
    ours, theirs = (
        model.predict_proba(X) if make is classifier else model.predict(X)
        for model in (weighted, repeated)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-3)
    assert unweighted.loss_ != pytest.approx(repeated.loss_, rel=1e-3)


def test_without_a_penalty_only_the_ratios_of_weights_matter(blobs):
    X, y = blobs
    weights = np.random.default_rng(0).integers(1, 4, size=len(y)).astype(float)
    a = classifier(alpha=0).fit(X, y, sample_weight=weights)
    b = classifier(alpha=0).fit(X, y, sample_weight=8 * weights)
    assert np.array_equal(a.predict_proba(X), b.predict_proba(X))


# Training


def test_the_random_state_repeats_a_fit(blobs):
    X, y = blobs
    first, again, other = (
        classifier(random_state=seed).fit(X, y).predict_proba(X)
        for seed in (3, np.random.RandomState(3), 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_number_of_threads_does_not_change_a_batched_fit(blobs):
    X, y = blobs
    one, two = (classifier(n_threads=n).fit(X, y).predict_proba(X) for n in (1, 2))
    assert np.array_equal(one, two)


def test_training_stops_when_the_loss_no_longer_falls_by_tol(blobs):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = classifier(max_iter=200, tol=0.01, n_iter_no_change=3).fit(*blobs)
    assert model.n_iter_ == len(model.loss_curve_) < 200
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.loss_ == model.loss_curve_[-1]
    assert min(model.loss_curve_[-4:]) > min(model.loss_curve_[:-4]) - 0.01
    assert model.t_ == model.n_iter_ * len(blobs[0])


def test_training_that_ends_at_max_iter_warns(blobs):
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        classifier(max_iter=2).fit(*blobs)


def test_early_stopping_returns_the_best_weights(blobs):
    X, y = blobs
    noisy = np.where(np.random.default_rng(0).random(len(y)) < 0.4, 0, y)
    settings = {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 4}
    model = classifier(**settings, max_iter=60, tol=0)
    seen = []
    model._quality = lambda y, predicted, weights: (
        seen.append((y, predicted)) or np.mean(y == predicted)
    )
    model.fit(X, noisy)
    scores = model.validation_scores_
    best = int(np.argmax(scores))
    assert len(scores) == model.n_iter_ < 60
    assert model.best_validation_score_ == scores[best] > scores[-1]
    assert model.best_loss_ is None
    assert model.t_ == model.n_iter_ * 450
    held_out = {len(y) for y, _ in seen}
    assert held_out == {150}
    apart = train_test_split(np.arange(600), test_size=0.25, random_state=0)[1]
    assert np.array_equal(model.predict(X[apart]), seen[best][1])
    assert not np.array_equal(model.predict(X[apart]), seen[-1][1])


def test_early_stopping_works_for_regression_and_with_weights(line):
    X, y = line
    model = regressor(early_stopping=True, max_iter=40).fit(X, y, sample_weight=np.ones(len(y)))
    assert model.best_validation_score_ == max(model.validation_scores_) > 0.9


def rates(model):
    return [record["learning_rate"] for record in model.network_.history]


def test_the_rate_scales_inversely_with_the_rows_seen(blobs):
    model = classifier(solver="sgd", learning_rate="invscaling", max_iter=3).fit(*blobs)
    assert rates(model) == pytest.approx([0.01, 0.01 / 601**0.5, 0.01 / 1201**0.5])


def test_the_adaptive_rate_falls_by_five_when_training_stalls(blobs):
    settings = {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 2, "max_iter": 9}
    model = classifier(solver="sgd", **settings).fit(*blobs)
    # the first epoch is better than none; then three in a row are too many
    assert rates(model) == pytest.approx([0.01] * 4 + [0.002] * 3 + [0.0004] * 2)
    assert rates(classifier(solver="adam", **settings).fit(*blobs)) == [0.01] * 4


def test_rows_keep_their_order_without_shuffle(blobs, monkeypatch):
    orders = []
    train = base.train_epoch

    def spy(network, job, order, *rest):
        orders.append(np.array(order))
        return train(network, job, order, *rest)

    monkeypatch.setattr(base, "train_epoch", spy)
    classifier(shuffle=False, max_iter=2).fit(*blobs)
    classifier(shuffle=True, max_iter=2).fit(*blobs)
    assert all(np.array_equal(order, np.arange(600)) for order in orders[:2])
    assert not any(np.array_equal(order, np.arange(600)) for order in orders[2:])
    assert not np.array_equal(orders[2], orders[3])
    assert all(np.array_equal(np.sort(order), np.arange(600)) for order in orders)


def test_verbose_prints_every_epoch(blobs, capsys):
    classifier(verbose=True, max_iter=2, early_stopping=True).fit(*blobs)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["Iteration", "Validation"] * 2


def test_ctrl_c_leaves_a_model_that_predicts(blobs, monkeypatch):
    train = base.train_epoch
    epochs = iter(range(100))

    def interrupted(*arguments):
        if next(epochs) == 3:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(base, "train_epoch", interrupted)
    model = classifier(max_iter=50)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(*blobs)
    assert model.n_iter_ == 3
    assert model.score(*blobs) > 0.9


# Going on


def test_a_warm_start_goes_on_from_the_last_weights(blobs):
    cold, warm = (classifier(warm_start=warm).fit(*blobs) for warm in (False, True))
    before, first = warm.coefs_, warm.loss_curve_[0]
    assert cold.fit(*blobs).loss_curve_[0] == first
    warm.set_params(solver="sgd", learning_rate_init=1e-12).fit(*blobs)
    for old, new in zip(before, warm.coefs_, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-9)
    assert warm.loss_ < first / 10
    assert len(warm.loss_curve_) == 10
    assert warm.n_iter_ == 5
    assert warm.t_ == 10 * len(blobs[0])
    assert warm.network_.optimizer.word == "momentum"


def test_a_warm_start_may_turn_early_stopping_on_and_off(blobs):
    model = classifier(warm_start=True)
    for early_stopping in (False, True, False):
        model.set_params(early_stopping=early_stopping).fit(*blobs)
        assert (model.best_loss_ is None) == early_stopping
        assert (model.best_validation_score_ is None) != early_stopping
    assert model.score(*blobs) > 0.9


def test_partial_fit_learns_from_pieces_that_lack_classes(blobs):
    X, y = blobs
    model = classifier()
    for _ in range(4):
        for label in (0, 1, 2):
            rows = (y == label) | (y == label + 1)
            model.partial_fit(X[rows], y[rows], classes=np.arange(N_CLASSES))
    assert model.n_iter_ == 1
    assert len(model.loss_curve_) == 12
    assert model.score(X, y) > 0.9


def test_partial_fit_epochs_equal_a_fit(blobs):
    X, y = blobs
    whole, pieces = classifier(), classifier()
    whole.fit(X, y)
    for _ in range(5):
        pieces.partial_fit(X, y, classes=np.arange(N_CLASSES))
    assert np.array_equal(whole.predict_proba(X), pieces.predict_proba(X))
    assert whole.loss_curve_ == pieces.loss_curve_


def test_partial_fit_of_regressions_and_label_matrices_needs_no_classes(line, tags):
    model = regressor()
    for _ in range(20):
        model.partial_fit(*line)
    assert model.score(*line) > 0.9
    assert classifier().partial_fit(*tags).predict(tags[0]).shape == (400, 6)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_pickled_model_predicts_and_goes_on_as_the_original(blobs, make):
    X, y = blobs
    model = make().fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.predict(X), model.predict(X))
    assert np.array_equal(copy.partial_fit(X, y).predict(X), model.partial_fit(X, y).predict(X))
    assert copy.loss_ == model.loss_


def test_a_grid_search_over_a_pipeline_finds_the_better_parameters(blobs):
    X, y = blobs
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier(max_iter=3)),
        {
            "mlpclassifier__active_fraction": [0.25, "auto"],
            "mlpclassifier__learning_rate_init": [1e-6, 0.01],
        },
        cv=2,
    )
    search.fit(X, y)
    assert search.best_params_["mlpclassifier__learning_rate_init"] == 0.01
    assert search.best_score_ > 0.9


def test_a_clone_has_the_parameters_and_nothing_learned(blobs):
    copy = clone(classifier().fit(*blobs))
    assert copy.lsh == SMALL_HASHES
    assert not hasattr(copy, "network_")
    assert not hasattr(copy, "coefs_")


# Which neurons work


def kept(model):
    return [layer.active.kept(layer.n) for layer in model.network_.layers]


def test_auto_keeps_small_layers_whole_and_at_least_128_neurons_of_wide_ones(blobs):
    model = MLPClassifier((100, 255, 256, 3000), max_iter=1).partial_fit(*blobs, classes=range(4))
    words = [layer.active.word for layer in model.network_.layers]
    assert words == ["dense", "dense", "lsh", "lsh", "dense"]
    assert kept(model) == [100, 255, 128, 150, 4]


def test_a_given_fraction_is_the_share_kept_of_every_hidden_layer(blobs):
    model = MLPClassifier((100, 20), active_fraction=0.1).partial_fit(*blobs, classes=range(4))
    assert kept(model) == [10, 2, 4]


def test_the_lsh_argument_sets_the_hashing_and_its_fraction_counts_under_auto(blobs):
    hashes = LSH(0.3, bits=5, tables=3, projection="gaussian")
    auto = MLPClassifier((50,), lsh=hashes).partial_fit(*blobs, classes=range(4))
    assert auto.network_.layers[0].active == hashes
    given = MLPClassifier((50,), lsh=hashes, active_fraction=0.1)
    given.partial_fit(*blobs, classes=range(4))
    assert given.network_.layers[0].active == LSH(0.1, bits=5, tables=3, projection="gaussian")
