"""How each layer is to be computed: what its user left to `auto`, chosen by estimated time.

A layer may evaluate every neuron, from weights that lie neuron by neuron or input by input, or hash
its input and evaluate candidates from a scan of all codes or from tables. The estimate of a way is
the sum of what it reads, times what that costs on this machine (`hashgrad.calibration`); the
cheapest wins. The choice is made once, before the first training, from the density of a sample of
the inputs, and is saved with the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .calibration import Machine
from .layers import Dense
from .optimizers import SGD, Optimizer
from .selectors import LSH, All, Random

BLOCK = 16  # floats in a cache line
_WORDS_A_TABLE = 250  # by instructions of the AVX2 kernels (benchmarks/results/instructions.json)
# Times what SGD takes to learn, for the optimizers with state: by neuron, or by input (whole rows).
_WITH_STATE = {
    "float32": {"neuron": 5.0, "input": 2.5},
    "bfloat16": {"neuron": 4.2, "input": 2.1},
    "row": {"neuron": 3.8, "input": 1.7},
    "8-bit": {"neuron": 6.0, "input": 3.0},
}


@dataclass(frozen=True)
class Way:
    """One way to compute a layer.

    Attributes:
        layout: `"neuron"` or `"input"`.
        lookup: `"exact"`, `"scan"` or `"tables"`.
        code: `"bits"`, `"bytes"` or, where nothing is hashed, `"none"`.
        nanoseconds: estimated, for one training example on one thread.
    """

    layout: str
    lookup: str
    code: str
    nanoseconds: float

    @property
    def words(self) -> str:
        """The way in a few words.

        >>> Way("input", "exact", "none", 900.0).words
        'exact, by input'
        """
        return f"{self.lookup}, by {self.layout}"


@dataclass(frozen=True)
class Inputs:
    """A layer's inputs: how many, and on average how many are not zero, in how many lines.

    The bias counts among them.
    """

    n: int
    entries: float
    lines: float

    @property
    def by_blocks(self) -> bool:
        """Whether rows of weights are read by whole lines, as `core/row_buffer.h` decides."""
        return self.entries > 4 * self.lines

    @classmethod
    def spread(cls, n: int, entries: float) -> Inputs:
        """So many of `n` inputs and the bias, anywhere.

        >>> Inputs.spread(1000, 50).lines < 51
        True
        """
        n_lines = n / BLOCK
        return cls(n + 1, entries + 1, n_lines * (1 - (1 - 1 / max(1.0, n_lines)) ** entries) + 1)


def plan(
    layers: Sequence[Dense], optimizer: Optimizer, l2: float, first: Inputs, machine: Machine
) -> list[list[Way]]:
    """The ways to compute each layer that its user leaves open, the cheapest first.

    Args:
        layers: the network's.
        optimizer: the network's.
        l2: the network's.
        first: the network's inputs.
        machine: what things cost.

    >>> from hashgrad import LSH
    >>> from hashgrad.calibration import REFERENCE
    >>> layers = [Dense(1000, active=LSH(0.05)), Dense(1000, active=LSH(0.05)), Dense(10)]
    >>> ways = plan(layers, SGD(), 0.0, Inputs(785, 151, 26), Machine(REFERENCE, "reference"))
    >>> [options[0].words for options in ways]
    ['scan, by neuron', 'exact, by input', 'exact, by input']
    """
    slower = _WITH_STATE[getattr(optimizer, "state", "float32")]
    if isinstance(optimizer, SGD) and l2 == 0:
        slower = {}
    turnable = optimizer.word != "row-adagrad"  # whose state is a neuron's
    inputs, planned = first, []
    for number, layer in enumerate(layers):
        ways = _ways(layer, inputs, number == 0, slower, turnable, machine)
        planned.append(sorted(ways, key=lambda way: way.nanoseconds))
        inputs = outputs_of(layer)
    return planned


def outputs_of(layer: Dense) -> Inputs:
    """What a layer hands to the next, of a layer with all its neurons about half at zero."""
    active = layer.selector.kept(layer.n)
    if layer.activation == "relu" and active == layer.n:
        active //= 2
    return Inputs.spread(layer.n, active)


def _ways(
    layer: Dense,
    inputs: Inputs,
    first: bool,
    slower: Mapping[str, float],
    turnable: bool,
    machine: Machine,
) -> Iterator[Way]:
    layouts = ("neuron", "input") if layer.layout == "auto" else (layer.layout,)
    if not turnable and layer.layout == "auto":
        layouts = ("neuron",)
    cost = _Cost(layer, inputs, first, slower, machine)
    selector = layer.selector
    lookup = selector.lookup if isinstance(selector, LSH) else "exact"
    if layer.layout == "input":  # where nothing is hashed
        lookup = "exact"
    collisions = isinstance(selector, LSH) and selector.ranking == "collisions"
    pooled = isinstance(selector, LSH) and selector.pooled
    if lookup == "exact" or (lookup == "auto" and not collisions and not pooled):
        if "neuron" in layouts:
            yield Way("neuron", "exact", "none", cost.exact_by_neuron())
        if "input" in layouts and not (isinstance(selector, Random) and layer.layout == "auto"):
            yield Way("input", "exact", "none", cost.exact_by_input())
    if isinstance(selector, LSH) and "neuron" in layouts:
        bytes_will_do = (
            not selector.densified
            and selector.projection == "subspace"
            and selector.transform == "none"
            and selector.ranking == "signature"
        )
        if lookup in ("auto", "scan") and selector.ranking == "signature":
            code = "bytes" if bytes_will_do and selector.code != "bits" else "bits"
            yield Way("neuron", "scan", code, cost.scan(selector, code))
        asked = not pooled or selector.query_every > 0  # tables of pools serve training alone
        if (lookup == "tables" or (lookup == "auto" and asked)) and selector.code != "bytes":
            yield Way("neuron", "tables", "bits", cost.tables(selector))


class _Cost:
    """The estimates for one layer, in nanoseconds an example.

    `slower`: what an optimizer with state takes, times what SGD takes, by layout; none for SGD.
    """

    def __init__(
        self,
        layer: Dense,
        inputs: Inputs,
        first: bool,
        slower: Mapping[str, float],
        machine: Machine,
    ) -> None:
        self.n, self.inputs, self.first, self.slower = layer.n, inputs, first, slower
        self.machine = machine
        self.kept = layer.selector.kept(layer.n)
        self.all = isinstance(layer.selector, All)
        self.evaluated = self.kept if isinstance(layer.selector, Random) else layer.n

    def exact_by_neuron(self) -> float:
        return self.evaluated * self.read() + self.choosing(self.n) + self.learning()

    def exact_by_input(self) -> float:
        lines = _whole(self.n) / BLOCK
        n_bytes = self.inputs.n * lines * 64
        forward = self.inputs.entries * lines * self.machine.cost("column", n_bytes)
        each = self.machine.cost("learn", n_bytes)
        whole = lines * BLOCK * each / 2
        if self.slower:
            learn = self.inputs.entries * whole * self.slower["input"]
        else:
            learn = self.inputs.entries * (whole if self.all else self.kept * each)
        return forward + self.choosing(self.n) + learn

    def scan(self, lsh: LSH, code: str) -> float:
        cost, rank = self.machine.cost, _whole(min(lsh.rank, self.inputs.n))
        width = rank if code == "bytes" else lsh.bits * lsh.tables
        compared = (
            self.n * width / 16 * cost("scan", self.n * width)
            if code == "bytes"
            else self.n * (width / 64 * cost("word") + 1)
        )
        return (
            self.hashing(lsh, width) + compared + self.choosing(self.n)
            + (0.0 if code == "bytes" else self.tabulating(lsh, width))
            + self.candidates(lsh, code) + self.learning() + self.following(width)
        )  # fmt: skip

    def tables(self, lsh: LSH) -> float:
        cost, width = self.machine.cost, lsh.bits * lsh.tables
        met = self.n * lsh.tables * lsh.probes / float(2**lsh.bits)
        found = min(float(self.n), met)
        return (
            self.hashing(lsh, width) + lsh.tables * lsh.probes * cost("bucket")
            + self.tabulating(lsh, width)
            + found * (width / 64 * cost("word") + 4 + cost("choose"))
            + self.candidates(lsh, "bits") + self.learning() + self.following(width)
            + self.kept * lsh.tables * cost("bucket")
        )  # fmt: skip

    def candidates(self, lsh: LSH, code: str) -> float:
        each = (1.5 if code == "bytes" else 4.0) if lsh.candidates is None else lsh.candidates
        if lsh.pooled:  # training evaluates what it keeps
            each = 1.0
        evaluated = min(float(self.n), each * self.kept)
        return evaluated * (self.read() + self.machine.cost("choose"))

    def hashing(self, lsh: LSH, width: float) -> float:
        if lsh.densified:  # a comparison an input, and what puts codes together
            return (self.inputs.entries + width) * self.machine.cost("choose")
        project = self.machine.cost("project") / BLOCK
        if lsh.projection != "subspace":
            return self.inputs.entries * width * project
        rank = _whole(min(lsh.rank, self.inputs.n))
        return float((self.inputs.entries * rank + 2 * rank * width) * project)

    def tabulating(self, lsh: LSH, width: float) -> float:
        """What signs add to products with the input: in the time of so many words matched."""
        if lsh.densified or lsh.transform != "none" or lsh.ranking != "signature":
            return 0.0
        return width / 64 * _WORDS_A_TABLE * self.machine.cost("word")

    def following(self, width: float) -> float:
        """The hashes of the neurons that moved."""
        return self.kept * (2 * self.machine.cost("row") + width / BLOCK)

    def choosing(self, n: float) -> float:
        return 0.0 if self.all else n * self.machine.cost("choose")

    def read(self) -> float:
        """A neuron's row times the input."""
        if self.inputs.by_blocks:
            return self.inputs.lines * self.machine.cost("line", self.by_neuron_bytes)
        return self.inputs.entries * self.machine.cost("entry", self.by_neuron_bytes)

    def learning(self) -> float:
        """Backward through the rows of the neurons kept, and their step."""
        if self.inputs.by_blocks:
            step = self.inputs.lines * self.machine.cost("step", self.by_neuron_bytes)
        else:
            step = 2 * self.inputs.entries * self.machine.cost("entry", self.by_neuron_bytes)
        backward = 0.0 if self.first else self.read()
        state = self.slower.get("neuron", 1.0)
        return self.kept * (backward + state * step + self.machine.cost("row"))

    @property
    def by_neuron_bytes(self) -> float:
        return self.n * _whole(self.inputs.n) * 4.0


def _whole(n: float) -> int:
    return -(-int(n) // BLOCK) * BLOCK


def arrange(core: Any, ways: Sequence[Way]) -> None:
    """Have the core compute each layer in its chosen way."""
    for number, way in enumerate(ways):
        core.arrange(number, way.layout, way.lookup, way.code)
