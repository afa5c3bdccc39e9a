"""Sets with a name: where they are looked for, and what is said when they are nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest

from data_files import IDX_NAMES, small_images, write_idx_set
from hashgrad.datasets import load, names
from hashgrad.datasets.download import SOURCES

XC = "2 3 4\n0,3 1:0.5\n1 0:1\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no data folder, and a network that nothing may touch."""
    monkeypatch.delenv("HASHGRAD_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: str(tmp_path / "cache" / project))

    def refuse(url: str, **_: Any) -> str:
        raise AssertionError(f"download of {url} attempted")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    return tmp_path / "cache" / "hashgrad"


def serve(
    monkeypatch: pytest.MonkeyPatch, files: Path, broken: dict[str, Exception] | None = None
) -> list[tuple[str, str]]:
    """Replace the network by a folder; a mirror whose host is in `broken` raises instead."""
    asked: list[tuple[str, str]] = []

    def retrieve(url: str, known_hash: str, fname: str, path: Path, downloader: Any) -> str:
        asked.append((url, known_hash))
        for host, error in (broken or {}).items():
            if host in url:
                raise error
        path.mkdir(parents=True, exist_ok=True)
        return str(shutil.copy(files / fname, path / fname))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    return asked


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_of_ones_own_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, name: str, suffix: str
):
    write_idx_set(tmp_path / "data" / name, suffix, n_train=6)
    write_idx_set(cache / name, n_train=3)
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path / "data"))
    data = load(name)
    assert data.name == name
    assert data.x_train.shape == (6, 12)
    np.testing.assert_array_equal(data.x_train, small_images()[0].reshape(6, 12) / np.float32(255))
    assert data.y_train.dtype == np.int32


def test_the_cache_comes_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path):
    write_idx_set(cache / "mnist", n_train=3)
    assert load("mnist").x_train.shape == (3, 12)
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path))  # which has no folder mnist
    assert load("mnist").x_train.shape == (3, 12)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_download_comes_last_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, name: str
):
    asked = serve(monkeypatch, write_idx_set(tmp_path / "mirror", ".gz"))
    assert load(name).x_train.shape == (6, 12)
    assert sorted(path.name for path in (cache / name).iterdir()) == sorted(
        f"{file}.gz" for file in IDX_NAMES
    )
    expected = {f"sha256:{digest}" for digest in SOURCES[name].sha256.values()}
    assert {known_hash for _, known_hash in asked} == expected
    asked.clear()
    assert load(name).x_train.shape == (6, 12)
    assert asked == []


def test_an_interrupted_download_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
):
    mirror = write_idx_set(tmp_path / "mirror", ".gz")
    write_idx_set(cache / "mnist", ".gz")
    (cache / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    serve(monkeypatch, mirror)
    assert load("mnist").x_test.shape == (4, 12)


@pytest.mark.parametrize("error", [ConnectionError("no route"), ValueError("hash differs")])
def test_the_next_mirror_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    mirror = write_idx_set(tmp_path / "mirror", ".gz")
    asked = serve(monkeypatch, mirror, broken={"ossci-datasets": error})
    assert load("mnist").x_train.shape == (6, 12)
    assert len(asked) == 8


def test_offline_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch, cache: Path):
    error = ConnectionError("name\nnot resolved " + "x" * 300)
    serve(monkeypatch, Path("nowhere"), broken={"": error})
    with pytest.raises(FileNotFoundError) as caught:
        load("mnist")
    message = str(caught.value)
    for file in IDX_NAMES:
        assert f"{file}.gz" in message
    assert str(cache / "mnist") in message
    assert "HASHGRAD_DATA is not set" in message
    assert "ossci-datasets.s3.amazonaws.com: ConnectionError name not resolved" in message
    assert len(message) < 1200


def test_the_message_shows_the_variable_as_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        load("bibtex")
    assert f"HASHGRAD_DATA is {str(tmp_path)!r}" in str(caught.value)


def test_a_variable_that_names_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HASHGRAD_DATA", "/no/such/folder")
    with pytest.raises(FileNotFoundError, match="HASHGRAD_DATA must name a folder, got '/no/such"):
        load("mnist")
    assert load("rectangles", train_size=2, test_size=2).n_classes == 2  # needs no files


def test_an_incomplete_folder_of_ones_own_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
):
    write_idx_set(tmp_path / "data" / "mnist")
    (tmp_path / "data" / "mnist" / "train-labels-idx1-ubyte").unlink()
    write_idx_set(cache / "mnist")
    monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path / "data"))
    with pytest.raises(FileNotFoundError, match="missing: train labels"):
        load("mnist")


