"""The ONNX graph answers in onnxruntime as the network does with exact=True."""

import builtins
import json

import numpy as np
import pytest

from conftest import N_INPUTS, hashed, network
from hashgrad import LSH, SGD, Adaptive, Dense, Network, Random, WinnerTakeAll, export_onnx

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

SHAPES = {
    "hashed": [hashed(200), hashed(96)],
    "exact": [
        Dense(130, active=WinnerTakeAll(0.2), layout="input"),
        Dense(70, "sigmoid", LSH(0.3, lookup="exact"), layout="neuron"),
    ],
    "all": [Dense(130, layout="input"), Dense(70, "tanh", layout="neuron"), Dense(20, "linear")],
    "dropout": [Dense(130, active=Random(0.5)), Dense(70, active=Adaptive(0.5))],
}


def answers(net, path, X):
    """What onnxruntime says of some rows, by output."""
    export_onnx(net, path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": X}), strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_and_probabilities_agree_to_1e_5(shape, blobs, tmp_path):
    X, y = blobs
    net = network(*SHAPES[shape], optimizer=SGD(0.02)).fit(X, y, epochs=2)
    said = answers(net, tmp_path / "net.onnx", X)
    scores = net.decision_function(X, exact=True)
    assert np.abs(said["scores"] - scores).max() < 1e-5 * max(1, np.abs(scores).max())
    assert np.abs(said["probabilities"] - net.predict_proba(X, exact=True)).max() < 1e-5
    assert (said["label"] == net.predict(X, exact=True)).all()


def test_hashed_outputs_leave_out_the_rest_and_retired_labels(blobs, tmp_path):
    X, y = blobs
    net = Network(N_INPUTS, [hashed(128), hashed(90, 0.1)]).fit(X, y, epochs=2)
    net.retire_labels([2, 50, 89])
    said = answers(net, tmp_path / "net.onnx", X)
    scores = net.decision_function(X, exact=True)
    there = np.isfinite(scores)
    assert (np.isfinite(said["scores"]) == there).all()
    assert 0 < there.mean() < 0.2
    assert np.abs(said["scores"][there] - scores[there]).max() < 1e-5 * np.abs(scores[there]).max()
    assert np.abs(said["probabilities"] - net.predict_proba(X, exact=True)).max() < 1e-5
    assert not np.isin(said["label"], [2, 50, 89]).any()


def test_several_labels_a_row_have_probabilities_of_their_own(tags, tmp_path):
    X, Y = tags
    net = Network(N_INPUTS, [hashed(70), Dense(6)], loss="logistic").fit(X, Y, epochs=2)
    said = answers(net, tmp_path / "net.onnx", X.toarray())
    assert np.abs(said["probabilities"] - net.predict_proba(X, exact=True)).max() < 1e-5


def test_the_squared_loss_gives_values_alone(line, tmp_path):
    X, y = line
    net = Network(X.shape[1], [hashed(80), Dense(1)], loss="squared").fit(X, y, epochs=2)
    said = answers(net, tmp_path / "net.onnx", X.astype(np.float32))
    assert list(said) == ["scores"]
    assert np.abs(said["scores"][:, 0] - net.predict(X, exact=True)).max() < 1e-5


def test_metadata_name_the_classes_and_the_loss(blobs, tmp_path):
    net = network().fit(*blobs, epochs=1)
    net.extra["classes"] = ["a", "b", "ü", "d"]
    export_onnx(net, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"]) == ["a", "b", "ü", "d"]
    assert metadata["loss"] == "softmax"
    assert model.opset_import[0].version == 13


def test_the_same_network_writes_the_same_bytes(blobs, tmp_path):
    net = network().fit(*blobs, epochs=1)
    for name in ("one", "two"):
        export_onnx(net, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_without_the_package_the_error_names_the_extra(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest):
        if name == "onnx":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'hashgrad\[onnx\]'"):
        export_onnx(Network(2, [Dense(2)]), tmp_path / "net.onnx")
