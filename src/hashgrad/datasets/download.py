"""Fetching the IDX files of a named set from public mirrors, each checked by its SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .folders import where_to_put

_TIMEOUT = 30  # seconds without an answer until the next mirror is tried


@dataclass(frozen=True)
class Source:
    """Mirrors of a set, in the order to try them, and the checksum of each file."""

    mirrors: tuple[str, ...]
    sha256: Mapping[str, str]


SOURCES = {
    "mnist": Source(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256={
            "train-images-idx3-ubyte.gz": (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            "train-labels-idx1-ubyte.gz": (
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
    ),
    "fashion-mnist": Source(
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        sha256={
            "train-images-idx3-ubyte.gz": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte.gz": (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
    ),
}


def download(name: str, folder: Path) -> None:
    """Bring the files of a named set into a folder; those there already are checked and kept.

    Args:
        name: a key of `SOURCES`.
        folder: made where it does not exist.

    Raises:
        FileNotFoundError: no mirror delivers; the message names the files and where to put them.
    """
    import pooch

    source = SOURCES[name]
    for file, sha256 in source.sha256.items():
        failures = []
        for mirror in source.mirrors:
            try:
                pooch.retrieve(
                    mirror + file,
                    known_hash=f"sha256:{sha256}",
                    fname=file,
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=_TIMEOUT),
                )
                break
            # OSError: no network, no answer, or no write permission; ValueError: wrong checksum.
            except (OSError, ValueError) as error:
                failures.append(f"{urlsplit(mirror).netloc}: {_in_short(error)}")
        else:
            raise FileNotFoundError(
                f"{name} is not on this machine, and {file} could not be downloaded "
                f"({'; '.join(failures)}). {where_to_put(name, ', '.join(source.sha256))}. "
                "The sets digits, convex, rectangles and rectangles-image need no files."
            )


def _in_short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__} {text if len(text) <= 100 else text[:97] + '...'}"
