"""`hashgrad export` writes ONNX or C from a model file, and says what that takes."""

import pytest

from cli_help import caller
from conftest import network
from hashgrad import Dense, WinnerTakeAll


@pytest.fixture
def hashgrad(capsys):
    return caller(capsys)


@pytest.fixture(scope="module")
def model(blobs, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.hashgrad"
    network().fit(*blobs, epochs=1).save(path)
    return path


@pytest.mark.parametrize("weights", ["int8", "float32"])
def test_c_is_written_with_its_sizes(hashgrad, model, tmp_path, weights):
    words = ("export", model, "--format", "c", "--out", tmp_path / "net.c", "--weights", weights)
    said = hashgrad(*words, "--json", "-").json
    assert said["weights"] == weights
    header = (tmp_path / "net.h").read_text()
    assert f"#define NET_RAM_BYTES {said['ram_bytes']}u" in header
    assert f"#define NET_FLASH_BYTES {said['flash_bytes']}u" in header
    assert (tmp_path / "net.c").is_file()
    assert f"{said['multiplications']:,}" in hashgrad(*words).out


def test_int8_is_smaller_and_the_default(hashgrad, model, tmp_path):
    words = ("export", model, "--format", "c", "--out", tmp_path / "net.c", "--json", "-")
    assert hashgrad(*words).json["weights"] == "int8"
    small, large = hashgrad(*words).json, hashgrad(*words, "--weights", "float32").json
    assert small["flash_bytes"] < large["flash_bytes"]


@pytest.mark.parametrize("weights", ["int8", "float32"])
def test_flash_is_told_beside_that_of_the_same_network_without_hashes(
    hashgrad, model, blobs, tmp_path, weights
):
    exact = network(Dense(64, active=WinnerTakeAll(0.2)))
    exact.fit(*blobs, epochs=1).save(tmp_path / "exact.hashgrad")
    options = ("--format", "c", "--out", tmp_path / "net.c", "--weights", weights)
    words, plain = (("export", path, *options) for path in (model, tmp_path / "exact.hashgrad"))
    hashed, dense = hashgrad(*words, "--json", "-").json, hashgrad(*plain, "--json", "-").json
    assert hashed["dense_flash_bytes"] == dense["dense_flash_bytes"] == dense["flash_bytes"]
    ratio = hashed["flash_bytes"] / dense["flash_bytes"]
    assert ratio > 1
    assert f"without hashes, which make it {ratio:.2f} times as large" in hashgrad(*words).out
    assert f"{dense['flash_bytes']} without hashes" in " ".join(
        (tmp_path / "net.h").read_text().split()
    )
    assert "without hashes" not in hashgrad(*plain).out


def test_onnx_is_written_with_its_size(hashgrad, model, tmp_path):
    pytest.importorskip("onnx")
    out = tmp_path / "net.onnx"
    said = hashgrad("export", model, "--format", "onnx", "--out", out, "--json", "-").json
    assert said["bytes"] == out.stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--format", "tflite", "--out", "net.c"), "--format must be one of 'onnx', 'c'"),
        (
            ("--format", "onnx", "--out", "net.onnx", "--weights", "int8"),
            "--weights must go with --format c, got --format onnx",
        ),
        (
            ("--format", "c", "--out", "net.c", "--weights", "int4"),
            "--weights must be one of 'int8', 'float32', got 'int4'",
        ),
        (("--format", "c", "--out", "net.txt"), "path must end in .c, got 'net.txt'"),
    ],
)
def test_bad_options_are_told(hashgrad, model, tmp_path, monkeypatch, words, complaint):
    monkeypatch.chdir(tmp_path)
    assert complaint in hashgrad("export", model, *words).complaint
    assert not list(tmp_path.iterdir())


def test_the_model_is_not_overwritten(hashgrad, model):
    said = hashgrad("export", model, "--format", "onnx", "--out", model)
    assert "--out must name a file that the command does not use otherwise" in said.complaint
