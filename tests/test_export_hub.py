"""HubModel saves a network to a folder as the Hub has it, and loads it; no network is asked."""

import builtins
import importlib
import json
import sys

import pytest

from conftest import N_INPUTS, network, same_bits
from hashgrad import load

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture(scope="module")
def fitted(blobs):
    return network().fit(*blobs, epochs=1)


@pytest.fixture
def folder(fitted, tmp_path):
    from hashgrad.export.hub import HubModel

    HubModel(fitted).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_gives_back_the_same_network(fitted, folder):
    from hashgrad.export.hub import HubModel

    model = HubModel.from_pretrained(folder)
    assert isinstance(model, hub.ModelHubMixin)
    assert same_bits(model.network, fitted)


def test_the_folder_holds_an_ordinary_model_file_its_specification_and_a_card(fitted, folder):
    names = {file.name for file in folder.iterdir()}
    assert names == {"model.safetensors", "config.json", "README.md"}
    assert same_bits(load(folder / "model.safetensors"), fitted)
    assert json.loads((folder / "config.json").read_text())["n_inputs"] == N_INPUTS
    assert "library_name: hashgrad" in (folder / "README.md").read_text()


def test_what_was_loaded_can_be_saved_again(folder, fitted, tmp_path):
    from hashgrad.export.hub import HubModel

    HubModel.from_pretrained(folder).save_pretrained(tmp_path / "again")
    assert same_bits(HubModel.from_pretrained(tmp_path / "again").network, fitted)


def test_a_folder_without_a_model_says_so(tmp_path):
    from hashgrad.export.hub import HubModel

    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        HubModel.from_pretrained(tmp_path)


def test_only_a_network_can_be_wrapped():
    from hashgrad.export.hub import HubModel

    with pytest.raises(TypeError, match="network must be a Network, got 3"):
        HubModel(3)


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "huggingface_hub":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "hashgrad.export.hub", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'hashgrad\[hub\]'"):
        importlib.import_module("hashgrad.export.hub")
