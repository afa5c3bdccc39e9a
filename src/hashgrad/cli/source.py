"""The rows that `hashgrad train` learns from: a data set in memory, or a stream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashgrad import Network, datasets
from hashgrad.datasets import Dataset, RowStream, Weighting
from hashgrad.datasets.loading import kind_of

from .loading import load_data, weighted, weighting_of
from .reading import Reading


@dataclass(frozen=True)
class StreamedData:
    """What `train --stream` trains on, as far as it is asked the questions of a `Dataset`."""

    stream: RowStream
    x_test: Any  # None where there are no test rows
    y_test: Any
    classes: None = None
    task: str = "multilabel"

    @property
    def name(self) -> str:
        """What the file is called in messages."""
        return str(self.stream.path)

    @property
    def n_rows(self) -> int:
        """Training rows."""
        return self.stream.n_rows

    @property
    def n_features(self) -> int:
        """Width of every row."""
        return self.stream.n_features

    @property
    def n_outputs(self) -> int:
        """Outputs that a network needs: the labels."""
        return self.stream.n_labels

    @property
    def first_index(self) -> int:
        """Number of the first feature in the file."""
        return self.stream.first_index

    def __repr__(self) -> str:
        test = "no test rows" if self.x_test is None else f"{self.x_test.shape[0]:,} test rows"
        return f"{self.stream!r}, {test}"


@dataclass(frozen=True)
class Source:
    """Where the rows come from, as the options say it.

    Args:
        data: a name or a path.
        test: a file with test rows, or the share of the rows to hold out; None takes its own.
        reading: how files are read.
        stream: read it anew for each epoch.
        weighting: what to fit to the training rows; None leaves rows as they are.
    """

    data: str
    test: str | None
    reading: Reading
    stream: bool
    weighting: str | None

    def rows(
        self,
        task: str | None,
        seed: int,
        network: Network | None = None,
        growing: bool = False,
    ) -> tuple[Dataset | StreamedData, Weighting | None]:
        """The rows, weighted, and their weighting: the network's, if there is one already.

        Args:
            task: what the targets mean; None reads it off them, or takes the network's.
            seed: of the order of a stream.
            network: the network they are for: fixes the width, the task and the classes.
            growing: the rows may have more labels than the network.

        Raises:
            OSError: a file cannot be read.
            ValueError: as `load_data`, or a stream of something else than a file of many labels.
        """
        if self.stream:
            data = self._streamed(task, seed, network)
            return data, data.stream.weighting
        whole = load_data(
            self.data,
            self.test,
            reading=self.reading,
            task=task,
            network=network,
            growing=growing,
        )
        if network is not None:
            return whole, weighting_of(network)
        weights = Weighting.fitted(self.weighting, whole.x_train) if self.weighting else None
        return weighted(whole, weights), weights

    def _streamed(self, task: str | None, seed: int, network: Network | None) -> StreamedData:
        if task not in (None, "multilabel"):
            raise ValueError(f"--stream needs --task multilabel, got {task!r}")
        if network is not None and network.loss == "squared":
            raise ValueError(f"--stream needs a model of many labels, got {network.loss!r} loss")
        for what, path in (("DATA", self.data), ("--test", self.test)):
            if path is not None and not Path(path).is_file():
                raise ValueError(f"{what} must be a file with --stream, got {path!r}")
        settings = self.reading.settings(self.data, network)
        stream = RowStream(
            self.data,
            seed=seed,
            n_features=None if network is None else network.n_inputs,
            weighting=self.weighting if network is None else weighting_of(network),
            **settings,
        )
        if self.test is None:
            return StreamedData(stream, None, None)
        if kind_of(Path(self.data)) == "svmlight":
            settings["first_index"] = stream.first_index
        apart = datasets.load(
            self.test, task="multilabel", n_features=stream.n_features, **settings
        )
        stream.widen(apart.n_classes)
        apart.y_train.resize((apart.n_rows, stream.n_labels))
        apart = weighted(apart, stream.weighting)
        return StreamedData(stream, apart.x_train, apart.y_train)
