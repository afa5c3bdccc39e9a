"""LSHLinear against PyTorch's own layer with the active set imposed."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.library import opcheck
from torch.utils.data import DataLoader, Dataset

from hashgrad import LSH, _core
from hashgrad.torch import LSHLinear, operators
from torch_help import seeded  # noqa: F401

N, IN, OUT, K = 40, 30, 200, 10


def inputs(n: int = N, sparse: bool = False) -> torch.Tensor:
    x = torch.randn(n, IN)
    return x * (torch.rand(n, IN) < 0.15) if sparse else x


def trained(**settings: Any) -> LSHLinear:
    """A layer that has seen enough inputs to have hashes."""
    layer = LSHLinear(IN, OUT, **{"fraction": 0.05, **settings})
    layer(inputs(200))
    return layer


def imposed(layer: LSHLinear, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The dense layer's outputs in float64, but 0 where not active."""
    bias = None if layer.bias is None else layer.bias.double()
    z = nn.functional.linear(x.double(), layer.weight.double(), bias)
    return torch.zeros_like(z).scatter(1, ids.long(), z.gather(1, ids.long()))


@pytest.mark.parametrize("sparse_input", [False, True])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_are_those_of_the_dense_layer_on_the_active_set(
    bias: bool, sparse_input: bool, level: str
) -> None:
    layer = trained(bias=bias)
    x = inputs(sparse=sparse_input).requires_grad_()
    upstream = torch.randn(N, OUT)
    ids = layer.eval().active(x)
    y = layer(x)
    twin = imposed(layer, x, ids)
    torch.testing.assert_close(y, twin.float(), atol=1e-5, rtol=1e-5)
    wanted = [x, *layer.parameters()]
    ours = torch.autograd.grad(y, wanted, upstream)
    theirs = torch.autograd.grad(twin, wanted, upstream.double())
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_inputs", [1, 7, 16, 17, 64])
def test_rows_of_any_width_are_read_to_their_end_and_no_further(n_inputs: int, level: str) -> None:
    guarded = torch.full((51, n_inputs), torch.nan)  # what lies behind the matrix is no number
    weight = guarded[:50].copy_(torch.randn(50, n_inputs))
    x, ids = torch.randn(9, n_inputs), torch.arange(50, dtype=torch.int32).expand(9, 50)
    z, cost = _core.active_forward(x.numpy(), weight.numpy(), None, ids.contiguous().numpy(), 1)
    np.testing.assert_allclose(z, x @ weight.T, atol=1e-5)
    assert cost == 9 * 50 * n_inputs


def test_an_input_gradient_may_leave_out_what_a_relu_leaves_out() -> None:
    layer, below = trained(rectified=True), nn.Linear(IN, IN)
    plain = copy.deepcopy(layer)
    plain.rectified = False
    x = inputs()
    found = []
    for top in (layer, plain):
        y = top.eval()(torch.relu(below(x)))
        found.append(torch.autograd.grad(y.square().sum(), list(below.parameters())))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)
    counts = layer.multiplications, plain.multiplications
    assert 0 < counts[0].backward < counts[1].backward


def test_sparse_gradients_are_the_dense_ones_row_by_row() -> None:
    x, upstream = inputs(8), torch.randn(8, OUT)
    grads = []
    for sparse in (False, True):
        torch.manual_seed(1)
        layer = trained(sparse=sparse).eval()
        layer(x).backward(upstream)
        grads.append((layer.weight.grad, layer.bias.grad))
    for dense, rows in zip(*grads, strict=True):
        assert rows.is_sparse
        assert not dense.is_sparse
        assert 0 < rows._nnz() < OUT
        torch.testing.assert_close(rows.to_dense(), dense)


def test_steps_of_sparse_gradients_are_those_of_dense_ones() -> None:
    ends = []
    for sparse in (False, True):
        torch.manual_seed(1)
        layer = trained(sparse=sparse, lsh=LSH(0.05, rehash_every=1), fraction=None)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            layer(inputs(16)).square().mean().backward()
            optimizer.step()
        ends.append(layer.weight.detach().clone())
    torch.testing.assert_close(*ends)


