"""A layer's hash index, beside weights that belong to PyTorch, and what it cost.

Operators name an index by an integer, its handle: a number passes through `torch.compile` where an
object would not. The registry holds indexes weakly, so that one ends with its layer.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _core
from ..layers import Dense
from ..selectors import LSH
from ..specification import core_layer

LEAST, MOST = 64, 256  # inputs of a sample, before there are hashes, and at last
NEW = 16  # inputs of a batch that take the places of others
# Examples before the first rebuild, or this share of the outputs; the interval then doubles up to
# `rebuild_every`.
FIRST_REBUILD, OUTPUTS_AN_EXAMPLE = 1000, 4

_handles = itertools.count(1)
_registry: weakref.WeakValueDictionary[int, Index] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class Multiplications:
    """What a layer has multiplied so far, by phase, and what `torch.nn.Linear` would have.

    The optimizer's steps are left out on both sides.

    >>> Multiplications(query=3, forward=2, dense=100).fraction
    0.05
    """

    query: int = 0  # hashing inputs, and comparing hashes
    rerank: int = 0  # exact products with candidates that were not kept
    forward: int = 0
    backward: int = 0  # gradients of inputs
    update: int = 0  # gradients of weights
    rehash: int = 0  # hashing what has moved, and finding it
    rebuild: int = 0
    dense: int = 0  # of all outputs, zeros included

    @property
    def total(self) -> int:
        """All phases."""
        return (
            self.query + self.rerank + self.forward + self.backward
            + self.update + self.rehash + self.rebuild
        )  # fmt: skip

    @property
    def fraction(self) -> float:
        """The total as a share of `dense`; NaN before anything was computed."""
        return self.total / self.dense if self.dense else float("nan")


def find(handle: int) -> Index:
    """The index with this handle; raises RuntimeError where its layer is gone."""
    index = _registry.get(handle)
    if index is None:
        raise RuntimeError(f"handle must be that of a layer that still exists, got {handle}")
    return index


class Index:
    """Hashes of a layer's outputs, a sample of its inputs, and when to hash again.

    Args:
        n_inputs, n_outputs: of the layer.
        lsh: how to hash.
        seed: of the hash functions and of what is drawn.
        marks: in training only rows that were marked (`mark`) will have moved; else every row is
            looked at on the schedule.
    """

    def __init__(self, n_inputs: int, n_outputs: int, lsh: LSH, seed: int, marks: bool) -> None:
        self.n_inputs, self.n_outputs = n_inputs, n_outputs
        self.lsh, self.seed, self.marks = lsh, seed, marks
        self.sample = np.empty((0, n_inputs), np.float32)
        self.filled = 0  # rows put into the sample so far
        self.examples = 0  # of training
        self.interval = max(FIRST_REBUILD, n_outputs // OUTPUTS_AN_EXAMPLE)
        self._begin()

    def _begin(self) -> None:
        spec = core_layer(Dense(self.n_outputs, "linear", active=self.lsh)).lsh
        self.core = _core.LinearIndex(self.n_inputs, self.n_outputs, spec, self.seed)
        self.hashes = self.lsh.lookup != "exact" and (
            self.lsh.pooled or self.lsh.kept(self.n_outputs) < self.n_outputs
        )
        self.dense = 0
        self._rehash_at = self._rebuild_at = self.examples  # as soon as there is a sample
        self._seen: Any = None  # the version of the weights that were hashed
        self._distrusts = False
        self._lock = threading.Lock()
        self.handle = next(_handles)
        _registry[self.handle] = self

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs to hash anew: settings, sample, schedule."""
        names = (
            "n_inputs", "n_outputs", "lsh", "seed", "marks", "sample", "filled", "examples",
            "interval",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.sample = self.sample.copy()
        self._begin()

    def mark(self, rows: Tensor) -> None:
        """Say which rows (int64) are about to move."""
        self.core.mark(rows.numpy())

    def distrust(self) -> None:
        """All weights may have changed: look at every row next time, whatever is marked."""
        self._distrusts = True

    def count(self, dense: int = 0, **phases: int) -> None:
        """Add multiplications, and those of the dense layer beside them."""
        if phases:
            self.core.count(**phases)
        with self._lock:
            self.dense += dense

    def multiplications(self) -> Multiplications:
        """What has been counted."""
        counts = self.core.counts()
        phases = ("query", "rerank", "forward", "backward", "update", "rehash", "rebuild")
        return Multiplications(**{name: counts[name] for name in phases}, dense=self.dense)

    def keep_up(self, x: Tensor, weight: Tensor, bias: Tensor | None, training: bool) -> None:
        """Before a look-up: put inputs into the sample, and hash again what is due.

        In training that is on the schedule; else whenever the weights' version has changed.
        """
        with self._lock:
            if not self.hashes:
                return
            if training or self.filled < MOST:
                self._collect(x)
            if training:
                self.examples += len(x)
                due = self.examples >= self._rebuild_at
                look = self.examples >= self._rehash_at
            else:
                due = not self.core.built
                look = version(weight, bias) != self._seen
            if due and len(self.sample) >= LEAST:
                self._rebuild(weight, bias)
            elif look and self.core.built:
                self._refresh(weight, bias, all_rows=not (training and self.marks))

    def refresh(self, weight: Tensor, bias: Tensor | None) -> int:
        """Hash every row again whose bits have changed; returns how many."""
        with self._lock:
            return self._refresh(weight, bias, all_rows=True)

    def staleness(self, weight: Tensor, bias: Tensor | None) -> float:
        """Share of the bits of (at most 64) rows' hashes that would differ if hashed now."""
        return float(self.core.staleness(numpy(weight), numpy(bias)))

    def _collect(self, x: Tensor) -> None:
        """Evenly chosen rows of a batch into the sample, the oldest overwritten."""
        wanted = NEW if self.filled >= MOST else MOST
        rows = np.unique(np.linspace(0, len(x) - 1, min(wanted, len(x))).astype(np.int64))
        new = x.numpy()[rows]
        new = new[np.isfinite(new).all(1)]
        room = MOST - len(self.sample)
        self.sample = np.concatenate([self.sample, new[:room]])
        places = (self.filled + np.arange(len(new))) % MOST
        self.sample[places[room:]] = new[room:]
        self.filled += len(new)

    def _rebuild(self, weight: Tensor, bias: Tensor | None) -> None:
        if self.core.built:
            self.interval = min(2 * self.interval, self.lsh.rebuild_every)
        else:
            self.interval = min(self.interval, self.lsh.rebuild_every)
        self.core.rebuild(self.sample, numpy(weight), numpy(bias), torch.get_num_threads())
        self._rebuild_at = self.examples + self.interval
        self._hashed(weight, bias)

    def _refresh(self, weight: Tensor, bias: Tensor | None, all_rows: bool) -> int:
        threads = torch.get_num_threads()
        every = all_rows or self._distrusts
        moved = self.core.refresh(numpy(weight), numpy(bias), every, threads)
        self._hashed(weight, bias)
        return int(moved)

    def _hashed(self, weight: Tensor, bias: Tensor | None) -> None:
        self._distrusts = False
        self._seen = version(weight, bias)
        self._rehash_at = self.examples + self.lsh.rehash_every


def version(weight: Tensor, bias: Tensor | None) -> tuple[int, ...]:
    """Numbers that change when an optimizer or a loaded state changes the weights."""
    both = (weight,) if bias is None else (weight, bias)
    return tuple(number for t in both for number in (t._version, t.data_ptr()))


def numpy(tensor: Tensor | None) -> Any:
    """The same memory as an array; copied only where it is not contiguous."""
    return None if tensor is None else tensor.detach().contiguous().numpy()
