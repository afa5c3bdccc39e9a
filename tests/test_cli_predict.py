"""`hashgrad evaluate`, `predict`, `info` and `doctor`: what a model says, and what is there."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import hashgrad as library
from cli_help import SMALL, Hashgrad, caller
from hashgrad import _core, datasets


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


@pytest.fixture
def model(hashgrad: Hashgrad, tmp_path: Path) -> Path:
    path = tmp_path / "model.hashgrad"
    words = ("--epochs", 4, "--lookup", "scan", "--output", path)
    assert hashgrad("train", "digits", *SMALL, *words).code == 0
    return path


@pytest.fixture
def fruit(hashgrad: Hashgrad, tmp_path: Path) -> tuple[Path, Path]:
    """A model trained on labels that are words, and its data."""
    random = np.random.default_rng(0)
    X = random.normal(size=(100, 4)).astype(np.float32)
    y = np.where(X[:, 0] > 0, "pear", "apple")
    data, path = tmp_path / "fruit.npz", tmp_path / "fruit.hashgrad"
    np.savez(data, X=X, y=y)
    words = ("--hidden", 20, "--selector", "dense", "--epochs", 20, "--learning-rate", 0.05)
    words = (*words, "--output", path)
    assert hashgrad("train", data, *words).code == 0
    return path, data


def test_evaluate_repeats_the_accuracy_of_training(hashgrad: Hashgrad, tmp_path: Path) -> None:
    path = tmp_path / "model.hashgrad"
    trained = hashgrad("train", "digits", *SMALL, "--output", path, "--json", "-").json
    judged = hashgrad("evaluate", path, "digits", "--json", "-").json
    assert judged["accuracy"] == trained["accuracy"]
    assert judged["rows"] == trained["data"]["test_rows"]


def test_evaluate_counts_multiplications_too(hashgrad: Hashgrad, model: Path) -> None:
    hashed = hashgrad("evaluate", model, "digits", "--json", "-").json
    exact = hashgrad("evaluate", model, "digits", "--exact", "--json", "-").json
    # a little above 1: ten outputs are computed, and counted, as the sixteen of a cache line
    assert 0 < hashed["multiplications_fraction"] != exact["multiplications_fraction"] <= 1.1


def test_evaluate_can_be_exact_and_use_more_threads(hashgrad: Hashgrad, model: Path) -> None:
    one = hashgrad("evaluate", model, "digits", "--exact", "--json", "-").json
    two = hashgrad("evaluate", model, "digits", "--exact", "--threads", 2, "--json", "-").json
    assert one["accuracy"] == two["accuracy"]
    assert (one["threads"], two["threads"]) == (1, 2)


def test_predictions_are_csv_on_stdout(hashgrad: Hashgrad, model: Path) -> None:
    answer = hashgrad("predict", model, "digits")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    digits = datasets.load("digits")
    expected = library.load(model).predict(digits.x_test)
    assert [int(row["label"]) for row in rows] == expected.tolist()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "npy"])
def test_every_format_tells_the_same(
    hashgrad: Hashgrad, model: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"out.{suffix}"
    result = hashgrad("predict", model, "digits", "--output", path, "--json", "-").json
    if suffix == "csv":
        with path.open() as file:
            labels = [int(row["label"]) for row in csv.DictReader(file)]
    elif suffix == "jsonl":
        labels = [json.loads(line)["label"] for line in path.read_text().splitlines()]
    else:
        labels = np.load(path).tolist()
    assert labels == library.load(model).predict(datasets.load("digits").x_test).tolist()
    assert result["rows"] == len(labels)


def test_top_k_ranks_outputs_with_their_scores(
    hashgrad: Hashgrad, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "top.jsonl"
    assert hashgrad("predict", model, "digits", "--top", 3, "--output", path).code == 0
    indices, scores = library.load(model).predict_topk(datasets.load("digits").x_test, 3)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["labels"] for row in rows] == indices.tolist()
    assert np.allclose([row["scores"] for row in rows], scores, atol=1e-5)
    first = hashgrad("predict", model, "digits", "--top", 2).out.splitlines()[0]
    assert first == "row,label_1,score_1,label_2,score_2"


def test_labels_come_back_as_they_were_given(
    hashgrad: Hashgrad, fruit: tuple[Path, Path], tmp_path: Path
) -> None:
    model, data = fruit
    rows = list(csv.DictReader(io.StringIO(hashgrad("predict", model, data).out)))
    assert {row["label"] for row in rows} == {"apple", "pear"}
    assert hashgrad("evaluate", model, data, "--json", "-").json["accuracy"] > 0.9
    out = tmp_path / "out.npy"
    assert hashgrad("predict", model, data, "--output", out).code == 0
    assert set(np.load(out)) == {"apple", "pear"}


def test_a_file_with_some_of_the_labels_is_judged_by_the_models_own_order(
    hashgrad: Hashgrad, fruit: tuple[Path, Path], tmp_path: Path
) -> None:
    model, data = fruit
    with np.load(data) as whole:
        pears = whole["y"] == "pear"
        np.savez(tmp_path / "pears.npz", X=whole["X"][pears], y=whole["y"][pears])
    judged = hashgrad("evaluate", model, tmp_path / "pears.npz", "--json", "-").json
    assert judged["accuracy"] > 0.9


def test_a_matrix_without_labels_can_be_predicted(
    hashgrad: Hashgrad, model: Path, tmp_path: Path
) -> None:
    X = datasets.load("digits").x_test[:7]
    np.save(tmp_path / "rows.npy", X)
    rows = hashgrad("predict", model, tmp_path / "rows.npy").out.splitlines()[1:]
    expected = library.load(model).predict(X)
    assert [int(row.split(",")[1]) for row in rows] == expected.tolist()


def test_sets_of_labels_and_values_are_written_too(hashgrad: Hashgrad, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 4)).astype(np.float32)
    words = ("--hidden", 20, "--selector", "dense", "--epochs", 20, "--learning-rate", 0.02)
    sets, values = tmp_path / "sets.npz", tmp_path / "values.npz"
    np.savez(sets, X=X, y=(X[:, :3] > 0).astype(int))
    np.savez(values, X=X, y=X[:, 0] + 0.5)
    for data in (sets, values):
        assert hashgrad("train", data, *words, "--output", data.with_suffix(".model")).code == 0
    out = tmp_path / "out.jsonl"
    assert hashgrad("predict", tmp_path / "sets.model", sets, "--output", out).code == 0
    found = [json.loads(line)["labels"] for line in out.read_text().splitlines()]
    right = [np.flatnonzero(row > 0).tolist() for row in X[:, :3]]
    assert np.mean([a == b for a, b in zip(found, right, strict=True)]) > 0.7
    written = hashgrad("predict", tmp_path / "values.model", values).out.splitlines()
    assert written[0] == "row,value"
    guesses = [float(line.split(",")[1]) for line in written[1:]]
    assert np.corrcoef(guesses, X[:, 0])[0, 1] > 0.9
    complaint = hashgrad("predict", tmp_path / "values.model", values, "--top", 1).complaint
    assert "--top needs a model with labels" in complaint
    complaint = hashgrad(
        "predict", tmp_path / "sets.model", sets, "--output", tmp_path / "out.npy"
    ).complaint
    assert "for sets of labels" in complaint


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--output out.txt", "--output must end in .csv, .jsonl, .npy, got 'out.txt'"),
        ("--json -", "--json - needs --output"),
        ("--top 11", "--top must be an integer in [1, 10], got 11"),
        ("--top 0", "--top must be an integer in [1, 10], got 0"),
    ],
)
def test_predict_refuses_what_it_cannot_do(
    hashgrad: Hashgrad, model: Path, words: str, complaint: str
) -> None:
    assert complaint in hashgrad("predict", model, "digits", *words.split()).complaint


def test_info_tells_what_a_file_holds(hashgrad: Hashgrad, model: Path) -> None:
    found = hashgrad("info", model, "--json", "-").json
    network = library.load(model)
    assert found["parameters"] == network.n_parameters
    assert found["specification"] == network.specification()
    assert found["epochs"] == 4
    assert found["bytes"] == model.stat().st_size
    assert found["tensors"]["layers.0.weight"] == {"dtype": "float32", "shape": [40, 64]}
    text = hashgrad("info", model).out
    for part in ("digits (classification)", "4 epochs", "lsh", "sgd", "accuracy"):
        assert part in text


def test_doctor_tells_what_the_machine_can_do(
    hashgrad: Hashgrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").touch()
    (tmp_path / "fashion-mnist").mkdir()
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path))
    found = hashgrad("doctor", "--json", "-").json
    assert found["simd"] == _core.simd_level()
    assert found["simd"] in found["simd_levels"]
    assert found["bfloat16"] == _core.has_bfloat16()
    assert "plain" in found["simd_levels"]
    assert found["threads"] >= 1
    assert found["versions"]["numpy"] == np.__version__
    assert found["data"] == {"path": str(tmp_path), "sets": ["mnist"]}
    text = hashgrad("doctor").out
    assert "mnist" in text
    assert library.__version__ in text


def test_doctor_works_without_a_data_folder(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHGRAD_DATA", "/nowhere")
    assert hashgrad("doctor", "--json", "-").json["data"]["sets"] is None
    monkeypatch.delenv("HASHGRAD_DATA")
    assert hashgrad("doctor").code == 0


def test_json_can_go_to_a_file(hashgrad: Hashgrad, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    answer = hashgrad("doctor", "--json", path)
    assert json.loads(path.read_text())["simd"] == _core.simd_level()
    assert "instructions" in answer.out


def test_the_version_is_one_line(hashgrad: Hashgrad) -> None:
    assert hashgrad("--version").out == f"hashgrad {library.__version__}\n"
