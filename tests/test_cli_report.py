"""`hashgrad report`: a page about a model, with and without data, for every kind of model."""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import hashgrad as library
from cli_help import SMALL, Hashgrad, caller
from hashgrad import LSH, Dense, Network

pytest.importorskip("matplotlib")


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of digits with two hashed layers, one of them with tables."""
    digits = library.datasets.load("digits")
    layers = [Dense(100, active=LSH(0.1, lookup="tables", code="bits")), Dense(60, active=LSH(0.2))]
    net = Network(64, [*layers, Dense(10)])
    net.fit(digits.x_train, digits.y_train, epochs=3, validation=(digits.x_test, digits.y_test))
    net.extra = {"data": "digits", "task": "classification", "classes": None}
    path = tmp_path_factory.mktemp("model") / "digits.hashgrad"
    net.save(path)
    return path


def text_of(page: Path) -> str:
    """What a reader sees of the page, without tags."""
    body = page.read_text(encoding="utf-8").partition("<main>")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).replace("\u00a0", " ").split())


def code_of(page: Path) -> str:
    found = re.search(r"<pre [^>]*><code>(.*?)</code></pre>", page.read_text(), re.DOTALL)
    assert found
    return html.unescape(found[1])


def test_the_page_shows_the_model_and_what_rows_say_of_it(
    hashgrad: Hashgrad, model: Path, tmp_path: Path
) -> None:
    out, file = tmp_path / "page.html", tmp_path / "page.json"
    answer = hashgrad("report", model, "--data", "digits", "--out", out, "--json", file)
    assert answer.code == 0, answer
    assert answer.out == f"wrote {out}\n"
    said, net = text_of(out), library.load(model)
    numbers = json.loads(file.read_text())
    report = net.report().to_dict()
    for part in (
        "Model digits.hashgrad", "64-100-60-10", f"{net.n_parameters:,}", "sgd: rate 0.01",
        "3 epochs", f"{100 * report['multiplications_fraction']:.2f} % of the dense network's",
        "On 359 test rows of digits",
        f"accuracy {100 * numbers['measured']['scores']['accuracy']:.2f} %",
        "64 → 100, relu", "60 → 10, linear",
        f"{100 * report['layers'][0]['multiplications_fraction']:.2f} %",
        f"{numbers['measured']['recall'][0]:.3f}",
        "Loads of hash buckets", "Use of the neurons", "Epoch by epoch",
    ):  # fmt: skip
        assert part in said, part
    assert numbers["report"]["layers"] == json.loads(json.dumps(report["layers"]))
    assert numbers["history"] == json.loads(json.dumps(net.history))
    assert [len(shares) for shares in numbers["measured"]["usage"]] == [100, 60, 10]


def test_the_code_on_the_page_runs(
    hashgrad: Hashgrad, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hashgrad("report", model, "--out", tmp_path / "page.html").code == 0
    code = code_of(tmp_path / "page.html")
    assert len(code.splitlines()) == 3
    monkeypatch.chdir(model.parent)
    X = library.datasets.load("digits").x_test
    names = {"X": X}
    exec(code, names)
    assert np.array_equal(names["answers"], library.load(model).predict(X))


def test_a_model_of_weighted_rows_says_to_weigh_them(
    hashgrad: Hashgrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.svm"
    rows.write_text("0,2 1:1 3:2\n1 2:1\n2 1:1 3:1\n" * 20)
    model, out = tmp_path / "tags.hashgrad", tmp_path / "page.html"
    words = ("--task", "multilabel", "--weighting", "tfidf", "--hidden", 8, "--epochs", 2)
    assert hashgrad("train", rows, *words, "--output", model, "--quiet").code == 0
    assert hashgrad("report", model, "--data", rows, "--out", out).code == 0
    assert "P@1" in text_of(out)
    monkeypatch.chdir(tmp_path)
    net = library.load(model)
    X = np.eye(net.n_inputs, dtype=np.float32)
    names = {"X": X}
    exec(code_of(out).replace("k=5", "k=1"), names)
    weighting = library.datasets.Weighting.from_dict(net.extra["input_weighting"])
    best = net.predict_topk(weighting.apply(X), k=1)
    assert np.array_equal(names["answers"][0], best[0])


def test_the_page_has_the_models_name_and_says_what_it_replaces(
    hashgrad: Hashgrad, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hashgrad("report", model).out == "wrote digits.html\n"
    assert hashgrad("report", model).out == "wrote digits.html, in the place of an older file\n"
    assert [path.name for path in tmp_path.iterdir()] == ["digits.html"]


def test_without_data_it_says_what_is_missing(
    hashgrad: Hashgrad, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hashgrad("report", model).code == 0
    said = text_of(tmp_path / "digits.html")
    assert "Which neurons are used is known with data only: --data names some." in said
    assert "the recall is on the last epoch's rows" in said
    assert "Use of the neurons" not in said


def test_a_model_without_buckets_or_history_says_so(hashgrad: Hashgrad, tmp_path: Path) -> None:
    net = Network(4, [Dense(16, active=LSH(0.25, lookup="scan")), Dense(2)])
    net.partial_fit(np.eye(4), [0, 1, 0, 1]).save(tmp_path / "net.hashgrad")
    assert hashgrad("report", tmp_path / "net.hashgrad", "--out", tmp_path / "page.html").code == 0
    said = text_of(tmp_path / "page.html")
    assert "No epoch is done, so there is no history." in said
    assert "No layer has buckets" in said


def test_an_untrained_model_has_a_page(hashgrad: Hashgrad, tmp_path: Path) -> None:
    Network(4, [Dense(16), Dense(2)]).save(tmp_path / "net.hashgrad")
    assert hashgrad("report", tmp_path / "net.hashgrad", "--out", tmp_path / "page.html").code == 0
    assert "0 epochs, 0 examples" in text_of(tmp_path / "page.html")


def test_a_name_that_looks_like_code_is_only_shown(hashgrad: Hashgrad, tmp_path: Path) -> None:
    model = tmp_path / "<script>alert('1')<b>.hashgrad"
    net = Network(4, [Dense(16), Dense(2)])
    net.extra = {"data": "<script>alert(2)"}
    net.save(model)
    assert hashgrad("report", model, "--out", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert page.count("<script>") == 1
    assert "<script>alert('1')<b>.hashgrad" in html.unescape(page)


def test_numbers_can_go_to_stdout(hashgrad: Hashgrad, model: Path, tmp_path: Path) -> None:
    answer = hashgrad("report", model, "--out", tmp_path / "page.html", "--json", "-")
    assert answer.json["measured"] is None
    assert answer.json["specification"]["n_inputs"] == 64
    assert "wrote" in answer.err


def test_the_same_model_gives_the_same_page(
    hashgrad: Hashgrad, model: Path, tmp_path: Path
) -> None:
    pages = []
    for _ in range(2):
        hashgrad("report", model, "--data", "digits", "--out", tmp_path / "page.html")
        pages.append((tmp_path / "page.html").read_bytes())
    assert pages[0] == pages[1]


def test_a_page_does_not_replace_the_model(hashgrad: Hashgrad, model: Path) -> None:
    before = model.read_bytes()
    assert "does not use otherwise" in hashgrad("report", model, "--out", model).complaint
    assert model.read_bytes() == before


def test_data_of_another_width_are_refused(hashgrad: Hashgrad, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", X=np.zeros((4, 3)), y=[0, 1, 2, 3])
    out = tmp_path / "page.html"
    complaint = hashgrad("report", model, "--data", tmp_path / "other.npz", "--out", out).complaint
    assert "64" in complaint
    assert not out.exists()


def test_without_matplotlib_it_says_what_to_install(
    hashgrad: Hashgrad, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    complaint = hashgrad("report", model, "--out", tmp_path / "page.html").complaint
    assert "pip install 'hashgrad[report]'" in complaint


# What `train` writes beside the training


def test_train_writes_a_log_and_goes_on_with_it(hashgrad: Hashgrad, tmp_path: Path) -> None:
    model, log = tmp_path / "net.hashgrad", tmp_path / "log.csv"
    words = ("--output", model, "--log", log, "--quiet")
    assert hashgrad("train", "digits", *SMALL, *words).code == 0
    words = ("--resume", model, "--epochs", 3, "--log", log, "--quiet")
    assert hashgrad("train", "digits", *words).code == 0
    assert [line.split(",")[0] for line in log.read_text().splitlines()] == ["epoch", "1", "2", "3"]


def test_train_writes_whole_records_as_json_lines(hashgrad: Hashgrad, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    answer = hashgrad("train", "digits", *SMALL, "--log", log, "--json", "-")
    assert [json.loads(line) for line in log.read_text().splitlines()] == answer.json["history"]


def test_train_writes_for_tensorboard(hashgrad: Hashgrad, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    folder = tmp_path / "runs"
    assert hashgrad("train", "digits", *SMALL, "--tensorboard", folder, "--quiet").code == 0
    assert [path.name.split(".")[2] for path in folder.iterdir()] == ["tfevents"]


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--log", "log.txt", "--log must name a .csv or .jsonl file, got "),
        ("--log", "none/log.csv", "--log must name a file in an existing folder, got "),
        ("--log", "-", "--log must name a .csv or .jsonl file, got '-'"),
        ("--tensorboard", "file", "--tensorboard must name a folder, got the file "),
    ],
)
def test_places_that_cannot_be_written_are_refused_before_training(
    hashgrad: Hashgrad, tmp_path: Path, option: str, name: str, message: str
) -> None:
    (tmp_path / "file").touch()
    path = name if name == "-" else tmp_path / name
    assert message in hashgrad("train", "digits", *SMALL, option, path).complaint


def test_without_tensorboardx_it_says_what_to_install(
    hashgrad: Hashgrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    answer = hashgrad("train", "digits", *SMALL, "--tensorboard", tmp_path)
    assert "pip install 'hashgrad[tensorboard]'" in answer.complaint
