"""What a network is made of: checked, as JSON-able values, and as the core's own structures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from . import _core
from .checks import one_of, shown, wrong_type
from .defaults import check, check_keys
from .defaults import from_dict as part_from_dict
from .layers import Dense, layer_from_dict
from .optimizers import OPTIMIZERS, Adam, Optimizer
from .schedules import SCHEDULES, Cosine, Exponential, Linear, Schedule, Step
from .selectors import LSH, Adaptive

_NUMBERS = ("n_inputs", "loss", "l2", "known", "prior", "batch_size", "seed")


def checked_layers(layers: Any) -> tuple[Dense, ...]:
    """The layers with every activation filled in.

    Raises:
        TypeError: not a list of `Dense`.
        ValueError: none at all, or a last layer that is not linear.
    """
    if not isinstance(layers, (list, tuple)):
        raise wrong_type("layers", "a list of Dense", layers)
    if not layers:
        raise ValueError("layers must have at least one layer, got none")
    for number, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            raise wrong_type(f"layers[{number}]", "a Dense", layer)
    *hidden, last = layers
    for number, layer in enumerate(hidden):
        if is_pooled(layer):
            raise ValueError(
                f"layers[{number}].active.pooled must be False in a hidden layer, got True"
            )
    if last.activation not in (None, "linear"):
        raise ValueError(
            f"layers[{len(hidden)}].activation must be 'linear' (the last layer; the loss applies "
            f"softmax or sigmoid itself), got {last.activation!r}"
        )
    return (*(layer.with_activation("relu") for layer in hidden), last.with_activation("linear"))


def is_pooled(layer: Dense) -> bool:
    """Whether the examples of a batch share this layer's active neurons."""
    return isinstance(layer.selector, LSH) and layer.selector.pooled


def check_batch_size(layers: Sequence[Dense], optimizer: Optimizer, batch_size: int) -> None:
    """Raise ValueError unless such a network can be trained by batches of this size."""
    if batch_size > 1:
        return
    if is_pooled(layers[-1]):
        raise ValueError("batch_size must be above 1 where outputs are pooled, got 1")
    if has_row_units(optimizer):
        raise ValueError("batch_size must be above 1 with the state '8-bit', got 1")


def check_pooled(layers: Sequence[Dense], loss: str, optimizer: Optimizer, l2: float) -> None:
    """Raise ValueError unless a network whose outputs are pooled can be trained so."""
    if len(layers) == 1:
        raise ValueError("layers must have a hidden layer where outputs are pooled, got one layer")
    if loss == "squared":
        raise ValueError(
            "loss must be 'softmax' or 'logistic' where outputs are pooled, got 'squared'"
        )
    selector = layers[-1].selector
    if isinstance(selector, LSH):
        needed = {"log-q": "softmax", "inverse": "logistic"}.get(selector.correction, loss)
        if loss != needed:
            raise ValueError(
                f"correction {selector.correction!r} needs loss {needed!r}, got {loss!r}"
            )
    if l2 > 0 and optimizer.word == "row-adagrad":
        raise ValueError(
            f"l2 must be 0 where outputs are pooled and the optimizer is 'row-adagrad', got {l2:g}"
        )


def to_dict(
    n_inputs: int,
    layers: Sequence[Dense],
    optimizer: Optimizer,
    schedule: Schedule,
    **others: Any,
) -> dict[str, Any]:
    """The specification as JSON-able values; the number of threads is the machine's affair."""
    return {
        "n_inputs": n_inputs,
        "layers": [layer.to_dict() for layer in layers],
        "optimizer": optimizer.to_dict(),
        "schedule": schedule.to_dict(),
        **others,
    }


def from_dict(given: Any) -> dict[str, Any]:
    """The arguments of `Network` that a specification holds; nothing is allocated yet.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: an unknown or missing key, an unknown name, a value out of range.
    """
    if not isinstance(given, dict):
        raise wrong_type("specification", "an object", given)
    check_keys("specification", given, [*_NUMBERS, "layers", "optimizer", "schedule"])
    if not isinstance(given["layers"], list):
        raise wrong_type("layers", "a list", given["layers"])
    parsed = [layer_from_dict(f"layers[{i}]", layer) for i, layer in enumerate(given["layers"])]
    return {
        **{word: check(word, given[word]) for word in _NUMBERS},
        "layers": checked_layers(parsed),
        "optimizer": part_from_dict("optimizer", given["optimizer"], OPTIMIZERS),
        "schedule": part_from_dict("schedule", given["schedule"], SCHEDULES),
    }


