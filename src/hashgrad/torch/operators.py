"""The operators of `hashgrad::` in PyTorch: plain functions of tensors, and an index's handle.

`lsh_linear` chooses the active outputs of each row and evaluates them; `active_linear` is told
which; both have the same gradients, exact on the active set. `pool` chooses the classes that a
batch is trained on, and `pooled_softmax` is the softmax over them. They compute in float32.
"""

from typing import Any

import torch
from torch import Tensor

from .. import _core
from .index import find, numpy

_define = torch.library.custom_op
_NOTHING = 0  # the handle of no index


def _numbers(tensor: Tensor, name: str) -> Any:
    if tensor.dtype != torch.float32:
        raise TypeError(f"{name} must be float32, got {tensor.dtype}")
    return numpy(tensor)


def _check(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Any, Any, Any]:
    return (
        _numbers(x, "input"),
        _numbers(weight, "weight"),
        None if bias is None else _numbers(bias, "bias"),
    )


def _scattered(z: Any, ids: Any, n_outputs: int) -> Tensor:
    """Dense rows, 0 where an output is not active."""
    y = torch.zeros(len(ids), n_outputs)
    return y.scatter_(1, torch.from_numpy(ids).long(), torch.from_numpy(z))


@_define(
    "hashgrad::lsh_linear", mutates_args=(), device_types="cpu",
    schema="(Tensor x, Tensor weight, Tensor? bias, int handle, int k, bool training, bool sparse, "
    "bool rectified) -> (Tensor, Tensor)",
)  # fmt: skip
def lsh_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, handle: int, k: int, training: bool,
    sparse: bool, rectified: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Outputs (n, out), 0 where not active, and the active ones' numbers (n, k), ascending."""
    index, rows = find(handle), _check(x, weight, bias)
    index.keep_up(x.detach(), weight, bias, training)
    ids, z = index.core.select(*rows, k, torch.get_num_threads())
    index.count(dense=x.shape[0] * weight.numel())
    return _scattered(z, ids, weight.shape[0]), torch.from_numpy(ids)


@lsh_linear.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, handle: int, k: int, training: bool,
    sparse: bool, rectified: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    n = x.shape[0]
    return x.new_empty(n, weight.shape[0]), x.new_empty(n, k, dtype=torch.int32)


@_define(
    "hashgrad::active_linear", mutates_args=(), device_types="cpu",
    schema="(Tensor x, Tensor weight, Tensor? bias, Tensor ids, int handle, bool sparse, "
    "bool rectified) -> Tensor",
)  # fmt: skip
def active_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor, handle: int, sparse: bool,
    rectified: bool,
) -> Tensor:  # fmt: skip
    """The outputs `ids` (n, k; int32) of each row, and 0 for all others."""
    active = numpy(ids)
    z, cost = _core.active_forward(*_check(x, weight, bias), active, torch.get_num_threads())
    if handle != _NOTHING:
        find(handle).count(dense=x.shape[0] * weight.numel(), forward=cost)
    return _scattered(z, active, weight.shape[0])


@active_linear.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor, handle: int, sparse: bool,
    rectified: bool,
) -> Tensor:  # fmt: skip
    return x.new_empty(x.shape[0], weight.shape[0])


def _towards(
    delta: Any, x: Tensor, weight: Tensor, ids: Any, handle: int, wanted: bool, rectified: bool
) -> Tensor:
    if not wanted:
        return torch.empty(0)
    towards, cost = _core.active_backward(
        numpy(x), numpy(weight), ids, delta, rectified, torch.get_num_threads()
    )
    if handle != _NOTHING:
        find(handle).count(dense=x.shape[0] * weight.numel(), backward=cost)
    return torch.from_numpy(towards)


def _gradients(
    delta: Any, x: Tensor, weight: Tensor, ids: Any, handle: int, dense: bool
) -> tuple[Tensor, Tensor, Tensor]:
    rows, by_row, of_bias, cost = _core.active_row_gradients(
        numpy(x), ids, delta, weight.shape[0], dense, torch.get_num_threads()
    )
    if handle != _NOTHING:
        find(handle).count(dense=x.shape[0] * weight.numel(), update=cost)
    return torch.from_numpy(rows), torch.from_numpy(by_row), torch.from_numpy(of_bias)


def _delta(grad: Tensor, ids: Tensor) -> Any:
    return numpy(grad.gather(1, ids.long()))


