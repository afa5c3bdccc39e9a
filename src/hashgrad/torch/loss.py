"""Cross-entropy over a large vocabulary, of which a batch trains the classes that matter to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..checks import Choice, Interval, wrong_type
from ..selectors import LSH
from . import operators, pooling
from .linear import Hashed

EVALUATED = 1 << 25  # scores that an evaluation holds at once
_NO_SAMPLE = 1e9  # as a shift: leaves a class out of the sum


class SampledLoss(NamedTuple):
    """What `LSHSoftmaxLoss` returns, as `AdaptiveLogSoftmaxWithLoss` does."""

    output: Tensor  # log-probabilities of the targets: (n), or ()
    loss: Tensor  # minus their mean


def hashing(n_classes: int) -> LSH:
    """How classes are hashed unless told otherwise: tables whose buckets keep the longest rows."""
    return LSH(
        1 / n_classes, pooled=True, rank=64, bits=8, tables=16, code="bits", lookup="tables",
        bucket=128, probes=1, rehash_every=2048, rebuild_every=200_000,
    )  # fmt: skip


class LSHSoftmaxLoss(Hashed):
    """Softmax cross-entropy that trains a batch on its labels and on hard negatives found by LSH.

    The classes of a batch are its labels, the `wrong` classes that each example's hash finds
    nearest besides its label, and random ones: as many as the batch has rows, and `negatives` more,
    for all of its examples. In training, `output` and `loss` are those of the softmax over these;
    in evaluation, of the softmax over all classes, exact. Hashes follow the weights every
    `lsh.rehash_every` examples. Under autocast to bfloat16 the products have
    such factors; all else is float32, on the CPU.

    `log-q` takes from a class's score, where the example has not found it itself, the logarithm of
    the chance that it is there (by the labels seen so far, and by drawing), so that the sum stands
    for that over all classes (Jean et al. 2015, arXiv 1412.2007). What only the hashes of
    other examples brought counts as often as it would, had it been left to be drawn.

    Args:
        in_features: size of an input row, at least 1.
        n_classes: at least 2.
        bias: whether classes have one.
        device: the CPU.
        dtype: `torch.float32`.
        negatives: classes of a batch of n besides its labels, at least 0; `(wrong + 1) * n` where
            that is more.
        wrong: classes that an example's hash is to find besides its label, at least 0.
        correction: `"log-q"` or `"none"`.
        class_counts: how often each class occurs (n_classes), for the first biases and the
            correction; both begin alike for all classes without.
        lsh: how to hash (`hashgrad.LSH`); its fraction, fill, query_every,
            precision and correction count for nothing.
        sparse: give `weight.grad` and `bias.grad` as sparse tensors, for `torch.optim.SparseAdam`;
            under `torch.compile` they are dense all the same.
        seed: of the hash functions and of what is drawn.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: a value out of range; in `forward`, shapes or targets that do not fit.

    Shape:
        input (n, in_features) with target (n), or (in_features) with ().

    >>> import torch
    >>> loss = LSHSoftmaxLoss(16, 1000, negatives=64)
    >>> output, mean = loss(torch.randn(8, 16), torch.arange(8))
    >>> output.shape, bool(torch.isclose(-output.mean(), mean))
    (torch.Size([8]), True)

    Source: Spring and Shrivastava (2016), arXiv 1602.08194; Jean et al. (2015).
    """

    label_counts: Tensor
    step: Tensor  # batches trained on: what is drawn for one depends on it

    def __init__(
        self, in_features: int, n_classes: int, bias: bool = True, device: Any = None,
        dtype: Any = None, *, negatives: int = 2048, wrong: int = 1, correction: str = "log-q",
        class_counts: Any = None, lsh: LSH | None = None, sparse: bool = False, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        most = 2**31 - 1
        self.in_features = Interval(1, most, integer=True).check("in_features", in_features)
        self.n_classes = Interval(2, most, integer=True).check("n_classes", n_classes)
        self.negatives = Interval(0, most, integer=True).check("negatives", negatives)
        self.wrong = Interval(0, 1000, integer=True).check("wrong", wrong)
        self.correction = Choice(("log-q", "none")).check("correction", correction)
        if lsh is not None and not isinstance(lsh, LSH):
            raise wrong_type("lsh", "an LSH, or None", lsh)
        self.lsh = hashing(self.n_classes) if lsh is None else replace(lsh, pooled=True)
        counts = torch.zeros(self.n_classes, dtype=torch.int64)
        if class_counts is not None:
            counts = torch.as_tensor(class_counts).to(torch.int64)
            if counts.shape != (self.n_classes,) or bool((counts < 0).any()):
                raise ValueError(
                    f"class_counts must be {self.n_classes} numbers >= 0, got the shape "
                    f"{tuple(counts.shape)}"
                )
        self._begin(
            self.in_features, self.n_classes, bias, self.lsh, seed, sparse, sparse, device, dtype
        )
        self.register_buffer("label_counts", counts.to(self.weight.device))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=device))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights as `torch.nn.Linear` does; biases are log-frequencies, if known."""
        super().reset_parameters()
        if self.bias is not None:
            known = self.label_counts.double() + 0.5
            frequent = (known / known.sum()).log()
            self.bias.copy_(frequent if bool(self.label_counts.any()) else 0 * frequent)

    def forward(self, input: Tensor, target: Tensor) -> SampledLoss:  # noqa: A002
        """Log-probabilities of the targets, and minus their mean."""
        x, labels = self._checked(input, target)
        right = self._sampled(x, labels) if self.training else self._exact(x, labels)
        return SampledLoss(right[0] if target.dim() == 0 else right, -right.mean())

    def _checked(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if target.dim() > 1 or x.dim() != target.dim() + 1 or x.shape[:-1] != target.shape:
            raise ValueError(
                "input and target must be (n, in_features) and (n), or (in_features) and (), got "
                f"{tuple(x.shape)} and {tuple(target.shape)}"
            )
        self._check_columns(x)
        return x.reshape(-1, self.in_features), target.reshape(-1)

    def _check_columns(self, x: Tensor) -> None:
        if x.shape[-1] != self.in_features:
            raise ValueError(
                f"input must have {self.in_features} columns, got the shape {tuple(x.shape)}"
            )

    def _sampled(self, x: Tensor, labels: Tensor) -> Tensor:
        n = x.shape[0]
        half = (
            torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        )
        size = pooling.pool_size(n, self.n_classes, self.wrong, self.negatives)
        bias = None if self.bias is None else self.bias.detach()
        classes, place, own, drawn, sampled = pooling.pool(
            x.detach().float(), self.weight.detach(), bias, labels, self.step, self._handle,
            self.wrong, size,
        )  # fmt: skip
        self.step.add_(1)
        right: Tensor
        right, _ = pooling.pooled_softmax(
            x, self.weight, self.bias, classes, place, own,
            self._shift(classes, labels, drawn, sampled), self._handle, half, self.sparse,
        )  # fmt: skip
        return right

    @torch.no_grad()
    def _shift(self, classes: Tensor, labels: Tensor, drawn: Tensor, sampled: Tensor) -> Tensor:
        """The logarithm of each class's chance to be among a batch's, as other examples see it."""
        if self.correction == "none":
            return torch.zeros(len(classes))
        self.label_counts.index_add_(0, labels, torch.ones_like(labels))
        share = self.label_counts.index_select(0, classes) / self.label_counts.sum()
        chance = -torch.expm1((labels.shape[0] - 1) * torch.log1p(-share.clamp(max=1 - 1e-6)))
        shift = (chance + drawn * (1 - chance)).clamp(min=1e-9).log().float()
        return shift.where(sampled, (shift - drawn.log()).clamp(max=_NO_SAMPLE))

    def _exact(self, x: Tensor, labels: Tensor) -> Tensor:
        parts = zip(self._parts(x), self._parts(labels), strict=True)
        return torch.cat([
            -F.cross_entropy(F.linear(rows, self.weight, self.bias), own, reduction="none")
            for rows, own in parts
        ])  # fmt: skip

    def _parts(self, tensor: Tensor) -> tuple[Tensor, ...]:
        return torch.split(tensor, max(1, EVALUATED // self.n_classes))

    def log_prob(self, input: Tensor) -> Tensor:  # noqa: A002
        """Log-probabilities of all classes, exact: (n, n_classes)."""
        self._check_columns(input)
        return torch.log_softmax(F.linear(input, self.weight, self.bias), -1)

    @torch.no_grad()
    def predict(self, input: Tensor, exact: bool = True) -> Tensor:  # noqa: A002
        """The class with the highest probability: (n); not exact: of those that hashes find."""
        self._check_columns(input)
        x = input.reshape(-1, self.in_features)
        if exact:
            scores = (F.linear(rows, self.weight, self.bias) for rows in self._parts(x))
            return torch.cat([part.argmax(1) for part in scores]).view(input.shape[:-1])
        ids: Tensor
        _, ids = operators.lsh_linear(
            x, self.weight, self.bias, self._handle, 1, False, False, False
        )
        return ids[:, 0].long().view(input.shape[:-1])

    def extra_repr(self) -> str:
        """Sizes, and how classes are sampled."""
        return (
            f"in_features={self.in_features}, n_classes={self.n_classes}, "
            f"negatives={self.negatives}, wrong={self.wrong}, correction={self.correction!r}"
        )
