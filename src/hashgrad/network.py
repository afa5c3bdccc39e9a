"""The network: layers, loss and optimizer in words; training and prediction in the core."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core, files, ledger, metrics, planning, specification, training
from .checks import Interval
from .data import Inputs, as_inputs
from .defaults import check, default, resolve
from .job import Job, prepare
from .labels import Targets, as_targets
from .layers import Dense
from .optimizers import OPTIMIZERS, SGD, Optimizer
from .schedules import SCHEDULES, Cosine, Schedule
from .state import State

_PRECISIONS = (1, 3, 5)
_BLOCK_SCORES = 1 << 24  # scores held at a time where a result is smaller than all of them


class Network:
    """A fully connected network whose layers evaluate and train only their active neurons.

    Args:
        n_inputs: columns of the input.
        layers: one `Dense` each, the output layer last; its activation must be linear.
        loss: `"softmax"` (one of n classes), `"logistic"` (any number of labels) or `"squared"`.
        optimizer: an optimizer, or the name of one with its defaults.
        schedule: a learning-rate schedule, or the name of one with its defaults.
        l2: weight decay, at least 0.
        known: an example whose label has this probability already is evaluated, and counts in the
            loss, but is not learned from (softmax, one label an example). 0.95 saves most of the
            backward passes and updates, and seldom costs accuracy; None learns from all.
        batch_size: 1 trains asynchronously, each thread on one example at a time, without locks;
            more trains in synchronous batches, with the same result for any number of threads.
        threads: number of threads; 0 is all cores.
        seed: of weights, hash functions, the examples' order: everything random.

    Attributes:
        history: one record an epoch, a dict: its number, `seconds`, loss, scores, and what it cost.
            `seconds` is the time that training has taken since the network was made or loaded,
            evaluation not counted. Files keep no clock, so that equal training gives equal
            bytes: it is None in the records that came from a file, and starts at 0 after them.
        interrupted: whether the last call of `fit` or `partial_fit` ended by Ctrl-C.
        extra: JSON-able values of your own, saved along.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: a value out of range, an unknown name, no layers.
        MemoryError: too many weights for this machine.

    Example:
        >>> import numpy as np
        >>> from hashgrad import Dense, LSH, Network
        >>> X = np.random.default_rng(0).normal(size=(600, 20)).astype(np.float32)
        >>> y = (X[:, 0] + X[:, 1] > 0).astype(int)
        >>> net = Network(20, [Dense(200, active=LSH(fraction=0.1)), Dense(2)])
        >>> net = net.fit(X[:500], y[:500], epochs=5)
        >>> net.evaluate(X[500:], y[500:])["accuracy"] > 0.8
        True

    Source: Spring and Shrivastava (2016), arXiv 1602.08194.
    """

    def __init__(
        self,
        n_inputs: int,
        layers: Sequence[Dense],
        *,
        loss: str = default("loss"),
        optimizer: Optimizer | str = SGD(),  # noqa: B008 - frozen
        schedule: Schedule | str = Cosine(),  # noqa: B008 - frozen
        l2: float = default("l2"),
        known: float | None = default("known"),
        batch_size: int = default("batch_size"),
        threads: int = default("threads"),
        seed: int = default("seed"),
    ) -> None:
        self.n_inputs: int = check("n_inputs", n_inputs)
        self.layers: tuple[Dense, ...] = specification.checked_layers(layers)
        self.loss: str = check("loss", loss)
        self.optimizer: Optimizer = resolve("optimizer", optimizer, OPTIMIZERS)
        self.schedule: Schedule = resolve("schedule", schedule, SCHEDULES)
        self.l2: float = check("l2", l2)
        self.known: float | None = check("known", known)
        if self.known is not None and self.loss != "softmax":
            raise ValueError(f"known needs loss='softmax', got known={known!r}, loss={loss!r}")
        self.batch_size: int = check("batch_size", batch_size)
        self.threads: int = check("threads", threads)
        self.seed: int = check("seed", seed)
        self.history: list[dict[str, Any]] = []
        self.interrupted = False
        self.extra: dict[str, Any] = {}
        self._state = State.new(len(self.layers))
        self._ways: list[list[planning.Way]] = []  # of each layer, the chosen one first
        try:
            self._core = _core.Network(
                self.n_inputs,
                [specification.core_layer(layer) for layer in self.layers],
                self.loss,
                specification.core_optimizer(self.optimizer, self.l2),
                self.seed,
            )
        except MemoryError:
            sizes = [self.n_inputs, *(layer.n for layer in self.layers)]
            weights = sum(n * m for n, m in itertools.pairwise(sizes))
            raise MemoryError(f"layers must fit in memory, got {weights:,} weights") from None

    # Training

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = default("epochs"),
        validation: tuple[Any, Any] | float | None = None,
        early_stopping: int = default("early_stopping"),
        class_weight: Any = None,
        sample_weight: Any = None,
        callbacks: Sequence[Callable[[dict[str, Any]], Any]] = (),
        progress: Any = False,
    ) -> Network:
        """Train until the network has seen `epochs` epochs since its birth.

        A network that was stopped, or saved and loaded, goes on where it stopped: with the same
        arguments it ends with the same bits as one that never stopped (one thread, or synchronous
        batches). Where it stopped inside an epoch and a layer looks up in tables, there is one
        exception: stopping refills the tables, so that a neuron that had found a bucket full gets
        in again. Ctrl-C ends training cleanly, with the network as it stands.

        Args:
            X: (n, n_inputs) numbers, dense or SciPy sparse.
            y: softmax: n labels 0, 1, ...; logistic: an indicator matrix (n, outputs) or a list of
                lists of labels; squared: (n,) or (n, outputs) numbers.
            epochs: passes over the data, those of earlier calls included; also the length of the
                schedule.
            validation: `(X, y)`, or a share of the rows to hold out, for scores in the history.
            early_stopping: epochs without a better validation score after which training stops
                and the best epoch's weights return; 0 is never.
            class_weight: None, `"balanced"`, a dict label -> weight, or one weight per output.
            sample_weight: n weights of the examples.
            callbacks: functions called with each epoch's record; one that returns True stops.
            progress: True for a bar or lines on standard error, or a watcher of your own with the
                methods of `hashgrad.progress.EpochProgress`.

        Raises:
            TypeError: values of the wrong type.
            ValueError: wrong shapes, values or labels; the message names the row.
            FloatingPointError: the loss, or a weight, became NaN or infinite; the message says
                where, and what of the training the network has kept.
        """
        job = self._prepare(
            X,
            y,
            epochs=epochs,
            validation=validation,
            early_stopping=early_stopping,
            class_weight=class_weight,
            sample_weight=sample_weight,
            callbacks=callbacks,
            progress=progress,
        )
        training.run(self, job)
        return self

    def partial_fit(
        self, X: Any, y: Any, *, class_weight: Any = None, sample_weight: Any = None
    ) -> Network:
        """Train one pass over these rows at the optimizer's own, constant rate.

        Args:
            X: as in `fit`.
            y: as in `fit`.
            class_weight: as in `fit`.
            sample_weight: as in `fit`.

        Raises:
            TypeError: as `fit`.
            ValueError: as `fit`.
            FloatingPointError: as `fit`.

        Example:
            >>> from hashgrad import Dense, Network
            >>> net = Network(2, [Dense(8), Dense(2)])
            >>> net.partial_fit([[0.0, 1.0], [1.0, 0.0]], [0, 1]).predict([[0.0, 1.0]]).shape
            (1,)
        """
        job = self._prepare(X, y, class_weight=class_weight, sample_weight=sample_weight)
        training.one_pass(self, job)
        return self

    def _prepare(self, X: Any, y: Any, **settings: Any) -> Job:
        return prepare(
            X,
            y,
            n_inputs=self.n_inputs,
            n_outputs=self.n_outputs,
            loss=self.loss,
            seed=self.seed,
            **settings,
        )

    # Prediction

    def predict(self, X: Any, exact: bool = False) -> Any:
        """The predicted answers.

        Args:
            X: (n, n_inputs) numbers, dense or SciPy sparse.
            exact: evaluate every neuron of hashed layers, not those the tables find.

        Returns:
            Softmax: n labels, int64. Logistic: a SciPy CSR indicator matrix (n, outputs) of labels
            more probable than not. Squared: float32 (n,) for one output, else (n, outputs).

        Raises:
            TypeError: X does not hold numbers.
            ValueError: X has the wrong shape or holds NaN or infinity.
            RuntimeError: a hashed layer has no tables yet.
        """
        inputs = self._checked(X)
        if self.loss == "softmax":
            return self._best(inputs, exact).astype(np.int64)
        if self.loss == "squared":
            scores = self._core.scores(inputs.batch, exact, self._n_threads)
            return scores[:, 0] if self.n_outputs == 1 else scores
        from scipy.sparse import csr_array, vstack  # for those who need it

        step = max(1, _BLOCK_SCORES // self.n_outputs)
        blocks = []
        for start in range(0, inputs.n_rows, step):
            block = inputs.block(start, min(start + step, inputs.n_rows))
            likely = self._core.scores(block.batch, exact, self._n_threads) > 0
            blocks.append(csr_array(likely.astype(np.int8)))
        return vstack(blocks, format="csr")

    def predict_proba(self, X: Any, exact: bool = False) -> NDArray[np.float32]:
        """Probabilities (n, outputs): softmax or sigmoid of `decision_function`.

        Args:
            X: as in `predict`.
            exact: as in `predict`.

        Raises:
            ValueError: the loss is squared; else as `predict`.

        Example:
            >>> from hashgrad import Dense, Network
            >>> float(Network(2, [Dense(4), Dense(3)]).predict_proba([[0.0, 1.0]]).sum().round(4))
            1.0
        """
        if self.loss == "squared":
            raise ValueError("predict_proba needs the loss 'softmax' or 'logistic', got 'squared'")
        inputs = self._checked(X)
        scores = np.asarray(self._core.scores(inputs.batch, exact, self._n_threads))
        if self.loss == "logistic":
            return _sigmoid(scores)
        lost = np.flatnonzero(np.isneginf(scores.max(axis=1)))
        if lost.size:  # no output found
            scores[lost] = self._core.scores(inputs.take(lost).batch, True, self._n_threads)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def decision_function(self, X: Any, exact: bool = False) -> NDArray[np.float32]:
        """Raw outputs (n, outputs), before softmax or sigmoid.

        Outputs that the last layer's selector left out are -inf (0 for the squared loss).

        Args:
            X: as in `predict`.
            exact: as in `predict`.

        Raises:
            ValueError: as `predict`.
        """
        inputs = self._checked(X)
        return np.asarray(self._core.scores(inputs.batch, exact, self._n_threads))

    def predict_topk(
        self, X: Any, k: int, exact: bool = False
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The k outputs with the largest scores.

        Args:
            X: as in `predict`.
            k: 1 to the number of outputs.
            exact: as in `predict`.

        Returns:
            Indices (n, k), best first, and their raw scores; where the selector found fewer than
            k outputs, -1 and -inf.

        Raises:
            ValueError: k out of range; else as `predict`.

        Example:
            >>> from hashgrad import Dense, Network
            >>> indices, scores = Network(2, [Dense(4), Dense(3)]).predict_topk([[0.0, 1.0]], k=2)
            >>> indices.shape
            (1, 2)
        """
        k = Interval(1, self.n_outputs, integer=True).check("k", k)
        return self._topk(self._checked(X), k, exact)

    def evaluate(self, X: Any, y: Any, exact: bool = False) -> dict[str, float]:
        """Scores on these rows.

        Args:
            X: as in `fit`.
            y: as in `fit`.
            exact: as in `predict`.

        Returns:
            Softmax: `accuracy`. Logistic: `precision_at_1`, `_3`, `_5` as far as there are
            outputs; `accuracy` if there is one output. Squared: `r2`.

        Raises:
            TypeError: as `fit`.
            ValueError: as `fit`.
        """
        inputs = self._checked(X)
        targets = as_targets(y, self.loss, self.n_outputs, inputs.n_rows)
        return self._scores(inputs, targets, exact)

    def _scores(self, inputs: Inputs, targets: Targets, exact: bool = False) -> dict[str, float]:
        batch = inputs.batch
        if targets.values is not None:
            predicted = self._core.scores(batch, exact, self._n_threads)
            return {"r2": metrics.r2(targets.values, predicted)}
        assert targets.labels is not None
        if targets.indptr is None:
            best = self._best(inputs, exact)
            return {"accuracy": metrics.accuracy(targets.labels, best)}
        if self.n_outputs == 1:
            positive = self._core.scores(batch, exact, self._n_threads)[:, 0] > 0
            return {"accuracy": metrics.accuracy(np.diff(targets.indptr) == 1, positive)}
        ranks = [k for k in _PRECISIONS if k <= self.n_outputs]
        ranked = self._topk(inputs, ranks[-1], exact)[0]
        return {
            f"precision_at_{k}": metrics.precision_at_k(targets.indptr, targets.labels, ranked, k)
            for k in ranks
        }

    def _best(self, inputs: Inputs, exact: bool) -> NDArray[np.int32]:
        """The best output of each row; where the tables find none, it is looked for exactly."""
        best = self._topk(inputs, 1, exact)[0][:, 0]
        lost = np.flatnonzero(best < 0)
        if lost.size:
            best[lost] = self._topk(inputs.take(lost), 1, True)[0][:, 0]
        return best

    def _topk(
        self, inputs: Inputs, k: int, exact: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        indices, scores = self._core.topk(inputs.batch, k, exact, self._n_threads)
        return np.asarray(indices), np.asarray(scores)

    def _checked(self, X: Any) -> Inputs:
        self._need_tables()
        return as_inputs(X, self.n_inputs)

    def _need_tables(self) -> None:
        if not self._core.built:
            raise RuntimeError("a hashed layer has no tables yet: call fit or partial_fit first")

    # Knowledge of itself

    @property
    def n_outputs(self) -> int:
        """Size of the last layer."""
        return self.layers[-1].n

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return int(self._core.n_parameters)

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights, optimizer state and hash tables."""
        return int(self._core.memory_bytes())

    @property
    def epochs(self) -> int:
        """Epochs finished since the network's birth."""
        return self._state.epochs

    def report(self) -> ledger.Report:
        """What training has cost and how well the selection works: prints as tables.

        `to_dict()` gives the numbers: `examples`, `multiplications` by phase, the share of a dense
        network's, and per layer the share kept, candidates, bucket loads, staleness, and the
        recall of the last epoch's selection with its gain over random choice.
        """
        return ledger.report(self)

    def __repr__(self) -> str:
        lines = [f"Network({self.n_inputs}, ["]
        lines += [f"    {layer!r}," for layer in self.layers]
        words = ("loss", "optimizer", "schedule", "l2", "known", "batch_size", "threads", "seed")
        settings = ", ".join(f"{word}={getattr(self, word)!r}" for word in words)
        return "\n".join([*lines, f"], {settings})"])

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one file, whole or not at all.

        Args:
            path: where to; an existing file is replaced only when the new one is complete.

        Raises:
            OSError: the file cannot be written; what was there before is untouched.
            ValueError: the network holds NaN or infinity, or `extra` what JSON cannot hold;
                what was there before is untouched.
        """
        files.save(self, path)

    def specification(self) -> dict[str, Any]:
        """What the network is made of, as JSON-able values; threads are the machine's affair."""
        return specification.to_dict(
            self.n_inputs,
            self.layers,
            self.optimizer,
            self.schedule,
            loss=self.loss,
            l2=self.l2,
            known=self.known,
            batch_size=self.batch_size,
            seed=self.seed,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        here = {"threads": self.threads, "history": self.history, "seconds": self._state.seconds}
        return files.from_parts, files.parts(self), here

    def __setstate__(self, here: dict[str, Any]) -> None:
        self.threads, self.history = here["threads"], here["history"]
        self._state.seconds = here["seconds"]

    # The core's side

    @property
    def _n_threads(self) -> int:
        return self.threads or int(_core.hardware_threads())

    def _counts(self) -> ledger.Counts:
        counts: ledger.Counts = self._core.ledger()
        return counts

    def _dense_reference(self) -> dict[str, float]:
        return ledger.dense_reference(self._core, self.batch_size)


def _sigmoid(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    small = np.exp(-np.abs(scores))  # never overflows
    return np.where(scores >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