@_define(
    "hashgrad::active_linear_backward", mutates_args=(), device_types="cpu",
    schema="(Tensor grad, Tensor x, Tensor weight, Tensor ids, int handle, bool to_input, "
    "bool to_weight, bool rectified) -> (Tensor, Tensor, Tensor)",
)  # fmt: skip
def active_linear_backward(
    grad: Tensor, x: Tensor, weight: Tensor, ids: Tensor, handle: int, to_input: bool,
    to_weight: bool, rectified: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of input, weight and bias, dense; empty where not wanted."""
    delta, active = _delta(grad, ids), numpy(ids)
    towards = _towards(delta, x, weight, active, handle, to_input, rectified)
    if not to_weight:
        return towards, torch.empty(0), torch.empty(0)
    return towards, *_gradients(delta, x, weight, active, handle, dense=True)[1:]


@active_linear_backward.register_fake
def _(
    grad: Tensor, x: Tensor, weight: Tensor, ids: Tensor, handle: int, to_input: bool,
    to_weight: bool, rectified: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return (
        x.new_empty(x.shape if to_input else 0),
        x.new_empty(weight.shape if to_weight else 0),
        x.new_empty(weight.shape[0] if to_weight else 0),
    )


@_define(
    "hashgrad::active_linear_backward_rows", mutates_args=(), device_types="cpu",
    schema="(Tensor grad, Tensor x, Tensor weight, Tensor ids, int handle, bool to_input, "
    "bool rectified) -> (Tensor, Tensor, Tensor, Tensor)",
)  # fmt: skip
def active_linear_backward_rows(
    grad: Tensor, x: Tensor, weight: Tensor, ids: Tensor, handle: int, to_input: bool,
    rectified: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradient of the input; rows of the weight that have one; these; the bias's for them."""
    delta, active = _delta(grad, ids), numpy(ids)
    towards = _towards(delta, x, weight, active, handle, to_input, rectified)
    return towards, *_gradients(delta, x, weight, active, handle, dense=False)


@active_linear_backward_rows.register_fake
def _(
    grad: Tensor, x: Tensor, weight: Tensor, ids: Tensor, handle: int, to_input: bool,
    rectified: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    n = torch.library.get_ctx().new_dynamic_size()
    return (
        x.new_empty(x.shape if to_input else 0),
        x.new_empty(n, dtype=torch.int64),
        x.new_empty(n, weight.shape[1]),
        x.new_empty(n),
    )


def by_rows(rows: Tensor, values: Tensor, n_rows: int) -> Tensor:
    """A sparse gradient: `values` for `rows`, which are ascending and unique."""
    shape = (n_rows, *values.shape[1:])
    return torch.sparse_coo_tensor(
        rows[None], values, shape, is_coalesced=True, check_invariants=False
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    if len(inputs) == 8:  # lsh_linear
        x, weight, bias, handle, _, _, sparse, rectified = inputs
        ids = output[1]
    else:
        x, weight, bias, ids, handle, sparse, rectified = inputs
    ctx.save_for_backward(x, weight, ids)
    ctx.handle, ctx.sparse, ctx.rectified = handle, sparse, rectified
    ctx.has_bias, ctx.n_inputs = bias is not None, len(inputs)


def _differentiate(ctx: Any, grad: Tensor, *_: Any) -> tuple[Any, ...]:
    x, weight, ids = ctx.saved_tensors
    needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
    any_weight = needs_weight or needs_bias
    if ctx.sparse and any_weight and not torch.compiler.is_compiling():
        d_x, rows, d_weight, d_bias = active_linear_backward_rows(
            grad, x, weight, ids, ctx.handle, needs_x, ctx.rectified
        )
        d_weight = by_rows(rows, d_weight, len(weight))
        d_bias = by_rows(rows, d_bias, len(weight))
    else:
        d_x, d_weight, d_bias = active_linear_backward(
            grad, x, weight, ids, ctx.handle, needs_x, any_weight, ctx.rectified
        )
    first: tuple[Any, ...] = (
        d_x if needs_x else None,
        d_weight if needs_weight else None,
        d_bias if needs_bias and ctx.has_bias else None,
    )
    return (*first, *[None] * (ctx.n_inputs - len(first)))


for _operator in (lsh_linear, active_linear):
    _operator.register_autograd(_differentiate, setup_context=_save)
    _operator.register_autocast("cpu", torch.float32)
