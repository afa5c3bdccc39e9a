"""Labels that come and go: outputs added to a trained network, and taken out of it.

A label keeps its number for good, and the number of a retired one is not given out again. The
outputs, neurons of the last layer, are those of the labels that are left, in ascending order: what
is retired takes no memory, no place in tables and no time. Labels become outputs where targets are
checked (`labels.py`), and outputs become labels where predictions are handed out (`prediction.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .checks import Interval, shown, wrong_type
from .data import Floats, finite_rows, numbers
from .halves import put, widened
from .job import stream
from .labels import Labels, prior_of_unseen

if TYPE_CHECKING:
    from .network import Network

_MOST_LABELS = 2**31 - 1
_SAMPLE = 4096  # outputs that tell what weights are ordinary


def add(network: Network, n: int, weights: Any, biases: Any) -> Labels:
    """Add outputs for n new labels; see `Network.add_labels`."""
    _check_loss(network)
    first, n_before = network.n_outputs, network.layers[-1].n
    n = Interval(1, _MOST_LABELS - first, integer=True).check("n", n)
    at = f"layers.{len(network.layers) - 1}."
    old = network._core.tensors()
    old_weights = old[at + "weight"]
    n_inputs = old_weights.shape[1]
    given_weights = None if weights is None else _given("weights", weights, (n, n_inputs))
    given_biases = None if biases is None else _given("biases", biases, (n, 1))[:, 0]
    core = _with_outputs(network, slice(n_before), n_before + n)
    new = {name.removeprefix(at): tensor[n_before:] for name, tensor in core.tensors().items()}
    if given_weights is None:
        given_weights = _ordinary(old_weights, n, stream(network.seed, "labels", first))
    put(given_weights, new["weight"])
    new["bias"][...] = _first_bias(network, old[at + "bias"]) if biases is None else given_biases
    if "optimizer.row_update" in new and core.arrangement()[-1]["layout"] == "neuron":
        new["optimizer.row_update"][...] = core.state()["updates"]  # none has passed them by
    if "lsh.dirty" in new:
        new["lsh.dirty"][...] = 1
    _take(network, core, network._retired)
    return np.arange(first, first + n)


def retire(network: Network, labels: Any) -> None:
    """Take the outputs of these labels out; see `Network.retire_labels`."""
    _check_loss(network)
    retired, n_before = network._retired, network.layers[-1].n
    gone = _checked(labels, network.n_outputs, retired)
    if not gone.size:
        return
    if gone.size == n_before:
        raise ValueError(f"labels must leave at least one label, got all {n_before} of them")
    kept = np.delete(np.arange(n_before), gone - np.searchsorted(retired, gone))
    _take(network, _with_outputs(network, kept, kept.size), np.union1d(retired, gone))


def checked_retired(given: Any, n_left: int) -> Labels:
    """A file's retired labels; TypeError or ValueError unless they go with `n_left` outputs."""
    if not isinstance(given, list) or not all(type(label) is int for label in given):
        raise wrong_type("retired", "a list of integers", given)
    if given != sorted(set(given)):
        raise ValueError(f"retired must ascend, got {shown(given)}")
    most = n_left + len(given) - 1
    if given and not 0 <= given[0] <= given[-1] <= min(most, _MOST_LABELS):
        raise ValueError(f"retired must hold labels from 0 to {most}, got {shown(given)}")
    return np.array(given, dtype=np.int64)


def _with_outputs(network: Network, kept: slice | Labels, n: int) -> _core.Network:
    """A copy of the core whose last layer has n outputs, first those `kept`, then untrained ones.

    They keep weights, hashes and optimizer state; hash tables are yet to be made.
    """
    old = network._core
    core = network._new_core((*network.layers[:-1], replace(network.layers[-1], n=n)))
    for number, way in enumerate(old.arrangement()):
        core.arrange(number, **way)
    core.set_state(old.state())
    views = core.tensors()
    for name, tensor in old.tensors().items():
        if views[name].shape == tensor.shape:
            views[name][...] = tensor
        elif not name.endswith("lsh.code"):  # a row an output
            some = tensor[kept]
            views[name][: len(some)] = some
    at = f"layers.{len(network.layers) - 1}.lsh."
    if at + "code" in views:  # sixteen outputs' lie together: to be made anew from the weights
        views[at + "dirty"][...] = 1
    return core


def _take(network: Network, core: _core.Network, retired: Labels) -> None:
    """Give the network this core, and forget what was about its outputs as they were."""
    core.rehash(network._n_threads)
    core.sync_after_load()
    network._core = core
    network.layers = (*network.layers[:-1], replace(network.layers[-1], n=core.n_outputs))
    network._retire(retired)
    state = network._state
    state.begin_epoch()
    state.resting = None
    state.forget_best()


def _ordinary(weights: NDArray[Any], n: int, random: np.random.Generator) -> Floats:
    """Weights of n outputs that know nothing: the mean of those there are, and half their spread.

    Zeros would outdo most labels of a logistic loss, whose scores are far below zero; without
    the noise, all would have the same hashes and crowd the same buckets.
    """
    some = widened(weights[:: -(-len(weights) // _SAMPLE)]).astype(np.float64)
    mean, spread = some.mean(axis=0), some.std(axis=0)
    noise = random.standard_normal((n, weights.shape[1]), dtype=np.float32)
    return np.asarray(mean + spread / 2 * noise, dtype=np.float32)


def _first_bias(network: Network, biases: Floats) -> float:
    """The bias of a new output: of a label that was in no row, or that of the rarest label."""
    step = int(network._core.step)
    if network.prior and step:
        rows = network._state.rows or step
        return prior_of_unseen(network.loss, rows, len(biases))
    return float(biases.min())


def _check_loss(network: Network) -> None:
    if network.loss == "squared":
        raise ValueError("loss must be 'softmax' or 'logistic' to have labels, got 'squared'")


def _given(name: str, values: Any, shape: tuple[int, int]) -> Floats:
    array = numbers(values, name)
    array = array[:, None] if shape[1] == 1 and array.ndim == 1 else array
    if array.shape != shape:
        rule = f"({shape[0]},)" if shape[1] == 1 else shape
        raise ValueError(f"{name} must have the shape {rule}, got {np.shape(values)}")
    return finite_rows(array, name)


def _checked(labels: Any, n_labels: int, retired: Labels) -> Labels:
    """Labels to retire, ascending."""
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"labels must be a list of labels, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise wrong_type("labels", "a list of integers", labels)
    outside = array[(array < 0) | (array >= n_labels)]
    if outside.size:
        raise ValueError(f"labels must be from 0 to {n_labels - 1}, got {outside[0]}")
    distinct, counts = np.unique(array, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"labels must name each label once, got {distinct[counts > 1][0]} twice")
    again = np.intersect1d(distinct, retired)
    if again.size:
        raise ValueError(f"labels must not be retired already, got {again[0]}")
    return distinct.astype(np.int64)
