"""PyTorch's side of the large benchmarks: sampled softmax over a batch-shared set of outputs.

The network is an `embedding_bag` of sparse rows, ReLU, and one product. Its gradients are written
by hand, and steps go to the rows that a batch touches, in one compiled loop: that takes 0.6 of the
time of autograd with `torch.optim.SparseAdam`, whose steps it repeats (`Adam`; 11 instead of 19 ms
of one thread for 1,024 rows of next words, in-batch). `bf16` halves the products.

A batch is trained on its own labels and `negatives` drawn outputs, each of them once, so that a
drawn label of a row is that row's label and never its negative. Which outputs are there depends on
chance; `correction` says what is made of it. With pi the chance that an output is there, log(pi) is
subtracted from its score: `all`, from every score (the posterior of the labels given the set, Jean
et al. 2015); `others`, from those of a row's wrong outputs only (an estimate of the full softmax's
sum); `none`, from none.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

SAMPLERS = ("uniform", "log-uniform", "in-batch")
CACHED = 1 << 20  # scores that the caches hold at once
EVALUATED = 1 << 25  # scores that an evaluation holds at once


@dataclass(frozen=True)
class Settings:
    """How a peer is trained."""

    sampler: str  # or "full"
    rate: float
    batch: int = 512
    negatives: int = 2048  # besides the batch's labels
    optimizer: str = "adam"  # or "adagrad", with one accumulator a row
    correction: str = "others"  # or "all", "none"
    bf16: bool = False  # products of the output layer with bfloat16 factors
    decay: bool = True  # the rate falls to zero, linearly


class Rows:
    """A CSR matrix as tensors, of which rows are taken without a loop."""

    def __init__(self, matrix: Any) -> None:
        self.shape = matrix.shape
        self.indptr = torch.from_numpy(matrix.indptr.astype(np.int64))
        self.indices = torch.from_numpy(matrix.indices.astype(np.int32, copy=False))
        plain = bool((matrix.data == 1).all())
        self.data = None if plain else torch.from_numpy(matrix.data.astype(np.float32, copy=False))

    def take(self, rows: torch.Tensor) -> Any:
        """Columns, where each row's begin (and an end), whose they are, values (None: ones)."""
        begin = self.indptr[rows]
        length = self.indptr[rows + 1] - begin
        starts = torch.zeros(len(rows) + 1, dtype=torch.int64)
        torch.cumsum(length, 0, out=starts[1:])
        owner = torch.repeat_interleave(torch.arange(len(rows)), length)
        at = torch.arange(len(owner)) + (begin - starts[:-1]).index_select(0, owner)
        data = None if self.data is None else self.data.index_select(0, at)
        return self.indices.index_select(0, at).long(), starts, owner, data

    def counts(self) -> Any:
        """How many rows have each column."""
        return np.bincount(self.indices.numpy(), minlength=self.shape[1])


