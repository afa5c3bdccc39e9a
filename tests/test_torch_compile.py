"""The layers under torch.compile and autocast, and without PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from hashgrad import LSH
from hashgrad.torch import LSHLinear, LSHSoftmaxLoss
from torch_help import seeded  # noqa: F401


def network() -> nn.Sequential:
    torch.manual_seed(1)
    lsh = LSH(0.1, rehash_every=64, rebuild_every=200)
    return nn.Sequential(
        LSHLinear(24, 200, lsh=lsh), nn.ReLU(),
        LSHLinear(200, 100, lsh=lsh, rectified=True), nn.ReLU(),
        nn.Linear(100, 4),
    )  # fmt: skip


def train(net: nn.Module, call: nn.Module, steps: int = 12) -> float:
    torch.manual_seed(2)
    x = torch.randn(64 * steps, 24)
    y = x[:, :4].argmax(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for rows in torch.arange(len(x)).split(64):
        optimizer.zero_grad()
        loss = F.cross_entropy(call(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.parametrize(
    "backend",
    ["aot_eager", pytest.param("inductor", marks=[pytest.mark.slow, pytest.mark.compiler])],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own parts
def test_a_compiled_network_learns_the_same_in_one_graph(backend: str) -> None:
    torch._dynamo.reset()
    eager, compiled = network(), network()
    call = torch.compile(compiled, fullgraph=True, backend=backend)
    assert train(compiled, call) == pytest.approx(train(eager, eager), rel=1e-3)
    for ours, theirs in zip(compiled, eager, strict=True):
        if isinstance(ours, LSHLinear):
            torch.testing.assert_close(ours.weight, theirs.weight, atol=1e-4, rtol=1e-3)
            assert ours.multiplications.rehash > 0
            assert ours.multiplications == theirs.multiplications
    compiled.eval()
    call(torch.randn(64, 24))
    assert compiled[0].staleness() == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("sparse", [False, True])
def test_a_compiled_loss_learns_the_same_in_one_graph(sparse: bool) -> None:
    torch._dynamo.reset()
    x, y = torch.randn(256, 16), torch.randint(300, (256,))
    weights = []
    for compiled in (False, True):
        torch.manual_seed(3)
        loss = LSHSoftmaxLoss(16, 300, negatives=40, sparse=sparse)
        call = torch.compile(loss, fullgraph=True, backend="aot_eager") if compiled else loss
        optimizer = torch.optim.SGD(loss.parameters(), lr=1.0)
        for rows in torch.arange(256).split(32):
            optimizer.zero_grad()
            call(x[rows], y[rows]).loss.backward()
            optimizer.step()
        weights.append(loss.weight.detach())
    torch.testing.assert_close(*weights)


def test_under_autocast_the_linear_layer_stays_in_float32() -> None:
    net, x = network(), torch.randn(80, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = net[0](x.bfloat16())
        assert hidden.dtype == torch.float32
        loss = net[2:](hidden.relu()).float().square().mean()
    loss.backward()
    assert net[0].weight.grad.dtype == torch.float32


def test_under_autocast_the_loss_multiplies_in_bfloat16() -> None:
    losses = []
    x, y = torch.randn(32, 16), torch.randint(300, (32,))
    for half in (False, True):
        torch.manual_seed(3)
        loss = LSHSoftmaxLoss(16, 300, negatives=40)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            losses.append(loss(x.bfloat16() if half else x, y).loss)
        losses[-1].backward()
        assert loss.weight.grad.dtype == torch.float32
    assert losses[0] != losses[1]
    torch.testing.assert_close(*losses, atol=0.05, rtol=0.01)


def test_without_pytorch_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try:\n    import hashgrad.torch\n"
        "except ImportError as error:\n    print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "hashgrad.torch needs PyTorch: pip install 'hashgrad[torch]'"


def test_importing_hashgrad_does_not_import_pytorch() -> None:
    code = "import sys, hashgrad; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
