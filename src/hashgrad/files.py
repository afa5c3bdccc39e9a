"""Model files: safetensors with a versioned JSON header, written whole or not at all.

The header's `__metadata__.hashgrad` holds, as JSON text, the format's version, the network's
specification, the state of training and the history; no clock and no machine, so that the same
training gives the same bytes. It also holds the tensors' checksums, which `load` compares. There is
no pickle in a file, and loading it runs no code.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from safetensors.numpy import save_file

from . import checksums, outputs, specification, state
from .atomic import replacing, system_error
from .checks import shown, wrong_type
from .defaults import check, check_keys
from .halves import finite, widened
from .labels import Labels

if TYPE_CHECKING:
    from .network import Network

FORMAT = 4
LONGEST_METADATA = 1 << 25  # bytes; escaped in the header, it stays below the library's limit
_RESTING = "training.resting"  # the rows that rest, where some are known
_BEST = "best."  # prefix of the tensors that early stopping keeps
_KEYS = [
    "format", "version", "specification", "arrangement", "training", "core", "counts", "history",
    "extra", "retired",
]  # fmt: skip
_CHECKSUMS = "checksums"  # the key that files of earlier versions lack
_DTYPES = {
    "F32": "float32",
    "I8": "int8",
    "U8": "uint8",
    "U16": "uint16",
    "U64": "uint64",
}  # those of the core's tensors
# Last words of the names of tensors of which roots are taken.
_AT_LEAST_ZERO = ("norm", "norm2", "scale", "moment2", "row_square", "row_units")


@dataclass(frozen=True)
class Stored:
    """What a file says about a tensor."""

    dtype: str  # NumPy's word
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """A model file's header, checked: every size and range in it fits the file."""

    metadata: dict[str, Any]
    tensors: dict[str, Stored]
    arguments: dict[str, Any]  # of `Network`
    state: state.State
    history: list[dict[str, Any]]
    retired: Labels
    checksums: dict[str, int]  # by tensor; empty where the file states none


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network to a file; see `Network.save`."""
    text, tensors = parts(network)
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"hashgrad": text})


def parts(network: Network) -> tuple[str, dict[str, NDArray[Any]]]:
    """What a network's file holds: the metadata as JSON text, and the tensors by name.

    The tensors may share the network's memory.

    Raises:
        ValueError, TypeError: `network.extra` holds what JSON cannot, or too much of it, or the
            network holds NaN or infinity, which `load` would refuse.
    """
    from . import __version__

    core = network._core
    metadata = {
        "format": FORMAT,
        "version": __version__,
        "specification": network.specification(),
        "arrangement": core.arrangement(),
        "training": network._state.to_dict(),
        "core": core.state(),
        "counts": core.ledger(),
        "history": [state.without_clock(record) for record in network.history],
        "extra": network.extra,
        "retired": network.retired,
    }
    tensors: dict[str, NDArray[Any]] = dict(core.tensors())
    if network.known is not None and network._state.resting is not None:
        tensors[_RESTING] = network._state.resting
    tensors |= {_BEST + name: tensor for name, tensor in network._state.best.items()}
    for name, tensor in tensors.items():
        check_values(name, tensor)
    # The core pads its rows; the library writes memory as it lies.
    tensors = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    metadata[_CHECKSUMS] = checksums.of(tensors)
    text = json.dumps(metadata, allow_nan=False, sort_keys=True, separators=(",", ":"))
    _check_length(text)
    return text, tensors


def load(path: str | os.PathLike[str], *, threads: int | None = None) -> Network:
    """Read a network that `Network.save` wrote.

    Args:
        path: the file.
        threads: threads to use, 0 for all cores; files do not remember a machine's.

    Returns:
        The network: it predicts as before, and `fit` goes on where training stopped.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a whole model file of a format this version reads, or a tensor has
            not the checksum that the file states.

    Example:
        >>> import pathlib, tempfile, hashgrad
        >>> net = hashgrad.Network(2, [hashgrad.Dense(4), hashgrad.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.save(pathlib.Path(folder) / "model.safetensors")
        ...     same = hashgrad.load(pathlib.Path(folder) / "model.safetensors")
        >>> bool((same.predict([[1.0, 2.0]]) == net.predict([[1.0, 2.0]])).all())
        True
    """
    with _opened(path) as file:
        network = _restored(_read_header(file), file.get_tensor)
    if threads is not None:
        network.threads = check("threads", threads)
    return network


def to_bytes(network: Network) -> bytes:
    """The bytes of the network's file, as pickles hold them.

    Raises:
        ValueError, TypeError: as `parts`.
    """
    text, tensors = parts(network)
    return bytes(save_tensors(tensors, metadata={"hashgrad": text}))


def from_bytes(data: bytes) -> Network:
    """The network of a file's bytes.

    Raises:
        ValueError: they are not a whole model file of a format this version reads.

    >>> from hashgrad import Dense, Network
    >>> from_bytes(to_bytes(Network(2, [Dense(4), Dense(2)]))).n_inputs
    2
    """
    with _naming("data"):
        tensors = load_tensors(data)  # checks the header
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        text = (header.get("__metadata__") or {}).get("hashgrad")
    return from_parts(text, tensors)


def from_parts(text: str | None, tensors: Mapping[str, NDArray[Any]]) -> Network:
    """The network that `parts` took apart; raises ValueError if they do not fit together."""
    stored = {name: Stored(str(tensor.dtype), tensor.shape) for name, tensor in tensors.items()}
    with _naming("data"):
        return _restored(_checked(text, stored), tensors.__getitem__)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read and check a model file's header; no tensor is read and no network made.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a whole model file of a format this version reads.
    """
    with _opened(path) as file:
        return _read_header(file)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """The file, opened by the library; errors name it."""
    with Path(path).open("rb"):
        pass  # errors of opening are the system's own
    try:
        with _naming(str(path)), safe_open(os.fspath(path), framework="np") as file:
            yield file
    except OSError as error:  # the file cannot be mapped into memory
        raise system_error(error, path, "read") from error


@contextlib.contextmanager
def _naming(where: str) -> Iterator[None]:
    """Name the file in errors about what it holds."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{where} is not a valid hashgrad model: {error}") from error
    except SafetensorError as error:
        raise ValueError(
            f"{where} is not a valid hashgrad model: "
            f"it must be a whole safetensors file, got: {error}"
        ) from error


def _read_header(file: Any) -> Header:
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    stored = {
        name: Stored(_DTYPES.get(part.get_dtype(), part.get_dtype()), tuple(part.get_shape()))
        for name, part in slices.items()
    }
    return _checked((file.metadata() or {}).get("hashgrad"), stored)


def _checked(text: str | None, tensors: dict[str, Stored]) -> Header:
    """The header; ValueError or TypeError unless it and the tensors make a whole network."""
    if not isinstance(text, str):
        raise ValueError("its metadata must have the key 'hashgrad', got a file of another kind")
    ours = _parsed(text)
    if ours.get("format") != FORMAT:
        raise ValueError(
            f"its format must be {FORMAT}, got {shown(ours.get('format'))}, "
            f"written by version {shown(ours.get('version'))}"
        )
    check_keys("metadata", ours, _KEYS + [_CHECKSUMS] * (_CHECKSUMS in ours))
    arguments = specification.from_dict(ours["specification"])
    layers = arguments["layers"]
    for key, kind in (("extra", dict), ("version", str)):
        if not isinstance(ours[key], kind):
            raise wrong_type(key, f"of type {kind.__name__}", ours[key])
    arrangement = specification.checked_arrangement(ours["arrangement"], layers)
    state.check_core_state(ours["core"], any(way["code"] != "none" for way in arrangement))
    state.checked_counts("counts", ours["counts"], len(layers))
    training = state.State.from_dict(ours["training"], len(layers))
    expected = specification.tensor_shapes(
        arguments["n_inputs"],
        layers,
        arguments["optimizer"],
        bool(ours["core"].get("built")),
        arrangement,
    )
    if training.best_epoch:
        expected |= {_BEST + name: e for name, e in expected.items() if ".optimizer." not in name}
    rules = {n: Stored(_DTYPES[d], shape) for n, (d, shape) in expected.items()}
    resting = tensors.get(_RESTING)
    if arguments["known"] is not None and resting is not None:
        rules[_RESTING] = Stored("uint8", (math.prod(resting.shape),))  # as many as X had rows
    _check_tensors(tensors, rules)
    return Header(
        metadata=ours,
        tensors=tensors,
        arguments=arguments,
        state=training,
        history=state.checked_history(ours["history"]),
        retired=outputs.checked_retired(ours["retired"], layers[-1].n),
        checksums=checksums.checked(ours[_CHECKSUMS], tensors) if _CHECKSUMS in ours else {},
    )


def _check_tensors(tensors: Mapping[str, Stored], expected: Mapping[str, Stored]) -> None:
    """Raise ValueError unless a file has exactly the tensors, types and shapes expected."""
    for name in sorted(set(expected) ^ set(tensors)):
        raise ValueError(
            f"it must hold the tensor {name!r}, got none of that name"
            if name in expected
            else f"it must hold no tensors but the network's, got {shown(name)}"
        )
    for name, rule in expected.items():
        got = tensors[name]
        if got != rule:
            raise ValueError(
                f"tensor {name!r} must be {rule.dtype} {rule.shape}, got {got.dtype} {got.shape}"
            )


def check_values(name: str, tensor: NDArray[Any]) -> None:
    """Raise ValueError unless a tensor holds what training can leave in it."""
    word = name.rpartition(".")[2]
    if word in ("dirty", "resting"):
        rule, good = "0 or 1", tensor <= 1
    elif word in _AT_LEAST_ZERO:
        rule, good = "finite and >= 0", finite(tensor) & (widened(tensor) >= 0)
    else:
        rule, good = "finite", finite(tensor)
    if not good.all():
        where = tuple(int(at) for at in np.argwhere(~good)[0])
        got = widened(tensor[where][None])[0]
        raise ValueError(f"tensor {name!r} must be {rule}, got {got} at {list(where)}")


def _check_length(text: str) -> None:
    if len(text) > LONGEST_METADATA:
        raise ValueError(
            f"metadata must have at most {LONGEST_METADATA} characters, got {len(text)}"
        )


def _parsed(text: str) -> dict[str, Any]:
    """The metadata; ValueError if it is no JSON object, repeats a key or holds NaN."""

    def refuse(constant: str) -> None:
        raise ValueError(f"its metadata must hold finite numbers, got {constant}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError(f"its metadata must not repeat a key, got {shown(sorted(members))}")
        return members

    _check_length(text)
    try:
        parsed = json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ValueError(f"its metadata must be JSON: {error}") from None
    except RecursionError:
        raise ValueError("its metadata must not be nested so deeply") from None
    if not isinstance(parsed, dict):
        raise ValueError(f"its metadata must be a JSON object, got {shown(parsed)}")
    return parsed


def _restored(header: Header, tensor: Callable[[str], NDArray[Any]]) -> Network:
    """The network of a checked header; `tensor` gets its tensors, one at a time."""
    from .network import Network

    network = Network(**header.arguments)
    core = network._core
    for number, way in enumerate(header.metadata["arrangement"]):
        core.arrange(number, **way)
    core.set_state(header.metadata["core"])
    views = core.tensors()
    for name in header.tensors:
        ours = name == _RESTING or name.startswith(_BEST)
        values = np.array(tensor(name)) if ours else tensor(name)
        if header.checksums:
            checksums.check(name, values, header.checksums[name])
        check_values(name, values)
        if name == _RESTING:
            header.state.resting = values
        elif ours:
            header.state.best[name.removeprefix(_BEST)] = values
        else:
            views[name][...] = values
    core.sync_after_load()
    core.set_ledger(header.metadata["counts"])
    network._state, network.history = header.state, header.history
    network.extra = header.metadata["extra"]
    network._retire(header.retired)
    return network
