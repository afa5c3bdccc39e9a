"""The selectors: how a layer chooses the neurons it evaluates for an example.

A selector keeps `k = max(1, floor(fraction * n + 0.5))` of a layer's `n` neurons (adaptive
dropout: about as many, at random). The others output exactly 0 and are not updated.
The five methods are those compared by Spring and Shrivastava (2016), section 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .defaults import Specification, default


class Selector(Specification):
    """Base of the five selectors."""

    fraction: float

    def kept(self, n: int) -> int:
        """Number of neurons kept of a layer of `n`."""
        return max(1, math.floor(self.fraction * n + 0.5))


@dataclass(frozen=True)
class All(Selector):
    """Every neuron, always: the ordinary dense layer (the paper's NN).

    >>> All().kept(1000)
    1000
    """

    word: ClassVar[str] = "dense"

    @property
    def fraction(self) -> float:  # type: ignore[override]
        """Share of neurons kept: 1."""
        return 1.0


@dataclass(frozen=True)
class Random(Selector):
    """A random share of the neurons in training, all of them in prediction: dropout (VD).

    Training uses the kept outputs as they are; prediction multiplies all of them by `k / n`, so
    that their sum is as large as in training, on average.

    Args:
        fraction: share of neurons kept, in (0, 1].

    Raises:
        ValueError: the fraction is outside (0, 1].

    >>> Random(fraction=0.1).kept(1000)
    100

    Source: Srivastava et al. (2014), as the baseline VD of Spring and Shrivastava (2016).
    """

    word: ClassVar[str] = "random"
    fraction: float = default("fraction")


@dataclass(frozen=True)
class Adaptive(Selector):
    """Adaptive dropout (AD): a neuron stays with probability `sigmoid(alpha * z + beta)`.

    `z` is the neuron's pre-activation, so that all of them are computed: nothing is saved
    forward. Prediction multiplies every output by its probability.

    Args:
        fraction: share of neurons kept where `z` is 0, in (0, 1]; sets `beta` if that is None.
        alpha: slope.
        beta: offset; None = `log(fraction / (1 - fraction))`.

    Raises:
        ValueError: a value out of range.

    >>> Adaptive(fraction=0.1).alpha
    1.0

    Source: Ba and Frey (2013), as the baseline AD of Spring and Shrivastava (2016).
    """

    word: ClassVar[str] = "adaptive"
    fraction: float = default("fraction")
    alpha: float = default("alpha")
    beta: float | None = default("beta")


@dataclass(frozen=True)
class WinnerTakeAll(Selector):
    """The neurons with the largest pre-activations (WTA): the exact selection LSH estimates.

    Args:
        fraction: share of neurons kept, in (0, 1].

    Raises:
        ValueError: the fraction is outside (0, 1].

    >>> WinnerTakeAll(0.05).kept(1000)
    50

    Source: Makhzani and Frey (2015), as the baseline WTA of Spring and Shrivastava (2016).
    """

    word: ClassVar[str] = "winner-take-all"
    fraction: float = default("fraction")


DENSIFIED = ("dwta", "minhash")  # families of codes that are found by comparisons
_CODE_BITS = (1, 2, 4, 8)  # which never lie across two words of a signature
_PROJECTED = ("projection", "rank", "center")  # what no densified family has
LONGEST_SIGNATURE = 2048  # bits * tables: what one neuron's packed signature may hold
_DENSIFIED_NEED = {"transform": "none", "probes": 1, "rehash": "rows", "code": "bits"}
_BYTES_NEED = {"projection": "subspace", "transform": "none", "ranking": "signature"}


@dataclass(frozen=True)
class LSH(Selector):
    """The neurons that hashing finds for the input: the method of the paper.

    Every neuron `[w; b]` is hashed into `tables` tables of `2**bits` buckets; an input
    `[x; 1]` is hashed the same way. A neuron whose bits agree with a chance `p` each is found
    in at least one table with probability `1 - (1 - p**bits)**tables`. Where there are not too many
    neurons, comparing the codes of all of them finds candidates better and faster than tables do.
    The best `candidates * k` candidates are evaluated exactly and the best `k` of them kept.

    Args:
        fraction: share of neurons kept, in (0, 1].
        bits: bits in the key of one table, 1 to 16.
        tables: number of tables, 1 to 256; `bits * tables` is at most 2048.
        family: `"simhash"`: bits are signs of random projections. `"dwta"` (densified
            winner-take-all): the layer's inputs, in random order, lie in bins, and the place of a
            bin's largest one is a code. `"minhash"`: of the inputs that are not zero, the least
            hash in a bin is a code, and of a neuron the same of its largest weights, as many as
            inputs are not zero on average. Both find codes by comparisons alone, of an input's
            non-zeros alone; the bias is not hashed. Candidates are ranked by the number of codes
            that agree, or by collisions. `projection`, `rank` and `center` mean nothing then;
            `transform="none"`, `probes=1`, `rehash="rows"` and `code="bits"` are what they take.
        code_bits: bits of such a code, 1, 2, 4 or 8, of which `bits` is a multiple: bins of
            `2**code_bits` inputs, or that many low bits of a min-hash. None is 2, or 1 where `bits`
            is odd.
        projection: `"subspace"` (random directions inside the principal subspace of a sample of
            the layer's inputs), `"gaussian"` or `"sparse"` (+1, 0, -1; Gaussian for the bias).
        rank: dimensions of that subspace, one of them the bias's own; at least 2.
        transform: `"none"`, `"simple"`, `"sign-alsh"` or `"l2-alsh"`: the asymmetric
            transform that turns inner products into angles (or distances).
        center: hash inputs minus their mean.
        lookup: `"scan"` compares the codes of all neurons, `"tables"` visits buckets, `"exact"`
            hashes nothing and evaluates every neuron; `"auto"` is what this machine does fastest
            (see `hashgrad.planning`).
        code: `"bits"` keeps the sign of each of `bits * tables` random projections, `"bytes"`
            eight bits of each of `rank` (for a scan in a subspace); `"auto"` is bytes where they
            will do.
        probes: buckets visited per table, the surest first; at most `2**bits`, and 256.
        ranking: candidates by `"signature"` (without a transform the neuron's length times what the
            query's projections have in common with its signs; else how many bits differ) or by
            `"collisions"` (buckets shared).
        candidates: candidates evaluated exactly, in multiples of `k`, at least 1; None is 1.5 where
            codes are bytes, 4 where they are bits, and 20 where outputs are pooled (in prediction
            alone: training evaluates what goes into the pool; hundreds of thousands of outputs
            want 100 to 200).
        rehash: `"incremental"` moves a touched neuron after every update, `"rows"` re-hashes
            the touched ones on a schedule, `"auto"` takes the first where the optimizer allows.
        rehash_every: examples between those re-hashes.
        rebuild_every: examples between full rebuilds; the first comes sooner.
        pooled: for the output layer, trained in batches: the true labels of all examples of a
            batch, and the `k` best wrong outputs of each, are evaluated and trained for every
            example of the batch, as one small dense product. Each example then learns from as many
            hard negatives as the batch has found. Tables are for training alone: prediction
            compares the codes of all outputs. Hashed are `w` and `x - mean`; the rest of the
            inner product, `b + w.mean`, is known exactly and added to what the hashes tell.
        bucket: outputs in a bucket of such a layer's tables, at most, 1 to 65536. Few and short
            buckets of the longest outputs find more of the best ones, at less cost, than many long
            ones do.
        policy: which of those that fall into a bucket it keeps: `"longest"`, whose inner products
            can be largest; `"fifo"`, the last ones: another takes the oldest one's place;
            `"reservoir"`, a random choice of all arrivals. Tables are filled, by outputs' numbers,
            at rebuilds and at the end of an epoch; a bucket counts from there on, and an output
            that it left out arrives again whenever it is hashed again.
        fill: outputs in such a pool, at least: those missing are drawn at random.
        query_every: of so many examples one asks the hashes, while such a layer trains; the others
            learn from what it has found, from all labels of the batch and from what was drawn.
            With 0 nobody asks: a loss sampled by the batch's labels and `fill`; hashes then serve
            prediction alone, and are brought up to date when an epoch or a call of `partial_fit`
            ends: all of them are made anew if `rebuild_every` examples have gone by, or fewer
            early on, else those of outputs that have moved.
        precision: of the factors of the products that train a pool. `"bfloat16"` rounds scores'
            gradients, inputs and weights to 8 significant bits before they are multiplied, on
            processors with AVX512-BF16, which multiply those up to twice as fast; sums and biases
            are floats, weights and the optimizer's state as they are otherwise kept, and prediction
            is not touched. Other processors go on in `"float32"`.
        correction: `"log-q"`, for the softmax: take from an output's score, where another example
            of the batch brought it into the pool, the logarithm of the chance of that (by its
            labels' frequencies, and by drawing). The sum over the pool then stands for the sum over
            all outputs (Jean et al. 2015, arXiv 1412.2007): frequent labels are not pushed down
            for being in every batch. What only other examples' hashes brought counts as often as
            it would, had it been left to be drawn. Frequencies are of the rows at hand: of one call
            of `partial_fit`, of one buffer of a stream.
            `"inverse"`, for the logistic loss with `fill`: what was drawn counts the inverse of its
            chance to be drawn (1 / p), so that loss and gradients are those of all outputs in the
            mean, as long as batches bring less than `fill`; else nothing is drawn, and nothing
            corrected. `"none"` takes the pool for all there is.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: a value out of range, or values that do not go together.

    >>> LSH(0.05, bits=6, tables=5).kept(1000)
    50
    >>> LSH(fraction=1.5)
    Traceback (most recent call last):
    ValueError: fraction must be in (0, 1], got 1.5

    Source: Spring and Shrivastava (2016), arXiv 1602.08194; `"dwta"`: Chen and Shrivastava (2018),
    Densified Winner Take All (DWTA) Hashing for Sparse Datasets; `"minhash"`: Shrivastava (2017),
    Optimal Densification for Fast and Accurate Minwise Hashing.
    """

    word: ClassVar[str] = "lsh"
    added: ClassVar[Mapping[str, Any]] = {
        "family": "simhash", "code_bits": None, "policy": "longest", "query_every": 1,
        "precision": "float32",
    }  # fmt: skip
    fraction: float = default("fraction")
    bits: int = default("bits")
    tables: int = default("tables")
    family: str = default("family")
    code_bits: int | None = default("code_bits")
    projection: str = default("projection")
    rank: int = default("rank")
    transform: str = default("transform")
    center: bool = default("center")
    lookup: str = default("lookup")
    code: str = default("code")
    probes: int = default("probes")
    ranking: str = default("ranking")
    candidates: float | None = default("candidates")
    rehash: str = default("rehash")
    rehash_every: int = default("rehash_every")
    rebuild_every: int = default("rebuild_every")
    pooled: bool = default("pooled")
    bucket: int = default("bucket")
    policy: str = default("policy")
    fill: int = default("fill")
    query_every: int = default("query_every")
    precision: str = default("precision")
    correction: str = default("correction")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probes == default("probes"):  # not chosen by the user: make it fit few bits
            few = 1 if self.densified else 2**self.bits
            object.__setattr__(self, "probes", min(self.probes, few))
        if self.bits * self.tables > LONGEST_SIGNATURE:
            raise ValueError(
                f"bits * tables must be at most {LONGEST_SIGNATURE}, "
                f"got {self.bits} * {self.tables} = {self.bits * self.tables}"
            )
        if self.probes > 2**self.bits:
            raise ValueError(
                f"probes must be at most 2**bits = {2**self.bits}, got {self.probes}"
                f" with bits={self.bits}"
            )
        if self.lookup == "scan" and self.ranking != "signature":
            raise ValueError(
                f"lookup='scan' needs ranking='signature', got ranking={self.ranking!r}"
            )
        if self.policy != default("policy") and not self.pooled:
            raise ValueError(
                f"policy needs pooled=True, whose buckets are bounded, got {self.policy!r} with "
                "pooled=False"
            )
        if self.fill and not self.pooled:
            raise ValueError(f"fill needs pooled=True, got fill={self.fill} with pooled=False")
        if self.query_every != default("query_every") and not self.pooled:
            raise ValueError(
                f"query_every needs pooled=True, got {self.query_every} with pooled=False"
            )
        if self.precision != default("precision") and not self.pooled:
            raise ValueError(
                f"precision needs pooled=True, got {self.precision!r} with pooled=False"
            )
        if self.correction != "none" and not self.pooled:
            raise ValueError(
                f"correction needs pooled=True, got {self.correction!r} with pooled=False"
            )
        if self.correction == "inverse" and not self.fill:
            raise ValueError("correction='inverse' needs fill above 0, got fill=0")
        if self.pooled and self.lookup == "exact":
            raise ValueError("pooled=True needs lookup='scan' or 'tables', got 'exact'")
        if self.pooled and self.rehash == "incremental":
            raise ValueError("pooled=True needs rehash='rows', got 'incremental'")
        self._check_family()
        if self.code == "bytes":
            for name, needed in _BYTES_NEED.items():
                if getattr(self, name) != needed:
                    raise ValueError(
                        f"code='bytes' needs {name}={needed!r}, got {name}={getattr(self, name)!r}"
                    )
            if self.lookup == "tables":
                raise ValueError("code='bytes' needs a lookup other than 'tables', got 'tables'")

    @property
    def densified(self) -> bool:
        """Whether hashes are codes that comparisons find: of `family` `"dwta"` or `"minhash"`."""
        return self.family in DENSIFIED

    @property
    def bits_of_code(self) -> int:
        """Bits that agree or differ as one: of `code_bits`, or of a sign."""
        if not self.densified:
            return 1
        return self.code_bits or (1 if self.bits % 2 else 2)

    def _check_family(self) -> None:
        if not self.densified:
            if self.code_bits is not None:
                raise ValueError(
                    f"code_bits needs family='dwta' or 'minhash', got code_bits={self.code_bits} "
                    f"with family={self.family!r}"
                )
            return
        if self.code_bits not in (None, *_CODE_BITS):
            raise ValueError(f"code_bits must be 1, 2, 4 or 8, got {self.code_bits}")
        if self.code_bits and self.bits % self.code_bits:
            raise ValueError(
                f"bits must be a multiple of code_bits = {self.code_bits}, got {self.bits}"
            )
        for name in _PROJECTED:
            if getattr(self, name) != default(name):
                raise ValueError(
                    f"{name} must be left at {default(name)!r} with family={self.family!r}, which "
                    f"has no projections, got {getattr(self, name)!r}"
                )
        for name, needed in _DENSIFIED_NEED.items():
            if getattr(self, name) not in ("auto", needed):
                raise ValueError(
                    f"family={self.family!r} needs {name}={needed!r}, "
                    f"got {name}={getattr(self, name)!r}"
                )


SELECTORS: dict[str, Any] = {
    selector.word: selector for selector in (All, Random, Adaptive, WinnerTakeAll, LSH)
}
