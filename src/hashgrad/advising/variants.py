"""The ways to choose neurons that advice compares: every neuron, and settings of LSH."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..layers import Dense
from ..selectors import LSH, All, Selector

FRACTIONS = (0.02, 0.05, 0.1, 0.2)
CANDIDATES = (1.5, 3.0)  # of a scan of bytes
BITS = ((8, 40, 4.0), (6, 24, 4.0))  # bits, tables, candidates: of a scan of bits
TABLES = ((8, 24, 4), (10, 32, 8))  # bits, tables, probes: of a look-up in tables
FEWEST = 4  # neurons kept of the widest layer


@dataclass(frozen=True)
class Variant:
    """A selector for all hidden layers.

    Attributes:
        selector: the selector.
    """

    selector: Selector

    @property
    def dense(self) -> bool:
        """Whether every neuron is evaluated."""
        return isinstance(self.selector, All)

    def layers(self, hidden: tuple[int, ...], n_outputs: int) -> list[Dense]:
        """The network's layers; its outputs stay dense."""
        return [*(Dense(n, active=self.selector) for n in hidden), Dense(n_outputs)]

    def __str__(self) -> str:
        """What sets it apart, in a few words.

        >>> str(Variant(LSH(0.05, lookup="tables", code="bits", bits=8, tables=24, probes=4)))
        'LSH 5 %, 24 tables of 8 bits, 4 probes'
        """
        lsh = self.selector
        if not isinstance(lsh, LSH):
            return "dense"
        kept = f"LSH {100 * lsh.fraction:g} %"
        if lsh.lookup == "tables":
            return f"{kept}, {lsh.tables} tables of {lsh.bits} bits, {lsh.probes} probes"
        if lsh.code == "bits":
            return f"{kept}, scan of {lsh.bits * lsh.tables} bits, {lsh.candidates:g} candidates"
        return f"{kept}, scan of bytes, {lsh.candidates:g} candidates"


DENSE = Variant(All())


def of_lsh(hidden: tuple[int, ...]) -> list[Variant]:
    """The settings of LSH to try, those likely to be good first; none for layers too narrow.

    >>> len(of_lsh((1000,))), len(of_lsh((16,)))
    (16, 0)
    """
    return [Variant(lsh) for lsh in _settings() if lsh.kept(max(hidden)) >= FEWEST]


def _settings() -> Iterator[LSH]:
    for candidates in CANDIDATES:
        for fraction in FRACTIONS:
            yield LSH(fraction, lookup="scan", code="bytes", candidates=candidates)
    for fraction in FRACTIONS[1:3]:
        for bits, tables, candidates in BITS:
            yield LSH(
                fraction, lookup="scan", code="bits", bits=bits, tables=tables,
                candidates=candidates,
            )  # fmt: skip
        for bits, tables, probes in TABLES:
            yield LSH(
                fraction, lookup="tables", code="bits", bits=bits, tables=tables, probes=probes,
            )  # fmt: skip
