"""What the estimators do to a network that `Network.fit` does not: single epochs, moved weights."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from .. import training
from ..job import Job
from ..network import Network
from ..schedules import Constant
from ..specification import core_schedule


def with_mean_weight_one(job: Job) -> tuple[Job, float]:
    """The job with its rows' weights scaled to a mean of 1, and their mean before.

    Raises:
        ValueError: all of them are zero.
    """
    if job.row_weights is None:
        return job, 1.0
    mean = float(job.row_weights[job.rows].mean(dtype=np.float64))
    if mean == 0:
        raise ValueError("sample_weight must not be zero in every row that is not held out")
    return dataclasses.replace(job, row_weights=job.row_weights / np.float32(mean)), mean


def train_epoch(
    network: Network, job: Job, order: NDArray[np.uint32], rate: float, where: str
) -> float:
    """Train on the rows once, in this order and at this rate; the mean loss, as scikit-learn's.

    Raises:
        FloatingPointError: the loss of an example, or a weight, became NaN or infinite.
        KeyboardInterrupt: Ctrl-C; see `abandon_epoch`.
    """
    state = network._state
    state.rows = len(order)
    state.begin_epoch()
    state.epoch_counts = network._counts()
    schedule = core_schedule(Constant(warmup=0), rate, len(order), 1)
    for result in training.chunks(network, job, order, 0, schedule, where):
        state.position += result.examples
        state.loss_sum += result.loss_sum
    loss = state.loss_sum / len(order)
    training.close_epoch(network, job, schedule)
    # the core sums a row's squared errors over the outputs, scikit-learn takes their mean
    return loss / network.n_outputs if network.loss == "squared" else loss


def abandon_epoch(network: Network) -> None:
    """Leave the network as it stands in the middle of an epoch, ready to predict."""
    network.interrupted = True
    network._state.begin_epoch()
    network._core.end_epoch()


def tensors_of(network: Network, kind: str) -> list[NDArray[np.float32]]:
    """Views of each layer's `"weight"`, (outputs, inputs), or `"bias"`, (outputs,)."""
    tensors = network._core.tensors()
    return [tensors[f"layers.{i}.{kind}"] for i in range(len(network.layers))]


def copy_weights(source: Network, target: Network) -> None:
    """Give a new network an old one's weights; the hash tables follow when training begins.

    Raises:
        ValueError: their hidden layers differ in size.
    """
    sizes = [[layer.n for layer in network.layers[:-1]] for network in (source, target)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"hidden_layer_sizes must stay {sizes[0]} with warm_start=True, got {sizes[1]}"
        )
    for kind in ("weight", "bias"):
        for old, new in zip(tensors_of(source, kind), tensors_of(target, kind), strict=True):
            new[...] = old