@pytest.mark.filterwarnings("ignore:Input #. requires gradient and is not a double")
def test_it_passes_gradcheck() -> None:
    """In float32: the layer is linear in each argument, so that large differences are exact."""
    x, weight, bias = (torch.randn(*s, requires_grad=True) for s in ((4, 6), (9, 6), (9,)))
    ids = torch.stack([torch.randperm(9)[:3].sort().values for _ in range(4)]).int()

    def of_the_operator(x: Any, weight: Any, bias: Any) -> Any:
        return operators.active_linear(x, weight, bias, ids, 0, False, False)

    tolerances = {"eps": 0.1, "atol": 1e-3, "rtol": 1e-3}
    assert torch.autograd.gradcheck(of_the_operator, (x, weight, bias), **tolerances)
    layer = trained(lsh=LSH(0.02, code="bits"), fraction=None).eval()
    few = inputs(3).requires_grad_()
    gaps = layer(few).sort(1, descending=True).values
    assert gaps[:, 3].min() > 0.01  # so that a small difference changes no choice
    assert torch.autograd.gradcheck(layer, (few,), eps=1e-3, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("bias", [True, False])
def test_the_operators_pass_opcheck(bias: bool) -> None:
    layer = trained(bias=bias)
    x = inputs(16).requires_grad_()
    ids = layer.active(x)
    common = x, layer.weight, layer.bias
    opcheck(operators.lsh_linear, (*common, layer._handle, K, False, False, False))
    opcheck(operators.active_linear, (*common, ids, layer._handle, False, True))
    plain = torch.randn(16, OUT), x.detach(), layer.weight.detach(), ids, 0
    for wanted in ((True, True), (True, False), (False, True)):
        opcheck(operators.active_linear_backward, (*plain, *wanted, False))
    opcheck(operators.active_linear_backward_rows, (*plain, True, False))


def test_hashing_finds_most_of_the_largest_outputs() -> None:
    layer, x = trained(), inputs()
    ids = layer.eval().active(x)
    best = nn.functional.linear(x, layer.weight, layer.bias).topk(K).indices
    found = (ids.long()[:, :, None] == best[:, None]).any(1).float().mean()
    assert ids.dtype == torch.int32
    assert bool((ids.diff(dim=1) > 0).all())
    assert found > 0.8


def test_until_there_are_hashes_the_truly_largest_are_kept() -> None:
    layer, x = LSHLinear(IN, OUT, fraction=0.05), inputs(20)
    best = nn.functional.linear(x, layer.weight, layer.bias).topk(K).indices
    assert torch.equal(layer.active(x).long(), best.sort(1).values)


def test_hashes_follow_the_rows_that_move_whatever_moves_them() -> None:
    layer = trained(lsh=LSH(0.05, rehash_every=100, rebuild_every=10**6), fraction=None)
    layer(inputs(1000))
    assert layer.staleness() == 0
    with torch.no_grad():
        layer.weight[:70].neg_()
    assert layer.staleness() > 0
    layer.eval()(inputs(1))  # sees that PyTorch counts another version
    assert layer.staleness() == 0
    layer.weight.data[3] = 0  # which is not counted
    layer(inputs(1))
    assert layer.rehash() == 1
    layer.train()
    with torch.no_grad():
        layer.bias += 1
    layer(inputs(50))
    assert layer.staleness() > 0  # until it is time
    layer(inputs(60))
    assert layer.staleness() == 0


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.SGD, torch.optim.AdamW])
def test_evaluation_hashes_what_any_optimizer_has_moved(make: Any) -> None:
    layer = trained()
    optimizer = make(layer.parameters(), lr=0.1)
    for _ in range(3):
        layer(inputs()).square().sum().backward()
        optimizer.step()
    assert layer.staleness() > 0
    layer.eval()(inputs())
    assert layer.staleness() == 0


def test_states_load_from_nn_linear_and_back() -> None:
    layer, linear = trained(), nn.Linear(IN, OUT)
    layer.load_state_dict(linear.state_dict())
    x = inputs()
    y = layer.eval()(x)
    assert layer.staleness() == 0
    torch.testing.assert_close(y, imposed(layer, x, layer.active(x)).float())
    linear.load_state_dict(layer.state_dict())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_hashes_for_itself(copied: Any) -> None:
    layer = trained().eval()
    x = inputs()
    before = layer(x)
    other = copied(layer)
    torch.testing.assert_close(other(x), before)
    with torch.no_grad():
        other.weight.neg_()
    assert not torch.equal(other(x), before)
    torch.testing.assert_close(layer(x), before)


def test_a_layer_that_is_gone_takes_its_index_along() -> None:
    layer = trained()
    handle, weight, bias = layer._handle, layer.weight, layer.bias
    del layer
    with pytest.raises(RuntimeError, match="handle must be that of a layer that still exists"):
        operators.lsh_linear(inputs(), weight, bias, handle, K, False, False, False)


