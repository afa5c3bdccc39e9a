"""The numbers of an epoch's record by flat names, as tables and trackers take them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# Of a record's layers; what else they hold is text, or follows from the network.
_OF_LAYERS = ("active_fraction", "candidates", "recall", "gain", "staleness", "multiplications")


def scalars(record: Mapping[str, Any]) -> dict[str, float | int]:
    """The finite numbers of a record, those of layer n as `layer_n.NAME`, n from 1.

    Multiplications are those of the epoch, `multiplications` by all of the network.

    Args:
        record: an epoch's, of `Network.history`.

    >>> layer = {"neurons": 9, "selector": "lsh", "active_fraction": 0.05, "recall": None}
    >>> scalars({"epoch": 2, "loss": 0.5, "accuracy": None, "layers": [layer],
    ...          "multiplications": {"forward": 3, "total": 4, "dense": 80}})
    {'epoch': 2, 'loss': 0.5, 'multiplications': 4, 'layer_1.active_fraction': 0.05}
    """
    found: dict[str, Any] = {}
    for key, value in record.items():
        if key == "multiplications":
            found[key] = value["total"]
        elif key != "layers":
            found[key] = value
    for number, layer in enumerate(record.get("layers", ()), start=1):
        found.update({f"layer_{number}.{key}": layer.get(key) for key in _OF_LAYERS})
    return {key: value for key, value in found.items() if _is_number(value)}


def finite(value: Any) -> Any:
    """A record as JSON can hold it: numbers that are not finite become None.

    >>> finite({"r2": float("-inf"), "layers": [{"recall": 0.5}]})
    {'r2': None, 'layers': [{'recall': 0.5}]}
    """
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
