"""A linear layer of which each input evaluates and trains only the outputs that matter to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import Flag, Interval, wrong_type
from ..selectors import LSH
from . import operators
from .index import Index, Multiplications

SEED = Interval(0, 2**63 - 1, integer=True)


class Hashed(nn.Module):
    """What layers with an index share: parameters like those of `nn.Linear`, and the index."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    _index: Index

    def _begin(
        self, n_inputs: int, n_outputs: int, bias: bool, lsh: LSH, seed: int, sparse: bool,
        marks: bool, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        if device is not None and torch.device(device).type not in ("cpu", "meta"):
            raise ValueError(f"device must be the CPU, got {device}")
        if dtype not in (None, torch.float32):
            raise ValueError(f"dtype must be torch.float32, got {dtype}")
        of = {"device": device, "dtype": torch.float32}
        self.weight = nn.Parameter(torch.empty(n_outputs, n_inputs, **of))
        self.bias = nn.Parameter(torch.empty(n_outputs, **of)) if bias else None
        self.sparse = Flag().check("sparse", sparse)
        self._index = Index(n_inputs, n_outputs, lsh, SEED.check("seed", seed), marks)
        self._handle = self._index.handle
        self.register_load_state_dict_post_hook(_distrust)  # type: ignore[no-untyped-call]

    def reset_parameters(self) -> None:
        """Draw the weights as `torch.nn.Linear` does."""
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        if self.bias is not None:
            bound = self.weight.shape[1] ** -0.5
            nn.init.uniform_(self.bias, -bound, bound)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._handle = self._index.handle  # a copy has an index of its own

    @property
    def multiplications(self) -> Multiplications:
        """What the layer has multiplied so far, all upkeep included."""
        return self._index.multiplications()

    @torch.no_grad()
    def rehash(self) -> int:
        """Hash every row again that has changed; returns how many.

        Training does so on its schedule, and evaluation whenever PyTorch's version counters say
        that weights have changed. They do not where `weight.data` or another process was written.
        """
        return self._index.refresh(self.weight, self.bias)

    @torch.no_grad()
    def staleness(self) -> float:
        """Share of the bits of the outputs' hashes that would differ if hashed now, in [0, 1]."""
        return self._index.staleness(self.weight, self.bias)


def _distrust(module: Any, _: Any) -> None:
    module._index.distrust()


class LSHLinear(Hashed):
    """`torch.nn.Linear`, of which each input evaluates only the outputs with the largest w.x + b.

    The outputs that hashing does not find are 0 and get no gradient; so an activation that keeps 0
    at 0 should follow (ReLU, GELU, tanh). Gradients of those that are active are exact. Parameters,
    their names, shapes and first values are those of `nn.Linear`, and states load from one to
    the other; float32 on the CPU. Under autocast the layer computes in float32.

    Until 64 inputs were seen, every output is evaluated, and the largest are kept. From then on
    hashes are made from weights and a sample of inputs, and hashed again as weights move: in
    training every `lsh.rehash_every` examples, those rows whose bits have changed, whatever the
    optimizer; in evaluation at once. A copy (`deepcopy`, pickle) hashes its weights anew.

    Args:
        in_features: size of an input row, at least 1.
        out_features: outputs, at least 1.
        bias: whether there is one.
        device: the CPU.
        dtype: `torch.float32`.
        fraction: share of the outputs that is active, in (0, 1]; 0.05 unless told.
        lsh: how to hash (`hashgrad.LSH`, not pooled), instead of `fraction`.
        sparse: give `weight.grad` and `bias.grad` as sparse tensors, which have the active rows
            alone; under `torch.compile` they are dense all the same.
        rectified: the input comes out of a ReLU, so that its gradient is left out where it is 0, as
            the ReLU would leave it out: less to multiply.
        seed: of the hash functions.

    Raises:
        TypeError: a value of the wrong type; in `forward`, numbers that are not float32.
        ValueError: a value out of range, or `fraction` beside `lsh`.

    Shape:
        input `(*, in_features)`, output `(*, out_features)`.

    >>> import torch
    >>> layer = LSHLinear(20, 100, fraction=0.1)
    >>> y = layer(torch.randn(64, 20))
    >>> y.shape, int((y != 0).sum(1).max())
    (torch.Size([64, 100]), 10)

    Source: Spring and Shrivastava (2016), arXiv 1602.08194.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None,
        dtype: Any = None, *, fraction: float | None = None, lsh: LSH | None = None,
        sparse: bool = False, rectified: bool = False, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        positive = Interval(1, 2**31 - 1, integer=True)
        self.in_features = positive.check("in_features", in_features)
        self.out_features = positive.check("out_features", out_features)
        if lsh is not None and not isinstance(lsh, LSH):
            raise wrong_type("lsh", "an LSH, or None", lsh)
        if lsh is not None and fraction is not None:
            raise ValueError(f"fraction must be None beside lsh, got {fraction}")
        if lsh is not None and lsh.pooled:
            raise ValueError("lsh.pooled must be False, got True")
        chosen = lsh or LSH()
        self.lsh = chosen if fraction is None else replace(chosen, fraction=fraction)
        self.n_active = self.lsh.kept(self.out_features)
        self.rectified = Flag().check("rectified", rectified)
        self._begin(
            self.in_features, self.out_features, bias, self.lsh, seed, sparse, False, device, dtype
        )
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.Linear's name)
        """Outputs (*, out_features), 0 where not active."""
        if input.shape[-1] != self.in_features:
            raise ValueError(
                f"input must have {self.in_features} columns, got the shape {tuple(input.shape)}"
            )
        rows = input.reshape(-1, self.in_features)
        y: Tensor
        y, _ = operators.lsh_linear(
            rows, self.weight, self.bias, self._handle, self.n_active, self.training, self.sparse,
            self.rectified,
        )  # fmt: skip
        return y.view(*input.shape[:-1], self.out_features)

    @torch.no_grad()
    def active(self, input: Tensor) -> Tensor:  # noqa: A002
        """The numbers of the outputs that each input makes active: (*, k), int32, ascending."""
        rows = input.reshape(-1, self.in_features)
        ids: Tensor
        _, ids = operators.lsh_linear(
            rows, self.weight, self.bias, self._handle, self.n_active, False, False, False
        )
        return ids.view(*input.shape[:-1], self.n_active)

    def extra_repr(self) -> str:
        """As `nn.Linear`'s, and the share of active outputs."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, fraction={self.lsh.fraction:g}"
        )
