"""What the tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hashgrad.cli import main

# A second's work, whatever the library's defaults are.
SMALL = ("--hidden", "40", "--epochs", "2", "--learning-rate", "0.05")


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line that bad input earns."""
        assert self.code == 2, self
        assert self.err.startswith("hashgrad: "), self
        assert self.err.count("\n") == 1, self
        assert self.err.endswith("\n"), self
        return self.err.removeprefix("hashgrad: ").rstrip("\n")


Hashgrad = Callable[..., Answer]


def caller(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    """A function that runs `hashgrad` with some words and returns how it went."""

    def run(*words: object) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return run
