"""The network: layers, loss and optimizer in words; training and prediction in the core."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core, files, ledger, outputs, planning, specification, training
from .callbacks.callback import Watcher
from .defaults import check, default, resolve
from .job import Job, prepare
from .layers import Dense
from .memory import Memory, check_fits, needed, too_large
from .optimizers import OPTIMIZERS, SGD, Optimizer
from .prediction import Predictor, Predicts
from .schedules import SCHEDULES, Cosine, Schedule
from .state import State


class Network(Predicts):
    """A fully connected network whose layers evaluate and train only their active neurons.

    Args:
        n_inputs: columns of the input.
        layers: one `Dense` each, the output layer last; its activation must be linear.
        loss: `"softmax"` (one of n classes, or several that share the target evenly), `"logistic"`
            (any number of labels) or `"squared"`.
        optimizer: an optimizer, or the name of one with its defaults.
        schedule: a learning-rate schedule, or the name of one with its defaults.
        l2: weight decay, at least 0.
        known: an example whose label has this probability already is not learned from, and rests
            when its turn comes next, in the following epoch (softmax, one label an example). 0.95
            saves much of the work after the first epoch, and seldom costs accuracy; None learns
            from all. The loss is the mean over those that did not rest (None if all did);
            `partial_fit` lets nobody rest.
        prior: begin with output biases that give each label its frequency among the rows of the
            first call of `fit` or `partial_fit` (squared loss: the mean), so that rare labels need
            not be unlearned one by one. Weights of examples and classes do not count.
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
        simulated_workers: 0 trains with the threads there are. More simulates so many workers
            without locks on one thread: an example is computed on the weights as they were when
            its worker began, and its steps land after those of others, as the seed has it. For
            plain SGD, to study what many cores would do; not saved, and a run that was stopped
            does not go on to the same bits.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: a value out of range, an unknown name, no layers.
        MemoryError: the network would take more memory than there is; nothing was allocated.

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
        prior: bool = default("prior"),
        batch_size: int = default("batch_size"),
        threads: int = default("threads"),
        seed: int = default("seed"),
    ) -> None:
        self.n_inputs: int = check("n_inputs", n_inputs)
        self.layers: tuple[Dense, ...] = specification.checked_layers(layers)
        self.loss: str = check("loss", loss)
        self._optimizer: Optimizer = resolve("optimizer", optimizer, OPTIMIZERS)
        self.schedule: Schedule = resolve("schedule", schedule, SCHEDULES)
        self.l2: float = check("l2", l2)
        self.known: float | None = check("known", known)
        if self.known is not None and self.loss != "softmax":
            raise ValueError(f"known needs loss='softmax', got known={known!r}, loss={loss!r}")
        self.prior: bool = check("prior", prior)
        if self.known is not None and not getattr(self.optimizer, "lazy", True):
            raise ValueError(f"known must be None with Adam(lazy=False), got {self.known!r}")
        if specification.is_pooled(self.layers[-1]):
            specification.check_pooled(self.layers, self.loss, self.optimizer, self.l2)
        self.batch_size = batch_size
        self.threads: int = check("threads", threads)
        self.seed: int = check("seed", seed)
        self.history: list[dict[str, Any]] = []
        self.interrupted = False
        self.extra: dict[str, Any] = {}
        self.simulated_workers: int = default("simulated_workers")
        self._state = State.new(len(self.layers))
        self._ways: list[list[planning.Way]] = []  # of each layer, the chosen one first
        self._core = self._new_core(self.layers)

    @property
    def batch_size(self) -> int:
        """Examples of a batch; assigning a number that the network cannot train by is an error."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, batch_size: int) -> None:
        size: int = check("batch_size", batch_size)
        specification.check_batch_size(self.layers, self.optimizer, size)
        self._batch_size = size

    @property
    def optimizer(self) -> Optimizer:
        """The rule of the weights' steps, whose rate may be changed between calls, and no more."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Optimizer | str) -> None:
        new: Optimizer = resolve("optimizer", optimizer, OPTIMIZERS)
        before = self._optimizer
        if new.to_dict() | {"rate": before.rate} != before.to_dict():
            raise ValueError(
                f"optimizer may change in nothing but its rate, got {new!r} after {before!r}"
            )
        self._optimizer = new

    def _new_core(self, layers: Sequence[Dense]) -> _core.Network:
        """An untrained core with these layers, and all else as the network has it."""
        memory = self._memory(layers)
        sizes = [self.n_inputs, *(layer.n for layer in layers)]
        check_fits(memory, sizes)
        try:
            return _core.Network(
                self.n_inputs,
                [specification.core_layer(layer) for layer in layers],
                self.loss,
                specification.core_optimizer(self.optimizer, self.l2),
                self.seed,
            )
        except MemoryError:
            raise too_large(sizes, memory) from None

    def _memory(
        self, layers: Sequence[Dense], arrangement: list[dict[str, str]] | None = None
    ) -> Memory:
        return needed(
            self.n_inputs,
            layers,
            self.optimizer,
            batch_size=self.batch_size,
            threads=self._n_threads,
            arrangement=arrangement,
        )

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
        callbacks: Sequence[Watcher] = (),
        progress: Any = False,
    ) -> Network:
        """Train until the network has seen `epochs` epochs since its birth.

        A network that was stopped, or saved and loaded, goes on where it stopped: with the same
        arguments it ends with the same bits as one that never stopped (one thread, or synchronous
        batches). Where it stopped inside an epoch and a layer looks up in tables, there is one
        exception: stopping refills the tables, so that a neuron that had found a bucket full gets
        in again (often, where outputs are pooled: their buckets are bounded). Ctrl-C ends training
        cleanly, with the network as it stands.

        Args:
            X: (n, n_inputs) numbers, dense or SciPy sparse.
            y: softmax: n labels 0, 1, ..., or several a row as a sparse indicator matrix or a list
                of lists; logistic: an indicator matrix (n, outputs) or a list of lists of labels;
                squared: (n,) or (n, outputs) numbers. Of several labels a row, those that were
                retired are left out; a row's only label must not be retired.
            epochs: passes over the data, those of earlier calls included; also the length of the
                schedule.
            validation: `(X, y)`, or a share of the rows to hold out, for scores in the history.
            early_stopping: epochs without a better validation score after which training stops
                and the best epoch's weights return; 0 is never.
            class_weight: None, `"balanced"`, a dict label -> weight, or one weight per output.
            sample_weight: n weights of the examples.
            callbacks: functions of an epoch's record, or `hashgrad.callbacks.Callback` objects,
                told of every epoch; one that returns True ends the training.
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
            retired=self._retired,
            **settings,
        )

    # Labels that come and go

    def add_labels(self, n: int, *, weights: Any = None, biases: Any = None) -> NDArray[np.int64]:
        """Add outputs for n new labels; all that was learned stays, and training goes on.

        The labels there were keep their weights, optimizer state and hashes, so that their scores
        stay the same; the new ones are hashed with the functions there are, and found at once.
        The layer is computed as before, and keeps the same share of its outputs. An epoch under
        way starts again, and `report` counts from here on. While it works, the network is in
        memory twice.

        A model of the command line has its labels' names in `extra["classes"]`, if they have any:
        append the new ones there.

        Args:
            n: how many.
            weights: (n, size of the last hidden layer) numbers, the first weights of each; None is
                the mean of the labels there are, and noise of half their spread.
            biases: (n,) numbers; None is, with `prior=True`, the prior of a label that was in none
                of the rows seen, else the lowest bias among the labels there are. So a new label
                seldom outdoes others before it was learned.

        Returns:
            The new labels, (n,): the numbers that follow the last one.

        Raises:
            TypeError: a value of the wrong type.
            ValueError: n below 1 or too many labels, a wrong shape, NaN or infinity, or a squared
                loss, which has no labels.
            MemoryError: too many weights for this machine; the network stays as it was.

        Example:
            >>> from hashgrad import Dense, Network
            >>> net = Network(2, [Dense(8), Dense(2)]).fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
            >>> net.add_labels(2)
            array([2, 3])
            >>> int(net.partial_fit([[1.0, 1.0]] * 200, [3] * 200).predict([[1.0, 1.0]])[0])
            3
        """
        return outputs.add(self, n, weights, biases)

    def retire_labels(self, labels: Any) -> None:
        """Take labels out: they are never predicted again, nor trained, and take no room.

        The others keep their numbers, weights, optimizer state and hashes. In `decision_function`
        a retired label has the score -inf, in `predict_proba` the probability 0. In y, rows that
        list several labels may still name it, which is ignored; a row's only label it may not be.
        Its number is not given to a new label. An epoch under way starts again, and `report`
        counts from here on. While it works, the network is in memory twice.

        Args:
            labels: integers, each from 0 to n_outputs - 1 and not retired yet; none is allowed.

        Raises:
            TypeError: labels that are not integers.
            ValueError: a label out of range, named twice or retired already, or all that are
                left; or a squared loss, which has no labels.
            MemoryError: no room for the copy; the network stays as it was.

        Example:
            >>> from hashgrad import Dense, Network
            >>> net = Network(2, [Dense(8), Dense(3)]).fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
            >>> net.retire_labels([1])
            >>> net.retired, net.n_outputs, net.layers[-1].n
            ([1], 3, 2)
            >>> net.predict_proba([[1.0, 0.0]])[0, 1].item()
            0.0
        """
        outputs.retire(self, labels)

    def arrangement(self) -> list[dict[str, str]]:
        """How each layer is computed: `layout`, `lookup` and `code`, by choice or as planned.

        Settled when training begins, and saved with the network; see `hashgrad.planning`.
        """
        return list(self._core.arrangement())

    @property
    def built(self) -> bool:
        """Whether hashed layers have their hashes, so that the network can predict."""
        return bool(self._core.built)

    def compact(self) -> Predictor:
        """A copy for prediction alone, with weights of a byte each.

        It takes a quarter of the memory, and answers single rows faster: the weights of a large
        layer that it has to read come from a nearer cache. Scores differ a little, by some
        hundredths of their spread.

        Raises:
            RuntimeError: a hashed layer has no tables yet.

        Example:
            >>> from hashgrad import Dense, Network
            >>> net = Network(2, [Dense(64), Dense(2)]).fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
            >>> net.compact().memory_bytes < net.memory_bytes
            True
        """
        self._need_tables()
        return Predictor(self._core.compacted(), self.loss, self.threads, self._retired)

    # Knowledge of itself

    @property
    def epochs(self) -> int:
        """Epochs finished since the network's birth."""
        return self._state.epochs

    def memory(self) -> Memory:
        """The bytes it takes, by what they are for, as `hashgrad.memory.needed` reckons.

        Beside them come the data, and for a while: a layer's weights once more where planning
        turns them round; all weights once more with early stopping. `memory_bytes` is what weights,
        optimizer, hashes and tables take at the moment.

        Example:
            >>> from hashgrad import Dense, Network
            >>> print(Network(1000, [Dense(500), Dense(10)], optimizer="momentum").memory())
            3.9 MiB (weights 1.9 MiB, optimizer 1.9 MiB, examples 63.8 KiB)
        """
        return self._memory(self.layers, self.arrangement())

    def report(self) -> ledger.Report:
        """What training has cost and how well the selection works: prints as tables.

        `to_dict()` gives the numbers: `examples`, `multiplications` by phase, the share of a dense
        network's, in all and by layer, and per layer the share kept, candidates, bucket loads,
        staleness, and the recall of the last epoch's selection with its gain over random choice.
        """
        return ledger.report(self)

    def plot(self, path: str | os.PathLike[str] | None = None, *, X: Any = None) -> Any:
        """Draw how it learned, and which of its neurons it uses.

        That is the loss and the validation scores by epoch, the recall of the selection, each
        layer's share of active neurons and of multiplications, the loads of hash buckets where
        there are tables, and, for the rows given, how often each neuron is active. What there is
        nothing of is left out.

        Args:
            path: where to save it, as `.png`, `.svg` or `.pdf`; None saves nothing.
            X: rows for the use of neurons, as in `usage`; None leaves that out.

        Returns:
            A `matplotlib.figure.Figure`, of no window.

        Raises:
            ModuleNotFoundError: Matplotlib is not installed; the message says how to get it.
            OSError: the file cannot be written.
            RuntimeError: it was never trained.
            ValueError: X as in `predict`, or a file of another kind.
        """
        from .pages import model_figures

        return model_figures.plot(self, path, X)

    def __repr__(self) -> str:
        lines = [f"Network({self.n_inputs}, ["]
        lines += [f"    {layer!r}," for layer in self.layers]
        words = [
            *("loss", "optimizer", "schedule", "l2", "known", "prior"),
            *("batch_size", "threads", "seed"),
        ]
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
            prior=self.prior,
            batch_size=self.batch_size,
            seed=self.seed,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        here = {"threads": self.threads, "history": self.history, "seconds": self._state.seconds}
        return files.from_bytes, (files.to_bytes(self),), here

    def __setstate__(self, here: dict[str, Any]) -> None:
        self.threads, self.history = here["threads"], here["history"]
        self._state.seconds = here["seconds"]

    # The core's side

    def _counts(self) -> ledger.Counts:
        counts: ledger.Counts = self._core.ledger()
        return counts

    def _dense_reference(self) -> dict[str, float]:
        return ledger.dense_reference(self._core, self.batch_size)
