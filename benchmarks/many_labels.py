"""Many labels: a pooled output layer against what PyTorch's users pick, on EURLEX57K.

    python benchmarks/many_labels.py --tune            # all learning rates, on held-out rows
    python benchmarks/many_labels.py --seeds 3 --json FILE
    python benchmarks/many_labels.py --states float32,bfloat16,row --ours   # no peers

Needs PyTorch and the files of `eurlex57k` (see `hashgrad train --help`). Every contender is the
same network, tf-idf inputs - 256 ReLU - 4,271 outputs, with output biases that begin at the labels'
log-odds and a rate that falls to zero; they take turns within a round, on two threads. PyTorch's
first layer is an `EmbeddingBag`, and its Adam is sparse, and lazy, wherever rows are; ours makes up
for what a row missed (`lazy=False`). `full` evaluates all outputs; `in-batch`, `uniform` and
`log-uniform` evaluate a batch's labels and `NEGATIVES` drawn ones, all of them for every example of
the batch.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import hashgrad
from hashgrad import LSH, Adam, Cosine, Dense, Network, datasets, metrics
from hashgrad.bench.suite import circumstances

HIDDEN, THREADS = 256, 2
NEGATIVES = 512
RATES = (3e-3, 6e-3, 1e-2, 3e-2)
OUR_RATES = (3e-3, 4e-3, 6e-3)
PEERS = {  # loss, how outputs are chosen, rate (results/many-labels says how found), batch, epochs
    "full, logistic": ("logistic", "full", 6e-3, 128, 10),
    "full, softmax": ("softmax", "full", 6e-3, 128, 10),
    "in-batch": ("logistic", "in-batch", 6e-3, 128, 10),
    "uniform": ("logistic", "uniform", 6e-3, 128, 10),
    "log-uniform": ("logistic", "log-uniform", 6e-3, 128, 10),
}
OURS = {"rate": 0.004, "batch_size": 48, "epochs": 10}
KS = (1, 3, 5)


class Scores:
    """Judges rankings of test rows."""

    def __init__(self, y_train: Any, y_test: Any) -> None:
        counts = np.bincount(y_train.indices, minlength=y_train.shape[1])
        self.worth = metrics.inverse_propensities(counts, y_train.shape[0])
        self.truth = y_test.indptr.astype(np.int64), y_test.indices.astype(np.int32)

    def of(self, ranked: Any) -> dict[str, float]:
        """P@k and PSP@k, in percent."""
        found = {f"P@{k}": metrics.precision_at_k(*self.truth, ranked, k) for k in KS}
        found |= {f"PSP@{k}": metrics.psp_at_k(*self.truth, ranked, k, self.worth) for k in KS}
        return {name: round(100 * value, 2) for name, value in found.items()}


class Peer(nn.Module):
    """The network in PyTorch, with one way to choose the outputs that a batch is trained on."""

    def __init__(self, x: Any, y: Any, loss: str, how: str) -> None:
        super().__init__()
        self.loss, self.how, self.n = loss, how, y.shape[1]
        chosen = how != "full"
        self.bag = nn.EmbeddingBag(x.shape[1], HIDDEN, mode="sum", sparse=True)
        nn.init.normal_(self.bag.weight, 0, HIDDEN**-0.5)
        self.bias = nn.Parameter(torch.zeros(HIDDEN))
        self.out = nn.Embedding(self.n, HIDDEN, sparse=chosen)
        nn.init.normal_(self.out.weight, 0, 0.5 * HIDDEN**-0.5)
        self.out_bias = nn.Embedding(self.n, 1, sparse=chosen)
        counts = np.bincount(y.indices, minlength=self.n) + 0.5
        p = counts / (y.shape[0] + 1 if loss == "logistic" else counts.sum())
        prior = np.log(p / (1 - p)) if loss == "logistic" else np.log(p)
        with torch.no_grad():
            self.out_bias.weight[:, 0] = torch.from_numpy(prior).float()
        self.by_frequency = np.argsort(-counts)
        sparse = [self.bag.weight]
        dense = [self.bias]
        (sparse if chosen else dense).extend([self.out.weight, self.out_bias.weight])
        self.sparse, self.dense = sparse, dense

    def hidden(self, rows: Any) -> torch.Tensor:
        """The hidden layer of some CSR rows."""
        index = torch.from_numpy(rows.indices.astype(np.int64))
        starts = torch.from_numpy(rows.indptr[:-1].astype(np.int64))
        weights = torch.from_numpy(rows.data)
        return torch.relu(self.bag(index, starts, per_sample_weights=weights) + self.bias)

    def outputs_for(self, y: Any, random: np.random.Generator) -> Any:
        """The outputs that a batch is trained on; None is all."""
        if self.how == "full":
            return None
        labels = np.unique(y.indices)
        if self.how == "in-batch":
            return labels
        if self.how == "uniform":
            drawn = random.integers(0, self.n, NEGATIVES)
        else:
            ranks = np.exp(random.random(NEGATIVES) * np.log(self.n + 1)).astype(int) - 1
            drawn = self.by_frequency[np.minimum(self.n - 1, ranks)]
        return np.unique(np.concatenate([labels, drawn]))

    def loss_of(self, x: Any, y: Any, random: np.random.Generator) -> torch.Tensor:
        """The mean loss of a batch."""
        h, some = self.hidden(x), self.outputs_for(y, random)
        if some is None:
            z, truth = h @ self.out.weight.T + self.out_bias.weight[:, 0], y
        else:
            picked = torch.from_numpy(some.astype(np.int64))
            z, truth = h @ self.out(picked).T + self.out_bias(picked)[:, 0], y[:, some]
        t = torch.from_numpy(truth.toarray()).float()
        if self.loss == "logistic":
            return F.binary_cross_entropy_with_logits(z, t, reduction="sum") / len(t)
        return -(torch.log_softmax(z, 1) * t / t.sum(1, keepdim=True).clamp(min=1)).sum(1).mean()

    @torch.no_grad()
    def ranked(self, x: Any) -> Any:
        """The five best outputs of each row."""
        parts = []
        for at in range(0, x.shape[0], 512):
            z = self.hidden(x[at : at + 512]) @ self.out.weight.T + self.out_bias.weight[:, 0]
            parts.append(z.topk(max(KS)).indices.numpy())
        return np.concatenate(parts)


def train_peer(name: str, data: Any, seed: int, **other: Any) -> list[dict[str, Any]]:
    """A record an epoch: seconds of training so far, and scores."""
    loss, how, rate, batch, epochs = PEERS[name]
    rate, epochs = other.get("rate", rate), other.get("epochs", epochs)
    x, y, x_test, scores = data
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    net, random = Peer(x, y, loss, how), np.random.default_rng(seed)
    steppers = [torch.optim.SparseAdam(net.sparse, rate), torch.optim.Adam(net.dense, rate)]
    seconds, done, steps = 0.0, 0, epochs * -(-x.shape[0] // batch)
    records = []
    for _ in range(epochs):
        start = time.perf_counter()
        order = random.permutation(x.shape[0])
        for at in range(0, len(order), batch):
            rows = order[at : at + batch]
            for stepper in steppers:
                stepper.param_groups[0]["lr"] = rate * (1 - done / steps)
                stepper.zero_grad()
            net.loss_of(x[rows], y[rows], random).backward()
            for stepper in steppers:
                stepper.step()
            done += 1
        seconds += time.perf_counter() - start
        records.append({"seconds": round(seconds, 2), **scores.of(net.ranked(x_test))})
    return records


def train_ours(
    data: Any, seed: int, state: str = "float32", **other: Any
) -> tuple[list[dict[str, Any]], float]:
    """The same of ours, by hashed and by exact prediction, and the output layer's share."""
    x, y, x_test, scores = data
    how = {**OURS, **other}
    hashing = LSH(
        15 / y.shape[1], pooled=True, rank=64, bits=8, tables=32, code="bits", lookup="scan",
        query_every=4, candidates=10,
    )  # fmt: skip
    first = Dense(HIDDEN, layout="input", init_std=HIDDEN**-0.5)  # as the peers'
    net = Network(
        x.shape[1],
        [first, Dense(y.shape[1], active=hashing)],
        loss="logistic", optimizer=Adam(how["rate"], state=state, lazy=False),
        schedule=Cosine(), prior=True, batch_size=int(how["batch_size"]),
        threads=THREADS, seed=seed,
    )  # fmt: skip
    records = []

    def note(record: dict[str, Any]) -> None:
        exact = scores.of(net.predict_topk(x_test, max(KS), exact=True)[0])
        hashed = scores.of(net.predict_topk(x_test, max(KS))[0])
        seconds = round(record["seconds"], 2)
        records.append({"seconds": seconds, **exact, "hashed": hashed})

    net.fit(x, y, epochs=int(how["epochs"]), callbacks=[note])
    report = net.report().to_dict()
    full = 3 * y.shape[1] * (HIDDEN + 1) * report["examples"]
    return records, report["layers"][-1]["multiplications"] / full


