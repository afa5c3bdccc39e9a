"""The example and the benchmark of PyTorch's layers run to their end, on a thimbleful of data."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torch_help import seeded  # noqa: F401

ROOT = Path(__file__).parent.parent


@pytest.fixture(params=[("examples", "torch_mlp"), ("benchmarks", "torch_loss")])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    folder, name = request.param
    monkeypatch.syspath_prepend(str(ROOT / folder))
    before = set(sys.modules)
    yield import_module(name)
    for added in set(sys.modules) - before:
        if Path(getattr(sys.modules[added], "__file__", None) or "/").parent == ROOT / folder:
            del sys.modules[added]


def text(folder: Path) -> None:
    """Two hundred words, some of them frequent, as the text of `wiki-en-2018`."""
    random = np.random.default_rng(0)
    numbers = np.minimum(random.zipf(1.3, 6000), 200)
    (folder / "wiki-en-2018").mkdir()
    with gzip.open(folder / "wiki-en-2018" / "wiki_en_2018.txt.gz", "wt") as file:
        file.write(" ".join(f"w{number}" for number in numbers))


@pytest.mark.parametrize("program", [("examples", "torch_mlp")], indirect=True)
def test_the_example_compares_both_networks(
    program: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = program.datasets.load("digits")
    monkeypatch.setattr(program.datasets, "load", lambda name: digits)
    program.main(["--epochs", "12", "--hidden", "200"])
    out = capsys.readouterr().out
    dense, hashed = (float(line.split("accuracy ")[1].split("%")[0]) for line in out.splitlines()
                     if "accuracy" in line)  # fmt: skip
    assert dense > 90
    assert hashed > 70
    assert "of the dense multiplications" in out


@pytest.mark.slow
@pytest.mark.compiler
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # where it compiles
@pytest.mark.parametrize("program", [("benchmarks", "torch_loss")], indirect=True)
def test_the_benchmark_gives_a_curve_of_every_loss(
    program: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text(tmp_path)
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path))
    small = {"batch": 64, "negatives": 20, "cutoffs": [20, 50]}
    for how in program.SETTINGS.values():
        how.update({key: value for key, value in small.items() if key in how})
    arguments = ["--seconds", "0.5", "--points", "2", "--threads", "1", "--positions", "100"]
    monkeypatch.setattr(sys, "argv", ["x", *arguments, "--json", str(tmp_path / "out.json")])
    program.main(lambda run, *given: run(*given))
    found = json.loads((tmp_path / "out.json").read_text())["contenders"]
    assert [each["name"] for each in found] == ["lsh", "uniform", "adaptive"]
    for each in found:
        assert len(each["curve"]) == 2
        assert 0 < each["curve"][-1]["P@1"] <= 100
