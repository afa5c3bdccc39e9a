"""The scikit-learn estimators: a change of the import line is enough.

`MLPClassifier` and `MLPRegressor` take the parameters of `sklearn.neural_network`'s classes of the
same names, with the same meanings and defaults, and four of their own that say which neurons work.
"""

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
