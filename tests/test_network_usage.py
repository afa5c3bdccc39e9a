"""`usage`: how often each neuron is active."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import N_CLASSES, N_INPUTS, hashed, network
from hashgrad import LSH, Dense, WinnerTakeAll


def first_layer(net, X):
    """The first layer's `w.x + b`, by NumPy."""
    tensors = net._core.tensors()
    return X @ tensors["layers.0.weight"].T + tensors["layers.0.bias"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", ["neuron", "input"])
def test_usage_of_a_dense_relu_layer_is_how_often_its_outputs_are_above_zero(
    blobs, threads, layout
):
    X, y = blobs
    net = network(Dense(16, layout=layout), threads=threads).fit(X, y, epochs=1)
    z = first_layer(net, X)
    sure = np.abs(z).min(axis=0) > 1e-5  # of others, the last bit may decide
    usage = net.usage(X)
    assert np.array_equal(usage[0][sure], (z > 0).mean(axis=0)[sure])
    assert (usage[1] == 1).all()


def test_usage_of_winners_counts_the_kept_ones_above_zero(blobs):
    X, y = blobs
    net = network(Dense(20, active=WinnerTakeAll(0.25))).fit(X, y, epochs=1)
    z = first_layer(net, X)
    kept = np.argsort(-z, axis=1)[:, :5]
    counts = np.zeros(20)
    for row, best in zip(z, kept, strict=True):
        counts[best[row[best] > 0]] += 1
    assert np.allclose(net.usage(X)[0], counts / len(X), atol=1 / len(X))


def test_usage_of_a_layer_that_is_not_relu_counts_all_that_are_kept(blobs):
    X, y = blobs
    net = network(Dense(20, activation="tanh", active=WinnerTakeAll(0.25))).fit(X, y, epochs=1)
    assert net.usage(X)[0].sum() == pytest.approx(5)


def test_usage_is_the_same_for_dense_sparse_and_any_threads_and_changes_nothing(blobs):
    from scipy.sparse import csr_array

    X, y = blobs
    net = network(hashed(lookup="tables"), threads=1).fit(X, y, epochs=2)
    before = net.decision_function(X)
    one = net.usage(X)
    net.threads = 2
    for other in (net.usage(X), net.usage(csr_array(X))):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert one[0].sum() <= LSH(0.2).kept(64) + 1e-9
    assert np.array_equal(net.decision_function(X), before)


def test_a_compact_copy_tells_its_usage_too(blobs):
    net = network().fit(*blobs, epochs=2)
    usage = net.compact().usage(blobs[0])
    assert [len(shares) for shares in usage] == [64, N_CLASSES]


@pytest.mark.parametrize("X", [np.zeros((0, N_INPUTS)), np.zeros((3, N_INPUTS + 1))])
def test_usage_needs_rows_of_the_right_width(blobs, X):
    with pytest.raises(ValueError, match="X must have"):
        network(Dense(4)).usage(X)
