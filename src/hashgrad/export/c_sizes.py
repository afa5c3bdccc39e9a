"""What a C predictor takes: its scratch, field by field, and a prediction's multiplications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .layers import BEST, BY_CHANCE, Layer

FEWEST_COMPACT = 64  # neurons of a layer whose weights become bytes, as in `Network.compact`
_BYTES = {"float": 4, "uint32_t": 4, "uint16_t": 2, "int8_t": 1, "uint8_t": 1}


def is_compact(layer: Layer, weights: str) -> bool:
    """Whether the layer's weights are bytes."""
    return weights == "int8" and layer.neurons >= FEWEST_COMPACT


def id_type(layers: Sequence[Layer]) -> str:
    """The C type for the numbers of neurons and inputs."""
    most = max(max(layer.neurons, layer.inputs) for layer in layers)
    return "uint16_t" if most <= 1 << 16 else "uint32_t"


@dataclass(frozen=True)
class Field:
    """A field of the scratch: `count` numbers of a C type, a plain one where count is 0."""

    kind: str
    name: str
    count: int
    comment: str


def scratch_fields(layers: Sequence[Layer], weights: str) -> list[Field]:
    """The fields of the scratch, ordered so that none needs padding but the whole."""
    hashed = [layer for layer in layers if layer.hashes]
    in_tables = [layer for layer in hashed if "slots" in layer.hashes]
    widths = [layer.width for layer in hashed]
    inputs = max(layer.inputs for layer in layers)
    # Where tables may find no output, all neurons are evaluated.
    evaluated = max(layer.neurons if in_tables else layer.candidates for layer in layers)
    chosen = [layer.kept for layer in layers if layer.keep == BEST]
    kept = max([1, *chosen, *(layer.candidates for layer in in_tables)])
    proposed = max(
        [1, *(layer.neurons if layer in in_tables else layer.candidates for layer in hashed)]
    )
    neurons = id_type(layers)
    fields = [
        Field("uint32_t", "multiplications", 0, "of the last prediction"),
        Field("uint32_t", "all", 0, "whether z holds every neuron of the layer"),
        Field("uint32_t", "whole", 0, "whether all those in z are kept"),
        Field("float", "value", inputs, "the layer's input, without zeros"),
        Field("float", "z", evaluated, "w . x + b of the neurons evaluated"),
    ]
    if hashed:
        fields += [
            Field("float", "score", max(layer.neurons for layer in hashed), "nearness of hashes"),
            Field("float", "hash", max(widths), "the input's projections"),
            Field("float", "coordinate", max(layer.columns for layer in hashed), "in a subspace"),
            Field("uint32_t", "word", max(2, *(width // 32 for width in widths)), "their signs"),
        ]
    matched = [layer.width for layer in hashed if "norm" in layer.hashes]
    if matched:
        fields += [
            Field("float", "unit", 0, "of the entries below"),
            Field("float", "least", 0, "of the products that they tell"),
        ]
    probes = max([layer.probes for layer in in_tables], default=0)
    if in_tables:
        fields += [Field("float", "probe_cost", probes + 1, "sets of bits to flip")]
    fields += [
        Field(neurons, "index", inputs, "where the values stand"),
        Field(neurons, "candidate", proposed, "the neurons evaluated"),
        Field(neurons, "kept", kept, "positions in z, or among those met"),
    ]
    if in_tables:
        met = max(layer.neurons for layer in in_tables)
        fields += [
            Field("uint16_t", "met", met, "in how many buckets"),
            Field("uint16_t", "probe_members", probes + 1, "as probe_cost"),
            Field("uint8_t", "probe_last", probes + 1, "as probe_cost"),
        ]
    if hashed:
        fields += [Field("int8_t", "byte", max(widths), "the input's projections")]
    if matched:
        fields += [Field("uint8_t", "entry", 4 * max(matched), "their products with four signs")]
    compact = [layer.inputs for layer in layers if is_compact(layer, weights)]
    return [*fields, Field("int8_t", "code", max([1, *compact]), "the layer's input")]


def scratch_bytes(fields: Sequence[Field]) -> int:
    """The size that a C compiler gives the scratch."""
    at = 0
    for field in fields:
        each = _BYTES[field.kind]
        at = -(-at // each) * each + each * max(1, field.count)
    return -(-at // 4) * 4


def most_multiplications(layers: Sequence[Layer], weights: str, retries: bool) -> int:
    """Multiplications of a prediction, at most: no input is 0, and no neuron kept is at rest.

    Counted as the C code counts them, and the ledger: a bias is an input that is 1, divisions and
    roots are one each. Softmax and sigmoid of the outputs come on top, where they are asked for.

    Args:
        layers: the network's.
        weights: `"int8"` or `"float32"`.
        retries: whether a prediction that finds no output is made again, on all neurons.
    """
    total = 0
    n = layers[0].inputs
    for number, layer in enumerate(layers):
        hashing = _hashing(layer, n)
        total += hashing + _evaluating(layer, n, layer.candidates, weights)
        if retries:
            total += _evaluating(layer, n, layer.neurons, weights)
        n = layer.kept
        if number + 1 < len(layers):
            passing = 3 * layer.neurons if layer.keep == BY_CHANCE else 0
            passing += n if layer.gain != 1 else 0
            total += passing * (2 if retries else 1)
    return total


def _evaluating(layer: Layer, n: int, evaluated: int, weights: str) -> int:
    if not is_compact(layer, weights):
        return (n + 1) * evaluated
    encoding = 2 + (2 * n if layer.by_input else n)
    return encoding + n * evaluated + (1 if layer.by_input else 2) * evaluated


def _hashing(layer: Layer, n: int) -> int:
    parts = layer.hashes
    if not parts:
        return 0
    width = layer.width
    total = (n + 1) * layer.columns
    if "mixing" in parts:
        total += layer.columns + int(parts["rank"]) * width
    if "code" in parts:
        return total + width + 1 + layer.neurons * width
    euclidean = "offset" in parts
    if euclidean:
        total += 2 * n + 3 + 2 * width
    if "norm" in parts and not layer.by_collisions:
        total += width + 4 + 2 * layer.neurons
    if "slots" in parts and layer.probes > 1:
        total += (3 if euclidean else 1) * parts["slots"].shape[0] * layer.bits
    return total
