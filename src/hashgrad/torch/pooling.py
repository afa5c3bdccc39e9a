"""The operators of a softmax over a pool of classes: which they are, and the softmax over them."""

from typing import Any

import torch
from torch import Tensor

from .index import find, numpy
from .operators import by_rows

_define = torch.library.custom_op


def pool_size(n_rows: int, n_classes: int, wrong: int, negatives: int) -> int:
    """How many classes a batch of `n_rows` is trained on.

    Room for what they can bring: a label each, and what a hash finds, `wrong` and one in case that
    the label is not among it.

    >>> pool_size(512, 100_000, wrong=1, negatives=2048), pool_size(512, 1000, 1, 2048)
    (2560, 1000)
    """
    return min(n_classes, n_rows + max(negatives, (wrong + 1) * n_rows))


@_define(
    "hashgrad::pool", mutates_args=(), device_types="cpu",
    schema="(Tensor x, Tensor weight, Tensor? bias, Tensor target, Tensor step, int handle, "
    "int wrong, int size) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)  # fmt: skip
def pool(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, step: Tensor, handle: int,
    wrong: int, size: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The classes a batch is trained on: labels, what hashes find, and random ones up to `size`.

    What is drawn depends on `step`, a number. Returns them (size), ascending; each label's place
    among them (n); the places of what an example found itself (n, wrong + 1); the share of all
    others that was drawn; and which are labels or drawn (size), not found by hashes alone.
    """
    index = find(handle)
    if wrong:  # else nobody asks hashes
        index.keep_up(x.detach(), weight, bias, training=True)
    found, place, own, drawn, sampled = index.core.pool(
        numpy(x), numpy(target), wrong, size, int(step), torch.get_num_threads()
    )
    classes = torch.from_numpy(found)
    if index.marks:
        index.mark(classes)
    places = torch.from_numpy(place), torch.from_numpy(own)
    return classes, *places, torch.tensor(drawn), torch.from_numpy(sampled).bool()


@pool.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, step: Tensor, handle: int,
    wrong: int, size: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    n = x.shape[0]
    return (
        target.new_empty(size),
        target.new_empty(n),
        target.new_empty(n, wrong + 1),
        x.new_empty(()),
        target.new_empty(size, dtype=torch.bool),
    )


def _product(a: Tensor, b: Tensor, half: bool) -> Tensor:
    return (a.bfloat16() @ b.bfloat16()).float() if half else a @ b


@_define(
    "hashgrad::pooled_softmax", mutates_args=(), device_types="cpu",
    schema="(Tensor x, Tensor weight, Tensor? bias, Tensor classes, Tensor place, Tensor own, "
    "Tensor shift, int handle, bool half, bool sparse) -> (Tensor, Tensor)",
)  # fmt: skip
def pooled_softmax(
    x: Tensor, weight: Tensor, bias: Tensor | None, classes: Tensor, place: Tensor, own: Tensor,
    shift: Tensor, handle: int, half: bool, sparse: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Log-probabilities of the labels (n), and the probabilities of the pool's classes (n, m).

    `shift` (m) is taken from a class's score but where the example found it itself.
    """
    z = _product(x, weight.index_select(0, classes).T, half)
    if bias is not None:
        z += bias.index_select(0, classes)
    kept = torch.cat([own, place[:, None]], 1)
    unshifted = z.gather(1, kept)
    z -= shift
    z.scatter_(1, kept, unshifted)
    z = torch.log_softmax(z, 1)
    right = z.gather(1, place[:, None])[:, 0]
    _count(handle, x, weight, z, "forward")
    return right, z.exp_()


@pooled_softmax.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, classes: Tensor, place: Tensor, own: Tensor,
    shift: Tensor, handle: int, half: bool, sparse: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return x.new_empty(x.shape[0]), x.new_empty(x.shape[0], classes.shape[0])


def _count(handle: int, x: Tensor, weight: Tensor, z: Tensor, phase: str) -> None:
    if handle:
        counted = {phase: z.numel() * x.shape[1]}
        find(handle).count(dense=x.shape[0] * weight.numel(), **counted)


@_define(
    "hashgrad::pooled_softmax_backward", mutates_args=(), device_types="cpu",
    schema="(Tensor grad, Tensor x, Tensor weight, Tensor classes, Tensor place, "
    "Tensor probabilities, int handle, bool half) -> (Tensor, Tensor, Tensor)",
)  # fmt: skip
def pooled_softmax_backward(
    grad: Tensor, x: Tensor, weight: Tensor, classes: Tensor, place: Tensor,
    probabilities: Tensor, handle: int, half: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of the input (n, in), of the classes' rows (m, in) and of their biases (m)."""
    d_z = probabilities * -grad[:, None]
    d_z.scatter_add_(1, place[:, None], grad[:, None])
    _count(handle, x, weight, d_z, "backward")
    _count(handle, x, weight, d_z, "update")
    towards = _product(d_z, weight.index_select(0, classes), half)
    return towards, _product(d_z.T, x, half), d_z.sum(0)


@pooled_softmax_backward.register_fake
def _(
    grad: Tensor, x: Tensor, weight: Tensor, classes: Tensor, place: Tensor,
    probabilities: Tensor, handle: int, half: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    m = classes.shape[0]
    return torch.empty_like(x), x.new_empty(m, x.shape[1]), x.new_empty(m)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, weight, bias, classes, place, _, _, handle, half, sparse = inputs
    ctx.save_for_backward(x, weight, classes, place, output[1])
    ctx.handle, ctx.half, ctx.sparse, ctx.has_bias = handle, half, sparse, bias is not None
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
    x, weight, classes, place, probabilities = ctx.saved_tensors
    d_x, d_rows, d_bias = pooled_softmax_backward(
        grad, x, weight, classes, place, probabilities, ctx.handle, ctx.half
    )
    sparse = ctx.sparse and not torch.compiler.is_compiling()
    if sparse:
        d_rows, d_bias = (by_rows(classes, d, len(weight)) for d in (d_rows, d_bias))
    else:
        d_rows, d_bias = (
            d.new_zeros(len(weight), *d.shape[1:]).index_copy(0, classes, d)
            for d in (d_rows, d_bias)
        )
    return (d_x, d_rows, d_bias if ctx.has_bias else None) + (None,) * 7


pooled_softmax.register_autograd(_differentiate, setup_context=_save)
pooled_softmax.register_autocast("cpu", torch.float32)
