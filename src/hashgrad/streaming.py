"""Training on rows that need not fit in memory: a `fit` whose epochs come in pieces."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import training
from .callbacks.callback import Callback, Watcher, checked_callbacks
from .checks import wrong_type
from .data import Inputs
from .defaults import check, default
from .job import Piece, Progress, given_rows, watcher
from .labels import Targets

if TYPE_CHECKING:
    from .datasets import RowStream
    from .network import Network


@dataclass(frozen=True)
class StreamJob:
    """The rows and settings of one call, of which a piece at a time is in memory."""

    network: Network
    stream: RowStream
    epochs: int
    validation: tuple[Inputs, Targets] | None
    patience: int
    callbacks: tuple[Callback, ...]
    progress: Progress

    @property
    def n_rows(self) -> int:
        """How many rows an epoch has."""
        return self.stream.n_rows

    def pieces(self, seed: int, epoch: int, position: int) -> Generator[Piece]:
        """An epoch from a position on, a buffer at a time; the stream has a seed of its own."""
        net, left = self.network, self.n_rows
        with closing(self.stream.rows(epoch)) as buffers:
            for x, y in buffers:
                n_rows = x.shape[0]
                left -= n_rows
                if position >= n_rows and left:
                    position -= n_rows
                    continue
                y.resize((n_rows, net.n_outputs))
                job = replace(
                    net._prepare(x, y),
                    epochs=self.epochs,
                    validation=self.validation,
                    patience=self.patience,
                    callbacks=self.callbacks,
                    progress=self.progress,
                )
                yield job, job.rows, position
                position = 0


def fit_stream(
    network: Network,
    stream: RowStream,
    *,
    epochs: int = default("epochs"),
    validation: tuple[Any, Any] | None = None,
    early_stopping: int = default("early_stopping"),
    callbacks: Sequence[Watcher] = (),
    progress: Any = False,
) -> Network:
    r"""Train as `Network.fit` does, on a stream of rows that need not fit in memory.

    The schedule, the history, Ctrl-C and going on from a file are those of `fit`; the order is the
    stream's. Hash functions and `prior` are first estimated from the first buffer alone. A batch
    ends where the buffer does.

    Args:
        network: with the stream's features, and at least its labels.
        stream: the rows; their order depends on its own seed.
        epochs: passes over the stream, those of earlier calls included.
        validation: `(X, y)` for scores in the history.
        early_stopping: as in `fit`; needs validation.
        callbacks: as in `fit`.
        progress: as in `fit`.

    Returns:
        The network.

    Raises:
        TypeError: values of the wrong type.
        ValueError: the stream does not fit the network, `known` or the squared loss is set, a
            setting out of range, or a file that changes under way.
        FloatingPointError: as `fit`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from hashgrad import Dense, Network
        >>> from hashgrad.datasets import RowStream
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "toy.svm")
        ...     _ = path.write_text("0,2 1:1\n1 2:1\n2 1:1 3:1\n")
        ...     net = Network(3, [Dense(8), Dense(3)], loss="logistic")
        ...     fit_stream(net, RowStream(path), epochs=2).epochs
        2
    """
    if not hasattr(stream, "rows"):
        raise wrong_type("stream", "a RowStream", stream)
    if network.loss == "squared":
        raise ValueError("loss must be 'logistic' or 'softmax' for a stream, got 'squared'")
    if network.known is not None:
        raise ValueError(
            f"known must be None for a stream, whose rows nobody remembers, got {network.known}"
        )
    if stream.n_features != network.n_inputs:
        raise ValueError(
            f"stream must have {network.n_inputs} features (n_inputs), got {stream.n_features}"
        )
    if stream.n_labels > network.n_outputs:
        raise ValueError(
            f"stream must have at most {network.n_outputs} labels (the last layer's outputs), "
            f"got {stream.n_labels}"
        )
    patience = check("early_stopping", early_stopping)
    held_out = None
    if validation is not None:
        if not isinstance(validation, (tuple, list)):
            raise wrong_type("validation", "(X, y) or None for a stream", validation)
        held_out = given_rows(
            validation, network.n_inputs, network.n_outputs, network.loss, network._retired
        )
    if patience and held_out is None:
        raise ValueError(f"early_stopping={patience} needs validation, got validation=None")
    job = StreamJob(
        network,
        stream,
        epochs=check("epochs", epochs),
        validation=held_out,
        patience=patience,
        callbacks=checked_callbacks(callbacks),
        progress=watcher(progress),
    )
    training.run(network, job)
    return network
