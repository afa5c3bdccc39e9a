"""The demonstration runs to its end, here on a thimbleful of its data."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hashgrad import datasets

DEMO = Path(__file__).parent.parent / "examples" / "demo.py"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location("demo", DEMO)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Its dataclass looks its own module up.
    monkeypatch.setitem(sys.modules, "demo", module)
    specification.loader.exec_module(module)
    return module


def test_it_shows_both_networks_side_by_side(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = datasets.load("rectangles", train_size=300, test_size=200)
    monkeypatch.delenv("HASHGRAD_DATA", raising=False)
    monkeypatch.setattr(demo, "HIDDEN", (40, 40))
    monkeypatch.setattr(demo.datasets, "load", lambda name: small)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 3.0, 1.0))
    demo.main()
    out = capsys.readouterr().out
    for part in ("hashed, 5% of the neurons", "dense, all neurons", "multiplications", "points"):
        assert part in out
    assert "busy" not in out


def test_it_says_where_other_work_had_the_processors(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = datasets.load("rectangles", train_size=300, test_size=200)
    monkeypatch.setattr(demo, "HIDDEN", (40, 40))
    monkeypatch.setattr(demo.datasets, "load", lambda name: small)
    monkeypatch.setattr(os, "getloadavg", lambda: (17.25, 3.0, 1.0))
    demo.main()
    assert "The machine was busy: a load average of 17.2 on" in capsys.readouterr().out


def test_it_takes_real_mnist_where_there_is_some(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path))
    assert demo.choose_data()[0] == "rectangles"
    (tmp_path / "mnist").mkdir()
    assert demo.choose_data()[0] == "mnist"
