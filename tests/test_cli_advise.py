"""`hashgrad advise` and `hashgrad sparsify` from the command line."""

import json

import numpy as np
import pytest

from hashgrad import load
from hashgrad.cli import main
from sparsify_help import blobs, matched


@pytest.fixture
def data(tmp_path):
    X, y = blobs(400)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    return str(tmp_path / "data.npz")


def test_advise_reports_and_writes_json(data, tmp_path, capsys):
    out = tmp_path / "advice.json"
    command = ["advise", data, "--hidden", "40", "--seconds", "0.3", "--json", str(out)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "Chosen:" in said.out
    assert "dense:" in said.err  # progress
    assert json.loads(out.read_text())["chosen"] in said.out


def test_sparsify_reports_saves_and_draws(data, tmp_path, capsys):
    arrays = {}
    for number, (W, b) in enumerate(matched(1, 60)):
        arrays |= {f"{number}.weight": W, f"{number}.bias": b}
    np.savez(tmp_path / "weights.npz", **arrays)
    weights, model, picture = (str(tmp_path / n) for n in ("weights.npz", "net", "curve.png"))
    command = ["sparsify", weights, "--data", data, "--output", model, "--plot", picture]
    assert main([*command, "--json", "-", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] in ("sparse", "leave it dense")
    assert load(model).n_outputs == 4
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["advise", "DATA", "--hidden", "a"], "--hidden must be whole numbers"),
        (["advise", "DATA", "--seconds", "0"], "seconds must be > 0, got 0"),
        (["sparsify", "no.safetensors", "--data", "DATA"], "no.safetensors: No such file"),
        (["sparsify", "w.pt", "--data", "DATA"], "model must be a file .safetensors or .npz"),
    ],
)
def test_bad_input_ends_with_one_line(data, words, message, capsys):
    assert main([data if word == "DATA" else word for word in words]) == 2
    assert message in capsys.readouterr().err
