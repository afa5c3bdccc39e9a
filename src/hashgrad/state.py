"""What training remembers from one call of fit to the next, in memory and in files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import ledger
from .checks import Interval, shown, wrong_type
from .defaults import check_keys

if TYPE_CHECKING:
    from .network import Network

_COUNT = Interval(0, 2**63 - 1, integer=True)
_NUMBER = Interval(-math.inf)
_CORE_COUNT = Interval(0, 2**53)  # the core keeps its counters as doubles in files
_SAVED_COUNTS = ("epochs", "position", "rested", "rows", "data", "passes", "best_epoch")
_CLOCKS = ("seconds",)  # of a record; see `without_clock`


@dataclass
class State:
    """The counters of training, beside the core's own."""

    epoch_counts: ledger.Counts  # multiplications counted when the epoch under way began
    epochs: int = 0  # finished
    position: int = 0  # examples done of the epoch under way
    rested: int = 0  # of these, left out, as they were known
    rows: int = 0  # examples of that epoch
    data: int = 0  # fingerprint of what `resting` is about
    passes: int = 0  # calls of partial_fit
    loss_sum: float = 0.0  # over the epoch under way; the core's terms make it exact
    resting: NDArray[np.uint8] | None = None  # rows of X that were known, and rest next time
    best_epoch: int = 0  # of the early stopping under way; 0 = none
    best_score: float = 0.0
    best: dict[str, NDArray[Any]] = field(default_factory=dict)  # that epoch's tensors
    seconds: float = 0.0  # of training since the network was made or loaded

    @classmethod
    def new(cls, n_layers: int) -> State:
        """The state of an untrained network."""
        return cls(ledger.no_counts(n_layers))

    def begin_epoch(self) -> None:
        """Nothing is done of the epoch under way."""
        self.position, self.rested, self.loss_sum = 0, 0, 0.0

    @property
    def loss(self) -> float | None:
        """The mean loss of the epoch under way, over those that did not rest; None if all did."""
        walked = self.position - self.rested
        return self.loss_sum / walked if walked else None

    def forget_best(self) -> None:
        """End early stopping."""
        self.best_epoch, self.best_score, self.best = 0, 0.0, {}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, without the clock."""
        return {
            **{name: getattr(self, name) for name in _SAVED_COUNTS},
            "loss_sum": self.loss_sum,
            "best_score": self.best_score,
            "epoch_counts": self.epoch_counts,
        }

    @classmethod
    def from_dict(cls, given: Any, n_layers: int) -> State:
        """The inverse of `to_dict`.

        Raises:
            TypeError: a value of the wrong type.
            ValueError: a missing or unknown key, or a value out of range.
        """
        if not isinstance(given, dict):
            raise wrong_type("training", "an object", given)
        sums = ("loss_sum", "best_score")
        check_keys("training", given, [*_SAVED_COUNTS, *sums, "epoch_counts"])
        numbers = {name: _COUNT.check(name, given[name]) for name in _SAVED_COUNTS}
        numbers |= {name: _NUMBER.check(name, given[name]) for name in sums}
        if numbers["rested"] > numbers["position"]:
            raise ValueError(
                f"rested must be at most position={numbers['position']}, got {numbers['rested']}"
            )
        if numbers["position"] > numbers["rows"]:
            raise ValueError(
                f"position must be at most rows={numbers['rows']}, got {numbers['position']}"
            )
        return cls(checked_counts("epoch_counts", given["epoch_counts"], n_layers), **numbers)


def snapshot(network: Network) -> dict[str, NDArray[Any]]:
    """Copies of the weights and of what their hashes depend on, without the optimizer's state."""
    tensors = network._core.tensors().items()
    return {name: np.array(tensor) for name, tensor in tensors if ".optimizer." not in name}


def restore(network: Network, kept: dict[str, NDArray[Any]]) -> None:
    """Bring back a snapshot."""
    tensors = network._core.tensors()
    for name, tensor in kept.items():
        tensors[name][...] = tensor
    network._core.sync_after_load()


def checked_counts(name: str, given: Any, n_layers: int) -> ledger.Counts:
    """A file's counts; TypeError or ValueError naming what is wrong with them."""
    if not isinstance(given, dict):
        raise wrong_type(name, "an object", given)
    check_keys(name, given, ["examples", "learned", "layers"])
    layers = given["layers"]
    if not isinstance(layers, list) or len(layers) != n_layers:
        raise ValueError(f"{name}.layers must have {n_layers} entries, got {shown(layers)}")
    totals = {key: _COUNT.check(f"{name}.{key}", given[key]) for key in ("examples", "learned")}
    for layer in layers:
        if not isinstance(layer, dict):
            raise wrong_type(f"{name}.layers", "objects", layer)
        check_keys(f"{name}.layers", layer, list(ledger.COUNTERS))
        for key in ledger.COUNTERS:
            _COUNT.check(f"{name}.layers.{key}", layer[key])
    return {**totals, "layers": [dict(layer) for layer in layers]}


def checked_history(given: Any) -> list[dict[str, Any]]:
    """A file's history, its clocks None; ValueError unless it is a list of records."""
    if not isinstance(given, list) or not all(
        isinstance(record, dict) and type(record.get("epoch")) is int for record in given
    ):
        raise ValueError(f"history must be a list of objects with an epoch, got {shown(given)}")
    return [{**record, **dict.fromkeys(_CLOCKS)} for record in given]


def without_clock(record: dict[str, Any]) -> dict[str, Any]:
    """A record as files keep it: the same training gives the same bytes, however long it took."""
    return {key: value for key, value in record.items() if key not in _CLOCKS}


def check_core_state(given: Any, hashed: bool) -> None:
    """Raise TypeError or ValueError unless a file's counters of the core are all sensible.

    Args:
        given: name -> number.
        hashed: whether the network has tables, whose rebuilds need an interval.
    """
    if not isinstance(given, dict):
        raise wrong_type("core", "an object", given)
    for key, value in given.items():
        _CORE_COUNT.check(f"core.{key}", value)
    if hashed and given.get("built") and not given.get("rebuild_interval"):
        raise ValueError("core.rebuild_interval must be at least 1, got 0")
