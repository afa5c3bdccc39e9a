"""The text of `wiki-en-2018` as examples: eight words around a word, and the word.

A row has one feature for each of the words around (`OFFSETS`), at `slot * n_words + word`; words
that occur fewer than `RARE` times are missing. The last `HELD_OUT` of the text is for validation.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from hashgrad.datasets.folders import own_folder, where_to_put

NAME, FILE = "wiki-en-2018", "wiki_en_2018.txt.gz"
RARE = 5
HELD_OUT = 0.05
OFFSETS = (-4, -3, -2, -1, 1, 2, 3, 4)


@dataclass(frozen=True)
class Words:
    """Examples to train on, and others to judge by: CSR rows of ones, and the words meant."""

    vocabulary: list[str]  # the most frequent first
    x: Any
    y: Any
    x_valid: Any
    y_valid: Any


def load(train_rows: int | None = None, valid_rows: int | None = None, seed: int = 0) -> Words:
    """Read the text; at most so many rows, the first to train on, of the others a random sample."""
    folder = own_folder(NAME)
    if folder is None:
        raise FileNotFoundError(f"{NAME} is not here. " + where_to_put(NAME, FILE))
    tokens, vocabulary = read(folder / FILE)
    cut = len(tokens) - int(HELD_OUT * len(tokens))
    x, y = examples(tokens[:cut], len(vocabulary), None, train_rows)
    random = np.random.default_rng(seed)
    x_valid, y_valid = examples(tokens[cut:], len(vocabulary), random, valid_rows)
    return Words(vocabulary, x, y, x_valid, y_valid)


def read(path: Path) -> tuple[Any, list[str]]:
    """The text as numbers of words, -1 for rare ones; and the words."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        text = file.read().split()
    numbers: dict[str, int] = {}
    tokens = np.fromiter((numbers.setdefault(w, len(numbers)) for w in text), np.int32, len(text))
    counts = np.bincount(tokens)
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] >= RARE]
    rank = np.full(len(counts), -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    names = list(numbers)
    return rank[tokens], [names[number] for number in order]


def examples(tokens: Any, n_words: int, random: Any, n_rows: int | None) -> tuple[Any, Any]:
    """Rows and targets of a piece of text: the first `n_rows`, or `random` ones in order."""
    at = np.flatnonzero(tokens >= 0)
    if n_rows is not None and n_rows < len(at):
        at = at[:n_rows] if random is None else np.sort(random.choice(at, n_rows, replace=False))
    margin = max(OFFSETS)
    padded = np.full(len(tokens) + 2 * margin, -1, np.int32)
    padded[margin:-margin] = tokens
    columns = np.empty((len(at), len(OFFSETS)), np.int32)
    for slot, offset in enumerate(OFFSETS):
        word = padded[at + (margin + offset)]
        columns[:, slot] = np.where(word < 0, -1, word + slot * n_words)
    known = columns >= 0
    indptr = np.zeros(len(at) + 1, np.int64)
    np.cumsum(known.sum(1), out=indptr[1:])
    indices = columns[known]
    shape = (len(at), len(OFFSETS) * n_words)
    x = sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
    x.has_sorted_indices = x.has_canonical_format = True
    return x, tokens[at]


def indicator(y: Any, n_words: int) -> Any:
    """Targets as a CSR matrix with a single one a row."""
    ones = np.ones(len(y), np.float32)
    return sparse.csr_matrix((ones, y, np.arange(len(y) + 1)), shape=(len(y), n_words))
