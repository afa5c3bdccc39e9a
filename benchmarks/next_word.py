"""Next-word prediction with a softmax over 58,488 words: hashgrad against sampled softmaxes.

    python benchmarks/next_word.py --tune               # short runs over a grid, in a table
    python benchmarks/next_word.py --seconds 600 --json FILE
    python benchmarks/next_word.py --only uniform in-batch --seconds 60

Needs PyTorch and the text of `wiki-en-2018` in `$HASHGRAD_DATA` (`words.py` says what the examples
are). Every contender is the same network, 8 x 58,488 inputs - 128 ReLU - 58,488 outputs whose
biases begin at the words' log-frequencies (ours at those of its first 131,072 rows), on two
threads, for the same seconds of training, while the rate falls to zero; so each point of a curve
but the last would be higher in a run that ended there. Products are taken of bfloat16: ours where
the processor has instructions for it, the peers' where PyTorch is faster so. Ours trains on the
batch's words and those that are drawn at random until there are `--fill`, or with `--query-every 1`
on hard negatives that each position asks its hashes for. Ours has `Adam(lazy=False)`; the peers'
Adam is lazy. P@1 is exact, over a seeded sample of the held-out positions, the same for all.
`peers.py` says how the peers train. Each contender has a process of its own; what a compiler takes,
and judging, are not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import words
from contest import HALVES, add_arguments, hold, peak_mebibytes, pooled
from peers import Peer, Rows, Settings, train_for

from hashgrad import Adam, Dense, Network

PEERS = {  # first guesses; --tune says better
    "uniform": Settings("uniform", 3e-3, batch=1024, negatives=2048, bf16=HALVES),
    "log-uniform": Settings("log-uniform", 1e-2, batch=512, negatives=2048, bf16=HALVES),
    "in-batch": Settings("in-batch", 3e-3, batch=1024, negatives=0, bf16=HALVES),
}
RATES = (3e-3, 1e-2, 2e-2)
BATCHES = (512, 1024, 2048)
NEGATIVES = (512, 2048, 8192)
OURS = {"rate": 2.5e-3, "batch_size": 1024}
CHUNK_SECONDS = 1.0
FIRST_ROWS = 131_072  # of ours: biases begin at their words' frequencies


def scorer(data: words.Words) -> Callable[[Any], dict[str, Any]]:
    """Judges the best words of the held-out positions."""
    return lambda ranked: {"P@1": round(100 * float((ranked[:, 0] == data.y_valid).mean()), 3)}


def run_peer(asked: argparse.Namespace, how: Settings) -> Any:
    """The curve of a peer."""
    torch.set_num_threads(asked.threads)
    data = words.load(asked.rows, asked.positions)
    score, x_valid = scorer(data), Rows(data.x_valid)
    x, y = Rows(data.x), Rows(words.indicator(data.y, len(data.vocabulary)))
    del data
    peer = Peer(x, y, asked.hidden, how, asked.seed)
    curve = train_for(peer, asked.seconds, asked.points, lambda: score(peer.ranked(x_valid, 1)))
    return {"settings": asdict(how), "curve": curve, "peak_mebibytes": peak_mebibytes()}


def run_ours(asked: argparse.Namespace, **other: Any) -> Any:
    """The curve of hashgrad, by exact and by hashed prediction."""
    how = {**OURS, "rate": asked.rate, **other}
    data = words.load(asked.rows, asked.positions)
    score, n_words = scorer(data), len(data.vocabulary)
    chosen = pooled(
        n_words, 1, correction="log-q", bits=9, bucket=64, probes=1, rehash_every=131_072,
        rebuild_every=4_000_000, query_every=asked.query_every, fill=asked.fill,
        precision="bfloat16",
    )  # fmt: skip
    first = Dense(asked.hidden, layout="input", init_std=asked.hidden**-0.5 / 2)  # as the peers'
    net = Network(
        data.x.shape[1],
        [first, Dense(n_words, active=chosen)],
        optimizer=Adam(how["rate"], lazy=False), prior=True, batch_size=int(how["batch_size"]),
        threads=asked.threads, seed=asked.seed,
    )  # fmt: skip
    random = np.random.default_rng(asked.seed)
    order, at = random.permutation(data.x.shape[0]), 0
    curve: list[dict[str, Any]] = []
    spent, done, chunk = 0.0, 0, FIRST_ROWS
    for point in range(asked.points):
        due = asked.seconds * (point + 1) / asked.points
        while spent < due:
            began = time.perf_counter()
            if at >= len(order):
                order, at = random.permutation(len(order)), 0
            rows = order[at : at + chunk]
            at += len(rows)
            net.optimizer = Adam(how["rate"] * max(1e-3, 1 - spent / asked.seconds), lazy=False)
            net.partial_fit(data.x[rows], data.y[rows])
            took = time.perf_counter() - began
            spent, done = spent + took, done + len(rows)
            wanted = min(CHUNK_SECONDS, max(0.05, due - spent)) / took * len(rows)
            chunk = int(min(4 * chunk, max(how["batch_size"], wanted)))
        exact = score(net.predict_topk(data.x_valid, 1, exact=True)[0])
        hashed = score(net.predict_topk(data.x_valid, 1)[0])
        curve.append({"seconds": round(spent, 2), "examples": done, **exact, "hashed": hashed})
    return {"settings": how, "curve": curve, "peak_mebibytes": peak_mebibytes()}


def line(name: str, found: dict[str, Any]) -> str:
    """A contender's last point."""
    last = found["curve"][-1]
    rate = last["examples"] / last["seconds"]
    hashed = f"  hashed {last['hashed']['P@1']:.2f}" if "hashed" in last else ""
    return (
        f"{name:16} {last['seconds']:7.1f} s  {rate:9,.0f} examples/s"
        f"  P@1 {last['P@1']:.2f}{hashed}  {found['peak_mebibytes']:,.0f} MiB"
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of training, each")
    parser.add_argument("--rate", type=float, default=OURS["rate"], help="of hashgrad")
    parser.add_argument("--fill", type=int, default=600, help="words in a pool of hashgrad")
    parser.add_argument("--points", type=int, default=10, help="of a curve")
    parser.add_argument("--rows", type=int, help="to train on, all unless told")
    parser.add_argument("--positions", type=int, default=50_000, help="to judge by")
    add_arguments(parser, PEERS, rates=RATES, batches=BATCHES, negatives=NEGATIVES)
    asked = parser.parse_args()
    if asked.tune:
        asked.points = 1
    hold(asked, PEERS, run_ours, run_peer, line)


if __name__ == "__main__":
    main()
