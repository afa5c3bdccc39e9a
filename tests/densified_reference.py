"""The densified families in plain Python: what `core/lsh/densified.cpp` must equal exactly.

Random numbers are the core's (`core/random.h`), so that permutations and hashes are the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WORD = 2**64 - 1
PROJECTION = 2  # the purpose that hash functions are drawn for
TRIES = 64


def mix(x: int) -> int:
    """SplitMix64's finaliser."""
    x = (x + 0x9E3779B97F4A7C15) & WORD
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


class Random:
    """A stream of random numbers, by seed, purpose and two more names."""

    def __init__(self, seed: int, purpose: int, a: int = 0, b: int = 0):
        self.state = mix(mix(mix(mix(seed) ^ purpose) ^ a) ^ b)

    def next(self) -> int:
        """64 random bits."""
        out = mix(self.state)
        self.state = (self.state + 0x9E3779B97F4A7C15) & WORD
        return out

    def below(self, n: int) -> int:
        """A number in [0, n)."""
        return (self.next() >> 32) * n >> 32


@dataclass
class Densified:
    """`bits * tables / code_bits` codes of an input (its non-zeros) or a neuron (no bias)."""

    family: str
    n_inputs: int
    n_codes: int
    code_bits: int
    seed: int
    layer: int = 0

    def __post_init__(self) -> None:
        random = Random(self.seed, PROJECTION, self.layer)
        self.lender_key, self.column_key, self.bins = random.next(), 0, []
        if self.family == "minhash":
            self.column_key = random.next()
            return
        size = 2**self.code_bits
        n_bins = max(1, self.n_inputs // size)
        while len(self.bins) < self.n_codes:  # a permutation of the columns, cut into bins
            column = list(range(self.n_inputs))
            for i in range(self.n_inputs, 1, -1):
                j = random.below(i)
                column[i - 1], column[j] = column[j], column[i - 1]
            self.bins += [column[b * size : (b + 1) * size] for b in range(n_bins)]
        del self.bins[self.n_codes :]

    def sparse_codes(self, row: dict[int, float]) -> list[int | None]:
        """By bin, from the non-zeros alone; None where a bin has none."""
        if self.family == "dwta":
            return [winner(np.array([row.get(i, 0.0) for i in columns])) for columns in self.bins]
        least: list[int | None] = [None] * self.n_codes
        for i in row:
            h = mix(self.column_key ^ i)
            at, value = (h >> 32) * self.n_codes >> 32, h & 0xFFFFFFFF
            here = least[at]
            least[at] = value if here is None else min(here, value)
        return [None if v is None else v % 2**self.code_bits for v in least]

    def codes(self, row: np.ndarray) -> list[int]:
        """With those of empty bins: the first bin of a random sequence that is not empty lends."""
        sparse = self.sparse_codes({int(i): float(row[i]) for i in np.nonzero(row)[0]})
        if all(code is None for code in sparse):
            return [0] * self.n_codes
        return [
            next(c for c in self.sequence(b, sparse) if c is not None) for b in range(len(sparse))
        ]

    def sequence(self, b: int, sparse: list[int | None]):  # type: ignore[no-untyped-def]
        """Codes of bin b, of random other bins, and of those that follow the last of them."""
        yield sparse[b]
        for t in range(1, TRIES + 1):
            at = (mix(self.lender_key ^ (b << 32 | t)) >> 32) * self.n_codes >> 32
            yield sparse[at]
        for step in range(self.n_codes):
            yield sparse[(at + step) % self.n_codes]

    def neuron_codes(self, w: np.ndarray, set_size: int) -> list[int]:
        """Of a neuron: of its weights, or of the set of its largest ones (the first of equals)."""
        if self.family == "dwta":
            return self.codes(w)
        marked = np.zeros(len(w))
        marked[np.lexsort((np.arange(len(w)), -w))[:set_size]] = 1
        return self.codes(marked)


def winner(values: np.ndarray) -> int | None:
    """The place of the largest non-zero, the first of equals; None without one."""
    places = np.nonzero(values)[0]
    return int(places[np.argmax(values[places])]) if len(places) else None


def code_values(bits: np.ndarray, code_bits: int) -> np.ndarray:
    """Codes (n x codes) of rows of bits, the lowest bit of each first."""
    codes = bits.reshape(len(bits), -1, code_bits).astype(int)
    return (codes << np.arange(code_bits)).sum(axis=2)