def core_layer(layer: Dense) -> _core.LayerSpec:
    """The layer in the core's words."""
    selector, spec = layer.selector, _core.LayerSpec()
    assert layer.activation is not None
    spec.n_outputs, spec.activation = layer.n, layer.activation
    spec.layout = "neuron" if layer.layout == "auto" else layer.layout  # until it is planned
    spec.dtype = layer.dtype
    spec.init_std = layer.init_std or 0.0  # 0: by the layer's size
    spec.selector = "all" if selector.word == "dense" else selector.word.replace("-", "_")
    spec.fraction = selector.fraction
    if isinstance(selector, Adaptive):
        spec.alpha = selector.alpha
        share = min(selector.fraction, 1 - 1e-6)  # a fraction of 1 has no finite offset
        spec.beta = math.log(share / (1 - share)) if selector.beta is None else selector.beta
    if isinstance(selector, LSH):
        lsh = _core.LshSpec()
        for field in dataclasses.fields(LSH):
            if field.name not in ("fraction", "candidates", "code_bits", "correction"):
                setattr(lsh, field.name, getattr(selector, field.name))
        lsh.candidates = selector.candidates or 0.0  # 0: by what the codes are
        lsh.code_bits = selector.code_bits or 0  # likewise
        if layer.layout == "input":
            lsh.lookup = "exact"
        spec.lsh = lsh
    return spec


def first_arrangement(layers: Sequence[Dense]) -> list[dict[str, str]]:
    """How the core computes layers before planning: an untrained network's `arrangement`.

    >>> first_arrangement([Dense(9), Dense(9, active=LSH(0.5, lookup="tables"))])[1]
    {'layout': 'neuron', 'lookup': 'tables', 'code': 'bits'}
    """
    ways = []
    for layer in layers:
        spec = core_layer(layer.with_activation("linear"))
        way = {"layout": spec.layout, "lookup": "exact", "code": "none"}
        if isinstance(layer.selector, LSH):
            lsh = spec.lsh.resolved(layer.n)
            if lsh.lookup != "exact":
                way |= {"lookup": lsh.lookup, "code": lsh.code}
        ways.append(way)
    return ways


WAYS = {
    "layout": ("neuron", "input"),
    "lookup": ("exact", "scan", "tables"),
    "code": ("none", "bits", "bytes"),
}


def checked_arrangement(given: Any, layers: Sequence[Dense]) -> list[dict[str, str]]:
    """A file's arrangement: how the core computes each layer.

    Raises:
        TypeError: not a list of objects.
        ValueError: an unknown word, or a way that the layer's own settings rule out.
    """
    if not isinstance(given, list) or len(given) != len(layers):
        raise ValueError(f"arrangement must have one entry a layer, got {shown(given)}")
    for number, (way, layer) in enumerate(zip(given, layers, strict=True)):
        argument = f"arrangement[{number}]"
        if not isinstance(way, dict):
            raise wrong_type(argument, "an object", way)
        check_keys(argument, way, list(WAYS))
        for key, words in WAYS.items():
            if way[key] not in words:
                raise one_of(f"{argument}.{key}", way[key], words)
        asked = layer.selector.lookup if isinstance(layer.selector, LSH) else "exact"
        if asked not in ("auto", way["lookup"]) or layer.layout not in ("auto", way["layout"]):
            raise ValueError(f"{argument} must be as its layer asks, got {shown(way)}")
        if (way["lookup"] == "exact") != (way["code"] == "none"):
            raise ValueError(
                f"{argument} must have a code where neurons are hashed, got {shown(way)}"
            )
    return [dict(way) for way in given]


def core_optimizer(optimizer: Optimizer, l2: float) -> _core.OptimizerSpec:
    """The optimizer in the core's words."""
    spec = _core.OptimizerSpec()
    spec.name = optimizer.word.replace("-", "_")
    spec.l2 = l2
    for name in ("momentum", "beta1", "beta2", "epsilon", "state", "lazy"):
        if hasattr(optimizer, name):
            setattr(spec, name, getattr(optimizer, name))
    return spec


def core_schedule(schedule: Schedule, rate: float, rows: int, total: int) -> _core.ScheduleSpec:
    """The schedule counted in examples, as the core counts.

    Args:
        schedule: counted in epochs.
        rate: the optimizer's.
        rows: examples of an epoch.
        total: examples at the schedule's end, since the network's birth.
    """
    spec = _core.ScheduleSpec()
    spec.name = schedule.word
    spec.rate = rate
    spec.total_steps = total
    spec.warmup_steps = round(schedule.warmup * rows)
    spec.period_steps = rows
    if isinstance(schedule, Step):
        spec.period_steps = max(1, round(schedule.every * rows))
    if isinstance(schedule, (Step, Exponential)):
        spec.factor = schedule.factor
    if isinstance(schedule, (Cosine, Linear)):
        spec.floor = schedule.floor
    return spec


def moments(optimizer: Optimizer) -> dict[str, str]:
    """What an optimizer keeps for each weight, and the type of tensor that holds it.

    >>> from hashgrad import Adam
    >>> moments(Adam()), moments(Adam(state="row"))
    ({'moment1': 'F32', 'moment2': 'F32'}, {'moment1': 'U16'})
    """
    n = {"momentum": 1, "adagrad": 2, "adam": 2}.get(optimizer.word, 0) - has_row_mean(optimizer)
    kinds = {"float32": ("F32", "F32"), "8-bit": ("I8", "U8")}
    state = kinds.get(getattr(optimizer, "state", "float32"), ("U16", "U16"))
    return {f"moment{k + 1}": state[k] for k in range(n)}


