"""`hashgrad train`: from data to a model, with everything counted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import hashgrad as library
from cli_help import SMALL, Hashgrad, caller
from hashgrad.cli import options
from hashgrad.defaults import PARAMETERS

KEYS = {
    "accuracy", "multiplications_fraction", "active_fraction", "selection_recall", "train_seconds",
    "examples_per_second", "peak_memory_bytes", "parameters", "version", "command", "seed",
    "threads", "simd", "data", "history",
}  # fmt: skip
RECORD_KEYS = {"epoch", "seconds", "loss", "accuracy", "multiplications_fraction"}


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


@pytest.fixture
def tags_file(tmp_path: Path) -> Path:
    """120 rows with up to 3 of 6 labels each, in svmlight format; label l goes with column l."""
    random = np.random.default_rng(0)
    lines = []
    for _ in range(120):
        labels = sorted(random.choice(6, size=random.integers(1, 4), replace=False))
        columns = " ".join(f"{label + 1}:1" for label in labels)
        lines.append(f"{','.join(map(str, labels))} {columns}\n")
    path = tmp_path / "tags.svm"
    path.write_text("".join(lines))
    return path


@pytest.fixture
def numbers_file(tmp_path: Path) -> Path:
    """A regression: 200 + 50 rows whose target is a weighted sum of their columns."""
    random = np.random.default_rng(0)
    X = random.normal(size=(250, 5)).astype(np.float32)
    y = X @ np.array([1.0, -0.5, 0.25, 0.0, 0.0]) + 0.5
    path = tmp_path / "numbers.npz"
    np.savez(path, x_train=X[:200], y_train=y[:200], x_test=X[200:], y_test=y[200:])
    return path


def test_json_on_stdout_holds_every_figure_and_nothing_else(hashgrad: Hashgrad) -> None:
    answer = hashgrad("train", "digits", *SMALL, "--epochs", 4, "--json", "-")
    assert answer.code == 0
    result = answer.json
    assert result.keys() >= KEYS
    assert result["accuracy"] > 0.8
    assert result["multiplications_fraction"] > 0
    assert result["active_fraction"] == pytest.approx(0.05)
    assert 0 < result["selection_recall"] <= 1
    assert result["parameters"] == 64 * 40 + 40 + 40 * 10 + 10
    assert result["version"] == library.__version__
    assert result["command"] == f"hashgrad train digits {' '.join(SMALL)} --epochs 4 --json -"
    assert result["data"]["train_rows"] + result["data"]["test_rows"] == 1797


def test_history_has_one_record_an_epoch_and_ends_with_the_final_accuracy(
    hashgrad: Hashgrad,
) -> None:
    result = hashgrad("train", "digits", *SMALL, "--epochs", 3, "--json", "-").json
    assert [record["epoch"] for record in result["history"]] == [1, 2, 3]
    for record in result["history"]:
        assert record.keys() >= RECORD_KEYS
    assert result["history"][-1]["accuracy"] == result["accuracy"]
    seconds = [record["seconds"] for record in result["history"]]
    assert seconds == sorted(seconds)
    assert result["train_seconds"] == seconds[-1]
    speed = 3 * result["data"]["train_rows"] / result["train_seconds"]
    assert result["examples_per_second"] == pytest.approx(speed)


@pytest.mark.parametrize("selector", ["dense", "random", "adaptive", "winner-take-all", "lsh"])
def test_one_command_compares_all_five_methods(hashgrad: Hashgrad, selector: str) -> None:
    words = ("train", "digits", *SMALL, "--active", 0.2, "--json", "-")
    result = hashgrad(*words, "--selector", selector).json
    assert result["network"]["layers"][0]["active"]["name"] == selector
    assert result["network"]["layers"][1]["active"]["name"] == "dense"
    share = 1.0 if selector == "dense" else 0.2
    assert result["active_fraction"] == pytest.approx(share, abs=0.05)


def test_the_default_network_is_the_papers_with_the_librarys_defaults(hashgrad: Hashgrad) -> None:
    answer = hashgrad("train", "digits", "--epochs", 1, "--json", "-")
    layers = answer.json["network"]["layers"]
    assert [layer["n"] for layer in layers] == [1000, 1000, 10]
    assert layers[0]["active"] == library.LSH().to_dict()
    assert layers[0]["activation"] == "relu"


def test_each_hidden_layer_can_have_its_own_share_and_the_output_layer_one_too(
    hashgrad: Hashgrad,
) -> None:
    words = ("train", "digits", "--hidden", "40,30", "--epochs", 1, "--json", "-")
    layers = hashgrad(*words, "--active", "0.1,0.2").json["network"]["layers"]
    assert [layer["active"].get("fraction") for layer in layers] == [0.1, 0.2, None]
    layers = hashgrad(*words, "--active", "0.1,0.2,0.5").json["network"]["layers"]
    assert [layer["active"]["fraction"] for layer in layers] == [0.1, 0.2, 0.5]


def test_every_option_reaches_the_network(hashgrad: Hashgrad) -> None:
    network = hashgrad(
        *("train", "digits", "--hidden", 40, "--epochs", 1, "--json", "-"),
        *("--activation", "tanh", "--optimizer", "momentum", "--learning-rate", 0.02),
        *("--momentum", 0.5, "--schedule", "step", "--every", 2, "--factor", 0.9),
        *("--warmup", 0.1, "--l2", 1e-5, "--batch-size", 8, "--seed", 3),
        *("--bits", 5, "--tables", 7, "--projection", "gaussian", "--transform", "simple"),
        *("--lookup", "tables", "--probes", 3, "--ranking", "collisions", "--candidates", 2),
        *("--no-center", "--rehash", "rows", "--rehash-every", 50, "--rebuild-every", 500),
        *("--rank", 8, "--code", "bits"),
    ).json["network"]  # fmt: skip
    first = network["layers"][0]
    assert first["activation"] == "tanh"
    assert network["optimizer"] == {"name": "momentum", "rate": 0.02, "momentum": 0.5}
    assert network["schedule"] == {"name": "step", "every": 2, "factor": 0.9, "warmup": 0.1}
    assert (network["l2"], network["batch_size"], network["seed"]) == (1e-5, 8, 3)
    assert first["active"] == {
        "name": "lsh", "fraction": 0.05, "bits": 5, "tables": 7, "family": "simhash",
        "code_bits": None, "projection": "gaussian", "rank": 8, "transform": "simple",
        "center": False, "lookup": "tables", "code": "bits", "probes": 3, "ranking": "collisions",
        "candidates": 2, "rehash": "rows", "rehash_every": 50, "rebuild_every": 500,
        "pooled": False, "bucket": 64, "policy": "longest", "fill": 0, "query_every": 1,
        "precision": "float32", "correction": "none",
    }  # fmt: skip


def test_a_family_of_codes_reaches_the_network(hashgrad: Hashgrad, tags_file: Path) -> None:
    words = ("--family", "dwta", "--code-bits", 4, "--policy", "fifo", "--hidden", 8, "--epochs", 1)
    task = ("--task", "multilabel", "--json", "-")
    active = hashgrad("train", tags_file, *task, *words).json["network"]["layers"][-1]["active"]
    chosen = [active[name] for name in ("family", "code_bits", "policy", "probes")]
    assert chosen == ["dwta", 4, "fifo", 1]


def test_help_shows_the_defaults_of_the_table(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    text = hashgrad("train", "--help").out
    for name in ("bits", "tables", "rank", "rebuild_every", "epochs", "batch_size", "code"):
        line = next(line for line in text.splitlines() if f" {options.flag(name)} " in line)
        assert f"({PARAMETERS[name].default})" in line
        assert PARAMETERS[name].help in line


def test_several_labels_are_judged_by_precision(hashgrad: Hashgrad, tags_file: Path) -> None:
    words = ("--hidden", 30, "--selector", "dense", "--learning-rate", 0.2, "--epochs", 20)
    result = hashgrad("train", tags_file, "--test", tags_file, *words, "--json", "-").json
    assert result["network"]["loss"] == "logistic"
    assert result["precision_at_1"] > 0.9
    assert result["precision_at_1"] >= result["precision_at_3"] >= result["precision_at_5"] > 0
    assert result["history"][-1]["precision_at_1"] == result["precision_at_1"]


def test_numbers_are_judged_by_r2(hashgrad: Hashgrad, numbers_file: Path) -> None:
    words = ("--hidden", 30, "--selector", "dense", "--learning-rate", 0.02, "--epochs", 10)
    result = hashgrad("train", numbers_file, *words, "--json", "-").json
    assert result["network"]["loss"] == "squared"
    assert result["r2"] > 0.9
    assert result["accuracy"] is None


def test_whole_numbers_are_a_regression_if_the_loss_says_so(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", X=X, y=np.arange(50) % 3)
    words = ("train", tmp_path / "data.npz", *SMALL, "--selector", "dense", "--json", "-")
    assert hashgrad(*words).json["data"]["task"] == "classification"
    assert hashgrad(*words, "--loss", "squared").json["data"]["task"] == "regression"


def test_without_test_rows_there_is_no_accuracy_and_a_share_can_be_held_out(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", X=X, y=(X[:, 0] > 0).astype(int))
    words = ("train", tmp_path / "data.npz", *SMALL, "--json", "-")
    assert hashgrad(*words).json["accuracy"] is None
    held_out = hashgrad(*words, "--test", "0.25").json
    assert held_out["data"]["test_rows"] == 15
    assert held_out["accuracy"] is not None


def test_a_model_that_stopped_and_went_on_equals_one_that_never_stopped(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    whole, part, again = (tmp_path / f"{name}.hashgrad" for name in ("whole", "part", "again"))
    words = ("train", "digits", "--hidden", 40, "--schedule", "constant")
    assert hashgrad(*words, "--epochs", 4, "--output", whole).code == 0
    assert hashgrad(*words, "--epochs", 2, "--output", part).code == 0
    resumed = hashgrad("train", "digits", "--resume", part, "--epochs", 4, "--output", again)
    assert resumed.code == 0
    # The notes in the file tell how it was made; what was learned must not differ in one bit.
    a, b = library.load(whole), library.load(again)
    a.extra = b.extra = {}
    assert [r["loss"] for r in a.history] == [r["loss"] for r in b.history]
    for name, tensor in a._core.tensors().items():
        assert np.array_equal(tensor, b._core.tensors()[name]), name


def test_ctrl_c_saves_the_model_and_its_run_can_be_resumed(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    model, figures = tmp_path / "model.hashgrad", tmp_path / "out.json"
    words = ["train", "digits", *SMALL, "--output", str(model), "--json", str(figures)]
    process = subprocess.Popen(
        [sys.executable, "-m", "hashgrad", *words, "--epochs", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "epoch" in process.stderr.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"model saved to {model}" in out
    assert "interrupted in epoch" in out

    stopped = json.loads(figures.read_text())
    assert stopped["interrupted"] is True
    assert stopped["accuracy"] > 0.5
    done = library.load(model).epochs
    assert done >= 1
    assert hashgrad("evaluate", model, "digits").code == 0
    resumed = hashgrad("train", "digits", "--resume", model, "--epochs", done + 2, "--json", "-")
    assert resumed.json["epochs"] == done + 2


def test_resume_saves_where_it_read_unless_output_says_otherwise(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    model, other = tmp_path / "model.hashgrad", tmp_path / "other.hashgrad"
    assert hashgrad("train", "digits", *SMALL, "--output", model).code == 0
    resumed = hashgrad("train", "digits", "--resume", model, "--epochs", 3)
    assert f"model saved to {model}" in resumed.out
    assert library.load(model).epochs == 3
    words = ("train", "digits", "--resume", model, "--epochs", 4, "--output", other)
    assert hashgrad(*words).code == 0
    assert (library.load(model).epochs, library.load(other).epochs) == (3, 4)


def test_resume_takes_the_settings_of_the_fit_from_the_file(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    model = tmp_path / "model.hashgrad"
    words = ("train", "digits", *SMALL, "--validation", 0.2, "--class-weight", "balanced")
    assert hashgrad(*words, "--early-stopping", 9, "--output", model).code == 0
    fit = {"epochs": 2, "validation": 0.2, "early_stopping": 9, "class_weight": "balanced"}
    assert library.load(model).extra["fit"] == fit
    assert hashgrad("train", "digits", "--resume", model, "--epochs", 3, "-o", model).code == 0
    assert library.load(model).extra["fit"] == {**fit, "epochs": 3}


def test_validation_rows_come_from_the_training_rows(hashgrad: Hashgrad) -> None:
    result = hashgrad("train", "digits", *SMALL, "--validation", 0.25, "--json", "-").json
    assert result["history"][-1]["examples"] == round(0.75 * result["data"]["train_rows"])


def test_hashing_that_does_not_pay_earns_advice(hashgrad: Hashgrad) -> None:
    words = ("train", "digits", "--hidden", 10, "--epochs", 1, "--selector")
    scan = ("--lookup", "scan")  # left to itself, the library does not hash so small a layer
    advice = "hashing costs more than it saves here: wider layers, or --selector dense"
    hashed, dense = hashgrad(*words, "lsh", *scan).out, hashgrad(*words, "dense").out
    assert advice in hashed
    assert "1 epoch, " in hashed
    assert advice not in dense


def test_quiet_says_nothing(hashgrad: Hashgrad) -> None:
    answer = hashgrad("train", "digits", *SMALL, "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_progress_goes_to_stderr_and_the_summary_to_stdout(hashgrad: Hashgrad) -> None:
    answer = hashgrad("train", "digits", *SMALL)
    assert answer.err.count("epoch ") == 2
    assert "test accuracy" in answer.out
    assert "of dense" in answer.out
