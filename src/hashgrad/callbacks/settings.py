"""What a network is made of, by flat names, as trackers take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..network import Network


def settings(network: Network) -> dict[str, Any]:
    """The network's specification by flat names; layer n is `layer_n`, n from 1.

    Example:
        >>> from hashgrad import Dense, Network
        >>> found = settings(Network(2, [Dense(8), Dense(2)]))
        >>> found["layer_1.n"], found["layer_1.active.name"], found["optimizer.name"]
        (8, 'dense', 'sgd')
    """
    found = network.specification()
    layers = {f"layer_{n}": layer for n, layer in enumerate(found.pop("layers"), start=1)}
    return dict(_flat({**found, **layers}))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, value))
    return pairs
