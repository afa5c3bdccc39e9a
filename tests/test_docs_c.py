"""The C program of the documentation compiles, and answers as the network does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hashgrad import datasets
from markdown_code import blocks

PAGE = Path(__file__).parent.parent / "docs" / "site" / "howto" / "export-c.md"


@pytest.mark.compiler
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_program_of_the_page_says_what_digit_each_row_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(PAGE.read_text(encoding="utf-8"))
    python = next(block.code for block in found if block.language == "python")
    (program,) = (block.code for block in found if block.language == "c")
    names: dict = {}
    exec(compile(python, str(PAGE), "exec"), names)
    Path("main.c").write_text(program, encoding="utf-8")
    command = ["gcc", "-std=c99", "-Wall", "-Werror", "main.c", "digits.c", "-o", "digits"]
    subprocess.run(command, check=True)
    rows = datasets.load("digits").x_test[:40]
    text = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in rows)
    said = subprocess.run(["./digits"], input=text, capture_output=True, text=True, check=True)
    assert np.array_equal(
        np.array(said.stdout.split(), dtype=int), names["net"].compact().predict(rows)
    )
