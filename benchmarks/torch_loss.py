"""Losses of PyTorch over 58,488 words: LSHSoftmaxLoss, the adaptive softmax, uniform sampling.

    python benchmarks/torch_loss.py --seconds 60 --json FILE
    python benchmarks/torch_loss.py --tune --seconds 15 --rows 300000

The next words of `words.py`. The network below the loss, its optimizer and its batches are the same
for all: an `EmbeddingBag` of 8 x 58,488 rows, ReLU units (128, or `--hidden`), sparse gradients,
`peers.Adam` (the steps of `torch.optim.SparseAdam` for the rows of a batch, compiled), a rate that
falls to zero.
`uniform` is `LSHSoftmaxLoss` with `wrong=0`: labels and random classes, by the same operator, so
that only what hashing brings and costs is between the two. `adaptive` is PyTorch's own
`AdaptiveLogSoftmaxWithLoss`, whose dense parameters are stepped by `torch.optim.Adam`. It
multiplies in float32, the other two with bfloat16 factors. `--tune`
tries each over a grid of rates, and of negatives or cutoffs; P@1 is exact, over a sample of the
held-out positions. Compiling and judging are not counted. `--clock processor` counts the seconds
that the process had a processor, for a machine that has other work to do.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import words
from contest import alone, peak_mebibytes
from peers import Adam, Rows
from torch import nn
from torch.nn import functional as F  # noqa: N812

from hashgrad.bench.suite import circumstances
from hashgrad.torch import LSHSoftmaxLoss

# The better of two rates in runs of 15 s; all else are first guesses. --tune says better.
SETTINGS: dict[str, dict[str, Any]] = {
    "lsh": {"rate": 1.2e-2, "batch": 512, "negatives": 2048, "wrong": 1},
    "uniform": {"rate": 1.2e-2, "batch": 512, "negatives": 2048},
    "adaptive": {"rate": 1.2e-2, "batch": 512, "cutoffs": [2000, 10000]},
}
GRID: dict[str, list[dict[str, Any]]] = {
    "lsh": [{"negatives": 0}, {"negatives": 1024}, {"negatives": 2048}, {"wrong": 2}],
    "uniform": [{"negatives": 512}, {"negatives": 1024}, {"negatives": 2048}, {"negatives": 4096}],
    "adaptive": [{"cutoffs": [2000, 10000]}, {"cutoffs": [1000, 5000, 20000]}],
}
RATES = (6e-3, 1.2e-2, 2.4e-2)


class Contender:
    """The network with one of the losses."""

    def __init__(
        self, name: str, how: dict[str, Any], x: Rows, counts: Any, hidden: int, seed: int
    ) -> None:
        torch.manual_seed(seed)
        self.name, self.how, n = name, how, len(counts)
        self.bag = nn.EmbeddingBag(x.shape[1], hidden, mode="sum", sparse=True)
        with torch.no_grad():
            self.bag.weight.mul_(2**0.5 * hidden**-0.5)
        if name == "adaptive":
            self.loss: Any = nn.AdaptiveLogSoftmaxWithLoss(hidden, n, how["cutoffs"])
        else:
            self.loss = LSHSoftmaxLoss(
                hidden, n, negatives=how["negatives"], wrong=how.get("wrong", 0),
                class_counts=counts, sparse=True, seed=seed,
            )  # fmt: skip
        self.dense = torch.optim.Adam(self.loss.parameters()) if name == "adaptive" else None
        rows = [] if self.dense else list(self.loss.parameters())
        self.rows = [self.bag.weight, *rows]
        self.steppers = [
            Adam(p.detach() if p.dim() > 1 else p.detach()[:, None]) for p in self.rows
        ]
        self.warm_up()

    def warm_up(self) -> None:
        """Compile the steps: zeros move nothing."""
        for stepper in self.steppers:
            some = torch.arange(4)
            stepper.step(some, torch.zeros_like(stepper.weight[:4]), 0)
            stepper.steps = 0

    def hidden(self, x: Rows, rows: torch.Tensor) -> torch.Tensor:
        """The hidden layer of some rows."""
        index, starts, _, _ = x.take(rows)
        return F.relu(self.bag(index, starts[:-1]))

    def step(self, x: Rows, y: torch.Tensor, rows: torch.Tensor, rate: float) -> None:
        """Learn from a batch."""
        for parameter in (self.bag.weight, *self.loss.parameters()):
            parameter.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.name != "adaptive"):
            loss = self.loss(self.hidden(x, rows), y[rows]).loss
        loss.backward()
        for parameter, stepper in zip(self.rows, self.steppers, strict=True):
            gradient = parameter.grad.coalesce()
            values = gradient.values()
            stepper.step(gradient.indices()[0], values.view(len(values), -1), rate)
        if self.dense:
            self.dense.param_groups[0]["lr"] = rate
            self.dense.step()

    @torch.no_grad()
    def precision(self, x: Rows, y: torch.Tensor) -> float:
        """P@1 in per cent, by exact prediction."""
        self.loss.eval()
        right = 0
        for rows in torch.arange(x.shape[0]).split(500):
            right += int((self.loss.predict(self.hidden(x, rows)) == y[rows]).sum())
        self.loss.train()
        return 100 * right / x.shape[0]


def run(name: str, how: dict[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    """The curve of a contender."""
    torch.set_num_threads(asked.threads)
    clock = time.process_time if asked.clock == "processor" else time.perf_counter
    data = words.load(asked.rows, asked.positions)
    x, x_valid = Rows(data.x), Rows(data.x_valid)
    y, y_valid = (torch.from_numpy(each).long() for each in (data.y, data.y_valid))
    counts = np.bincount(data.y, minlength=len(data.vocabulary))
    net = Contender(name, how, x, counts, asked.hidden, asked.seed)
    spent, done, curve = 0.0, 0, []
    random = torch.Generator().manual_seed(asked.seed)
    order = torch.randperm(len(y), generator=random)
    for point in range(asked.points):
        while spent < asked.seconds * (point + 1) / asked.points:
            began = clock()
            at = done % (len(y) - how["batch"])
            rate = how["rate"] * max(0.0, 1 - spent / asked.seconds)
            net.step(x, y, order[at : at + how["batch"]], rate)
            spent += clock() - began
            done += how["batch"]
        found = {"seconds": round(spent, 2), "examples": done}
        curve.append({**found, "P@1": round(net.precision(x_valid, y_valid), 3)})
    return {"settings": how, "curve": curve, "peak_mebibytes": peak_mebibytes()}


def line(name: str, found: dict[str, Any]) -> str:
    """A contender's last point."""
    last = found["curve"][-1]
    speed = last["examples"] / last["seconds"]
    return f"{name:9} {speed:9,.0f} examples/s  P@1 {last['P@1']:.2f}  {found['settings']}"


def grid(name: str, rates: Sequence[float]) -> list[dict[str, Any]]:
    """All settings that `--tune` tries."""
    return [{**SETTINGS[name], **more, "rate": rate} for more in GRID[name] for rate in rates]


def main(one_by_one: Callable[..., Any] = alone) -> None:
    """Run what the command line asks for, each contender in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="a table over a grid")
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seconds", type=float, default=60, help="of training, each")
    parser.add_argument("--points", type=int, default=5, help="of a curve")
    parser.add_argument("--rows", type=int, help="to train on, all unless told")
    parser.add_argument("--positions", type=int, default=10_000, help="to judge by")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="of the grid")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.tune:
        asked.points = 1
    found: dict[str, Any] = {**circumstances(), "contenders": []}
    for name in asked.only:
        for how in grid(name, asked.rates) if asked.tune else [SETTINGS[name]]:
            result = one_by_one(run, name, how, asked)
            print(line(name, result), flush=True)
            found["contenders"].append({"name": name, **result})
            if asked.json:
                asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
