"""Prediction: what a network, or a compact copy of one, answers for rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core, metrics
from .checks import Interval, wrong_type
from .data import Floats, Inputs, as_inputs
from .labels import NO_LABELS, Labels, Targets, as_targets

_PRECISIONS = (1, 3, 5)
_BLOCK_SCORES = 1 << 24  # scores held at a time where a result is smaller than all of them


class Predicts:
    """Base of what predicts: any number of callers may at once, while nobody trains."""

    loss: str
    threads: int
    _core: _core.Network
    _retired: Labels = NO_LABELS  # ascending
    _labels: NDArray[np.int32] | None = None  # of the outputs, and -1 for none; None: their numbers

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
            return self._named(self._best(inputs, exact)).astype(np.int64)
        if self.loss == "squared":
            scores = self._core.scores(inputs.batch, exact, self._n_threads)
            return scores[:, 0] if self.n_outputs == 1 else scores
        from scipy.sparse import csr_array, vstack  # for those who need it

        step = max(1, _BLOCK_SCORES // self.n_outputs)
        blocks = []
        for start in range(0, inputs.n_rows, step):
            block = inputs.block(start, min(start + step, inputs.n_rows))
            likely = self._all_scores(block, exact) > 0
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
        scores = self._all_scores(inputs, exact)
        if self.loss == "logistic":
            return _sigmoid(scores)
        lost = np.flatnonzero(np.isneginf(scores.max(axis=1)))
        if lost.size:  # no output found
            scores[lost] = self._all_scores(inputs.take(lost), True)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def decision_function(self, X: Any, exact: bool = False) -> NDArray[np.float32]:
        """Raw outputs (n, outputs), before softmax or sigmoid.

        Outputs that the last layer's selector left out are -inf (0 for the squared loss), as are
        retired labels.

        Args:
            X: as in `predict`.
            exact: as in `predict`.

        Raises:
            ValueError: as `predict`.
        """
        return self._all_scores(self._checked(X), exact)

    def predict_topk(
        self, X: Any, k: int, exact: bool = False
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The k outputs with the largest scores.

        Args:
            X: as in `predict`.
            k: 1 to the number of outputs, retired labels not counted.
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
        k = Interval(1, int(self._core.n_outputs), integer=True).check("k", k)
        outputs, scores = self._topk(self._checked(X), k, exact)
        return self._named(outputs), scores

    def usage(self, X: Any, exact: bool = False) -> list[NDArray[np.float64]]:
        """How often each neuron is active: a layer's neurons that nobody needs, or all do.

        Args:
            X: as in `predict`, at least one row.
            exact: as in `predict`.

        Returns:
            For each layer (neurons,) shares of the rows: those in which a neuron was kept and, in
            a ReLU layer, its output was above zero.

        Raises:
            ValueError: X has no rows; else as `predict`.

        Example:
            >>> from hashgrad import Dense, Network, WinnerTakeAll
            >>> net = Network(2, [Dense(8, active=WinnerTakeAll(0.25)), Dense(3)])
            >>> [shares.shape for shares in net.usage([[0.0, 1.0], [1.0, 0.0]])]
            [(8,), (3,)]
        """
        inputs = self._checked(X)
        times = self._core.usage(inputs.batch, exact, self._n_threads)
        return [counts / inputs.n_rows for counts in times]

    def evaluate(self, X: Any, y: Any, exact: bool = False) -> dict[str, float]:
        """Scores on these rows.

        Args:
            X: as in `fit`.
            y: as in `fit`.
            exact: as in `predict`.

        Returns:
            Softmax: `accuracy`. Logistic, and softmax where y is sparse or a list of lists:
            `precision_at_1`, `_3`, `_5` as far as there are outputs; `accuracy` if there is one
            output. Squared: `r2`.

        Raises:
            TypeError: as `fit`.
            ValueError: as `fit`.
        """
        inputs = self._checked(X)
        targets = as_targets(y, self.loss, self.n_outputs, inputs.n_rows, retired=self._retired)
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
        ranks = [k for k in _PRECISIONS if k <= self._core.n_outputs]
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

    def _all_scores(self, inputs: Inputs, exact: bool) -> NDArray[np.float32]:
        """Scores (n, outputs), a column for retired labels too."""
        scores = np.asarray(self._core.scores(inputs.batch, exact, self._n_threads))
        if self._labels is None:
            return scores
        spread = np.full((inputs.n_rows, self.n_outputs), -np.inf, np.float32)
        spread[:, self._labels[:-1]] = scores
        return spread

    def _named(self, outputs: NDArray[np.int32]) -> NDArray[np.int32]:
        """The labels of outputs; -1, for none, stays."""
        return outputs if self._labels is None else self._labels[outputs]

    def _retire(self, retired: Labels) -> None:
        """The last layer's outputs are those of all labels but these."""
        self._retired = retired
        if retired.size:
            labels = np.arange(int(self._core.n_outputs) + len(retired), dtype=np.int32)
            self._labels = np.append(np.delete(labels, retired), np.int32(-1))

    def _checked(self, X: Any) -> Inputs:
        self._need_tables()
        return as_inputs(X, self._core.n_inputs)

    def _need_tables(self) -> None:
        if not self._core.built:
            raise RuntimeError("a hashed layer has no tables yet: call fit or partial_fit first")

    def predict_one(self, x: Floats, exact: bool = False) -> int:
        """The best output of one row, as fast as may be: the call itself costs next to nothing.

        Args:
            x: (n_inputs,) numbers, contiguous float32.
            exact: as in `predict`.

        Returns:
            The number of the output with the largest score; the loss must be softmax or logistic.

        Raises:
            TypeError: x is not one contiguous row of float32.
            ValueError: x has another length, or holds NaN or infinity, or the loss is squared.
            RuntimeError: a hashed layer has no tables yet.

        Example:
            >>> import numpy as np
            >>> from hashgrad import Dense, Network
            >>> Network(2, [Dense(4), Dense(3)]).predict_one(np.float32([0, 1])) in (0, 1, 2)
            True
        """
        try:
            best = int(self._core.best(x, exact))
        except TypeError:  # only now: what is right is to be fast
            raise wrong_type("x", "one contiguous row of float32", x) from None
        return best if self._labels is None else int(self._labels[best])

    @property
    def n_outputs(self) -> int:
        """Labels, those retired included; without any, the size of the last layer."""
        return int(self._core.n_outputs) + len(self._retired)

    @property
    def retired(self) -> list[int]:
        """The labels that were retired, ascending."""
        return [int(label) for label in self._retired]

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return int(self._core.n_parameters)

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights, optimizer state and hash tables."""
        return int(self._core.memory_bytes())

    @property
    def _n_threads(self) -> int:
        return self.threads or int(_core.hardware_threads())


class Predictor(Predicts):
    """A compact copy of a network, made by `Network.compact`: it predicts, and cannot be trained.

    Attributes:
        loss: the network's.
        threads: threads that predict many rows; 0 is all cores.
    """

    def __init__(
        self, core: _core.Network, loss: str, threads: int, retired: Labels = NO_LABELS
    ) -> None:
        self._core, self.loss, self.threads = core, loss, threads
        self._retire(retired)

    def __repr__(self) -> str:
        return f"Predictor({self.n_parameters:,} parameters, {self.memory_bytes:,} bytes)"


def _sigmoid(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    small = np.exp(-np.abs(scores))  # never overflows
    return np.where(scores >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
