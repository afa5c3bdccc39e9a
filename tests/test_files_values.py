"""A file whose tensors hold what training cannot leave in them is refused."""

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import hashgrad
from conftest import from_bytes, hashed, network, to_bytes
from hashgrad import Adam, Constant, Dense
from hashgrad.files import from_parts, parts


@pytest.fixture(scope="module")
def saved():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(60, 24)).astype(np.float32), random.integers(4, size=60)
    net = network(hashed(16, lookup="tables"), Dense(8), optimizer="momentum", schedule=Constant())
    saved = []
    fit = {"validation": 0.3, "early_stopping": 2, "epochs": 9}
    net.fit(X, y, **fit, callbacks=[lambda record: saved.append(to_bytes(net)) or True])
    return saved[0]  # with the best epoch's tensors in it


def unchecked(text):
    """The metadata without checksums, as another program may have written the file."""
    return json.dumps({key: part for key, part in json.loads(text).items() if key != "checksums"})


def save_with(data, path, name, value):
    """Write the file with another value in the middle of a tensor, and without checksums."""
    path.write_bytes(data)
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    tensors = safetensors.numpy.load(data)
    tensors[name].flat[tensors[name].size // 2] = value
    safetensors.numpy.save_file(tensors, path, {"hashgrad": unchecked(metadata["hashgrad"])})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layers.0.weight", np.nan, r"must be finite, got nan at \[8, 0\]"),
        ("layers.1.bias", np.inf, r"must be finite, got inf at \[4\]"),
        ("layers.2.optimizer.moment1", -np.inf, "must be finite, got -inf"),
        ("best.layers.2.weight", np.nan, "must be finite, got nan"),
        ("layers.0.lsh.mean", np.nan, "must be finite, got nan"),
        ("layers.0.lsh.sketch", np.inf, "must be finite, got inf"),
        ("layers.0.lsh.norm2", -1.0, r"must be finite and >= 0, got -1.0 at \[8\]"),
        ("best.layers.0.lsh.norm2", np.nan, "must be finite and >= 0, got nan"),
        ("layers.0.lsh.scale", -0.5, r"must be finite and >= 0, got -0.5 at \[0\]"),
        ("layers.0.lsh.scale", np.inf, "must be finite and >= 0, got inf"),
        ("layers.0.lsh.dirty", 2, r"must be 0 or 1, got 2 at \[8\]"),
    ],
)
def test_a_tensor_with_values_that_training_cannot_leave_is_refused(
    saved, tmp_path, name, value, message
):
    save_with(saved, tmp_path / "net", name, value)
    with pytest.raises(ValueError, match=f"tensor {name!r} {message}") as caught:
        hashgrad.load(tmp_path / "net")
    assert str(tmp_path / "net") in str(caught.value)


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "row-adagrad"])
def test_a_negative_sum_of_squares_is_refused(tmp_path, optimizer):
    word = "row_square" if optimizer == "row-adagrad" else "moment2"
    data = to_bytes(network(Dense(8), optimizer=optimizer))
    save_with(data, tmp_path / "net", f"layers.0.optimizer.{word}", -1)
    with pytest.raises(ValueError, match=f"{word}' must be finite and >= 0, got -1.0"):
        hashgrad.load(tmp_path / "net")


@pytest.mark.parametrize(
    ("name", "bits", "message"),
    [
        ("moment1", 0x7F80, "finite, got inf"),
        ("moment1", 0xFFC0, "finite, got nan"),
        ("moment2", 0x8001, "finite and >= 0, got -9.1"),
        ("moment2", 0x7FC0, "finite and >= 0, got nan"),
    ],
)
def test_sixteen_bits_are_judged_by_the_numbers_they_stand_for(tmp_path, name, bits, message):
    data = to_bytes(network(Dense(8), optimizer=Adam(state="bfloat16")))
    save_with(data, tmp_path / "net", f"layers.0.optimizer.{name}", bits)
    with pytest.raises(ValueError, match=f"{name}' must be {message}"):
        hashgrad.load(tmp_path / "net")


def test_a_file_from_before_adam_had_a_choice_of_state_keeps_floats():
    text, tensors = parts(network(Dense(8), optimizer="adam"))
    metadata = json.loads(text)
    assert metadata["specification"]["optimizer"].pop("state") == "float32"
    assert from_parts(json.dumps(metadata), tensors).optimizer == Adam(state="float32")


def test_tensors_of_noise_are_refused_or_no_harm(saved):
    text, tensors = parts(from_bytes(saved))
    text = unchecked(text)
    random = np.random.default_rng(0)
    for _ in range(5):
        noise = {
            name: np.frombuffer(random.bytes(tensor.nbytes), tensor.dtype).reshape(tensor.shape)
            for name, tensor in tensors.items()
        }
        with pytest.raises(ValueError, match=r"tensor .+ must be (finite|0 or 1)"):
            from_parts(text, noise)
    for name, tensor in tensors.items():
        noise = np.frombuffer(random.bytes(tensor.nbytes), tensor.dtype)
        if name.endswith("dirty"):
            noise = noise & 1
        elif name.endswith(("norm2", "scale")):
            noise = np.abs(noise)
        tensors[name] = np.nan_to_num(noise).reshape(tensor.shape)  # up to the largest numbers
    assert from_parts(text, tensors).predict(np.ones((5, 24))).shape == (5,)
