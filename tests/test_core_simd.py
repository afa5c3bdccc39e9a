"""Every instruction set that this CPU can run, kernel by kernel against NumPy float64."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import reference as twin
from hashgrad import _core

LEVELS = _core.simd_levels()
SIZES = [1, 15, 16, 17, 31, 33, 100, 784]


def inputs(n: int, share: float, seed: int = 0) -> np.ndarray:
    """One input row with this share of non-zeros."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(1, n)) * (random.random((1, n)) < share)
    return x.astype(np.float32)


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="Linux alone lists the CPU's flags")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="other CPUs have one level")
def test_every_level_whose_instructions_linux_lists_is_there() -> None:
    flags = set(re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)[1].split())
    avx2 = {"avx2", "fma", "bmi2"} <= flags
    avx512 = {f"avx512{part}" for part in ("f", "bw", "dq", "vl", "_vpopcntdq", "_vnni")} <= flags
    assert ["avx512"] * avx512 + ["avx2"] * avx2 + ["plain"] == LEVELS
    assert _core.has_bfloat16() == (_core.simd_level() == "avx512" and "avx512_bf16" in flags)


def test_levels_end_with_plain_and_the_best_is_the_default() -> None:
    assert LEVELS[-1] == "plain"
    assert len(set(LEVELS)) == len(LEVELS)
    assert set(LEVELS) <= {"avx512", "avx2", "neon", "plain"}


@pytest.mark.parametrize("n", SIZES)
def test_dot(level: str, n: int) -> None:
    assert _core.simd_level() == level
    a, b = np.random.default_rng(n).normal(size=(2, n)).astype(np.float32)
    product = a.astype(float) * b
    twin.close(_core.kernel_dot(a, b), product.sum(), np.abs(product).sum())


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("n", SIZES)
def test_products_of_chosen_rows_with_dense_and_sparse_inputs(
    level: str, n: int, share: float
) -> None:
    assert _core.simd_level() == level
    x = inputs(n, share)
    w = np.random.default_rng(1).normal(size=(11, n + 1)).astype(np.float32)
    for chosen in ([], [10], [3, 0, 3, 7], [0, 1, 2, 3, 4, 5, 6], list(range(11))):
        terms = w[chosen].astype(float) * np.append(x[0], 1)
        for batch in (twin.dense(x), twin.csr(x)):
            got = _core.kernel_dot_rows(w, twin.rows(*chosen), batch)
            twin.close(got, terms.sum(axis=1), np.abs(terms).sum(axis=1))


@pytest.mark.parametrize("bits", [16, 64, 192, 336])
@pytest.mark.parametrize("n", SIZES)
def test_projections(level: str, n: int, bits: int) -> None:
    assert _core.simd_level() == level
    p = np.random.default_rng(1).normal(size=(n + 1, bits)).astype(np.float32)
    for share in (0.05, 1.0):
        x = inputs(n, share)
        terms = p.astype(float) * np.append(x[0], 1)[:, None]
        twin.close(
            _core.kernel_project(p, twin.csr(x)), terms.sum(axis=0), np.abs(terms).sum(axis=0)
        )


@pytest.mark.parametrize("columns", [16, 48, 64, 208, 400])
def test_sums_of_rows(level: str, columns: int) -> None:
    assert _core.simd_level() == level
    random = np.random.default_rng(columns)
    for n in (0, 1, 5, 60):
        rows = random.normal(size=(n, columns)).astype(np.float32)
        a = random.normal(size=n).astype(np.float32)
        terms = rows.astype(float) * a[:, None]
        twin.close(_core.kernel_sum_rows(rows, a), terms.sum(axis=0), np.abs(terms).sum(axis=0))


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 64, 129])
def test_the_first_of_the_smallest(level: str, n: int) -> None:
    assert _core.simd_level() == level
    random = np.random.default_rng(n)
    for _ in range(20):
        x = random.integers(-1, 4, size=n).astype(np.float32)  # many are alike
        assert _core.kernel_lowest(x) == x.argmin()


@pytest.mark.parametrize("words", [*range(1, 10), 13, 32])
def test_bits_that_differ(level: str, words: int) -> None:
    assert _core.simd_level() == level
    random = np.random.default_rng(words)
    for n in (0, 1, 7, 100):
        signatures = random.integers(0, 2**64, size=(n, words), dtype=np.uint64)
        query = random.integers(0, 2**64, size=words, dtype=np.uint64)
        if n > 1:
            signatures[0], signatures[1] = query, ~query
        differ = (
            np.unpackbits((signatures ^ query).view(np.uint8), axis=1) if n else np.zeros((0, 1))
        )
        expected = differ.sum(axis=1, dtype=int)
        np.testing.assert_array_equal(_core.kernel_differing(signatures, query, 1), expected)
        rows = random.permutation(n).astype(np.uint32)
        scattered = _core.kernel_differing(signatures, query, 1, rows)
        np.testing.assert_array_equal(scattered, expected[rows])


