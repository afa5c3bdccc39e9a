"""Networks of hashgrad with given weights, and how each of their layers finds its neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Inputs
from ..history import sample_rows
from ..layers import Dense
from ..network import Network
from ..prediction import Predictor
from ..selectors import LSH, Selector, WinnerTakeAll
from .dense_weights import DenseWeights
from .shares import Kept


@dataclass(frozen=True)
class Way:
    """How a hidden layer finds the neurons that it keeps.

    Args:
        candidates: evaluated exactly, in multiples of those kept, of a scan of the neurons' hashes;
            None evaluates every neuron, from weights that lie input by input.
    """

    candidates: float | None = None

    def layer(self, n: int, activation: str, kept: int) -> Dense:
        """A layer of n neurons."""
        if kept >= n:
            return Dense(n, activation, layout="input")
        if self.candidates is None:
            return Dense(n, activation, WinnerTakeAll(kept / n), layout="input")
        hashed = LSH(kept / n, lookup="scan", code="bytes", candidates=self.candidates)
        return Dense(n, activation, hashed, layout="neuron")

    def __str__(self) -> str:
        if self.candidates is None:
            return "exact"
        return f"hashed, {self.candidates:g} candidates"


EXACT = Way()
WAYS = (EXACT, Way(1.5), Way(3.0))


def make(
    weights: DenseWeights, kept: Kept, ways: Sequence[Way], inputs: Inputs, seed: int
) -> Network:
    """A network with these weights that keeps so many neurons of each hidden layer.

    Args:
        weights: a dense network's.
        kept: neurons of each hidden layer.
        ways: of each hidden layer.
        inputs: rows from which the hashes learn the inputs' principal subspace.
        seed: of the hash functions.
    """
    layers = [
        way.layer(n, activation, k)
        for way, n, activation, k in zip(
            ways, weights.hidden, weights.activations, kept, strict=True
        )
    ]
    network = Network(weights.n_inputs, [*layers, Dense(weights.sizes[-1])], seed=seed)
    core = network._core
    for number, layer in enumerate(network.layers):
        selector: Selector = layer.selector
        if isinstance(selector, LSH):
            core.arrange(number, "neuron", "scan", "bytes")
        else:  # few outputs, and inputs that are mostly 0
            core.arrange(number, "input", "exact", "none")
    tensors = core.tensors()
    for number, (W, b) in enumerate(zip(weights.weights, weights.biases, strict=True)):
        tensors[f"layers.{number}.weight"][...] = W
        tensors[f"layers.{number}.bias"][...] = b
    del tensors
    if not core.built:
        rows = np.arange(inputs.n_rows, dtype=np.uint32)
        core.build(inputs.batch, sample_rows(seed, rows), 1)
    if weights.classes is not None:
        network.extra["classes"] = list(weights.classes)
    return network


def multiplications(predictor: Network | Predictor, rows: int) -> float:
    """Multiplications that each of its last `rows` predictions took, everything counted."""
    from ..ledger import by_phase

    counted: dict[str, Any] = predictor._core.prediction_ledger()
    if counted["examples"] != rows:
        raise AssertionError(f"{rows} rows were predicted, {counted['examples']} counted")
    return by_phase(counted)["total"] / rows
