"""Weights come from PyTorch, scikit-learn, files and arrays; other networks are refused."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

from hashgrad import sparsify
from hashgrad.sparsification import torch_modules
from hashgrad.sparsification.dense_weights import read
from sparsify_help import N_CLASSES, N_INPUTS, all_are_alike, blobs, matched

X, Y = blobs(300)


def sequential(*parts):
    torch.manual_seed(0)
    return nn.Sequential(*parts)


def close(weights, scores):
    return np.allclose(weights.scores(X), scores, atol=1e-4)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid])
def test_a_sequential_is_read_with_its_activations(activation):
    model = sequential(
        nn.Flatten(), nn.Linear(N_INPUTS, 30), activation(), nn.Dropout(0.5),
        nn.Sequential(nn.Linear(30, 20, bias=False), nn.ReLU()), nn.Linear(20, N_CLASSES),
    )  # fmt: skip
    weights = read(model)
    assert weights.words == "20-30-20-4"
    with torch.inference_mode():
        assert close(weights, model.eval()(torch.from_numpy(X)).numpy())


def test_linear_layers_of_a_sequential_with_nothing_between_them_stay_linear():
    weights = read(sequential(nn.Linear(N_INPUTS, 8), nn.Linear(8, N_CLASSES)))
    assert weights.activations == ("linear",)


class Functional(nn.Module):
    """ReLU by a function, as is often done; or something else."""

    def __init__(self, last=torch.relu):
        super().__init__()
        self.one, self.two = nn.Linear(N_INPUTS, 16), nn.Linear(16, N_CLASSES)
        self.last = last

    def forward(self, x):
        return self.two(self.last(self.one(x)))


def test_a_module_with_relu_between_its_layers_is_read_and_any_other_is_refused():
    torch.manual_seed(0)
    result = sparsify(Functional(), (X, Y), stopwatch=all_are_alike)
    assert result.stated.given_seconds == 1.0
    with pytest.raises(ValueError, match="got Functional, which answers otherwise"):
        sparsify(Functional(torch.sin), (X, Y), stopwatch=all_are_alike)


def test_a_model_in_training_stays_in_training():
    model = sequential(nn.Linear(N_INPUTS, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, N_CLASSES))
    model.train()
    sparsify(model, (X, Y), stopwatch=all_are_alike)
    assert model.training


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([nn.Conv2d(1, 2, 3), nn.Linear(8, 2)], r"got the module '0': Conv2d\(1, 2"),
        ([nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 2)], r"got the module '1': GELU"),
        ([nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)], r"got the module '1': BatchNorm1d"),
        ([nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 2)], r"must follow a Linear.*module '0': ReLU"),
        ([nn.Linear(8, 8), nn.ReLU(), nn.Tanh(), nn.Linear(8, 2)], r"got the module '2': Tanh"),
        ([nn.Linear(8, 8), nn.Softmax(1), nn.Linear(8, 2)], r"softmax must come last.*'1'"),
        ([nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2), nn.ReLU()], r"outputs must be scores"),
        ([nn.Linear(8, 8)], r"at least one hidden layer"),
    ],
)
def test_modules_that_are_no_fully_connected_network_are_refused_by_name(parts, message):
    with pytest.raises(ValueError, match=message):
        read(sequential(*parts))


def test_softmax_at_the_end_changes_no_answer_and_is_left_out():
    model = sequential(
        nn.Linear(N_INPUTS, 8), nn.ReLU(), nn.Linear(8, N_CLASSES), nn.Softmax(dim=1)
    )
    assert torch_modules.agrees(model, read(model), X)


@pytest.mark.parametrize("last", [[], [nn.Sigmoid()]])
def test_one_output_becomes_two_classes(last):
    model = sequential(nn.Linear(N_INPUTS, 8), nn.ReLU(), nn.Linear(8, 1), *last)
    weights = read(model)
    assert weights.sizes == (8, 2)
    assert torch_modules.agrees(model, weights, X)
    result = sparsify(model, X, stopwatch=all_are_alike)
    with torch.inference_mode():
        p = model(torch.from_numpy(X))[:, 0]
    p = (p if last else torch.sigmoid(p)).numpy()
    assert np.allclose(result.network.predict_proba(X)[:, 1], p, atol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_scikit_learns_classifier_is_read_with_its_classes(activation, n_classes):
    names = np.array(["ant", "bee", "cat", "dog"])[Y % n_classes]
    model = MLPClassifier((12, 9), activation=activation, max_iter=3, random_state=0).fit(X, names)
    weights = read(model)
    assert (np.array(weights.classes)[weights.scores(X).argmax(axis=1)] == model.predict(X)).all()
    result = sparsify(model, (X, names), stopwatch=all_are_alike)
    assert result.network.extra["classes"] == sorted(set(names.tolist()))
    assert np.allclose(result.network.predict_proba(X), model.predict_proba(X), atol=1e-4)
    with pytest.raises(ValueError, match=r"y must hold the model's classes .*, got 'eel'"):
        sparsify(model, (X, np.array(["eel"] * len(X))), stopwatch=all_are_alike)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_models_that_choose_no_class_are_refused():
    with pytest.raises(ValueError, match="must be fitted, got a MLPClassifier"):
        read(MLPClassifier((5,)))
    with pytest.raises(ValueError, match="must be a classifier, got MLPRegressor"):
        read(MLPRegressor(hidden_layer_sizes=(5,), max_iter=2).fit(X, Y))
    with pytest.raises(ValueError, match="one class a row, got 4 independent labels"):
        read(MLPClassifier((5,), max_iter=2).fit(X, np.eye(4, dtype=int)[Y]))


def by_name():
    layers = matched(2, 30)
    return {
        f"body.{9 + number}.{part}": np.asarray(array, np.float32)
        for number, layer in enumerate(layers)
        for part, array in zip(("weight", "bias"), layer, strict=True)
    }


def test_files_and_mappings_are_read_in_the_order_of_the_numbers_in_their_names(tmp_path):
    expected = read(matched(2, 30)).scores(X)
    save_file(by_name(), tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", **by_name())
    for model in (by_name(), tmp_path / "w.safetensors", str(tmp_path / "w.npz")):
        assert close(read(model), expected)


def test_files_that_hold_no_such_network_are_refused(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"")
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"must be a file .safetensors or .npz, got .*a.pt"):
        read(tmp_path / "a.pt")
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        read(tmp_path / "a.safetensors")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "b.safetensors")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv.weight": np.ones((3, 3, 3, 3))}, "must hold conv.bias beside its twin"),
        ({"scale": np.ones(3)}, r"named \*.weight and \*.bias .*, got 'scale'"),
        ({"body.9.weight": np.ones((30, 2, 3))}, r"body.9.weight must be a matrix"),
        ({"body.10.weight": np.ones((30, 7))}, "layer 1 must have 30 columns"),
        ({"body.9.bias": np.ones(7)}, "bias of layer 0 must have one number for each of its 30"),
        ({"body.9.bias": np.full(30, np.nan)}, "bias of layer 0 must be finite, got nan"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        read({**by_name(), **change})


def test_other_things_are_no_models():
    for thing in (3, None, X, [1, 2]):
        with pytest.raises(TypeError, match="must be a"):
            read(thing)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_frame_has_the_columns_that_the_model_was_fitted_on() -> None:
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(random.normal(size=(400, 3)), columns=["a", "b", "c"])
    model = MLPClassifier((5,), max_iter=3).fit(frame, random.integers(0, 3, 400))
    with pytest.raises(ValueError, match="in their order: 'a' is due where 'c' stands"):
        sparsify(model, frame[["c", "b", "a"]])
    with pytest.raises(ValueError, match="'c' is due where None stands"):
        sparsify(model, frame[["a", "b"]])
    assert sparsify(model, frame, max_drop=5.0).verdict
