"""LSHSoftmaxLoss against the softmax over the same classes, written out."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.library import opcheck
from torch.nn import functional as F  # noqa: N812

from hashgrad import LSH
from hashgrad.torch import LSHSoftmaxLoss, pooling
from torch_help import seeded  # noqa: F401

N, IN, CLASSES = 24, 16, 500


def batch(n: int = N) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, IN), torch.randint(CLASSES, (n,))


def made(**settings: Any) -> LSHSoftmaxLoss:
    """A loss that has seen enough inputs to have hashes."""
    loss = LSHSoftmaxLoss(IN, CLASSES, **{"negatives": 60, **settings})
    for _ in range(4):
        loss(*batch())
    return loss


def pooled(loss: LSHSoftmaxLoss, x: torch.Tensor, target: torch.Tensor) -> tuple[Any, ...]:
    size = pooling.pool_size(len(x), CLASSES, loss.wrong, loss.negatives)
    bias = None if loss.bias is None else loss.bias.detach()
    return pooling.pool(
        x.detach(), loss.weight.detach(), bias, target, loss.step, loss._handle, loss.wrong, size
    )


@pytest.mark.parametrize("wrong", [0, 1, 3])
def test_a_pool_has_the_labels_hard_negatives_and_random_classes(wrong: int) -> None:
    loss = made(wrong=wrong)
    with torch.no_grad():
        loss.weight *= 10
    loss.rehash()
    x, target = batch()
    classes, place, own, drawn, _ = pooled(loss, x, target)
    assert len(classes) == pooling.pool_size(N, CLASSES, wrong, 60)
    assert bool((classes.diff() > 0).all())
    assert torch.equal(classes[place], target)
    assert own.shape == (N, wrong + 1)
    assert 0 < drawn < 1
    if wrong:
        z = F.linear(x, loss.weight, loss.bias)
        of_own = z.gather(1, classes[own])
        assert of_own.mean() > z.mean() + z.std()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("correction", ["none", "log-q"])
def test_loss_and_gradients_are_those_of_the_softmax_over_the_pool(
    correction: str, bias: bool
) -> None:
    loss = made(correction=correction, bias=bias)
    x, target = batch()
    x.requires_grad_()
    classes, place, own, drawn, sampled = pooled(loss, x, target)
    output, mean = loss(x, target)
    z = F.linear(x.double(), loss.weight.double(), None if not bias else loss.bias.double())
    z = z[:, classes]
    if correction == "log-q":
        share = loss.label_counts[classes] / loss.label_counts.sum()
        chance = 1 - (1 - share.double()) ** (N - 1)
        shift = (chance + drawn * (1 - chance)).log()
        brought = torch.isin(torch.arange(len(classes)), torch.cat([own.flatten(), place]))
        torch.testing.assert_close(~sampled, brought & ~torch.isin(classes, target))
        assert (~sampled).sum() > 1
        shift[~sampled] -= drawn.double().log()
        free = torch.zeros(z.shape, dtype=torch.bool).scatter(1, own, True)
        free = free.scatter(1, place[:, None], True)
        z = torch.where(free, z, z - shift)
    twin = torch.log_softmax(z, 1).gather(1, place[:, None])[:, 0]
    torch.testing.assert_close(output, twin.float(), atol=1e-4, rtol=1e-4)
    wanted = [x, *loss.parameters()]
    ours = torch.autograd.grad(mean, wanted)
    theirs = torch.autograd.grad(-twin.mean(), wanted)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b.float(), atol=1e-5, rtol=1e-4)


def test_over_all_classes_it_is_the_full_softmax() -> None:
    loss = made(negatives=CLASSES)
    x, target = batch()
    full = F.cross_entropy(F.linear(x, loss.weight, loss.bias), target)
    torch.testing.assert_close(loss(x, target).loss, full)


def test_in_evaluation_it_is_exact_as_pytorchs_adaptive_softmax_is() -> None:
    loss = made().eval()
    x, target = batch()
    full = torch.log_softmax(F.linear(x, loss.weight, loss.bias), 1)
    output, mean = loss(x, target)
    torch.testing.assert_close(output, full.gather(1, target[:, None])[:, 0])
    torch.testing.assert_close(mean, -output.mean())
    torch.testing.assert_close(loss.log_prob(x), full)
    assert torch.equal(loss.predict(x), full.argmax(1))
    found = loss.predict(x, exact=False)
    assert (found == full.argmax(1)).float().mean() > 0.7
    theirs = nn.AdaptiveLogSoftmaxWithLoss(IN, CLASSES, [100])(x, target)
    assert theirs._fields == loss(x, target)._fields
    one = loss(x[0], target[0])
    assert one.output.shape == ()
    torch.testing.assert_close(one.output, output[0])


@pytest.mark.filterwarnings("ignore:Input #. requires gradient and is not a double")
def test_it_passes_gradcheck() -> None:
    loss = made()
    x, target = batch(4)
    classes, place, own, *_ = pooled(loss, x, target)
    weight = loss.weight.detach().requires_grad_()
    bias = loss.bias.detach().requires_grad_()

    def right(x: Any, weight: Any, bias: Any) -> Any:
        more = classes, place, own, torch.zeros(len(classes)), 0, False, False
        return pooling.pooled_softmax(x, weight, bias, *more)[0]

    arguments = x.requires_grad_(), weight, bias
    assert torch.autograd.gradcheck(
        right, arguments, eps=1e-2, atol=2e-3, rtol=1e-2, fast_mode=True
    )


@pytest.mark.parametrize("bias", [True, False])
def test_the_operators_pass_opcheck(bias: bool) -> None:
    loss = made(bias=bias)
    x, target = batch()
    common = loss.weight, loss.bias
    size = pooling.pool_size(N, CLASSES, 1, 60)
    plain = loss.weight.detach(), None if loss.bias is None else loss.bias.detach()
    opcheck(pooling.pool, (x, *plain, target, loss.step, loss._handle, 1, size))
    classes, place, own, *_ = pooled(loss, x, target)
    x.requires_grad_()
    shift = torch.randn(len(classes))
    for half in (False, True):
        more = classes, place, own, shift, loss._handle, half, False
        opcheck(pooling.pooled_softmax, (x, *common, *more))
    probabilities = torch.rand(N, len(classes))
    more = torch.randn(N), x.detach(), plain[0], classes, place, probabilities, 0, False
    opcheck(pooling.pooled_softmax_backward, more)


def test_sparse_gradients_are_the_dense_ones_row_by_row() -> None:
    x, target = batch()
    grads = []
    for sparse in (False, True):
        torch.manual_seed(1)
        loss = made(sparse=sparse)
        loss(x, target).loss.backward()
        grads.append((loss.weight.grad, loss.bias.grad))
    for dense, rows in zip(*grads, strict=True):
        assert rows.is_sparse
        assert rows._nnz() == pooling.pool_size(N, CLASSES, 1, 60)
        torch.testing.assert_close(rows.to_dense(), dense)


@pytest.mark.parametrize("sparse", [False, True])
def test_training_lowers_the_exact_loss_and_hashes_follow(sparse: bool) -> None:
    loss = LSHSoftmaxLoss(
        IN, CLASSES, negatives=60, sparse=sparse, lsh=LSH(0.01, bits=4, tables=16, rehash_every=1)
    )
    make = torch.optim.SparseAdam if sparse else torch.optim.Adam
    optimizer = make(list(loss.parameters()), lr=0.05)
    x, target = batch(200)
    before = loss.eval()(x, target).loss
    loss.train()
    for step in range(60):
        rows = slice(step % 4 * 50, step % 4 * 50 + 50)
        optimizer.zero_grad()
        loss(x[rows], target[rows]).loss.backward()
        if step == 59:
            assert loss.staleness() == 0
        optimizer.step()
    assert loss.staleness() > 0
    assert loss.eval()(x, target).loss < before / 2
    loss.predict(x, exact=False)
    assert loss.staleness() == 0


def test_loaded_weights_are_hashed_though_no_row_was_marked() -> None:
    lsh = LSH(0.01, bits=4, tables=16, rehash_every=1, rebuild_every=10**6)
    loss, other = made(sparse=True, lsh=lsh), made()
    loss.load_state_dict(other.state_dict())
    assert loss.staleness() > 0
    loss(*batch())
    assert loss.staleness() == 0


def test_biases_begin_at_the_frequencies_of_known_counts() -> None:
    counts = torch.arange(CLASSES)
    loss = LSHSoftmaxLoss(IN, CLASSES, class_counts=counts)
    torch.testing.assert_close(loss.bias.exp().sum(), torch.tensor(1.0))
    assert loss.bias.argmax() == CLASSES - 1
    assert torch.equal(loss.label_counts, counts)
    assert not LSHSoftmaxLoss(IN, CLASSES).bias.any()


def test_labels_are_counted_in_training_alone() -> None:
    loss = LSHSoftmaxLoss(IN, CLASSES, negatives=60)
    x, target = batch()
    loss(x, target)
    loss.eval()(x, target)
    assert torch.equal(loss.label_counts, torch.bincount(target, minlength=CLASSES))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_trained_on_its_own(copied: Any) -> None:
    loss = made()
    before = loss.weight.detach().clone()
    other = copied(loss)
    assert other._handle != loss._handle
    optimizer = torch.optim.SGD(other.parameters(), lr=1.0)
    other(*batch()).loss.backward()
    optimizer.step()
    assert torch.equal(loss.weight, before)
    assert not torch.equal(other.weight, before)


def test_multiplications_are_those_of_the_pool() -> None:
    loss = LSHSoftmaxLoss(IN, CLASSES, negatives=60)
    x, target = batch()
    loss(x.requires_grad_(), target).loss.backward()
    counts, size = loss.multiplications, pooling.pool_size(N, CLASSES, 1, 60)
    assert counts.forward == counts.backward == counts.update == N * size * IN
    assert counts.dense == 3 * N * CLASSES * IN


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negatives": -1}, "negatives must be an integer in"),
        ({"wrong": 1001}, "wrong must be an integer in"),
        ({"correction": "logq"}, "correction must be one of 'log-q', 'none', got 'logq'"),
        ({"lsh": "x"}, "lsh must be an LSH, or None, got 'x'"),
        ({"class_counts": [1, 2]}, "class_counts must be 500 numbers >= 0, got the shape"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        LSHSoftmaxLoss(IN, CLASSES, **settings)


def test_wrong_inputs_are_refused() -> None:
    loss = made()
    x, target = batch()
    with pytest.raises(ValueError, match="input and target must be"):
        loss(x, target[1:])
    with pytest.raises(ValueError, match=f"input must have {IN} columns, got the shape"):
        loss(x[:, 1:], target)
    target[3] = CLASSES
    with pytest.raises(ValueError, match=r"labels must be in \[0, 500\), got 500"):
        loss(x, target)
