"""The base of what watches a training, and may end it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..checks import wrong_type

if TYPE_CHECKING:
    from ..network import Network


class Callback:
    """What `Network.fit` and `fit_stream` tell of a training; override the hooks you need.

    Hooks are called on the thread that trains, one callback after the other, in the order of the
    list. An error in a hook ends the training and reaches the caller of `fit`; the network then
    stands as after Ctrl-C: it predicts, can be saved, and the next `fit` goes on from there. A
    `KeyboardInterrupt` raised in a hook is taken for Ctrl-C.

    Example:
        >>> from hashgrad import Dense, Network
        >>> class Goal(Callback):
        ...     def on_epoch_end(self, network, record):
        ...         return record["loss"] < 0.6
        >>> net = Network(2, [Dense(8), Dense(2)])
        >>> X, y = [[0.0, 1.0], [1.0, 0.0]] * 50, [0, 1] * 50
        >>> net.fit(X, y, epochs=100, callbacks=[Goal()]).epochs < 100
        True
    """

    def on_train_begin(self, network: Network, epochs: int) -> None:
        """Training begins.

        Args:
            network: what is trained; `network.epochs` epochs are behind it.
            epochs: those after which training will end by itself, counted from its birth.
        """

    def on_chunk(self, network: Network, examples: int, loss: float) -> None:
        """Some more examples are done: about a fifth of a second's, however many that is.

        Args:
            network: what is trained, in the middle of an epoch.
            examples: how many were done since the last call.
            loss: their mean loss.
        """

    def on_epoch_end(self, network: Network, record: dict[str, Any]) -> bool | None:
        """An epoch is done, and its record is in `network.history`.

        Args:
            network: what is trained.
            record: the epoch's record; see `Network.history`.

        Returns:
            True to end the training here.
        """
        return None

    def on_train_end(self, network: Network, error: BaseException | None) -> None:
        """Training has ended, in whatever way; called if `on_train_begin` was, and returned.

        Args:
            network: as it stands, `network.interrupted` after Ctrl-C.
            error: what ended the training, or an earlier callback's error in this hook; it will
                reach the caller. None after Ctrl-C or a regular end.
        """


class EpochFunction(Callback):
    """A function that is called with each epoch's record; it ends the training by True.

    Args:
        function: what to call.
    """

    def __init__(self, function: Callable[[dict[str, Any]], Any]) -> None:
        self.function = function

    def on_epoch_end(self, network: Network, record: dict[str, Any]) -> bool | None:
        """Call the function."""
        return self.function(record) is True


Watcher = Callback | Callable[[dict[str, Any]], Any]  # what `fit` takes


def checked_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Callbacks, functions wrapped as such; TypeError for anything else.

    >>> checked_callbacks([Callback])
    Traceback (most recent call last):
    TypeError: callbacks must be a list of functions and Callback objects, got <class ...
    """
    rule = "a list of functions and Callback objects"
    if isinstance(callbacks, Callback) or callable(callbacks):
        raise wrong_type("callbacks", rule, callbacks)
    found = []
    for callback in callbacks:
        if isinstance(callback, type) and issubclass(callback, Callback):
            raise wrong_type("callbacks", rule, callback)
        if isinstance(callback, Callback):
            found.append(callback)
        elif callable(callback):
            found.append(EpochFunction(callback))
        else:
            raise wrong_type("callbacks", rule, callbacks)
    return tuple(found)
