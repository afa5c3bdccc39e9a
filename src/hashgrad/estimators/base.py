"""What both estimators share: scikit-learn's rules of fitting around a hashgrad network."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, check_X_y, validate_data

from ..data import is_sparse
from ..defaults import default
from ..frames import as_column, as_matrix, is_frame, opened
from ..job import Job, prepare
from ..network import Network
from ..schedules import Constant
from ..selectors import LSH
from ..state import restore, snapshot
from .parameters import AUTO_BATCH, build_layers, build_optimizer, check_parameters
from .steps import (
    abandon_epoch,
    copy_weights,
    tensors_of,
    train_epoch,
    with_mean_weight_one,
)

_RATE_CUT = 5.0  # learning_rate="adaptive" divides by this, as in scikit-learn
_LEAST_RATE = 1e-6  # ... until the rate is no larger
_VERSION = "_hashgrad_version"  # in a pickled estimator: who wrote it


@dataclasses.dataclass(frozen=True)
class Answers:
    """A user's y as the network takes it, and what it says about the last layer."""

    y: Any
    n_outputs: int
    loss: str
    attributes: dict[str, Any]  # for the estimator to keep from its first fit
    strata: Any = None  # what a validation split should keep in proportion


class BaseMLP(BaseEstimator):  # type: ignore[misc]
    """Parameters, training and fitted attributes of `MLPClassifier` and `MLPRegressor`."""

    def __init__(
        self,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.selector = selector
        self.active_fraction = active_fraction
        self.lsh = lsh
        self.n_threads = n_threads

    # Each estimator's own

    _y_numeric: ClassVar[bool]
    network_: Network
    _random_state: np.random.RandomState

    def _encode(self, y: Any, first: bool, classes: Any) -> Answers:
        """The user's y, checked, as the network takes it; the first learns the classes."""
        raise NotImplementedError

    def _decode(self, scores: NDArray[np.float32]) -> Any:
        """Predictions from the network's raw outputs (n, outputs)."""
        raise NotImplementedError

    def _quality(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        """The score of predictions that early stopping goes by."""
        raise NotImplementedError

    # Fitting

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool = False, classes: Any = None
    ) -> None:
        check_parameters(self.get_params(deep=False))
        if incremental and self.early_stopping:
            raise ValueError("early_stopping must be False for partial_fit, got True")
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        X, y = self._checked(X, y, first)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y.toarray() if is_sparse(y) else y, warn=True)
        answers = self._encode(y, first, classes)
        random_state = check_random_state(self.random_state) if first else self._random_state
        job = prepare(
            X,
            answers.y,
            n_inputs=X.shape[1],
            n_outputs=answers.n_outputs,
            loss=answers.loss,
            seed=0,
            sample_weight=sample_weight,
        )
        held_out = None
        if self.early_stopping:
            job, apart = self._hold_out(job, answers.strata, random_state)
            weights = None if job.row_weights is None else job.row_weights[apart]
            held_out = X[apart], y[apart], weights
        job, mean_weight = with_mean_weight_one(job)
        if incremental and not first:
            network = self.network_
        else:
            network = self._new_network(job, answers, mean_weight, random_state, incremental)
            if not first:
                copy_weights(self.network_, network)

        # Whatever can be wrong has been raised; only now is anything learned given up.
        if first:
            self._random_state = random_state
            self._forget(answers.attributes, network)
        if network is not getattr(self, "network_", None):
            self.network_ = network
            self._rate = float(self.learning_rate_init)
        self._keep_scores(first)
        self._train(job, held_out, incremental)

    def _checked(self, X: Any, y: Any, first: bool) -> tuple[Any, Any]:
        """X as float32, dense or CSR, and y as an array; the first learns the features' names."""
        y = as_column(y, "y")
        rules = {"accept_sparse": "csr", "dtype": np.float32, "multi_output": True}
        rules["y_numeric"] = self._y_numeric
        if not is_frame(X):
            return validate_data(self, X, y, reset=first, **rules)  # type: ignore[no-any-return]
        X = validate_data(self, opened(X, "X"), reset=first, skip_check_array=True)
        return check_X_y(as_matrix(X, "X"), y, estimator=self, **rules)  # type: ignore[no-any-return]

    def _hold_out(
        self, job: Job, strata: Any, random_state: np.random.RandomState
    ) -> tuple[Job, NDArray[np.intp]]:
        """The job without its validation rows, and those rows."""
        n_rows = job.inputs.n_rows
        if self.validation_fraction * n_rows <= 1:
            raise ValueError(
                "validation_fraction must hold out at least 2 rows, got "
                f"{self.validation_fraction} of {n_rows} rows"
            )
        kept, apart = train_test_split(
            np.arange(n_rows),
            test_size=self.validation_fraction,
            random_state=random_state,
            stratify=strata,
        )
        return dataclasses.replace(job, rows=kept.astype(np.uint32)), apart

    def _new_network(
        self,
        job: Job,
        answers: Answers,
        mean_weight: float,
        random_state: np.random.RandomState,
        incremental: bool,
    ) -> Network:
        """An untrained network from the current parameters."""
        parameters = self.get_params(deep=False)
        auto = self.batch_size == "auto"
        batch = AUTO_BATCH if auto else int(self.batch_size)
        if batch > len(job.rows) and not incremental:
            if not auto:
                warnings.warn(
                    f"batch_size={batch} is more than the {len(job.rows)} rows to train on, "
                    "which make one batch",
                    stacklevel=4,
                )
            batch = len(job.rows)
        return Network(
            job.inputs.n_columns,
            build_layers(parameters, answers.n_outputs),
            loss=answers.loss,
            optimizer=build_optimizer(parameters),
            schedule=Constant(warmup=0),
            l2=self.alpha / (batch * mean_weight),  # as in scikit-learn, against a batch's weight
            batch_size=batch,
            threads=self.n_threads,
            seed=int(random_state.randint(2**31 - 1)),
        )

    def _forget(self, attributes: dict[str, Any], network: Network) -> None:
        """Start the records of a first fit."""
        for name, value in attributes.items():
            setattr(self, name, value)
        self.n_outputs_ = network.n_outputs
        self.n_layers_ = len(network.layers) + 1
        self.t_ = 0
        self.loss_curve_: list[float] = []
        self._no_improvement = 0

    def _keep_scores(self, first: bool) -> None:
        """Start what early stopping goes by: the loss, or the score of rows held out."""
        self.best_validation_score_: float | None = None
        if self.early_stopping:
            self.best_loss_: float | None = None
            self.best_validation_score_ = -math.inf  # other rows are held out in every fit
            if first or self.validation_scores_ is None:
                self.validation_scores_: list[float] | None = []
        elif first or self.best_loss_ is None:
            self.best_loss_ = math.inf
            self.validation_scores_ = None

    def _train(self, job: Job, held_out: tuple[Any, Any, Any] | None, incremental: bool) -> None:
        """Epochs until scikit-learn's rules say stop; `held_out` is X, y and weights."""
        best: dict[str, NDArray[Any]] = {}
        self.n_iter_ = 0
        try:
            for _ in range(1 if incremental else self.max_iter):
                self.loss_ = self._epoch(job)
                self.n_iter_ += 1
                self.t_ += len(job.rows)
                self.loss_curve_.append(self.loss_)
                self._say(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if held_out is None:
                    self._note_loss()
                elif self._note_score(*held_out):
                    best = snapshot(self.network_)
                if self.learning_rate == "invscaling" and self.solver != "adam":
                    self._rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
                if self._no_improvement > self.n_iter_no_change and self._stops():
                    break
            else:
                if not incremental:
                    warnings.warn(
                        f"training reached max_iter={self.max_iter} and has not converged yet",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            abandon_epoch(self.network_)
            warnings.warn("training was interrupted; the model stands as it is", stacklevel=4)
        if best:
            restore(self.network_, best)

    def _epoch(self, job: Job) -> float:
        """One epoch over the job's rows; the mean loss, with the penalty of `alpha`."""
        order = self._random_state.permutation(job.rows) if self.shuffle else job.rows
        where = f"iteration {self.n_iter_ + 1}"
        try:
            loss = train_epoch(self.network_, job, order, self._rate, where)
        except FloatingPointError as error:
            what = str(error).partition(" in ")[0]  # the loss, or a weight, became ...
            raise ValueError(
                f"{what} in {where}: scale X, or lower "
                f"learning_rate_init, got {self.learning_rate_init:g}"
            ) from error
        if self.network_.l2 == 0:
            return loss
        squares = sum(float(np.vdot(w, w)) for w in tensors_of(self.network_, "weight"))
        return loss + 0.5 * self.network_.l2 * squares

    def _note_loss(self) -> None:
        """Count epochs whose loss is not `tol` below the best."""
        assert self.best_loss_ is not None
        stale = self.loss_ > self.best_loss_ - self.tol
        self._no_improvement = self._no_improvement + 1 if stale else 0
        self.best_loss_ = min(self.best_loss_, self.loss_)

    def _note_score(self, X: Any, y: Any, sample_weight: Any) -> bool:
        """Count epochs whose score is not `tol` above the best; whether this one is the best."""
        assert self.validation_scores_ is not None
        assert self.best_validation_score_ is not None
        predicted = self._decode(self.network_.decision_function(X))
        score = self._quality(y, predicted, sample_weight)
        self.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        stale = score < self.best_validation_score_ + self.tol
        self._no_improvement = self._no_improvement + 1 if stale else 0
        better = score > self.best_validation_score_
        self.best_validation_score_ = max(score, self.best_validation_score_)
        return better

    def _stops(self) -> bool:
        """Whether epochs without improvement end training, or lower the rate."""
        what = "Validation score" if self.early_stopping else "Training loss"
        story = (
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            "consecutive epochs."
        )
        adaptive = self.learning_rate == "adaptive" and self.solver != "adam"
        if not adaptive or self._rate <= _LEAST_RATE:
            self._say(f"{story} Stopping.")
            return True
        self._rate /= _RATE_CUT
        self._no_improvement = 0
        self._say(f"{story} Setting learning rate to {self._rate:f}")
        return False

    def _say(self, line: str) -> None:
        if self.verbose:
            print(line)  # noqa: T201 - what verbose asks for, where scikit-learn's users look

    # What was fitted

    def _scores(self, X: Any) -> NDArray[np.float32]:
        """The network's raw outputs (n, outputs) for a user's X."""
        check_is_fitted(self)
        if is_frame(X):
            X = validate_data(self, opened(X, "X"), reset=False, skip_check_array=True)
        else:
            X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)
        return self.network_.decision_function(X)

    @property
    def coefs_(self) -> list[NDArray[np.float32]]:
        """Copies of the layers' weights, (inputs, outputs) each as in scikit-learn."""
        return [np.array(weight.T) for weight in self._fitted("weight")]

    @property
    def intercepts_(self) -> list[NDArray[np.float32]]:
        """Copies of the layers' biases, (outputs,) each."""
        return [np.array(bias) for bias in self._fitted("bias")]

    def _fitted(self, kind: str) -> list[NDArray[np.float32]]:
        if not hasattr(self, "network_"):
            raise AttributeError(f"{type(self).__name__} has no {kind} before fit")
        return tensors_of(self.network_, kind)

    # Pickling: the network inside goes as the bytes of its file

    def __getstate__(self) -> dict[str, Any]:
        from .. import __version__

        return {**super().__getstate__(), _VERSION: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from .. import __version__

        written = state.get(_VERSION, "an older version")
        if written != __version__:
            warnings.warn(
                f"this {type(self).__name__} was pickled by hashgrad {written} and is read by "
                f"{__version__}: its parameters may have other meanings; to keep a model for "
                "later versions, save its network_ to a file",
                stacklevel=2,
            )
        super().__setstate__({key: value for key, value in state.items() if key != _VERSION})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