def test_the_same_seed_gives_the_same_bits_with_any_number_of_threads() -> None:
    def run(threads: int) -> torch.Tensor:
        torch.manual_seed(3)
        torch.set_num_threads(threads)
        layer = trained(seed=5)
        optimizer = torch.optim.Adam(layer.parameters())
        for _ in range(4):
            optimizer.zero_grad()
            layer(inputs(64)).square().sum().backward()
            optimizer.step()
        return layer.weight.detach()

    assert torch.equal(run(1), run(3))


def test_threads_share_a_layer() -> None:
    layer = trained().eval()
    x = inputs(500)
    alone, together = layer(x), [torch.empty(0)] * 6

    def look(at: int) -> None:
        for _ in range(5):
            layer.rehash()
            together[at] = layer(x).detach()

    threads = [threading.Thread(target=look, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for y in together:
        assert torch.equal(y, alone)


class Features(Dataset[torch.Tensor]):
    """Rows that a layer computes, wherever it is asked to."""

    def __init__(self, layer: LSHLinear, x: torch.Tensor) -> None:
        self.layer, self.x = layer, x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, at: int) -> torch.Tensor:
        with torch.no_grad():
            y: torch.Tensor = self.layer(self.x[at])
        return y


@pytest.mark.parametrize("way", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_of_a_data_loader_use_a_layer(way: str) -> None:
    layer, x = trained().eval(), inputs(12)
    expected = layer(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        loader = DataLoader(Features(layer, x), 6, num_workers=2, multiprocessing_context=way)
        torch.testing.assert_close(torch.cat(list(loader)), expected.detach())


def test_every_multiplication_is_counted_beside_the_dense_layers() -> None:
    layer = LSHLinear(IN, OUT, lsh=LSH(0.05, lookup="exact"))
    layer(inputs().requires_grad_()).sum().backward()
    counts = layer.multiplications
    assert counts.dense == 3 * N * IN * OUT
    assert counts.forward + counts.rerank == N * IN * OUT
    assert counts.backward == counts.update == N * K * IN
    assert counts.total == N * IN * (OUT + 2 * K)
    hashed = trained().multiplications
    assert min(hashed.query, hashed.rebuild, hashed.forward) > 0


def test_a_row_that_is_no_number_stays_none() -> None:
    layer, x = trained().eval(), inputs(3)
    x[1, 4] = torch.nan
    y = layer(x)
    assert bool(y[1].isnan().any())
    assert bool(y[[0, 2]].isfinite().all())


def test_shapes_are_those_of_nn_linear() -> None:
    layer = trained()
    assert layer(torch.randn(2, 3, IN)).shape == (2, 3, OUT)
    assert layer(torch.randn(IN)).shape == (OUT,)
    assert layer(torch.randn(0, IN)).shape == (0, OUT)
    assert (
        repr(layer) == f"LSHLinear(in_features={IN}, out_features={OUT}, bias=True, fraction=0.05)"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fraction": 1.5}, r"fraction must be in \(0, 1\], got 1.5"),
        ({"fraction": 0.1, "lsh": LSH(0.1)}, "fraction must be None beside lsh, got 0.1"),
        ({"lsh": LSH(0.1, pooled=True)}, "lsh.pooled must be False, got True"),
        ({"lsh": 3}, r"lsh must be an LSH, or None, got 3 \(int\)"),
        ({"seed": -1}, "seed must be an integer in"),
        ({"sparse": 1}, "sparse must be True or False, got 1"),
        ({"dtype": torch.float64}, "dtype must be torch.float32, got torch.float64"),
        ({"device": "cuda"}, "device must be the CPU, got cuda"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        LSHLinear(IN, OUT, **settings)


def test_wrong_inputs_are_refused() -> None:
    layer = trained()
    with pytest.raises(ValueError, match=f"input must have {IN} columns, got the shape"):
        layer(torch.randn(3, IN + 1))
    with pytest.raises(TypeError, match=r"input must be float32, got torch\.float64"):
        layer(torch.randn(3, IN).double())
    with pytest.raises(TypeError, match=r"weight must be float32, got torch\.bfloat16"):
        layer.bfloat16()(torch.randn(3, IN))
    weight, x = torch.randn(5, 4).numpy(), torch.randn(2, 4).numpy()
    ids = np.array([[0, 5], [1, 2]], np.int32)
    with pytest.raises(ValueError, match=r"ids must name outputs in \[0, 5\), got 5"):
        _core.active_forward(x, weight, None, ids, 1)
