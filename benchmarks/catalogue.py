"""A catalogue of 670,091 products: hashgrad against sampled softmaxes, on made-up rows.

    python benchmarks/catalogue.py --tune --labels 67009 --features 13591 --rows 49000
    python benchmarks/catalogue.py --variant clustered --epochs 5 --json FILE
    python benchmarks/catalogue.py --only full            # times a few steps, and extrapolates

Needs PyTorch; the rows are generated from a seed (`products.py` says how). Every contender is the
same network, 135,909 inputs - 128 ReLU - as many outputs as labels, whose biases begin at the
labels' log-frequencies, with a softmax whose target is spread evenly over a row's labels, on two
threads, and a rate that falls to zero. Ours trains on the batch's labels alone, or with
`--query-every 1` on hard negatives that each row asks its hashes for, by `Adam(lazy=False)`; the
peers' Adam is lazy. P@k is exact, over all test rows. `peers.py` says how the peers train. Products
are taken of bfloat16: ours where the processor has instructions for it, the peers' where PyTorch is
faster so. `full` evaluates all outputs; of it a few steps are timed, and its epoch is extrapolated.
Each contender has a process of its own, whose peak of memory includes the data and the evaluation;
what a compiler takes, and judging, are not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import products
import torch
from contest import HALVES, add_arguments, hold, peak_mebibytes, pooled
from peers import Peer, Rows, Settings, seconds_a_step, train_epochs

from hashgrad import Adam, Dense, Linear, Network, metrics
from hashgrad.halves import widened

KS = (1, 3, 5)
PEERS = {  # first guesses; --tune says better
    "uniform": Settings("uniform", 2e-2, batch=512, negatives=2048, bf16=HALVES),
    "log-uniform": Settings("log-uniform", 2e-2, batch=512, negatives=2048, bf16=HALVES),
    "in-batch": Settings("in-batch", 1.8e-2, batch=512, negatives=0, bf16=HALVES),
    "full": Settings("full", 3e-3, batch=256, negatives=0, bf16=HALVES),
}
RATES = (1e-3, 3e-3, 1e-2, 2e-2)
BATCHES = (256, 1024)
NEGATIVES = (1024, 2048, 8192)
OURS = {"rate": 0.012, "batch_size": 512}
FULL_STEPS = 3
SERVED, SERVED_ALONE = 1000, 60  # test rows: to compare answers, and to be timed one by one
TURN = 10  # rows of a way, before the next way has its turn


def made(asked: argparse.Namespace) -> tuple[products.Products, Callable[[Any], dict[str, float]]]:
    """The data, and a judge of rankings of the test rows."""
    data = products.make(
        asked.variant, asked.labels, asked.rows, asked.test_rows, asked.seed, asked.features
    )
    truth = data.y_test.indptr.astype(np.int64), data.y_test.indices.astype(np.int32)

    def score(ranked: Any) -> dict[str, float]:
        return {f"P@{k}": round(100 * metrics.precision_at_k(*truth, ranked, k), 2) for k in KS}

    return data, score


def run_peer(asked: argparse.Namespace, how: Settings) -> dict[str, Any]:
    """A record an epoch of a peer; of the full softmax, the time of a step."""
    torch.set_num_threads(asked.threads)
    data, score = made(asked)
    before = peak_mebibytes()
    x, y, x_test = Rows(data.x), Rows(data.y), Rows(data.x_test)
    peer = Peer(x, y, asked.hidden, how, asked.seed)
    found: dict[str, Any] = {"settings": asdict(how), "data_mebibytes": before}
    if how.sampler == "full":
        step = seconds_a_step(peer, FULL_STEPS)
        found["seconds_a_step"] = round(step, 4)
        found["extrapolated_seconds_an_epoch"] = round(step * x.shape[0] / how.batch, 1)
    else:
        found["epochs"] = train_epochs(
            peer, asked.epochs, lambda: score(peer.ranked(x_test, max(KS)))
        )
    return {**found, "peak_mebibytes": peak_mebibytes()}


def run_ours(asked: argparse.Namespace, **other: Any) -> dict[str, Any]:
    """A record an epoch of hashgrad, by exact and by hashed prediction."""
    how = {**OURS, **other}
    data, score = made(asked)
    before, n_labels = peak_mebibytes(), data.y.shape[1]
    chosen = pooled(
        n_labels, correction="log-q", query_every=asked.query_every, precision="bfloat16",
        candidates=asked.candidates,
    )  # fmt: skip
    first = Dense(asked.hidden, layout="input", init_std=asked.hidden**-0.5)
    net = Network(
        data.x.shape[1],
        [first, Dense(n_labels, active=chosen, dtype=asked.dtype)],
        optimizer=Adam(how["rate"], state=asked.state, lazy=False), schedule=Linear(), prior=True,
        batch_size=int(how["batch_size"]), threads=asked.threads, seed=asked.seed,
    )  # fmt: skip
    records: list[dict[str, Any]] = []

    def note(record: dict[str, Any]) -> None:
        exact = score(net.predict_topk(data.x_test, max(KS), exact=True)[0])
        hashed = score(net.predict_topk(data.x_test, max(KS))[0])
        done = (len(records) + 1) * data.x.shape[0]
        seconds = round(record["seconds"], 2)
        records.append({"seconds": seconds, "examples": done, **exact, "hashed": hashed})

    net.fit(data.x, data.y, epochs=asked.epochs, callbacks=[note])
    peak = peak_mebibytes()
    return {
        "settings": how, "data_mebibytes": before, "epochs": records, "peak_mebibytes": peak,
        "serving": serving(net, data.x_test),
    }  # fmt: skip


def serving(net: Network, rows: Any) -> dict[str, float]:
    """The best five of single rows: how many hashing finds, and microseconds, medians by turns.

    One thread for ours; `numpy` is the product with all outputs and the choice of five, on the
    threads that its BLAS takes. A turn is ten rows, as who serves rows has nothing else in the
    caches; `hashed first` are the first rows of turns, after the others' products with all outputs.
    """
    few = rows[:SERVED]
    exact, hashed = (net.predict_topk(few, max(KS), exact=way)[0] for way in (True, False))
    found = np.mean([len(set(a) & set(b)) / max(KS) for a, b in zip(exact, hashed, strict=True)])
    tensors, net.threads = net._core.tensors(), 1
    weights = np.ascontiguousarray(widened(tensors["layers.1.weight"]))
    biases = np.ascontiguousarray(tensors["layers.1.bias"])
    hidden = np.ones(weights.shape[1], np.float32)

    def product() -> Any:
        return np.argpartition(weights @ hidden + biases, -max(KS))[-max(KS) :]

    ways: dict[str, Callable[[Any], Any]] = {
        "hashed": lambda x: net.predict_topk(x, max(KS)),
        "exact": lambda x: net.predict_topk(x, max(KS), exact=True),
        "numpy": lambda _: product(),
    }
    times: dict[str, list[float]] = {name: [] for name in (*ways, "hashed first")}
    for first in range(0, min(SERVED_ALONE, few.shape[0]), TURN):
        turn = [few[row] for row in range(first, min(first + TURN, few.shape[0]))]
        for name, answer in ways.items():
            for place, x in enumerate(turn):
                began = time.perf_counter()
                answer(x)
                taken = 1e6 * (time.perf_counter() - began)
                times[name].append(taken)
                if name == "hashed" and place == 0:
                    times["hashed first"].append(taken)
    medians = {name: round(float(np.median(taken)), 1) for name, taken in times.items()}
    return {"recall@5": round(float(found), 4), **medians}


def line(name: str, found: dict[str, Any]) -> str:
    """What a contender reached in the end."""
    memory = f"{found['peak_mebibytes']:,.0f} MiB"
    if "epochs" not in found:
        return (
            f"{name:16} {found['seconds_a_step']:.3f} s a step, so an epoch would take "
            f"{found['extrapolated_seconds_an_epoch']:,.0f} s  {memory}"
        )
    last = found["epochs"][-1]
    scores = "  ".join(f"P@{k} {last[f'P@{k}']:.2f}" for k in KS)
    if "hashed" in last:
        scores += "  hashed " + "  ".join(f"{last['hashed'][f'P@{k}']:.2f}" for k in KS)
    rate = last["examples"] / last["seconds"]
    if "serving" in found:
        memory += f"  one row: {found['serving']}"
    return f"{name:16} {last['seconds']:7.1f} s  {rate:8,.0f} examples/s  {scores}  {memory}"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--variant", choices=sorted(products.TWINS), default="clustered")
    parser.add_argument("--labels", type=int, default=products.LABELS)
    parser.add_argument("--features", type=int, default=products.FEATURES)
    parser.add_argument("--rows", type=int, default=products.ROWS, help="to train on")
    parser.add_argument("--test-rows", type=int, default=products.TEST_ROWS)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--candidates", type=float, default=100, help="of hashgrad, as of LSH")
    parser.add_argument("--dtype", default="float32", help="of hashgrad's outputs, as of Dense")
    parser.add_argument("--state", default="float32", help="of hashgrad's optimizer, as of Adam")
    add_arguments(parser, PEERS, rates=RATES, batches=BATCHES, negatives=NEGATIVES)
    hold(parser.parse_args(), PEERS, run_ours, run_peer, line)


if __name__ == "__main__":
    main()