def has_row_mean(optimizer: Optimizer) -> bool:
    """Whether Adam's second moment is one number a row."""
    return isinstance(optimizer, Adam) and optimizer.state == "row"


def has_row_units(optimizer: Optimizer) -> bool:
    """Whether Adam's moments are in bytes, of which each row has units of its own."""
    return isinstance(optimizer, Adam) and optimizer.state == "8-bit"


def has_row_update(optimizer: Optimizer) -> bool:
    """Whether an optimizer knows when each row of weights moved last."""
    return isinstance(optimizer, Adam) and not optimizer.lazy


def has_row_square(optimizer: Optimizer) -> bool:
    """Whether an optimizer keeps one number for each row of weights."""
    return optimizer.word == "row-adagrad" or has_row_mean(optimizer)


def tensor_shapes(
    n_inputs: int,
    layers: Sequence[Dense],
    optimizer: Optimizer,
    built: bool,
    arrangement: Sequence[Mapping[str, str]],
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every tensor the core keeps for such a network, by name.

    Args:
        n_inputs: columns of the input.
        layers: the network's layers.
        optimizer: what keeps moments beside the weights, or not.
        built: whether the hash tables were built; before, hashed layers have no such tensors.
        arrangement: how each layer is computed, as the core says it.
    """
    types = {
        "dirty": "U8",
        "code": "U8",
        "signature": "U64",
        "row_update": "U64",
        **moments(optimizer),
    }
    halves = {f"layers.{i}.weight" for i, layer in enumerate(layers) if layer.dtype == "bfloat16"}
    shapes: dict[str, tuple[int, ...]] = {}
    for number, layer in enumerate(layers):
        n, here = layer.n, f"layers.{number}."
        shapes |= {here + "weight": (n, n_inputs), here + "bias": (n,)}
        for moment in moments(optimizer):
            shapes[f"{here}optimizer.{moment}"] = (n, n_inputs + 1)
        n_rows = n_inputs + 1 if arrangement[number]["layout"] == "input" else n
        if has_row_square(optimizer):
            shapes[here + "optimizer.row_square"] = (n_rows,)
        if has_row_units(optimizer):
            shapes[here + "optimizer.row_units"] = (n_rows, 2)
        if has_row_update(optimizer):
            shapes[here + "optimizer.row_update"] = (n_rows,)
        code = arrangement[number]["code"]
        if isinstance(layer.selector, LSH) and built and code != "none":
            hashes = hash_shapes(layer.selector, n, n_inputs, code)
            shapes |= {f"{here}lsh.{name}": shape for name, shape in hashes.items()}
        n_inputs = n
    types |= dict.fromkeys(halves, "U16")
    return {
        name: (types.get(name, types.get(name.rpartition(".")[2], "F32")), shape)
        for name, shape in shapes.items()
    }


def hash_shapes(lsh: LSH, n: int, n_inputs: int, code: str) -> dict[str, tuple[int, ...]]:
    """Shapes of what a hashed layer keeps of its hash functions and of its neurons' hashes."""
    if lsh.densified:  # functions follow from the seed
        lengths = {"norm": (n,)} if lsh.pooled else {}
        words = whole(lsh.bits * lsh.tables, 64) // 64
        return {"signature": (n, words), "scale": (1,), "dirty": (n,), **lengths}
    coordinates = whole(min(lsh.rank, n_inputs + 1), 16)  # blocks
    width = coordinates if code == "bytes" else whole(lsh.bits * lsh.tables, 64)  # words
    across = coordinates if lsh.projection == "subspace" else width
    shapes: dict[str, tuple[int, ...]] = {
        "projection": (n_inputs + 1, across),
        "mean": (n_inputs + 1,),
        "scale": (1,),
        "dirty": (n,),
    }
    if lsh.projection == "subspace":
        shapes |= {"mixing": (coordinates, width), "balance": (coordinates,)}
    if lsh.pooled:
        if lsh.projection == "subspace":
            shapes["centre"] = (coordinates,)
        if code == "bits":
            tails = {"tail": (n,)} if lsh.transform == "none" else {}
            return shapes | {"signature": (n, width // 64), "norm": (n,)} | tails
        return shapes | {"code": (whole(n, 16) * width,)}
    shapes["sketch"] = (n, width)
    if code == "bits":
        shapes |= {"norm2": (n,), "tail": (n,)}
        if lsh.projection == "subspace":
            shapes["coordinate"] = (n, coordinates)
    return shapes


def whole(n: int, unit: int) -> int:
    """The least multiple of `unit` that is not below n."""
    return -(-n // unit) * unit
