"""The estimators keep scikit-learn's own rules for estimators."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from hashgrad import MLPClassifier, MLPRegressor

_FLOAT32 = (
    "the check asks for equality to 1e-7, and sums of float32 in another order agree to about "
    "1e-5; test_a_weight_counts_as_often_as_repeated_rows checks the same at that precision"
)
_EXPECTED_TO_FAIL = {
    "check_sample_weight_equivalence_on_dense_data": _FLOAT32,
    "check_sample_weight_equivalence_on_sparse_data": _FLOAT32,
}


@pytest.mark.filterwarnings("ignore")  # the checks fit on purpose what cannot converge
@parametrize_with_checks(
    [
        MLPClassifier(max_iter=100),
        MLPRegressor(max_iter=100),
        MLPClassifier((64,), active_fraction=0.25, learning_rate_init=0.01, max_iter=40),
    ],
    expected_failed_checks=lambda estimator: _EXPECTED_TO_FAIL,
)
def test_the_estimators_pass_scikit_learns_checks(estimator, check):
    check(estimator)