@pytest.mark.parametrize("name", ["bibtex", "delicious"])
@pytest.mark.parametrize("place", ["own", "cache"])
def test_multilabel_sets_are_read_from_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, name: str, place: str
):
    folder = (tmp_path / "data" if place == "own" else cache) / name
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text(XC)
    (folder / "test.txt").write_text("1 3 4\n2 2:1\n")
    if place == "own":
        monkeypatch.setenv("HASHGRAD_DATA", str(tmp_path / "data"))
    data = load(name)
    assert (data.task, data.n_classes, data.x_train.shape) == ("multilabel", 4, (2, 3))
    assert data.y_test.toarray().tolist() == [[0, 0, 1, 0]]
    (folder / "test.txt").write_text("1 3 5\n2 2:1\n")
    with pytest.raises(ValueError, match="equally many labels, got 4 and 5"):
        load(name)


def test_a_multilabel_set_that_is_nowhere_says_what_to_do(cache: Path):
    with pytest.raises(FileNotFoundError, match=r"bibtex is not on this machine.*train\.txt") as e:
        load("bibtex")
    assert str(cache / "bibtex") in str(e.value)


def test_digits_are_split_by_the_seed():
    data, again, other = load("digits", seed=1), load("digits", seed=1), load("digits", seed=2)
    assert (data.x_train.shape, data.x_test.shape) == ((1438, 64), (359, 64))
    assert (data.x_train.dtype, data.x_train.min(), data.x_train.max()) == (np.float32, 0, 1)
    assert data.x_test.tobytes() == again.x_test.tobytes()
    assert data.x_test.tobytes() != other.x_test.tobytes()


def test_fixed_sets_give_their_first_rows(cache: Path):
    write_idx_set(cache / "mnist")
    data = load("mnist", train_size=2, test_size=1)
    assert (data.x_train.shape, data.x_test.shape, data.n_classes) == ((2, 12), (1, 12), 3)
    with pytest.raises(ValueError, match=r"train_size of mnist must be .* \[1, 6\], got 7"):
        load("mnist", train_size=7)


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("mnst", "mnist"), ("fashion_mnist", "fashion-mnist"), ("rectangle", "rectangles")],
)
def test_an_unknown_name_brings_the_nearest_and_the_list(word: str, nearest: str):
    with pytest.raises(ValueError, match=f"got '{word}'; did you mean '{nearest}'") as caught:
        load(word)
    assert all(repr(name) in str(caught.value) for name in names())


def test_a_path_is_told_from_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_idx_set(tmp_path / "digits")
    assert load("./digits").x_train.shape == (6, 12)
    assert load(Path("digits")).x_train.shape == (6, 12)
    assert load("digits").n_features == 64
    for missing in ("some.npz", "folder/mnist", Path("mnist")):
        with pytest.raises(FileNotFoundError, match="no such file or folder"):
            load(missing)
    with pytest.raises(ValueError, match="data set must be one of"):
        load("")


def test_arguments_that_do_not_apply_are_refused(tmp_path: Path):
    for arguments in ({"test": 0.2}, {"task": "regression"}, {"classes": [0, 1]}):
        with pytest.raises(ValueError, match=f"{next(iter(arguments))} is for files"):
            load("digits", **arguments)
    folder = write_idx_set(tmp_path / "set")
    with pytest.raises(ValueError, match="test is for single files"):
        load(folder, test=0.2)
    assert load(folder, task="classification").n_classes == 3
    with pytest.raises(ValueError, match="task must be 'classification' for the folder"):
        load(folder, task="regression")
    with pytest.raises(ValueError, match="digits must have n_features=65, got 64"):
        load("digits", n_features=65)
    with pytest.raises(ValueError, match=r"task must be one of .* did you mean 'regression'"):
        load(folder, task="regressing")
    with pytest.raises(ValueError, match="seed must be an integer >= 0, got -1"):
        load("digits", seed=-1)


def test_folders_and_endings_that_say_nothing_are_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="four IDX files"):
        load(tmp_path)
    (tmp_path / "table.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match=r"must end in one of \.npz.* got \.csv"):
        load(tmp_path / "table.csv")
    (tmp_path / "a.amat").write_text("1 2\n")
    (tmp_path / "b.svm").write_text("1 1:2\n")
    with pytest.raises(FileNotFoundError, match="test must be a file or a share of the rows, got"):
        load(tmp_path / "a.amat", test="missing")
    with pytest.raises(ValueError, match=r"test must have the format of .*a\.amat, got .*b\.svm"):
        load(tmp_path / "a.amat", test=tmp_path / "b.svm")
