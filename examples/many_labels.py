"""Subjects of laws: a network with thousands of outputs that trains on a few hundred at a time.

    python examples/many_labels.py

Takes the files of `eurlex57k` (45,000 laws, 4,271 subjects) where they are, in
`$HASHGRAD_DATA/eurlex57k/`, and else makes texts of its own: words drawn at random, and of every
subject a few words that it likes.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from hashgrad import LSH, Adam, Dense, Network, datasets, metrics


def made_up(n_rows: int, seed: int, n_words: int = 3000, n_labels: int = 600) -> tuple:
    """Counts of words, and an indicator of the labels, three a row."""
    words = np.random.default_rng(0).integers(0, n_words, size=(n_labels, 8))  # that a label likes
    random = np.random.default_rng(seed)
    labels = np.array([random.choice(n_labels, 3, replace=False) for _ in range(n_rows)])
    places = random.integers(0, 8, size=(n_rows, 3, 4))  # each row has its own four of a label's
    liked = np.take_along_axis(words[labels], places, axis=2).reshape(n_rows, -1)
    columns = np.hstack([liked, random.integers(0, n_words, size=(n_rows, 10))])
    ones = np.ones(columns.size, np.float32)
    rows = np.repeat(np.arange(n_rows), columns.shape[1])
    x = sparse.csr_matrix((ones, (rows, columns.ravel())), shape=(n_rows, n_words))
    ones, rows = np.ones(labels.size, np.int8), np.repeat(np.arange(n_rows), 3)
    return x, sparse.csr_matrix((ones, (rows, labels.ravel())), shape=(n_rows, n_labels))


def main() -> None:
    """Train, and say how good the network is and what it cost."""
    try:
        laws = datasets.load("eurlex57k")
        (x, y), (x_test, y_test) = (laws.x_train, laws.y_train), (laws.x_test, laws.y_test)
    except FileNotFoundError:
        (x, y), (x_test, y_test) = made_up(6000, seed=1), made_up(1000, seed=2)
    weighting = datasets.Weighting.fitted("tfidf", x)
    n_labels = y.shape[1]
    pooled = LSH(
        15 / n_labels, pooled=True, query_every=4, candidates=10, rank=64, tables=32, code="bits",
        lookup="scan",
    )  # fmt: skip
    net = Network(
        x.shape[1],
        [Dense(256, init_std=256**-0.5), Dense(n_labels, active=pooled)],
        loss="logistic", optimizer=Adam(0.006, lazy=False), prior=True, batch_size=48, threads=0,
    )  # fmt: skip
    net.fit(weighting.apply(x), y, epochs=6, progress=True)

    ranked = net.predict_topk(weighting.apply(x_test), 5)[0]
    truth = y_test.indptr.astype(np.int64), y_test.indices
    counts = np.bincount(y.indices, minlength=n_labels)
    worth = metrics.inverse_propensities(counts, x.shape[0])
    for k in (1, 3, 5):
        precision = metrics.precision_at_k(*truth, ranked, k)
        psp = metrics.psp_at_k(*truth, ranked, k, worth)
        print(f"P@{k} {precision:.2%}  PSP@{k} {psp:.2%}")
    report = net.report().to_dict()
    print(f"{report['multiplications_fraction']:.2%} of the dense network's multiplications")


if __name__ == "__main__":
    main()
