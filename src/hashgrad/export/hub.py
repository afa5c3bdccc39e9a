"""Networks on the Hugging Face Hub: saved to a folder, pushed, and loaded back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hashgrad.checks import wrong_type
from hashgrad.files import load
from hashgrad.network import Network

try:
    from huggingface_hub import ModelHubMixin, constants, hf_hub_download
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "the Hugging Face Hub needs the package huggingface_hub: pip install 'hashgrad[hub]'"
    ) from None

MODEL_FILE: str = constants.SAFETENSORS_SINGLE_FILE  # what the Hub looks for: model.safetensors


class HubModel(
    ModelHubMixin, library_name="hashgrad", tags=["hashgrad", "locality-sensitive-hashing"]
):
    """A network with the methods of Hugging Face's `ModelHubMixin`.

    `save_pretrained(folder)` writes `model.safetensors`, the file of `Network.save`; `config.json`,
    the network's specification, for people and the Hub to read; and a model card, `README.md`,
    unless there is one. `push_to_hub(repo_id)` sends the same to the Hub, and
    `HubModel.from_pretrained(folder or repo_id)` reads it back: all of the network is in
    `model.safetensors`, so that it predicts and trains on as before.

    Args:
        network: the network.

    Attributes:
        network: the network.

    Raises:
        TypeError: not a `Network`.

    Example:
        >>> import tempfile
        >>> from hashgrad import Dense, Network
        >>> from hashgrad.export.hub import HubModel
        >>> net = Network(2, [Dense(4), Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = HubModel(net).save_pretrained(folder)
        ...     same = HubModel.from_pretrained(folder).network
        >>> bool((same.predict([[1.0, 2.0]]) == net.predict([[1.0, 2.0]])).all())
        True

    Source: https://huggingface.co/docs/huggingface_hub/package_reference/mixins
    """

    def __init__(self, network: Network) -> None:
        if not isinstance(network, Network):
            raise wrong_type("network", "a Network", network)
        self.network = network

    def _save_pretrained(self, save_directory: Path) -> None:
        self._hub_mixin_config = self.network.specification()
        self.network.save(save_directory / MODEL_FILE)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **_: Any,
    ) -> HubModel:
        if Path(model_id).is_dir():
            return cls(load(Path(model_id) / MODEL_FILE))
        file = hf_hub_download(
            repo_id=model_id,
            filename=MODEL_FILE,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            token=token,
            local_files_only=local_files_only,
        )
        return cls(load(file))