@pytest.mark.parametrize("code_bits", [1, 2, 4, 8])
def test_codes_that_differ(level: str, code_bits: int) -> None:
    assert _core.simd_level() == level
    random = np.random.default_rng(code_bits)
    signatures = random.integers(0, 2**64, size=(40, 5), dtype=np.uint64)
    query = signatures[0] ^ (np.uint64(1) << random.integers(0, 64, size=5, dtype=np.uint64))
    bits = np.unpackbits((signatures ^ query).view(np.uint8), axis=1, bitorder="little")
    expected = bits.reshape(40, -1, code_bits).any(axis=2).sum(axis=1)
    np.testing.assert_array_equal(_core.kernel_differing(signatures, query, code_bits), expected)


@pytest.mark.parametrize("words", [1, 2, 5])
def test_sign_bits(level: str, words: int) -> None:
    assert _core.simd_level() == level
    x = np.random.default_rng(words).normal(size=64 * words).astype(np.float32)
    x[[0, 5, 17, 63]] = [0.0, -0.0, -1e-40, 1e-40]  # zero counts as positive, whatever its sign
    bits = np.packbits(x >= 0, bitorder="little").view(np.uint64)
    np.testing.assert_array_equal(_core.kernel_signs(x), bits)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "adam", "row_adagrad"])
@pytest.mark.parametrize("n", SIZES)
def test_updates_and_gradients_towards_inputs(level: str, n: int, optimizer: str) -> None:
    # Two tanh layers of n: the deltas of the lower one come through the upper one's weights.
    assert _core.simd_level() == level
    opt = twin.optimizer(optimizer, l2=0.1, epsilon=1e-3)
    specs = [twin.layer(n, "tanh"), twin.layer(3)]
    for share in (0.1, 1.0):
        net = _core.Network(n, specs, "squared", opt, 0)
        x, y = inputs(n, share) / np.float32(np.sqrt(n)), np.ones((1, 3))
        W = [w.astype(float) for w in twin.augmented(net)]
        rules = [twin.Optimizer(opt, w.shape) for w in W]
        everyone = [(np.arange(len(w)), np.ones(len(w))) for w in W]
        for t in (1, 2):
            walk = twin.forward(W, ["tanh", "linear"], x[0].astype(float), everyone)
            delta = twin.loss_and_delta("squared", walk[-1].z, walk[-1].ids, y[0])[1]
            gradients = twin.backward(W, ["tanh", "linear"], walk, delta)
            for w, rule, g, here in zip(W, rules, gradients, walk, strict=True):
                rule.step(w, g, np.broadcast_to(here.x != 0, w.shape), 0.01, t)
            twin.train(net, twin.csr(x), twin.targets("squared", y, 3), [0], 0.01)
        for got, expected in zip(twin.augmented(net), W, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=3e-5)


def training(optimizer: str) -> tuple[float, np.ndarray]:
    """A short training with everything in it: hashed layers, sparse inputs, a rebuild."""
    random = np.random.default_rng(5)
    centres = random.normal(size=(3, 50))
    y = random.integers(3, size=150)
    x = (centres[y] + 0.3 * random.normal(size=(150, 50))).clip(0)
    hashing = twin.lsh(rebuild_every=100, candidates=2.0, lookup="tables", probes=4)
    hidden = twin.layer(40, "relu", "lsh", 0.25, lsh=hashing)
    net = _core.Network(50, [hidden, twin.layer(3)], "softmax", twin.optimizer(optimizer), 2)
    net.build(twin.csr(x), np.arange(64, dtype=np.uint32))
    wanted = twin.labels([[int(label)] for label in y], 3)
    loss = twin.train(net, twin.csr(x), wanted, list(range(150)) * 2, 0.02).loss_sum
    return loss, net.scores(twin.csr(x), False)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_comes_out_alike_on_every_level(level: str, optimizer: str) -> None:
    loss, scores = training(optimizer)
    _core.set_simd_level("plain")
    plain_loss, plain_scores = training(optimizer)
    assert loss == pytest.approx(plain_loss, rel=0.02)
    assert (scores.argmax(axis=1) == plain_scores.argmax(axis=1)).mean() > 0.97


@pytest.mark.parametrize("name", ["avx1024", "", "AVX2"])
def test_an_unknown_level_is_refused(name: str) -> None:
    before = _core.simd_level()
    with pytest.raises(ValueError, match=rf"HASHGRAD_SIMD must be .*plain\), got '{name}'"):
        _core.set_simd_level(name)
    assert _core.simd_level() == before


def imported(value: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that imports hashgrad under HASHGRAD_SIMD and computes with it."""
    code = (
        "import numpy as np; from hashgrad import _core; a = np.ones(40, np.float32);"
        "print(_core.simd_level(), int(_core.kernel_dot(a, a)))"
    )
    env = {**os.environ, "HASHGRAD_SIMD": value, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", LEVELS)
def test_the_environment_forces_a_level(name: str) -> None:
    assert imported(name).stdout.split() == [name, "40"]


def test_the_best_level_is_taken_when_nothing_is_forced() -> None:
    assert imported("").stdout.split() == [LEVELS[0], "40"]


def test_a_level_that_this_cpu_lacks_is_refused_at_import() -> None:
    foreign = "avx2" if "neon" in LEVELS else "neon"
    for name in (foreign, "fastest"):
        done = imported(name)
        assert done.returncode != 0
        error = done.stderr.strip().splitlines()[-1]
        assert "HASHGRAD_SIMD must be a level that this CPU and build can run" in error
        assert error.startswith(("ImportError", "ValueError"))
        assert f"got '{name}'" in error
