"""Hash families at the same number of candidates: SimHash, winner-take-all and MinHash.

    python benchmarks/families.py mnist --epochs 2
    python benchmarks/families.py eurlex57k --epochs 2 --lookup scan

MNIST: 784-1000-1000-10 keeps 5 % of each hidden layer and evaluates four candidates for each
neuron kept, from signatures of 320 bits. *Recall* is the share of the true best neurons among those
kept, of test rows, on the weights of one network that was trained with the exact selection; then
every family trains a network of its own. EURLEX57K: tf-idf - 256 ReLU - 4,271 outputs that a batch
shares, by the settings of `many_labels.py`; *recall* is that of the best five outputs, hashed
prediction against exact, on the network's own weights. Needs the files of these sets (see
`hashgrad train --help`); one thread, one seed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from hashgrad import LSH, Adam, Dense, Network, datasets, metrics
from hashgrad.data import as_inputs
from hashgrad.history import sample_rows

FAMILIES: dict[str, dict[str, Any]] = {
    "simhash, subspace": {},
    "simhash, gaussian": {"projection": "gaussian"},
    "dwta, bins of 2": {"family": "dwta", "code_bits": 1},
    "dwta, bins of 4": {"family": "dwta", "code_bits": 2},
    "dwta, bins of 16": {"family": "dwta", "code_bits": 4},
    "minhash, 1 bit": {"family": "minhash", "code_bits": 1},
    "minhash, 2 bits": {"family": "minhash", "code_bits": 2},
    "minhash, 4 bits": {"family": "minhash", "code_bits": 4},
}
KEPT, HIDDEN, JUDGED = 0.05, 1000, 1000
LABEL_FAMILIES = ("simhash, subspace", "simhash, gaussian", "dwta, bins of 4", "minhash, 2 bits")


def mnist_network(**how: Any) -> Network:
    """Two hidden layers that hash so."""
    hashed = LSH(KEPT, **how)
    return Network(784, [Dense(HIDDEN, active=hashed), Dense(HIDDEN, active=hashed), Dense(10)])


def accuracy(net: Network, data: datasets.Dataset) -> float:
    """Of the test rows, in percent."""
    return round(100 * float((net.predict(data.x_test) == data.y_test).mean()), 2)


def recalls(base: Network, inputs: Any, rows: Any, **how: Any) -> list[float]:
    """Of both hidden layers with these weights, hashed so."""
    net = mnist_network(**how)
    ours, theirs = net._core.tensors(), base._core.tensors()
    for number in range(3):
        for part in ("weight", "bias"):
            name = f"layers.{number}.{part}"
            ours[name][...] = theirs[name]
    del ours, theirs
    net._core.build(inputs.batch, sample_rows(0, np.arange(inputs.n_rows, dtype=np.uint32)), 1)
    found = net._core.recall(inputs.batch, rows)
    return [round(layer["recall"], 3) for layer in found[:2]]


def run_mnist(lookups: list[str], epochs: int) -> dict[str, Any]:
    """Recall on one network's weights, and the accuracy of networks of their own."""
    data = datasets.load("mnist")
    base = mnist_network(lookup="exact").fit(data.x_train, data.y_train, epochs=epochs)
    print("exact selection", accuracy(base, data), flush=True)
    inputs = as_inputs(data.x_test)
    rows = np.arange(JUDGED, dtype=np.uint32)
    found = {}
    for lookup in lookups:
        for name, family in FAMILIES.items():
            how = {"code": "bits", "candidates": 4, "probes": 1, "lookup": lookup, **family}
            record: dict[str, Any] = {"recall": recalls(base, inputs, rows, **how)}
            net = mnist_network(**how).fit(data.x_train, data.y_train, epochs=epochs)
            record["accuracy"] = accuracy(net, data)
            layers = net.report().to_dict()["layers"][:2]
            record["candidates"] = [round(layer["candidates"]) for layer in layers]
            found[f"{lookup}, {name}"] = record
            print(f"{lookup:6} {name:18} {record}", flush=True)
    return found


def run_labels(lookups: list[str], epochs: int) -> dict[str, Any]:
    """Precision of pooled outputs, by exact and by hashed prediction."""
    data = datasets.load("eurlex57k")
    weighting = datasets.Weighting.fitted("tfidf", data.x_train)
    x, x_test, n = (
        weighting.apply(data.x_train),
        weighting.apply(data.x_test),
        data.y_train.shape[1],
    )
    truth = data.y_test.indptr.astype(np.int64), data.y_test.indices.astype(np.int32)
    found = {}
    for lookup in lookups:
        for name in LABEL_FAMILIES:
            how = {"rank": 64, "probes": 1} if name.startswith("simhash") else {}
            hashing = LSH(
                4 / n, pooled=True, bits=8, tables=64, code="bits", lookup=lookup, bucket=128,
                **how, **FAMILIES[name],
            )  # fmt: skip
            net = Network(
                x.shape[1], [Dense(256, layout="input"), Dense(n, active=hashing)], loss="logistic",
                optimizer=Adam(0.006), prior=True, batch_size=48,
            )  # fmt: skip
            net.fit(x, data.y_train, epochs=epochs)
            exact, hashed = (net.predict_topk(x_test, 5, exact=way)[0] for way in (True, False))
            pairs = zip(exact, hashed, strict=True)
            record = {
                "recall": round(float(np.mean([len(set(a) & set(b)) / 5 for a, b in pairs])), 3)
            }
            for way, ranked in (("exact", exact), ("hashed", hashed)):
                at = [100 * metrics.precision_at_k(*truth, ranked, k) for k in (1, 5)]
                record[way] = [round(value, 2) for value in at]
            found[f"{lookup}, {name}"] = record
            print(f"{lookup:6} {name:18} {record}", flush=True)
    return found


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", choices=("mnist", "eurlex57k"))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lookup", choices=("scan", "tables"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    run = run_mnist if asked.data == "mnist" else run_labels
    found = run(["scan", "tables"] if asked.lookup is None else [asked.lookup], asked.epochs)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
