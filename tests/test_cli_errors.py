"""Bad input to the command line: one clear line, exit code 2, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from cli_help import SMALL, Hashgrad, caller
from hashgrad.atomic import write_atomically
from hashgrad.checks import Interval
from hashgrad.cli import app, saving, wording
from hashgrad.defaults import PARAMETERS


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


@pytest.fixture
def model(hashgrad: Hashgrad, tmp_path: Path) -> Path:
    path = tmp_path / "model.hashgrad"
    assert hashgrad("train", "digits", *SMALL, "--output", path).code == 0
    return path


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--active 1.5", "--active must be in (0, 1], got 1.5"),
        ("--active 0.1,0.2,0.3", "--active must have one value, or one for each of the 1 hidden"),
        ("--active five", "--active must be numbers with commas between, got 'five'"),
        ("--hidden 10x10", "--hidden must be whole numbers with commas between, got '10x10'"),
        ("--hidden=", "--hidden must be whole numbers with commas between, got ''"),
        ("--hidden 0", "--hidden must be an integer in [1, 2147483647], got 0"),
        ("--selector lhs", "did you mean 'lsh'?"),
        ("--optimizer adm", "did you mean 'adam'?"),
        ("--loss sofmax", "did you mean 'softmax'?"),
        ("--tables 0", "--tables must be an integer in [1, 256], got 0"),
        ("--bits 99", "--bits must be an integer in"),
        ("--bits many", "--bits"),
        ("--probes 200 --bits 7", "--probes must be at most 2**bits = 128, got 200 with --bits 7"),
        ("--bits 16 --tables 256", "--bits * --tables must be at most"),
        (
            "--lookup scan --ranking collisions",
            "--lookup scan needs --ranking signature, got --ran",
        ),
        ("--code bytes --lookup tables", "--code bytes needs a lookup other than 'tables', got"),
        (
            "--active 0.1,0.1 --pooled --rehash incremental",
            "--pooled needs --rehash rows, got 'inc",
        ),
        ("--active 0.1,0.1 --fill 9", "--fill needs --pooled, got --fill 9 without --pooled"),
        (
            "--active 0.1,0.1 --pooled",
            "--batch-size must be above 1 where outputs are pooled, got 1",
        ),
        ("--active 0.1,0.1 --pooled --correction inverse", "inverse needs --fill above 0, got"),
        ("--lookup tables --code-bits 2", "--code-bits needs --family dwta or minhash, got"),
        ("--active 0.1,0.1 --correction log-q", "--correction needs --pooled, got 'log-q' without"),
        ("--epochs 0", "--epochs must be an integer in [1, 1000000], got 0"),
        ("--threads -1", "--threads must be an integer in [0, 1024], got -1"),
        ("--validation 1", "--validation must be in (0, 1), got 1.0"),
        ("--validation 0.99999", "--validation must leave rows to "),
        ("--early-stopping 3", "--early-stopping 3 needs --validation"),
        ("--class-weight balance", "did you mean 'balanced'?"),
        ("--selector dense --bits 4", "--bits has no effect with --selector dense"),
        ("--selector lsh --alpha 2", "--alpha has no effect with --selector lsh"),
        (
            "--optimizer sgd --optimizer-state row",
            "--optimizer-state has no effect with --optimizer sgd; it belongs to adam",
        ),
        ("--optimizer adam --optimizer-state int4", "--optimizer-state must be one of"),
        ("--optimizer sgd --momentum 0.5", "--momentum has no effect with --optimizer sgd"),
        ("--schedule cosine --factor 0.5", "--factor has no effect with --schedule cosine"),
        ("--bogus", "No such option: --bogus"),
        ("--loss squared", "the data must be for regression, got digits, a classification"),
        ("--test missing.npz", "test is for files, 'digits' is a set with a name"),
    ],
)
def test_a_bad_option_earns_one_line_that_names_it(
    hashgrad: Hashgrad, words: str, complaint: str
) -> None:
    assert complaint in hashgrad("train", "digits", "--hidden", 20, *words.split()).complaint


@pytest.mark.parametrize(
    "words",
    [
        *("advise digits --seconds 0", "advise digits --hidden 0", "advise digits --threads -1"),
        *("sparsify WEIGHTS --data digits --max-drop 0", "report MODEL --threads 5000"),
        *(
            "sparsify WEIGHTS --data digits --activation rleu",
            "sparsify WEIGHTS --data d --seed -1",
        ),
        *("evaluate MODEL digits --threads -1", "predict MODEL digits --top 0"),
        "evaluate MODEL digits --first-index 7",
    ],
)
def test_a_bad_value_of_any_command_begins_its_line_with_the_option(
    hashgrad: Hashgrad, model: Path, tmp_path: Path, words: str
) -> None:
    layers = {"0.weight": np.ones((9, 64)), "1.weight": np.ones((10, 9))}
    np.savez(tmp_path / "layers.npz", **layers, **{"0.bias": np.ones(9), "1.bias": np.ones(10)})
    files = {"MODEL": model, "WEIGHTS": tmp_path / "layers.npz", "d": "digits"}
    option = words.split()[-2]
    complaint = hashgrad(*(files.get(word, word) for word in words.split())).complaint
    assert complaint.startswith(f"{option} must be "), complaint


def test_every_option_of_the_table_is_named_where_its_value_is_bad(hashgrad: Hashgrad) -> None:
    train: Any = typer.main.get_command(app)
    options = wording.options_of(train.commands["train"])
    of_numbers = [
        option
        for name, option in options.items()
        if name in PARAMETERS and isinstance(PARAMETERS[name].constraint, Interval)
    ]
    assert {"--batch-size", "--learning-rate", "--active", "--rebuild-every"} <= set(of_numbers)
    for option in of_numbers:
        complaint = hashgrad("train", "digits", f"{option}=-1000001").complaint
        assert complaint.startswith(f"{option} must be "), complaint
        assert "None" not in complaint


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("train mnits", "did you mean 'mnist'?"),
        ("train missing.npz", "missing.npz: no such file or folder"),
        ("train", "Missing argument"),
        ("trian digits", "No such command 'trian'"),
        ("evaluate missing.hashgrad digits", "missing.hashgrad: No such file or directory"),
        ("info missing.hashgrad", "missing.hashgrad: No such file or directory"),
        ("train digits --resume missing.hashgrad", "missing.hashgrad: No such file or directory"),
    ],
)
def test_a_bad_name_earns_one_line(hashgrad: Hashgrad, words: str, complaint: str) -> None:
    assert complaint in hashgrad(*words.split()).complaint


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_a_path_that_cannot_be_written_is_refused_before_any_work(
    hashgrad: Hashgrad, option: str, tmp_path: Path
) -> None:
    for path, complaint in (
        (tmp_path / "no" / "file", f"{option} must name a file in an existing folder"),
        (tmp_path, f"{option} must name a file, got the folder"),
        (Path("/proc/file"), f"{option} must name a file that can be written"),
    ):
        # The data set does not exist either: the path is looked at first.
        assert complaint in hashgrad("train", "nothing.npz", option, path).complaint


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_a_pipe_is_refused_and_stays_a_pipe(
    hashgrad: Hashgrad, option: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    complaint = hashgrad("train", "nothing.npz", option, pipe).complaint
    assert f"{option} must name a regular file, got the device or pipe" in complaint
    with pytest.raises(OSError, match="only a regular file can be replaced"):
        write_atomically(pipe, [b"0"])
    assert pipe.is_fifo()


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_nothing_is_written_over_what_is_read(
    hashgrad: Hashgrad, model: Path, option: str, tmp_path: Path
) -> None:
    data, link = tmp_path / "data.npy", tmp_path / "link.npy"
    np.save(data, np.zeros((2, 64), dtype=np.float32))
    link.symlink_to(data)
    before = data.read_bytes(), model.read_bytes()
    for words in (
        ("train", data, option, link),
        ("train", "nothing.npz", "--test", data, option, data),
        ("predict", model, data, option, link),
        ("predict", model, data, option, model),
        ("train", "digits", "--output", tmp_path / "new", "--json", tmp_path / "new"),
    ):
        assert (
            "must name a file that the command does not use otherwise" in hashgrad(*words).complaint
        )
    assert before == (data.read_bytes(), model.read_bytes())


def test_a_model_replaces_models_only(hashgrad: Hashgrad, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("precious")
    complaint = hashgrad("train", "nothing.npz", "--output", other).complaint
    assert "--output must name a new file or a hashgrad model to replace, got" in complaint
    assert other.read_text() == "precious"
    assert hashgrad("train", "digits", *SMALL, "--output", model).code == 0


def test_a_refused_path_leaves_no_trace(hashgrad: Hashgrad, tmp_path: Path) -> None:
    assert hashgrad("train", "nothing.npz", "--output", tmp_path / "model").code == 2
    assert list(tmp_path.iterdir()) == []


def test_bad_data_is_named_with_its_row(hashgrad: Hashgrad, tmp_path: Path) -> None:
    X = np.zeros((20, 3), dtype=np.float32)
    X[7, 1] = np.nan
    np.savez(tmp_path / "data.npz", X=X, y=np.arange(20) % 2)
    complaint = hashgrad("train", tmp_path / "data.npz", *SMALL).complaint
    assert "nan in row 7" in complaint


@pytest.mark.parametrize(
    ("share", "complaint"),
    [
        ("1.5", "--test must be in (0, 1), got 1.5"),
        ("missing.npz", "--test must be a file or a share of the rows, got 'missing.npz'"),
    ],
)
def test_test_rows_that_cannot_be_had_are_the_options_fault(
    hashgrad: Hashgrad, tmp_path: Path, share: str, complaint: str
) -> None:
    np.savez(tmp_path / "data.npz", X=np.eye(20), y=np.arange(20) % 2)
    words = ("train", tmp_path / "data.npz", *SMALL, "--test", share)
    assert hashgrad(*words).complaint == complaint


def test_csv_is_refused_with_the_way_to_convert_it(
    hashgrad: Hashgrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("0,1,0\n1,0,1\n")
    complaint = hashgrad("train", "data.csv").complaint
    assert "must end in one of .npz" in complaint
    recipe = complaint.rpartition("label last: ")[2]
    exec(recipe.replace("), numpy", ")\nnumpy"), {"numpy": np})
    with np.load("data.npz") as made:
        assert made["X"].tolist() == [[0, 1], [1, 0]]
        assert made["y"].tolist() == [0, 1]


def test_a_loss_that_explodes_is_an_error_and_writes_no_model(
    hashgrad: Hashgrad, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    X = 1e6 * random.normal(size=(200, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", X=X, y=random.normal(size=200))
    words = (*SMALL, "--selector", "dense", "--learning-rate", 1e6)
    model = tmp_path / "model.hashgrad"
    answer = hashgrad("train", tmp_path / "data.npz", *words, "--output", model, "-q")
    assert "the loss became NaN or infinite in epoch 1 at row" in answer.complaint
    assert not model.exists()


def test_resuming_refuses_what_the_file_settles(hashgrad: Hashgrad, model: Path) -> None:
    words = ("train", "digits", "--resume", model, "--epochs", 3)
    complaint = hashgrad(*words, "--bits", 4).complaint
    assert "--bits has no effect with --resume: the model file settles it, got 4" in complaint
    assert "--seed has no effect with --resume" in hashgrad(*words, "--seed", 1).complaint


def test_resuming_needs_more_epochs_than_are_done(hashgrad: Hashgrad, model: Path) -> None:
    complaint = hashgrad("train", "digits", "--resume", model, "--epochs", 2).complaint
    assert "--epochs must be above the 2 that the model has behind it" in complaint


def test_a_model_refuses_data_of_another_width(
    hashgrad: Hashgrad, model: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "narrow.npz", X=np.zeros((4, 3), dtype=np.float32), y=[0, 1, 2, 3])
    complaint = hashgrad("evaluate", model, tmp_path / "narrow.npz").complaint
    assert "n_features=64" in complaint


def test_a_model_refuses_labels_it_has_no_output_for(
    hashgrad: Hashgrad, model: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "more.npz", X=np.zeros((2, 64), dtype=np.float32), y=[3, 12])
    complaint = hashgrad("evaluate", model, tmp_path / "more.npz").complaint
    assert "at most the model's 10 outputs, got 13" in complaint


def test_a_damaged_model_file_is_refused(hashgrad: Hashgrad, model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-100])
    for words in (("info", model), ("evaluate", model, "digits")):
        assert "model.hashgrad" in hashgrad(*words).complaint


def test_a_model_that_cannot_be_saved_in_its_place_is_saved_elsewhere(
    hashgrad: Hashgrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuge, place = tmp_path / "refuge", tmp_path / "place"
    refuge.mkdir()
    place.mkdir()
    monkeypatch.setattr(saving.tempfile, "gettempdir", lambda: str(refuge))

    class Full(saving.Network):
        def save(self, path: object) -> None:
            if Path(str(path)).parent == place:
                raise OSError(28, "No space left on device", str(path))
            super().save(path)  # type: ignore[arg-type]

    monkeypatch.setattr("hashgrad.cli.train.Network", Full)
    answer = hashgrad("train", "digits", *SMALL, "--output", place / "model.hashgrad")
    assert answer.code == 2
    (saved,) = refuge.iterdir()
    assert "No space left on device" in answer.err
    assert str(saved) in answer.err
    assert hashgrad("evaluate", saved, "digits").code == 0


def test_an_error_has_no_traceback_unless_asked_for(
    hashgrad: Hashgrad, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Traceback" not in hashgrad("info", "missing").err
    monkeypatch.setenv("HASHGRAD_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError):
        hashgrad("info", "missing")


def test_a_reader_that_stops_reading_is_not_complained_about(model: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hashgrad", "predict", str(model), "digits", "--top", "9"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")
