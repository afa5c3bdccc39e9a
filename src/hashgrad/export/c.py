"""A network as C99: one header and one source, for devices with little memory and no Python."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashgrad.atomic import write_atomically
from hashgrad.checks import Choice
from hashgrad.selectors import LSH

from .c_arrays import Arrays, string, struct
from .c_sizes import id_type, is_compact, most_multiplications, scratch_bytes, scratch_fields
from .layers import ALL, BEST, BY_CHANCE, Layer, class_names, read_layers, sizes_of

if TYPE_CHECKING:
    from hashgrad.network import Network

WEIGHTS = ("int8", "float32")
_KEEP = {ALL: None, BY_CHANCE: "KEEP_ALL_BY_CHANCE", BEST: "KEEP_BEST"}
_KEYWORDS = {
    "auto", "bool", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
    "enum", "extern", "false", "float", "for", "goto", "if", "inline", "int", "long", "register",
    "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "true",
    "typedef", "union", "unsigned", "void", "volatile", "while",
}  # fmt: skip


@dataclass(frozen=True)
class CExport:
    """What `export_c` wrote, and what it takes.

    Attributes:
        header: the header's path.
        source: the source's path.
        weights: `"int8"` or `"float32"`.
        flash_bytes: constants: weights, hashes, tables. The code comes on top, some kilobytes.
        dense_flash_bytes: of the same network without hashes and tables.
        ram_bytes: the scratch of a prediction under way. The stack comes on top, below 1 KiB.
        multiplications: of a prediction, at most.
        dense_multiplications: of the same network run densely.
        needs_libm: whether the C library's mathematics are needed (`-lm`).
    """

    header: str
    source: str
    weights: str
    flash_bytes: int
    dense_flash_bytes: int
    ram_bytes: int
    multiplications: int
    dense_multiplications: int
    needs_libm: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


def export_c(network: Network, path: str | os.PathLike[str], *, weights: str = "int8") -> CExport:
    """Write a trained network as one C99 header and one source, which predict as it does.

    The C code allocates nothing, reads only constants, and writes only into a scratch that its
    caller hands in. It chooses neurons as the network does: by the same hashes, with the same
    re-ranking. With float32 it answers as `Network.predict` up to rounding; with int8 as the
    `compact()` copy, whose layers below 64 neurons keep float32. What a file named `digits.c`
    defines begins with `digits_`: `digits_classify`, `digits_scores`, `digits_scratch`.

    Args:
        network: a trained one.
        path: the source, `NAME.c`; the header `NAME.h` goes beside it. NAME must be a C identifier.
        weights: `"int8"`, a byte a weight, or `"float32"`.

    Returns:
        The files, and what flash, RAM and multiplications they take.

    Raises:
        ValueError: a path that does not end in `.c`, a name that C does not allow, other weights,
            a network that holds NaN or infinity, or hashes of another family than `"simhash"`.
        RuntimeError: a hashed layer has no tables yet.
        OSError: a file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> from hashgrad import Dense, Network, export_c
        >>> net = Network(2, [Dense(64, layout="neuron"), Dense(2)])
        >>> net = net.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = export_c(net, pathlib.Path(folder) / "xor.c")
        ...     "int32_t xor_classify" in pathlib.Path(made.header).read_text()
        True
        >>> made.flash_bytes, made.dense_flash_bytes, made.ram_bytes
        (1160, 1160, 660)
    """
    Choice(WEIGHTS).check("weights", weights)
    source = Path(path)
    name = _checked_name(source)
    layers = read_layers(network)
    _check_families(network, layers)
    filled, made = _filled(network, layers, name, weights)
    header = source.with_suffix(".h")
    texts = {kind: _rendered(f"predictor.{kind}.in", filled) for kind in ("h", "c")}
    write_atomically(header, [texts["h"].encode()])
    write_atomically(source, [texts["c"].encode()])
    return CExport(header=str(header), source=str(source), weights=weights, **made)


def _check_families(network: Network, layers: list[Layer]) -> None:
    for number, (layer, read) in enumerate(zip(network.layers, layers, strict=True)):
        if read.hashes and isinstance(layer.selector, LSH) and layer.selector.densified:
            raise ValueError(
                f"layers[{number}].active.family must be 'simhash' where a network becomes C, "
                f"got {layer.selector.family!r}"
            )


def _checked_name(source: Path) -> str:
    if source.suffix != ".c":
        raise ValueError(f"path must end in .c, got {os.fspath(source)!r}")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", source.stem) or source.stem in _KEYWORDS:
        raise ValueError(
            "path must name a file whose name is a C identifier before .c (letters, digits and _, "
            f"a letter first, no keyword), got {source.stem!r}"
        )
    return source.stem


def _filled(
    network: Network, layers: list[Layer], name: str, weights: str
) -> tuple[dict[str, str], dict[str, Any]]:
    """What goes into the templates, and what the predictor takes."""
    from hashgrad import __version__

    arrays = Arrays()
    neurons = id_type(layers)
    structs = [
        _layer(arrays, f"layer{number}", layer, weights, neurons)
        for number, layer in enumerate(layers)
    ]
    tables = any("slots" in layer.hashes for layer in layers)
    euclidean = any("offset" in layer.hashes for layer in layers)
    fields = scratch_fields(layers, weights)
    curved = [layer.activation in ("tanh", "sigmoid") for layer in layers]
    libm = euclidean or any(curved) or any(layer.keep == BY_CHANCE for layer in layers)
    labels, squared = network.n_outputs, network.loss == "squared"
    if network.retired:
        kept = np.setdiff1d(np.arange(labels), network.retired).astype(np.uint32)
        arrays.add("labels", kept)
    made = {
        "flash_bytes": arrays.n_bytes,
        "dense_flash_bytes": arrays.n_bytes - arrays.hash_bytes,
        "ram_bytes": scratch_bytes(fields),
        "multiplications": most_multiplications(
            layers, weights, retries="slots" in layers[-1].hashes and not squared
        ),
        "dense_multiplications": int(network._core.dense_prediction_multiplications()),
        "needs_libm": libm,
    }
    filled = {
        "model": name,
        "MODEL": name.upper(),
        "version": __version__,
        "title": sizes_of(network),
        "weights": weights,
        "notes": _notes(network, layers, weights),
        "flash": str(made["flash_bytes"]),
        "dense_flash": str(made["dense_flash_bytes"]),
        "ram": str(made["ram_bytes"]),
        "most": str(made["multiplications"]),
        "dense": str(made["dense_multiplications"]),
        "inputs": str(network.n_inputs),
        "labels": str(labels),
        "n_layers": str(len(layers)),
        "libm": str(int(libm)),
        "id": neurons,
        "fields": _struct_fields(fields, neurons, f"{name}_id"),
        "absent": "0.0f" if squared else "-FLT_MAX",
        "label": "labels[output]" if network.retired else "output",
        "hashes": str(int(any(layer.hashes for layer in layers))),
        "tables": str(int(tables)),
        "signs": str(int(any("norm" in layer.hashes for layer in layers))),
        "euclidean": str(int(euclidean)),
        "logistic": str(int(network.loss == "logistic")),
        "arrays": arrays.text,
        "layers": ",\n".join(f"  {text}" for text in structs),
    }
    names = class_names(network)
    for kind in ("h", "c"):
        text = "" if squared else _rendered(f"classify.{kind}.in", filled)
        if names is not None:
            text += _names(name, names, kind)
        filled["classify_declaration" if kind == "h" else "classify"] = text
    return filled, made


def _rendered(template: str, filled: dict[str, str]) -> str:
    text = (files(__package__) / "templates" / template).read_text("utf-8")
    return re.sub("@([A-Za-z_]+)@", lambda found: filled[found[1]], text)


def _notes(network: Network, layers: list[Layer], weights: str) -> str:
    lines = []
    if weights == "int8" and not all(is_compact(layer, weights) for layer in layers):
        lines.append(" Layers of fewer than 64 neurons keep float32.")
    if "input_weighting" in network.extra:
        lines.append(" The network was trained on weighted rows: weigh yours in the same way.")
    return "".join(f" *{line}\n" for line in ["", *lines]) if lines else ""


def _struct_fields(fields: list[Any], neurons: str, id_name: str) -> str:
    lines = []
    for field in fields:
        kind = id_name if field.kind == neurons and field.name in _IDS else field.kind
        size = f"[{field.count}]" if field.count else ""
        lines.append(f"  {kind} {field.name}{size}; /* {field.comment} */")
    return "\n".join(lines)


_IDS = ("index", "candidate", "kept")


def _names(name: str, names: list[str], kind: str) -> str:
    declared = f"const char *const {name}_names[{name.upper()}_LABELS]"
    if kind == "h":
        return f"\n/* What the labels stand for. */\nextern {declared};\n"
    body = ",\n".join(f"  {string(text)}" for text in names)
    return f"\n{declared} = {{\n{body}\n}};\n"


def _layer(arrays: Arrays, at: str, layer: Layer, weights: str, neurons: str) -> str:
    """A layer's constants, and its initialiser."""
    compact = is_compact(layer, weights)
    fields: dict[str, Any] = {
        "inputs": layer.inputs,
        "neurons": layer.neurons,
        "kept": layer.kept,
        "candidates": layer.candidates,
        "keep": _KEEP[layer.keep],
        "activation": None if layer.activation == "linear" else layer.activation.upper(),
        "by_input": int(layer.by_input),
    }
    if compact:
        code, unit = _coded(layer.weight)
        fields["code"] = arrays.add(f"{at}_weight", code)
        fields["unit"] = arrays.add(f"{at}_unit", unit)
    else:
        fields["weight"] = arrays.add(f"{at}_weight", layer.weight)
    fields["bias"] = arrays.add(f"{at}_bias", layer.bias)
    fields["gain"] = float(layer.gain)
    fields["alpha"], fields["beta"] = layer.alpha, layer.beta
    if layer.hashes:
        fields["hash"] = f"&{at}_hash"
        before = arrays.n_bytes
        _hash(arrays, at, layer, neurons)
        arrays.hash_bytes += arrays.n_bytes - before
    return struct(fields)


