"""How files of rows are read: what the options say, what a model keeps, what was skipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

import hashgrad
from hashgrad.checks import one_of
from hashgrad.datasets import BadRows
from hashgrad.datasets.bad_rows import POLICIES
from hashgrad.datasets.loading import kind_of

# In a network's `extra`.
FIRST_INDEX = "input_first_index"
COLUMNS = "input_columns"


@dataclass(frozen=True)
class Reading:
    """What the user says of how files are read."""

    first_index: int | None
    columns: list[str] | None
    judge: BadRows

    @classmethod
    def told(cls, first_index: int | None, columns: str | None, bad_rows: str) -> Reading:
        """From the options' words; ValueError if they are no such words."""
        if first_index not in (None, 0, 1):
            raise ValueError(f"--first-index must be 0 or 1, got {first_index}")
        names = None if columns is None else [name.strip() for name in columns.split(",")]
        if names is not None and len(set(names)) != 3:
            raise ValueError(f"--columns must be three names with commas between, got {columns!r}")
        if bad_rows not in POLICIES:
            raise one_of("--bad-rows", bad_rows, POLICIES)
        return cls(first_index, names, BadRows(bad_rows))

    def settings(self, source: str, network: hashgrad.Network | None) -> dict[str, Any]:
        """For `datasets.load`: what the user says, or else what a model keeps for such files."""
        said = {"first_index": self.first_index, "columns": self.columns}
        if network is not None and Path(source).is_file():
            kind = kind_of(Path(source))
            for name, key, home in (
                ("first_index", FIRST_INDEX, "svmlight"),
                ("columns", COLUMNS, "parquet"),
            ):
                if said[name] is None and kind == home:
                    said[name] = network.extra.get(key)
        return {**said, "bad_rows": self.judge}

    def tell(self, quiet: bool) -> None:
        """Say on standard error which rows were skipped."""
        if self.judge.count:
            Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True).print(
                str(self.judge), markup=False
            )

    def notes(self, data: Any, network: hashgrad.Network | None) -> dict[str, Any]:
        """What a model should know of it: the first file that says something settles it."""
        kept = {} if network is None else network.extra
        said = {FIRST_INDEX: data.first_index, COLUMNS: self.columns}
        notes = {key: said[key] if kept.get(key) is None else kept[key] for key in said}
        return {key: value for key, value in notes.items() if value is not None}
