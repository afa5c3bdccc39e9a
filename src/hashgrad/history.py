"""An epoch's record: its loss and scores, what it cost, and how well neurons were chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import ledger
from .job import Job, Record, stream

if TYPE_CHECKING:
    from .network import Network

_SAMPLE_ROWS = 512  # rows from which means and subspaces are estimated
_RECALL_ROWS = 256  # rows on which the selection is compared with the exact one,
_RECALL_PRODUCTS = 5 * 10**9  # of about so many multiplications at most


def sample_rows(seed: int, rows: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The rows from which the hash functions learn their means and subspaces."""
    if len(rows) <= _SAMPLE_ROWS:
        return rows
    picked = stream(seed, "sample").choice(len(rows), _SAMPLE_ROWS, replace=False, shuffle=False)
    return np.ascontiguousarray(rows[np.sort(picked)])


def record(
    network: Network,
    job: Job | None,
    scores: Mapping[str, float],
    *,
    rate: float | None = None,
) -> Record:
    """The history's record of the epoch under way; without a job, it is not done."""
    state = network._state
    counts = ledger.combine(network._counts(), state.epoch_counts, -1)
    described = ledger.describe(counts, network.layers, network._dense_reference())
    for layer, tables in zip(described["layers"], network._core.tables(), strict=True):
        layer.update(ledger.describe_tables(tables))
    found: Record = {
        "epoch": state.epochs + 1,
        "seconds": state.seconds,
        "loss": state.loss,
        "accuracy": None,
        **scores,
        "learning_rate": rate,
        "examples": state.position,
    }
    if job is None:
        found["partial"] = True
    else:
        qualities = recall(network, job, _RECALL_ROWS, _RECALL_PRODUCTS)
        for layer, quality in zip(described["layers"], qualities, strict=True):
            layer.update(quality)
        found["selection_recall"] = mean_recall(network, qualities)
    return {**found, **described}


def recall(network: Network, job: Job, rows: int, products: int) -> list[dict[str, float]]:
    """`recall` and `gain` of each layer's selection, on some rows of a job.

    Args:
        network: with tables.
        job: whose rows; always the same ones of them.
        rows: how many at most,
        products: of about so many multiplications at most; one row is always taken.
    """
    if all(layer.selector.word == "dense" for layer in network.layers):  # known
        return [{"recall": 1.0, "gain": 1.0} for _ in network.layers]
    affordable = max(1, products // network.n_parameters)
    some = sample_rows(network.seed, job.rows)[: min(rows, affordable)]
    found = network._core.recall(job.inputs.batch, some)
    return [{"recall": one["recall"], "gain": one["gain"]} for one in found]


def mean_recall(network: Network, qualities: list[dict[str, float]]) -> float:
    """The mean recall over the layers that choose; 1 if none does."""
    chosen = [
        quality["recall"]
        for layer, quality in zip(network.layers, qualities, strict=True)
        if layer.selector.word != "dense"
    ]
    return sum(chosen) / len(chosen) if chosen else 1.0
