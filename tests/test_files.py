"""A saved network is one safetensors file, written whole or not at all, and loads as it was."""

import errno
import json
import os
import pathlib
import resource
import stat
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

import hashgrad
from conftest import hashed, network, same_bits, smallest_batch
from hashgrad import LSH, Adagrad, Adam, Cosine, Dense, Network, WinnerTakeAll
from hashgrad.atomic import write_atomically
from hashgrad.files import LONGEST_METADATA, read_header
from hashgrad.specification import tensor_shapes

OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "row-adagrad"]
OPTIMIZERS += [Adam(state="bfloat16"), Adam(state="row"), Adam(state="8-bit")]
OPTIMIZERS += [Adam(lazy=False)]


@pytest.fixture
def fitted(blobs):
    return network(hashed(), hashed(40, lookup="tables")).fit(*blobs, epochs=1)


def test_a_loaded_network_predicts_with_the_same_bits(fitted, blobs, tmp_path):
    fitted.extra = {"classes": ["a", "b"], "scale": 0.5}
    fitted.save(tmp_path / "net.safetensors")
    loaded = hashgrad.load(str(tmp_path / "net.safetensors"), threads=2)
    for exact in (False, True):
        expected = fitted.decision_function(blobs[0], exact)
        assert np.array_equal(loaded.decision_function(blobs[0], exact), expected)
    assert loaded.specification() == fitted.specification()
    assert loaded.extra == fitted.extra
    assert loaded.threads == 2
    assert [{**r, "seconds": None} for r in fitted.history] == loaded.history
    assert same_bits(loaded, fitted)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("fit", [False, True])
def test_the_tensors_of_every_kind_of_network_are_as_the_file_check_expects(blobs, optimizer, fit):
    layers = [
        hashed(40, bits=3, tables=7),
        Dense(30, active=WinnerTakeAll()),
        hashed(20, rank=17),
        hashed(20, code="bits"),
        hashed(4, lookup="tables", projection="sparse", transform="simple"),
    ]
    net = Network(24, layers, optimizer=optimizer, batch_size=smallest_batch(optimizer))
    if fit:
        net.fit(*blobs, epochs=1)
    kinds = {
        np.dtype(t): word
        for t, word in (("f4", "F32"), ("i1", "I8"), ("u1", "U8"), ("u2", "U16"), ("u8", "U64"))
    }
    found = {name: (kinds[t.dtype], t.shape) for name, t in net._core.tensors().items()}
    assert found == tensor_shapes(24, net.layers, net.optimizer, fit, net._core.arrangement())


def test_weights_in_bfloat16_are_in_the_file_as_they_lie(tmp_path):
    head = Dense(60, active=LSH(0.1, pooled=True), dtype="bfloat16")
    net = Network(24, [Dense(16), head], batch_size=8)
    net.save(tmp_path / "net")
    loaded = hashgrad.load(tmp_path / "net")
    assert loaded.layers == net.layers
    for name, tensor in net._core.tensors().items():
        assert np.array_equal(loaded._core.tensors()[name], tensor), name
    tensors = safetensors.numpy.load_file(tmp_path / "net")
    assert tensors["layers.0.weight"].dtype == np.float32
    assert tensors["layers.1.weight"].dtype == np.uint16
    assert tensors["layers.1.bias"].dtype == np.float32
    net._core.tensors()["layers.1.weight"][3, 5] = 0x7FC0  # NaN
    with pytest.raises(ValueError, match=r"weight' must be finite, got nan at \[3, 5\]"):
        net.save(tmp_path / "net")


def test_an_untrained_network_can_be_saved_and_then_trained(blobs, tmp_path):
    network().save(tmp_path / "net")
    loaded = hashgrad.load(tmp_path / "net")
    assert same_bits(loaded.fit(*blobs, epochs=1), network().fit(*blobs, epochs=1))


def test_other_programs_can_read_the_tensors(fitted, tmp_path):
    fitted.save(tmp_path / "net.safetensors")
    tensors = safetensors.numpy.load_file(tmp_path / "net.safetensors")
    for name, tensor in fitted._core.tensors().items():
        assert np.array_equal(tensors[name], tensor), name
    with safetensors.safe_open(tmp_path / "net.safetensors", "numpy") as file:
        ours = json.loads(file.metadata()["hashgrad"])
    assert ours["format"] == 4
    assert ours["version"] == hashgrad.__version__


def test_the_same_training_gives_the_same_bytes_whatever_the_clock_said(blobs, tmp_path):
    for name in ("a", "b"):
        network(threads=1).fit(*blobs, epochs=2).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_header_can_be_read_without_the_network(fitted, tmp_path):
    fitted.save(tmp_path / "net")
    header = read_header(tmp_path / "net")
    assert header.arguments["layers"] == fitted.layers
    assert header.metadata["version"] == hashgrad.__version__
    assert header.state.epochs == 1


def test_awkward_values_survive(tmp_path):
    net = Network(3, [Dense(2)], optimizer=Adagrad(1e-7), schedule=Cosine(0.1), seed=2**63 - 1)
    net.extra = {"name": "naïve – 名前", "nested": [1, {"a": None}]}
    net.save(tmp_path / "net")
    loaded = hashgrad.load(tmp_path / "net")
    assert loaded.specification() == net.specification()
    assert loaded.extra == net.extra


