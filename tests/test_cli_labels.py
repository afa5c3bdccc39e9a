"""The command line on models whose labels come and go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hashgrad as library
from cli_help import Hashgrad, caller

OPTIONS = ("--hidden", 40, "--epochs", 4, "--learning-rate", 0.05)


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


def rows(path: Path, labels: int, names: list[str] | None = None) -> Path:
    """A file with 400 rows of so many labels, each near a corner of its own."""
    random = np.random.default_rng(0)
    y = random.integers(labels, size=400)
    X = 4 * np.eye(12)[y] + random.normal(size=(400, 12))
    y = y if names is None else np.array(names)[y]
    np.savez(path, X=X.astype(np.float32), y=y)
    return path


@pytest.fixture
def model(hashgrad: Hashgrad, tmp_path: Path) -> Path:
    few = rows(tmp_path / "few.npz", 5)
    assert hashgrad("train", few, *OPTIONS, "--output", tmp_path / "model").code == 0
    return tmp_path / "model"


def test_labels_that_the_data_have_and_the_model_lacks_are_added_when_asked(
    hashgrad: Hashgrad, model: Path, tmp_path: Path
) -> None:
    more = rows(tmp_path / "more.npz", 8)
    words = ("train", more, "--resume", model, "--epochs", 8)
    assert "at most the model's 5 outputs, got 8" in hashgrad(*words).complaint
    answer = hashgrad(*words, "--add-labels")
    assert answer.code == 0, answer
    assert "labels 5 to 7 added" in answer.out
    assert library.load(model).n_outputs == 8
    assert hashgrad("evaluate", model, more, "--json", "-").json["accuracy"] > 0.9
    again = hashgrad("train", more, "--resume", model, "--epochs", 9, "--add-labels")
    assert "added" not in again.out


def test_labels_of_several_a_row_are_added_too(hashgrad: Hashgrad, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for n in (5, 8):
        lines = [f"200 9 {n}"]
        for _ in range(200):
            labels = sorted(random.choice(n, 2, replace=False).tolist())
            words = " ".join(f"{label}:{random.integers(2, 5)}" for label in labels)
            lines.append(f"{labels[0]},{labels[1]} {words}")
        (tmp_path / f"{n}.txt").write_text("\n".join(lines) + "\n")
    made = ("--task", "multilabel", "--weighting", "tfidf", "--hidden", 16, "--epochs", 9)
    model = tmp_path / "model"
    assert hashgrad("train", tmp_path / "5.txt", *made, "--output", model).code == 0
    words = ("train", tmp_path / "8.txt", "--resume", model, "--epochs", 60, "--add-labels")
    assert "labels 5 to 7 added" in hashgrad(*words).out
    scores = hashgrad("evaluate", model, tmp_path / "8.txt", "--json", "-").json
    assert scores["precision_at_1"] > 0.9


def test_labels_need_a_model_to_be_added_to(hashgrad: Hashgrad, tmp_path: Path) -> None:
    data = rows(tmp_path / "few.npz", 5)
    complaint = hashgrad("train", data, "--add-labels").complaint
    assert complaint == "--add-labels needs --resume, the model to add them to, got none"


def test_a_retired_label_is_not_predicted_and_the_names_of_the_others_stay(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    data = rows(tmp_path / "few.npz", 4, ["ant", "bee", "cat", "dog"])
    assert hashgrad("train", data, *OPTIONS, "--output", model).code == 0
    net = library.load(model)
    net.retire_labels([1])
    net.save(model)
    found = hashgrad("predict", model, data).out
    assert {line.split(",")[1] for line in found.splitlines()[1:]} == {"ant", "cat", "dog"}
    complaint = hashgrad("predict", model, data, "--top", 4).complaint
    assert "--top must be an integer in [1, 3]" in complaint
    info = hashgrad("info", model)
    assert "retired labels" in info.out
    assert hashgrad("info", model, "--json", "-").json["retired"] == [1]
    net.add_labels(1)
    net.save(model)
    complaint = hashgrad("predict", model, data).complaint
    assert "extra['classes'] must name each of the model's 5 labels, got 4 names" in complaint
    net.extra["classes"].append("eel")
    net.save(model)
    assert hashgrad("predict", model, data).code == 0
