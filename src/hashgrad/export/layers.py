"""What prediction needs of a trained network's layers, read out of the core as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hashgrad import _core, files
from hashgrad.halves import widened
from hashgrad.selectors import LSH, Adaptive, Random, WinnerTakeAll
from hashgrad.specification import core_layer

if TYPE_CHECKING:
    from hashgrad.network import Network

ALL, BY_CHANCE, BEST = "all", "by chance", "best"  # of the neurons evaluated, those that are kept


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as prediction computes it.

    Attributes:
        weight: float32, (neurons, inputs), or (inputs, neurons) where it lies by input.
        bias: (neurons,) float32.
        activation: `"relu"`, `"tanh"`, `"sigmoid"` or `"linear"`.
        keep: which of the neurons evaluated are kept; the others output 0.
        kept: how many are kept.
        gain: factor on the activations.
        alpha: with `beta`: kept by chance, the factor is `sigmoid(alpha * z + beta)`.
        beta: see alpha.
        by_input: whether a row of weights is an input's.
        candidates: neurons that are evaluated.
        bits: of a table's key, as `probes`, for layers that look up in tables.
        probes: buckets of each table that are looked up.
        by_collisions: whether candidates are ranked by how many buckets they were met in.
        hashes: what `_core.hashes` tells of a hashed layer; else empty.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: str
    keep: str
    kept: int
    gain: float
    alpha: float
    beta: float
    by_input: bool
    candidates: int
    bits: int
    probes: int
    by_collisions: bool
    hashes: dict[str, Any]

    @property
    def neurons(self) -> int:
        """Its neurons."""
        return len(self.bias)

    @property
    def inputs(self) -> int:
        """Its inputs, the bias not counted."""
        return self.weight.size // len(self.bias)

    @property
    def by_neuron(self) -> NDArray[np.float32]:
        """The weights, (neurons, inputs)."""
        return self.weight.T if self.by_input else self.weight

    @property
    def width(self) -> int:
        """Projections in a hash; 0 where there is none."""
        if not self.hashes:
            return 0
        code = self.hashes.get("code")
        return int(self.hashes["width"] if code is None else code.shape[1])

    @property
    def columns(self) -> int:
        """Columns of the first projection: a subspace's coordinates, or the hash at once."""
        return len(self.hashes["mean_projection"]) if self.hashes else 0


def read_layers(network: Network) -> list[Layer]:
    """The network's layers, first to last.

    Raises:
        ValueError: a weight is NaN or infinite; the message names its layer.
        RuntimeError: a hashed layer has no tables yet.
    """
    network._need_tables()
    tensors = network._core.tensors()
    return [
        _read(network, number, way, tensors) for number, way in enumerate(network.arrangement())
    ]


def _read(network: Network, number: int, way: dict[str, str], tensors: dict[str, Any]) -> Layer:
    layer, last = network.layers[number], number + 1 == len(network.layers)
    selector, n = layer.selector, layer.n
    spec = core_layer(layer)  # numbers as the core has them, which reckons in double
    kept = max(1, math.floor(spec.fraction * n + 0.5))
    keep, gain, alpha, beta = ALL, 1.0, 0.0, 0.0
    if isinstance(selector, WinnerTakeAll | LSH) and kept < n:
        keep = BEST
    elif isinstance(selector, Random) and not last:
        gain = float(np.float32(kept) / np.float32(n))
    elif isinstance(selector, Adaptive) and not last:
        keep, alpha, beta = BY_CHANCE, spec.alpha, spec.beta
    hashes = _core.hashes(network._core, number)
    candidates = min(n, math.ceil(hashes["candidates"] * kept)) if hashes else n
    by_input = way["layout"] == "input"
    weight, bias = (_finite(tensors, f"layers.{number}.{kind}") for kind in ("weight", "bias"))
    return Layer(
        weight=np.ascontiguousarray(weight.T if by_input else weight),
        bias=np.ascontiguousarray(bias),
        activation=spec.activation,
        keep=keep,
        kept=kept if keep == BEST else n,
        gain=gain,
        alpha=alpha,
        beta=beta,
        by_input=by_input,
        candidates=candidates,
        bits=spec.lsh.bits,
        probes=spec.lsh.probes,
        by_collisions=spec.lsh.ranking == "collisions",
        hashes=hashes,
    )


def _finite(tensors: dict[str, Any], name: str) -> Any:
    files.check_values(name, tensors[name])
    return widened(tensors[name])


def sizes_of(network: Network) -> str:
    """The network in short: its sizes and its loss.

    >>> from hashgrad import Dense, Network
    >>> sizes_of(Network(2, [Dense(4), Dense(3)]))
    '2-4-3, softmax'
    """
    sizes = (network.n_inputs, *(layer.n for layer in network.layers))
    return f"{'-'.join(map(str, sizes))}, {network.loss}"


def class_names(network: Network) -> list[str] | None:
    """Names of the labels, where `extra["classes"]` has one for each."""
    names = network.extra.get("classes")
    if not isinstance(names, list) or len(names) != network.n_outputs:
        return None
    return [str(name) for name in names]
