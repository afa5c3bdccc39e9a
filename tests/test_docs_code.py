"""What the pages of the documentation show works as it stands there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from hashgrad.cli import main
from markdown_code import agrees, blocks, commands

SITE = Path(__file__).parent.parent / "docs" / "site"
PAGES = {path.relative_to(SITE).as_posix(): path for path in sorted(SITE.rglob("*.md"))}
BLOCKS = {name: blocks(path.read_text(encoding="utf-8")) for name, path in PAGES.items()}
LEFT_OUT = [(name, block) for name, found in BLOCKS.items() for block in found if block.reason]
MOST_LEFT_OUT = 2


@pytest.mark.parametrize("name", [name for name, found in BLOCKS.items() if found])
def test_the_code_of_a_page_runs_and_prints_what_is_shown(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HASHGRAD_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", ["python"])
    names = {"__name__": "__main__"}
    for block in BLOCKS[name]:
        where = f"{name}, line {block.line}"
        capsys.readouterr()
        if block.reason:
            continue
        if block.language == "python":
            code = compile("\n" * (block.line - 1) + block.code, str(PAGES[name]), "exec")
            with threadpool_limits(1):  # small products only wait for each other
                exec(code, names)
            printed = capsys.readouterr().out
            assert block.shown is None or agrees(block.shown, printed), (where, printed)
            continue
        for command in commands(block):
            assert main(command.words[1:]) == 0, (where, command.words, capsys.readouterr())
            printed = capsys.readouterr().out
            assert not command.shown or agrees(command.shown, printed), (where, printed)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_is_of_a_kind_that_is_run(name: str) -> None:
    for block in BLOCKS[name]:
        if block.reason is None:
            assert block.language in ("python", "console"), (name, block.line)
        if block.language == "console" and block.reason is None:
            found = list(commands(block))
            assert found, (name, block.line)
            assert {command.words[0] for command in found} == {"hashgrad"}, (name, block.line)


def test_hardly_a_block_is_left_out() -> None:
    assert len(LEFT_OUT) <= MOST_LEFT_OUT, [(name, b.line, b.reason) for name, b in LEFT_OUT]


def test_most_pages_of_tasks_have_code_and_show_what_it_prints() -> None:
    tasks = {name: found for name, found in BLOCKS.items() if name.startswith("howto/")}
    del tasks["howto/index.md"]
    assert [name for name, found in tasks.items() if not found] == []
    silent = [
        name
        for name, found in tasks.items()
        if not any(b.shown or b.language == "console" for b in found)
    ]
    assert silent == []
