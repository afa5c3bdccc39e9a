"""What one training example must read, write and multiply, and the least time that takes here.

The floor of a phase is the larger of two times: its bytes at the speed at which this machine reads
memory in order (from a core's own cache, the processor's, or memory, by the size of what is read),
and its multiplications at the speed at which it multiplies and adds. What a phase before it has
just read lies near. Nothing is allowed for finding, choosing and calling: that is what a floor is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, planning
from .calibration import SIZES, Machine, machine
from .planning import BLOCK, Inputs
from .selectors import LSH, Random

if TYPE_CHECKING:
    from .network import Network

LINE = 64  # bytes


@dataclass
class Floor:
    """Bytes moved, multiplications, and the least nanoseconds they take."""

    bytes: float = 0.0
    multiplications: float = 0.0
    nanoseconds: float = 0.0

    def add(
        self, here: Machine, n_bytes: float, multiplications: float, working_set: float
    ) -> None:
        """Add so many bytes out of a working set, and the multiplications that go with them."""
        read = n_bytes / LINE * here.cost("stream", working_set)
        self.bytes += n_bytes
        self.multiplications += multiplications
        self.nanoseconds += max(read, multiplications * here.cost("product"))


PHASES = ("input", "hash", "query", "candidates", "forward", "backward and update", "re-hash")


def of_example(network: Network, X: Any) -> dict[str, Floor]:
    """The floor of each phase for a network that is trained on rows like X, every one learned from.

    Args:
        network: a network that has been trained, so that its arrangement is settled.
        X: rows (n, n_inputs), float32.

    Raises:
        RuntimeError: the network is not arranged yet.

    >>> import numpy as np
    >>> from hashgrad import Dense, Network
    >>> X = np.eye(8, dtype=np.float32)
    >>> net = Network(8, [Dense(16), Dense(2)]).fit(X, np.arange(8) % 2, epochs=1)
    >>> of_example(net, X)["forward"].multiplications >= 2 * 17
    True
    """
    from .data import as_inputs

    if not network.built:
        raise RuntimeError("the network has no tables yet: call fit or partial_fit first")
    here, floors = machine(), {phase: Floor() for phase in PHASES}
    rows = as_inputs(X, network.n_inputs)
    sample = np.linspace(0, rows.n_rows - 1, min(rows.n_rows, 512)).astype(np.uint32)
    entries, lines = _core.density(rows.batch, sample)
    inputs = Inputs(network.n_inputs + 1, entries, lines)
    floors["input"].add(here, 4.0 * network.n_inputs, 0, SIZES["far"])  # rows come in any order
    for number, (layer, way) in enumerate(zip(network.layers, network.arrangement(), strict=True)):
        kept = layer.selector.kept(layer.n)
        _add_layer(floors, here, layer, way, inputs, kept, first=number == 0)
        inputs = planning.outputs_of(layer)
    return floors


def _add_layer(
    floors: dict[str, Floor],
    here: Machine,
    layer: Any,
    way: dict[str, str],
    inputs: Inputs,
    kept: int,
    first: bool,
) -> None:
    size = 2.0 if layer.dtype == "bfloat16" else 4.0  # of a weight
    n_bytes = size * inputs.n * layer.n
    near = float(SIZES["near"])
    row = inputs.lines * LINE * size / 4
    products = inputs.lines * BLOCK if inputs.by_blocks else inputs.entries
    if way["layout"] == "input":
        floors["forward"].add(here, 4 * inputs.entries * layer.n, inputs.entries * layer.n, n_bytes)
        touched = Inputs.spread(layer.n, kept).lines * LINE * inputs.entries
        passes = 1 if first else 2
        floors["backward and update"].add(here, 2 * touched, passes * inputs.entries * kept, near)
        return
    chooses_first = way["lookup"] != "exact" or isinstance(layer.selector, Random)
    evaluated = kept if chooses_first else layer.n
    if isinstance(layer.selector, LSH) and way["lookup"] != "exact":
        lsh = layer.selector
        rank = min(lsh.rank, inputs.n)
        width = rank if way["code"] == "bytes" else lsh.bits * lsh.tables
        if lsh.densified:  # comparisons; neurons' hashes follow on a schedule
            floors["hash"].add(here, 8 * inputs.entries, 0, 4.0 * inputs.n)
        else:
            floors["hash"].add(
                here,
                4 * inputs.entries * rank + 8 * rank * width,
                inputs.entries * rank + 2 * rank * width,
                4.0 * inputs.n * rank,
            )
            floors["re-hash"].add(here, kept * (8 * width + width), kept * 2 * width, near)
        scanned = layer.n * width / (1 if way["code"] == "bytes" else 8)
        if way["lookup"] == "tables":  # the buckets' first lines, and the signatures found there
            met = min(float(layer.n), layer.n * lsh.tables * lsh.probes / 2.0**lsh.bits)
            scanned = lsh.tables * lsh.probes * LINE + met * width / 8
        floors["query"].add(here, scanned, 0, scanned)
        each = (
            (1.5 if way["code"] == "bytes" else 4.0) if lsh.candidates is None else lsh.candidates
        )
        floors["candidates"].add(
            here, (each - 1) * kept * row, (each - 1) * kept * products, n_bytes
        )
    floors["forward"].add(here, evaluated * row, evaluated * products, n_bytes)
    passes = 1 if first else 2
    floors["backward and update"].add(here, 2 * kept * row, passes * kept * products, near)
