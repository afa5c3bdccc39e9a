"""How a layer's weights begin: as wide as its size asks for, or as `init_std` says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import hashgrad
from cli_help import Hashgrad, caller
from hashgrad import LSH, Dense, Network
from hashgrad.halves import widened
from hashgrad.layers import layer_from_dict


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


def weights(*layers: Dense, n_inputs: int = 300, seed: int = 3) -> list[np.ndarray]:
    """Copies of each layer's first weights, without biases."""
    tensors = Network(n_inputs, list(layers), batch_size=8, seed=seed)._core.tensors()
    return [np.array(tensors[f"layers.{i}.weight"]) for i in range(len(layers))]


def is_uniform(found: np.ndarray, std: float) -> None:
    limit = 3**0.5 * std
    n = found.size
    assert np.abs(found).max() <= limit * (1 + 1e-6)
    assert np.abs(found).max() > limit * (1 - 20 / n)
    assert abs(found.mean()) < 5 * std / n**0.5
    assert found.std() == pytest.approx(std, rel=5 / n**0.5)


@pytest.mark.parametrize("layout", ["neuron", "input"])
def test_first_weights_are_as_wide_as_asked(layout: str) -> None:
    hidden, top = weights(Dense(200, layout=layout, init_std=0.25), Dense(50, init_std=1e-3))
    is_uniform(hidden, 0.25)
    is_uniform(top, 1e-3)


def test_by_default_they_are_as_wide_as_the_layers_size_asks_for() -> None:
    relu, tanh, top = weights(Dense(200), Dense(150, activation="tanh"), Dense(90))
    is_uniform(relu, (2 / 300) ** 0.5)
    is_uniform(tanh, (2 / (200 + 150)) ** 0.5)
    is_uniform(top, (2 / (150 + 90)) ** 0.5)


def test_the_width_scales_the_same_draws_however_weights_lie() -> None:
    (narrow,) = weights(Dense(64, init_std=0.125))
    (wide,) = weights(Dense(64, init_std=0.25))
    (turned,) = weights(Dense(64, layout="input", init_std=0.25))
    np.testing.assert_array_equal(2 * narrow, wide)
    np.testing.assert_array_equal(turned, wide)


def test_pooled_outputs_in_bfloat16_begin_so_too() -> None:
    how = {"active": LSH(0.1, pooled=True, rank=16), "init_std": 0.5}
    full, half = (
        widened(weights(Dense(30), Dense(500, dtype=dtype, **how))[1])
        for dtype in ("float32", "bfloat16")
    )
    is_uniform(full, 0.5)
    np.testing.assert_allclose(half, full, rtol=2**-7)  # rounded up or down


def test_models_keep_the_width_and_older_ones_had_none(tmp_path: Path) -> None:
    net = Network(5, [Dense(8, init_std=0.5), Dense(3)])
    net.save(tmp_path / "net.hg")
    assert [x.init_std for x in hashgrad.load(tmp_path / "net.hg").layers] == [0.5, None]
    older = Dense(8, "relu").to_dict()
    del older["init_std"], older["dtype"]
    assert layer_from_dict("layer", json.loads(json.dumps(older))) == Dense(8, "relu")


@pytest.mark.parametrize("wrong", [0, -1.0, 1e-50, 3e38, float("nan")])
def test_a_wrong_width_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"init_std must be in \[1e-06, 1000000\], or None, got "):
        Dense(8, init_std=wrong)


def test_a_width_is_a_number() -> None:
    with pytest.raises(TypeError, match=r"init_std must be a number, got 'wide' \(str\)"):
        Dense(8, init_std="wide")  # type: ignore[arg-type]


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Sixty rows of three words and a label, in the Extreme Classification Repository's format."""
    rows = [f"{i % 4} {i % 30}:2 {(i + 7) % 30}:1 {i % 4 + 30}:3" for i in range(60)]
    file = tmp_path / "words.txt"
    file.write_text("\n".join(["60 34 4", *rows]) + "\n")
    return file


def test_the_command_line_widens_what_reads_weighted_rows(run: Hashgrad, words: Path) -> None:
    def widths(*more: object) -> list[float | None]:
        how = ("--task", "multilabel", "--hidden", "16,8", "--epochs", 1, "--json", "-", *more)
        return [x["init_std"] for x in run("train", words, *how).json["network"]["layers"]]

    assert widths() == [None, None, None]
    assert widths("--weighting", "tfidf") == [0.25, None, None]
    assert widths("--weighting", "tfidf", "--init-std", 0.5) == [0.5, None, None]
    refused = run("train", words, "--task", "multilabel", "--init-std", 0)
    assert refused.code == 2
    assert "--init-std must be in [1e-06, 1000000], got 0" in refused.err


def test_info_shows_it(run: Hashgrad, words: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.hg"
    how = ("--hidden", 16, "--epochs", 1, "--init-std", 0.5, "--output", model)
    assert run("train", words, *how).code == 0
    assert "16 relu, lsh (" in run("info", model).out
    assert "first weights of standard deviation 0.5" in " ".join(run("info", model).out.split())
    again = run("train", words, "--resume", model, "--epochs", 2, "--init-std", 0.1)
    assert again.code == 2
    assert "--init-std" in again.err