def _coded(weight: Any) -> tuple[Any, Any]:
    """Rows as bytes, -127 to 127, and what a 1 of each stands for; as `Network.compact` does it."""
    unit = np.abs(weight).max(axis=1) / np.float32(127)
    scale = np.zeros_like(unit)
    np.divide(np.float32(1), unit, out=scale, where=unit > 0)
    return np.rint(weight * scale[:, None]).astype(np.int8), unit


def _hash(arrays: Arrays, at: str, layer: Layer, neurons: str) -> None:
    parts = layer.hashes
    projection = parts["projection"]
    if "tail" in parts:  # the bias is hashed with no neuron, so with no input
        projection = np.vstack([projection[:-1], np.zeros_like(projection[:1])])
    fields: dict[str, Any] = {
        "projection": arrays.add(f"{at}_projection", projection),
        "mean": arrays.add(f"{at}_mean", parts["mean_projection"]),
    }
    if "mixing" in parts:
        fields["balance"] = arrays.add(f"{at}_balance", parts["balance"])
        fields["mixing"] = arrays.add(f"{at}_mixing", parts["mixing"][: parts["rank"]])
        fields["rank"] = int(parts["rank"])
    if "offset" in parts:
        mean = parts["mean"]
        fields["input_mean"] = arrays.add(f"{at}_input_mean", mean[:-1])
        fields["offset"] = arrays.add(f"{at}_offset", parts["extra_query"] + parts["offset"])
        fields["mean_square"] = float(np.add.accumulate(mean * mean)[-1])
    fields["columns"], fields["width"] = layer.columns, layer.width
    if "code" in parts:
        code = (parts["code"].astype(np.int16) - 128).astype(np.int8)
        fields["code"] = arrays.add(f"{at}_code", code)
    else:
        words = np.ascontiguousarray(parts["signature"]).astype("<u8").view("<u4")
        fields["word"] = arrays.add(f"{at}_word", words.astype(np.uint32))
        fields["words"] = words.shape[1]
        if "norm" in parts:
            fields["norm"] = arrays.add(f"{at}_norm", parts["norm"])
            fields["share"] = float(parts["share"])
        if "tail" in parts:
            fields["tail"] = arrays.add(f"{at}_tail", parts["tail"])
    if "slots" in parts:
        fields |= _tables(arrays, at, layer, neurons)
    arrays.add_struct("hash", f"{at}_hash", fields)


def _tables(arrays: Arrays, at: str, layer: Layer, neurons: str) -> dict[str, Any]:
    """Buckets one after the other, without the room that training moves neurons in."""
    slots = layer.hashes["slots"]
    tables = slots.shape[0]
    filled = slots.reshape(-1, slots.shape[2]) != np.uint32(0xFFFFFFFF)
    begin = np.append(0, np.cumsum(filled.sum(axis=1))).astype(np.uint32)
    member = slots.reshape(filled.shape)[filled].astype(neurons.removesuffix("_t"))
    return {
        "bucket": arrays.add(f"{at}_bucket", begin),
        "member": arrays.add(f"{at}_member", member),
        "bits": layer.bits,
        "tables": tables,
        "probes": layer.probes,
        "by_collisions": int(layer.by_collisions),
    }
