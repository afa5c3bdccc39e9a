"""The classifier: labels of users to outputs of the network, and back."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..checks import shown
from .base import Answers, BaseMLP


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A classifier whose hidden layers evaluate and train only the neurons an input needs.

    It minimises the cross-entropy of a softmax (several classes), or of sigmoids (two classes, or
    several labels for a row), plus `alpha / 2` times the squared weights. Sparse X is never
    densified. Computations are in float32.

    Args:
        hidden_layer_sizes: neurons of each hidden layer, each at least 1.
        activation: of the hidden layers: `"relu"`, `"tanh"`, `"logistic"` or `"identity"`.
        solver: `"adam"`; `"sgd"` (with `momentum`); also `"momentum"` (the same), `"adagrad"` (the
            paper's, with `momentum`) and `"row-adagrad"`. scikit-learn's `"lbfgs"` is refused.
        alpha: strength of the L2 penalty, at least 0; divided by the rows of a batch. Only the
            weights that an update touches are pulled.
        batch_size: rows of a batch; `"auto"` is 200, or all rows if they are fewer. The result
            does not depend on the number of threads. 1 trains as the paper does: every thread on
            one row at a time, without locks; with several threads, runs then differ slightly.
        learning_rate: `"constant"`; `"invscaling"`, after each epoch `learning_rate_init / (t + 1)
            ** power_t` with t rows seen; or `"adaptive"`, divided by 5 when training stalls. The
            solver `"adam"` always uses a constant rate.
        learning_rate_init: learning rate at the start, above 0.
        power_t: exponent of `"invscaling"`, at least 0.
        max_iter: most epochs.
        shuffle: visit the rows in a new order each epoch.
        random_state: an integer, a `numpy.random.RandomState` or None: of weights, hash functions,
            orders and the validation split.
        tol: improvement of the loss, or of the validation score, that counts; at least 0.
        verbose: print the loss of each epoch.
        warm_start: `fit` goes on from the last fit's weights.
        momentum: share of the last step carried into the next, in [0, 1).
        nesterovs_momentum: accepted; the momentum is the classical one either way.
        early_stopping: hold out rows and stop when their score stalls; the best weights return.
        validation_fraction: share of rows held out, in (0, 1).
        beta_1: Adam's decay of the mean gradient, in [0, 1).
        beta_2: Adam's decay of the mean squared gradient, in [0, 1).
        epsilon: added to the denominator of Adam's and Adagrad's steps, above 0.
        n_iter_no_change: epochs without improvement by `tol` after which training stops.
        max_fun: accepted; only scikit-learn's `"lbfgs"` uses it.
        selector: how a hidden layer chooses its neurons: `"lsh"` (hashing), `"dense"` (all of
            them), `"random"`, `"adaptive"` or `"winner-take-all"`.
        active_fraction: share of a hidden layer's neurons kept for a row, in (0, 1]. `"auto"` is
            5 %, but at least 128 neurons; a layer of fewer than 256 keeps all. So a network is
            as accurate as scikit-learn's, and a wide one costs a fraction.
        lsh: an `hashgrad.LSH` with settings of the hashing, for `selector="lsh"`. Its own
            `fraction` counts where `active_fraction` is `"auto"`.
        n_threads: threads for training and prediction; 0 is all cores.

    Attributes:
        classes_ (NDArray[Any]): the labels, sorted; for several labels a row, 0 to outputs - 1.
        coefs_: weights of each layer, (inputs, outputs); copies.
        intercepts_: biases of each layer, (outputs,); copies.
        loss_ (float): loss of the last epoch.
        best_loss_ (float | None): lowest loss of any epoch; None with early stopping.
        loss_curve_ (list[float]): loss of every epoch.
        validation_scores_ (list[float] | None): accuracy on the rows held out, of every epoch;
            None without them.
        best_validation_score_ (float | None): highest of these; None without them.
        n_iter_ (int): epochs of the last fit.
        t_ (int): rows trained on.
        n_layers_ (int): number of layers, the input counted.
        n_outputs_ (int): outputs of the network: 1 for two classes.
        out_activation_ (str): `"softmax"` or `"logistic"`.
        n_features_in_ (int): columns of X.
        feature_names_in_ (NDArray[Any]): their names, where X has any.
        network_: the `hashgrad.Network`; `network_.report()` tells what training cost.

    Raises:
        TypeError: from `fit`, a parameter of the wrong type.
        ValueError: from `fit`, a parameter out of range or an unknown name; X or y that cannot be
            used; a loss that became infinite.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from hashgrad import MLPClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> model = MLPClassifier((512,), learning_rate_init=0.003, tol=1e-2, random_state=0)
        >>> model = model.fit(X[:1000] / 16, y[:1000])
        >>> model.score(X[1000:] / 16, y[1000:]) > 0.9
        True
        >>> model.network_.layers[0].active.kept(512)
        128

    Source: Spring and Shrivastava (2016), arXiv 1602.08194; parameters after scikit-learn's.
    """

    _y_numeric: ClassVar[bool] = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Train on X (n, features), dense or sparse, and y.

        Args:
            X: numbers, (n, features), dense or SciPy sparse.
            y: n labels, or a 0-1 matrix (n, outputs) of several labels a row, dense or sparse.
            sample_weight: n weights >= 0; a row of weight 2 counts as two rows would.

        Raises:
            TypeError: a parameter of the wrong type.
            ValueError: a parameter, X, y or a weight that cannot be used.
        """
        self._fit(X, y, sample_weight)
        return self

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Train one epoch on these rows, going on from what was learned before.

        Args:
            X: as in `fit`.
            y: as in `fit`; need not hold every class.
            sample_weight: as in `fit`.
            classes: all labels there will ever be; needed in the first call unless y is a 0-1
                matrix.

        Raises:
            TypeError: as `fit`.
            ValueError: as `fit`; also classes missing or changed, or `early_stopping=True`.
        """
        if classes is not None:
            classes = unique_labels(classes)
        started = hasattr(self, "network_")
        if not started and classes is None and not type_of_target(y).startswith("multilabel"):
            raise ValueError("classes must be given in the first call of partial_fit, got None")
        if started and classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes must stay {shown(self.classes_.tolist())}, as in the first call, "
                f"got {shown(classes.tolist())}"
            )
        self._fit(X, y, sample_weight, incremental=True, classes=classes)
        return self

    def predict(self, X: Any) -> Any:
        """The most probable label of each row, or a 0-1 matrix of the labels above one half.

        Args:
            X: numbers, (n, features), dense or SciPy sparse.

        Raises:
            ValueError: X has another number of columns, or holds NaN or infinity.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        return self._decode(self._scores(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes, (n, classes), in the order of `classes_`.

        Args:
            X: as in `predict`.

        Raises:
            ValueError: as `predict`.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of `predict_proba`, finite where that underflows.

        Args:
            X: as in `predict`.

        Raises:
            ValueError: as `predict`.
        """
        scores = self._scores(X).astype(np.float64)
        if self.out_activation_ == "softmax":
            logs: NDArray[np.float64] = log_softmax(scores, axis=1)
        elif self._several_labels:
            logs = log_expit(scores)
        elif len(self.classes_) == 1:
            logs = np.zeros((len(scores), 1))
        else:
            logs = np.hstack([log_expit(-scores), log_expit(scores)])
        return logs

    def _encode(self, y: Any, first: bool, classes: Any) -> Answers:
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y must hold one label a row or be a 0-1 matrix of several, "
                f"got a matrix of several classes (Multioutput target data), shape {y.shape}"
            )
        several = kind == "multilabel-indicator"
        if not first and several != self._several_labels:
            raise ValueError(
                "y must stay one label a row or a 0-1 matrix, as in the first fit, "
                f"got shape {y.shape}"
            )
        if not first:
            classes = self.classes_
        elif several:
            classes = np.arange(y.shape[1])
        elif classes is None:
            classes = unique_labels(y)
        softmax = not several and len(classes) > 2
        attributes = {
            "classes_": classes,
            "out_activation_": "softmax" if softmax else "logistic",
            "_several_labels": several,
            "_sparse_labels": several and scipy.sparse.issparse(y),
        }
        if several:
            return Answers(y, len(classes), "logistic", attributes)
        strange = np.setdiff1d(y, classes)
        if strange.size:
            raise ValueError(
                f"y must hold classes of {shown(classes.tolist())}, got {shown(strange.tolist())}"
            )
        labels = np.searchsorted(classes, y)
        if softmax:
            return Answers(labels, len(classes), "softmax", attributes)
        return Answers(labels, 1, "logistic", attributes, strata=labels)

    def _decode(self, scores: NDArray[np.float32]) -> Any:
        if self._several_labels:
            likely = (scores > 0).astype(np.int64)
            return scipy.sparse.csr_matrix(likely) if self._sparse_labels else likely
        if self.out_activation_ == "softmax":
            return self.classes_[scores.argmax(axis=1)]
        return self.classes_[((scores[:, 0] > 0) & (len(self.classes_) > 1)).astype(np.intp)]

    def _quality(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
