"""The regressor."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from ..defaults import default
from ..selectors import LSH
from .base import Answers, BaseMLP


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A regressor whose hidden layers evaluate and train only the neurons an input needs.

    It minimises half the squared error plus `alpha / 2` times the squared weights. As with any
    network, X and y should be of the order of 1; sparse X is never densified.

    Args:
        loss: `"squared_error"`; scikit-learn's `"poisson"` is refused.
        hidden_layer_sizes: this and all other parameters are those of `MLPClassifier`; see there.
        activation: of the hidden layers; the output is linear.
        solver: see `MLPClassifier`, here and below.
        alpha: strength of the L2 penalty.
        batch_size: rows of a batch; 1 trains without locks, as the paper does.
        learning_rate: `"constant"`, `"invscaling"` or `"adaptive"`.
        learning_rate_init: learning rate at the start.
        power_t: exponent of `"invscaling"`.
        max_iter: most epochs.
        shuffle: visit the rows in a new order each epoch.
        random_state: seed of everything random.
        tol: improvement that counts.
        verbose: print the loss of each epoch.
        warm_start: `fit` goes on from the last fit's weights.
        momentum: share of the last step carried into the next.
        nesterovs_momentum: accepted; the momentum is the classical one either way.
        early_stopping: hold out rows and stop when their R squared stalls.
        validation_fraction: share of rows held out.
        beta_1: Adam's decay of the mean gradient.
        beta_2: Adam's decay of the mean squared gradient.
        epsilon: added to the denominator of Adam's and Adagrad's steps.
        n_iter_no_change: epochs without improvement after which training stops.
        max_fun: accepted; only scikit-learn's `"lbfgs"` uses it.
        selector: how a hidden layer chooses its neurons.
        active_fraction: share of a hidden layer's neurons kept for a row, or `"auto"`.
        lsh: an `hashgrad.LSH` with settings of the hashing.
        n_threads: threads for training and prediction; 0 is all cores.

    Attributes:
        loss_ (float): loss of the last epoch, a mean over rows and outputs; all other attributes
            are those of `MLPClassifier`, without `classes_`.
        validation_scores_ (list[float] | None): R squared on the rows held out, of every epoch;
            None without them.
        out_activation_ (str): `"identity"`.

    Raises:
        TypeError: from `fit`, a parameter of the wrong type.
        ValueError: from `fit`, a parameter out of range or an unknown name; X or y that cannot be
            used; a loss that became infinite.

    Example:
        >>> from sklearn.datasets import make_regression
        >>> from hashgrad import MLPRegressor
        >>> X, y = make_regression(300, 5, noise=1.0, random_state=0)
        >>> model = MLPRegressor(learning_rate_init=0.01, tol=1e-2, random_state=0)
        >>> model.fit(X, y / y.std()).score(X, y / y.std()) > 0.95
        True

    Source: Spring and Shrivastava (2016), arXiv 1602.08194; parameters after scikit-learn's.
    """

    _y_numeric: ClassVar[bool] = True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int | float = 10,
        max_fun: int = 15000,
        selector: str = "lsh",
        active_fraction: float | str = "auto",
        lsh: LSH | None = None,
        n_threads: int = default("threads"),
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            selector=selector,
            active_fraction=active_fraction,
            lsh=lsh,
            n_threads=n_threads,
        )
        self.loss = loss

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train on X (n, features), dense or sparse, and y.

        Args:
            X: numbers, (n, features), dense or SciPy sparse.
            y: (n,) or (n, outputs) numbers.
            sample_weight: n weights >= 0; a row of weight 2 counts as two rows would.

        Raises:
            TypeError: a parameter of the wrong type.
            ValueError: a parameter, X, y or a weight that cannot be used.
        """
        self._fit(X, y, sample_weight)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train one epoch on these rows, going on from what was learned before.

        Args:
            X: as in `fit`.
            y: as in `fit`.
            sample_weight: as in `fit`.

        Raises:
            TypeError: as `fit`.
            ValueError: as `fit`; also `early_stopping=True`.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predicted numbers: (n,) for one output, else (n, outputs).

        Args:
            X: numbers, (n, features), dense or SciPy sparse.

        Raises:
            ValueError: X has another number of columns, or holds NaN or infinity.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        return self._decode(self._scores(X))

    def _encode(self, y: Any, first: bool, classes: Any) -> Answers:
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if not first and n_outputs != self.n_outputs_:
            raise ValueError(
                f"y must have {self.n_outputs_} columns, as in the first fit, got {n_outputs}"
            )
        return Answers(y, n_outputs, "squared", {"out_activation_": "identity"})

    def _decode(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        return (scores[:, 0] if self.n_outputs_ == 1 else scores).astype(np.float64)

    def _quality(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        return float(r2_score(y, predicted, sample_weight=sample_weight))