def tune(data: datasets.Dataset, weighting: datasets.Weighting) -> None:
    """Scores of everyone at each rate, on a sixth of the training rows."""
    apart = np.arange(data.x_train.shape[0]) % 6 == 5
    x, y = weighting.apply(data.x_train), data.y_train
    scores = Scores(y[~apart], y[apart])
    apart_data = (x[~apart], y[~apart], x[apart], scores)
    for rate in OUR_RATES:
        last = train_ours(apart_data, 0, rate=rate)[0][-1]
        print(f"{'hashgrad':16} rate {rate:g}  {last}", flush=True)
    for name in PEERS:
        for rate in RATES:
            last = train_peer(name, apart_data, 0, rate=rate)[-1]
            print(f"{name:16} rate {rate:g}  {last}", flush=True)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="rounds go on from this one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--states", default="float32", help="Adam's, one hashgrad for each")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    asked = parser.parse_args()
    states = asked.states.split(",")
    ours = {"hashgrad" if s == "float32" else f"hashgrad, {s}": s for s in states}
    data = datasets.load("eurlex57k")
    weighting = datasets.Weighting.fitted("tfidf", data.x_train)
    if asked.tune:
        tune(data, weighting)
        return
    scores = Scores(data.y_train, data.y_test)
    ready = (weighting.apply(data.x_train), data.y_train, weighting.apply(data.x_test), scores)
    result: dict[str, Any] = {
        **circumstances(), "command": " ".join(sys.argv), "hashgrad": hashgrad.__version__,
        "peers": PEERS, "ours": OURS, "rounds": [],
    }  # fmt: skip
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        contenders = [*ours, *([] if asked.ours else PEERS)]
        contenders = contenders[seed % len(contenders) :] + contenders[: seed % len(contenders)]
        found: dict[str, Any] = {}
        for name in contenders:
            if name in ours:
                found[name], share = train_ours(ready, seed, ours[name])
                found["share of the full output layer's multiplications"] = round(share, 4)
            else:
                found[name] = train_peer(name, ready, seed)
            print(f"round {seed + 1}  {name:18} {found[name][-1]}", flush=True)
        result["rounds"].append(found)
        if asked.json:
            asked.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