class Adam:
    """Steps of `torch.optim.SparseAdam` for some rows, each named once."""

    BETAS = (0.9, 0.999)

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight, self.steps = weight, 0
        self.mean, self.square = torch.zeros_like(weight), torch.zeros_like(weight)

    def step(self, rows: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        """Move `rows` against their gradient."""
        self.steps += 1
        b1, b2 = self.BETAS
        rate *= (1 - b2**self.steps) ** 0.5 / (1 - b1**self.steps)
        move = adam_rows if self.weight.shape[1] == 1 or len(rows) < 2 else compiled(adam_rows)
        move(self.weight, self.mean, self.square, rows, gradient, torch.tensor(rate))


class RowAdagrad:
    """Adagrad with one sum of mean squares a row."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight, self.sum = weight, torch.zeros(len(weight))

    def step(self, rows: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        """Move `rows` against their gradient."""
        move = (
            adagrad_rows if self.weight.shape[1] == 1 or len(rows) < 2 else compiled(adagrad_rows)
        )
        move(self.weight, self.sum, rows, gradient, torch.tensor(rate))


def adam_rows(weight: Any, mean: Any, square: Any, rows: Any, gradient: Any, rate: Any) -> None:
    """Adam's step, written so that a compiler makes one loop of it."""
    b1, b2 = Adam.BETAS
    new_mean, new_square = mean[rows], square[rows]
    new_mean = new_mean + (gradient - new_mean) * (1 - b1)
    new_square = new_square + (gradient * gradient - new_square) * (1 - b2)
    new_weight = weight[rows] - rate * new_mean / (new_square.sqrt() + 1e-8)
    mean[rows], square[rows], weight[rows] = new_mean, new_square, new_weight


def adagrad_rows(weight: Any, total: Any, rows: Any, gradient: Any, rate: Any) -> None:
    """Row-wise Adagrad's step, likewise."""
    new_total = total[rows] + (gradient * gradient).mean(1)
    weight[rows] = weight[rows] - gradient * (rate / (new_total.sqrt() + 1e-10))[:, None]
    total[rows] = new_total


@functools.cache
def compiled(move: Callable[..., None]) -> Callable[..., None]:
    """The same by `torch.compile`, for any number of rows: a third of the time."""
    return torch.compile(move, dynamic=True)


OPTIMIZERS: dict[str, Callable[[torch.Tensor], Any]] = {"adam": Adam, "adagrad": RowAdagrad}


class Sampler:
    """Chooses the outputs of a batch, and knows how likely each was."""

    def __init__(self, how: Settings, counts: Any, n_rows: int) -> None:
        self.n, self.kind = len(counts), how.sampler
        self.negatives = 0 if how.sampler == "in-batch" else how.negatives
        drawn = np.full(self.n, 1 / self.n)
        if how.sampler == "log-uniform":
            self.by_frequency = torch.from_numpy(np.argsort(-counts, kind="stable"))
            ranks = np.arange(self.n)
            drawn[self.by_frequency.numpy()] = np.log1p(1 / (ranks + 1)) / np.log(self.n + 1)
        # An output is there unless neither the rows nor the draws have it. One that no training
        # row has is only drawn; in-batch never, and then its chance says nothing.
        absent = how.batch * np.log1p(-np.minimum(counts / n_rows, 1 - 1e-9))
        absent += self.negatives * np.log1p(-drawn)
        self.log_chance = torch.from_numpy(np.log(np.maximum(-np.expm1(absent), 1e-9))).float()

    def __call__(self, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The outputs, each once, and the places of `labels` among them."""
        if self.kind == "uniform":
            drawn = torch.randint(self.n, (self.negatives,))
        elif self.kind == "log-uniform":
            ranks = torch.rand(self.negatives, dtype=torch.float64).mul_(np.log(self.n + 1)).exp_()
            drawn = self.by_frequency[(ranks.long() - 1).clamp_(0, self.n - 1)]
        else:
            drawn = labels[:0]
        outputs, places = torch.unique(torch.cat([labels, drawn]), return_inverse=True)
        return outputs, places[: len(labels)]


class Peer:
    """The network, its gradients and its steps."""

    def __init__(self, x: Rows, y: Rows, hidden: int, how: Settings, seed: int) -> None:
        torch.manual_seed(seed)
        self.x, self.y, self.how = x, y, how
        n, counts = y.shape[1], y.counts()
        per_row = (
            len(x.indices) / x.shape[0] if x.data is None else 1.0
        )  # rows of values have length 1
        self.bag = torch.randn(x.shape[1], hidden).mul_((2 / per_row) ** 0.5 * hidden**-0.5)
        self.hidden_bias = torch.zeros(1, hidden)
        self.out = torch.randn(n, hidden).mul_(0.5 * hidden**-0.5)
        self.out_bias = torch.from_numpy(np.log((counts + 0.5) / (counts + 0.5).sum())).float()[
            :, None
        ]
        self.steppers = [
            OPTIMIZERS[how.optimizer](weight)
            for weight in (self.bag, self.hidden_bias, self.out, self.out_bias)
        ]
        for stepper in self.steppers:  # compiles them: zeros move nothing
            stepper.step(
                torch.arange(len(stepper.weight))[:4], torch.zeros_like(stepper.weight[:4]), 0
            )
            stepper.steps = 0
        self.everything = torch.arange(n)
        self.sampler = None if how.sampler == "full" else Sampler(how, counts, y.shape[0])

    def hidden(self, index: torch.Tensor, starts: torch.Tensor, data: Any) -> torch.Tensor:
        """The hidden layer of some rows."""
        summed = F.embedding_bag(
            index, self.bag, starts, mode="sum", per_sample_weights=data, include_last_offset=True
        )
        return summed.add_(self.hidden_bias).relu_()

    @torch.no_grad()
    def step(self, rows: torch.Tensor, rate: float) -> None:
        """Learn from a batch."""
        index, starts, owner, data = self.x.take(rows)
        labels, label_starts, label_owner, _ = self.y.take(rows)
        h = self.hidden(index, starts, data)
        outputs, places = (
            (self.everything, labels) if self.sampler is None else self.sampler(labels)
        )
        out, bias = self.out, self.out_bias
        if self.sampler is not None:
            out, bias = out.index_select(0, outputs), bias.index_select(0, outputs)
        shift = torch.zeros(len(outputs))
        if self.sampler is not None and self.how.correction != "none":
            shift = self.sampler.log_chance.index_select(0, outputs)
        back = shift.index_select(0, places) if self.how.correction == "others" else None
        share = (1 / label_starts.diff()).index_select(0, label_owner)
        number = torch.bfloat16 if self.how.bf16 else torch.float32
        factors, offset = out.to(number), bias[:, 0] - shift
        d_h, d_out = torch.empty_like(h), torch.zeros_like(out)
        d_bias = torch.zeros_like(shift)
        height = max(64, min(512, CACHED // len(outputs)))
        for at in range(0, len(rows), height):
            end = min(len(rows), at + height)
            some = slice(int(label_starts[at]), int(label_starts[end]))
            cells = (label_owner[some] - at) * len(outputs) + places[some]
            part = h[at:end].to(number)
            z = (part @ factors.T).float().add_(offset)
            if back is not None:
                z.view(-1).index_add_(0, cells, back[some])
            d_z = torch.softmax(z, 1)
            d_z.view(-1).index_add_(0, cells, share[some], alpha=-1)
            d_bias += d_z.sum(0)
            d_z = d_z.to(number)
            d_h[at:end] = d_z @ factors
            if self.how.bf16:
                d_out += d_z.T @ part
            else:
                d_out.addmm_(d_z.T, part)
        d_h.mul_(h > 0).div_(len(rows))
        touched, d_bag = gathered(index, owner, data, d_h)
        none = torch.zeros(1, dtype=torch.int64)
        d_hidden_bias = d_h.sum(0, keepdim=True)
        for stepper, where, gradient in zip(
            self.steppers,
            (touched, none, outputs, outputs),
            (d_bag, d_hidden_bias, d_out.div_(len(rows)), d_bias.div_(len(rows))[:, None]),
            strict=True,
        ):
            stepper.step(where, gradient, rate)

    @torch.no_grad()
    def ranked(self, x: Rows, k: int) -> Any:
        """The `k` best outputs of each row of `x`, of all outputs."""
        parts = []
        for rows in torch.arange(x.shape[0]).split(max(1, EVALUATED // self.y.shape[1])):
            index, starts, _, data = x.take(rows)
            z = torch.addmm(self.out_bias[:, 0], self.hidden(index, starts, data), self.out.T)
            best = z.argmax(1, keepdim=True) if k == 1 else z.topk(k).indices
            parts.append(best.to(torch.int32).numpy())
        return np.concatenate(parts)

    def batches(self) -> Iterator[torch.Tensor]:
        """Batches of rows for ever, in a new order every epoch; what is left of one is left out."""
        while True:
            order = torch.randperm(self.x.shape[0])
            yield from order[: len(order) // self.how.batch * self.how.batch].split(self.how.batch)


def gathered(index: Any, owner: Any, data: Any, d_h: torch.Tensor) -> tuple[Any, torch.Tensor]:
    """The inputs that are there, each once, and their gradients: sums of rows of `d_h`."""
    index, order = torch.sort(index)
    touched, counts = torch.unique_consecutive(index, return_counts=True)
    starts = torch.zeros(len(touched) + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=starts[1:])
    gradient = F.embedding_bag(
        owner.index_select(0, order), d_h, starts, mode="sum", include_last_offset=True,
        per_sample_weights=None if data is None else data.index_select(0, order),
    )  # fmt: skip
    return touched, gradient


def train_for(
    peer: Peer, seconds: float, points: int, judge: Callable[[], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Train for some seconds, judging `points` times; judging takes none of them."""
    batches, records, spent, done = peer.batches(), [], 0.0, 0
    for point in range(points):
        due = seconds * (point + 1) / points
        while spent < due:
            began = time.perf_counter()
            left = max(0.0, 1 - spent / seconds) if peer.how.decay else 1.0
            peer.step(next(batches), peer.how.rate * left)
            spent += time.perf_counter() - began
            done += peer.how.batch
        records.append({"seconds": round(spent, 2), "examples": done, **judge()})
    return records


def train_epochs(
    peer: Peer, epochs: int, judge: Callable[[], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Train for some epochs, judging after each; judging does not count."""
    steps = peer.x.shape[0] // peer.how.batch
    batches, records, spent = peer.batches(), [], 0.0
    for epoch in range(epochs):
        began = time.perf_counter()
        for number in range(steps):
            left = 1 - (epoch * steps + number) / (epochs * steps) if peer.how.decay else 1.0
            peer.step(next(batches), peer.how.rate * left)
        spent += time.perf_counter() - began
        done = (epoch + 1) * steps * peer.how.batch
        records.append({"seconds": round(spent, 2), "examples": done, **judge()})
    return records


def seconds_a_step(peer: Peer, steps: int) -> float:
    """What a step takes, after one that does not count."""
    batches = peer.batches()
    peer.step(next(batches), peer.how.rate)
    began = time.perf_counter()
    for _ in range(steps):
        peer.step(next(batches), peer.how.rate)
    return (time.perf_counter() - began) / steps


def grid(start: Settings, **choices: Sequence[Any]) -> list[Settings]:
    """All combinations of some settings; in-batch has no negatives to choose."""
    found = [
        replace(start, **dict(zip(choices, picked, strict=True)))
        for picked in itertools.product(*choices.values())
    ]
    if start.sampler == "in-batch":
        found = [replace(settings, negatives=0) for settings in found]
    return list(dict.fromkeys(found))


def in_words(how: Settings) -> str:
    """Settings on a line."""
    return (
        f"{how.sampler:11} {how.optimizer:7} rate {how.rate:<7g} batch {how.batch:<5} "
        f"negatives {how.negatives:<5} {how.correction:6} {'bf16' if how.bf16 else 'fp32'}"
    )