def test_extra_values_that_a_file_cannot_hold_are_refused_and_nothing_is_written(tmp_path):
    net = Network(3, [Dense(2)])
    net.save(tmp_path / "net")
    before = (tmp_path / "net").read_bytes()
    for bad, message in (
        (float("nan"), "not JSON compliant"),
        (object(), "not JSON serializable"),
        ("x" * LONGEST_METADATA, "metadata must have at most 33554432 characters, got 3355"),
    ):
        net.extra = {"bad": bad}
        with pytest.raises((ValueError, TypeError), match=message):
            net.save(tmp_path / "net")
    assert (tmp_path / "net").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layers.0.weight", np.nan, "must be finite, got nan"),
        ("layers.0.lsh.scale", np.inf, "must be finite and >= 0, got inf"),
    ],
)
def test_a_network_that_no_file_can_hold_leaves_the_old_file_whole(
    fitted, tmp_path, name, value, message
):
    network().save(tmp_path / "net")
    before = (tmp_path / "net").read_bytes()
    fitted._core.tensors()[name].flat[0] = value
    with pytest.raises(ValueError, match=f"tensor {name!r} {message}"):
        fitted.save(tmp_path / "net")
    assert (tmp_path / "net").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_as_much_extra_as_is_allowed_can_be_read_again(tmp_path):
    net = Network(3, [Dense(2)])
    net.extra = {"worst": '"' * (LONGEST_METADATA // 2 - 2000)}  # each escaped twice in the header
    net.save(tmp_path / "net")
    assert hashgrad.load(tmp_path / "net").extra == net.extra


def refuse(code):
    def call(*arguments):
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize("step", ["fsync", "close", "chmod", "rename"])
def test_a_full_disk_leaves_the_old_file_whole(fitted, blobs, tmp_path, monkeypatch, step):
    path = tmp_path / "net"
    network().save(path)
    before = path.read_bytes()
    if step in ("fsync", "close"):
        monkeypatch.setattr(os, step, refuse(errno.ENOSPC))
    else:
        monkeypatch.setattr(pathlib.Path, step.replace("rename", "replace"), refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left on device") as caught:
        fitted.save(path)
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["net"]
    fitted.save(path)
    assert same_bits(hashgrad.load(path), fitted)


@pytest.mark.parametrize(
    "write", [Network.save, lambda _, path: write_atomically(path, [b"some", b"x" * 50_000])]
)
def test_a_file_size_limit_of_the_system_leaves_the_old_file_whole(fitted, tmp_path, write):
    path = tmp_path / "net"
    network().save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(OSError, match="File too large") as caught:
            write(fitted, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("I/O error: No space left on device (os error 28)", errno.ENOSPC),
        ('IoError(Os { code: 28, kind: StorageFull, message: "No space left" })', errno.ENOSPC),
        ("something else", errno.EIO),
    ],
)
def test_every_version_of_the_library_tells_why_it_could_not_write(
    tmp_path, monkeypatch, words, number
):
    def save_file(tensors, path, metadata):
        raise safetensors.SafetensorError(f"Error while serializing: {words}")

    monkeypatch.setattr("hashgrad.files.save_file", save_file)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        network().save(tmp_path / "net")
    assert caught.value.errno == number
    assert caught.value.filename == str(tmp_path / "net")
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_cannot_be_mapped_is_an_error_that_names_it():
    with pytest.raises(OSError, match="could not be read") as caught:
        hashgrad.load("/dev/urandom")
    assert caught.value.filename == "/dev/urandom"


def test_no_permission_is_an_error_that_names_the_file(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: refuse(errno.EACCES)())
    with pytest.raises(PermissionError, match="Permission denied") as caught:
        fitted.save(tmp_path / "net")
    assert caught.value.filename == str(tmp_path / "net")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_refused(fitted, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            fitted.save(tmp_path / "net")
    finally:
        tmp_path.chmod(0o700)


def test_a_missing_folder_or_a_folder_in_the_files_place_is_an_error(fitted, tmp_path):
    with pytest.raises(FileNotFoundError):
        fitted.save(tmp_path / "missing" / "net")
    with pytest.raises(IsADirectoryError):
        fitted.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        hashgrad.load(tmp_path / "missing")


def test_a_new_file_has_ordinary_permissions_and_a_replaced_one_keeps_its_own(fitted, tmp_path):
    mask = os.umask(0o027)
    try:
        fitted.save(tmp_path / "net")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "net").stat().st_mode) == 0o640
    (tmp_path / "net").chmod(0o604)
    fitted.save(tmp_path / "net")
    assert stat.S_IMODE((tmp_path / "net").stat().st_mode) == 0o604


def test_a_link_goes_on_pointing_to_the_file(fitted, tmp_path):
    network().save(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    fitted.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert same_bits(hashgrad.load(tmp_path / "real"), fitted)


def test_a_process_killed_while_writing_leaves_the_old_file_whole(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    program = (
        "import os, signal, sys; from hashgrad.atomic import write_atomically\n"
        "def pieces():\n"
        "    yield b'new' * 10\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(sys.argv[1], pieces())\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "file"], check=False)
    assert done.returncode == -9
    assert (tmp_path / "file").read_bytes() == b"old"
    write_atomically(tmp_path / "file", [b"new"])
    assert (tmp_path / "file").read_bytes() == b"new"


def test_importing_the_package_loads_neither_scikit_learn_nor_rich():
    program = (
        "import sys, hashgrad\n"
        "found = {'sklearn', 'scipy', 'rich', 'typer', 'torch'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
