"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli_help import caller
from hashgrad import cli
from markdown_code import blocks, commands

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")

PYTHON = [block.code for block in blocks(TEXT) if block.language == "python"]
COMMANDS = [
    command.words
    for block in blocks(TEXT)
    if block.language == "console"
    for command in commands(block)
    if command.words[0] == "hashgrad"
]


def test_there_is_something_to_check() -> None:
    assert PYTHON
    assert COMMANDS


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_the_python_examples_run_and_print_what_their_comments_say(
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(README), "exec"), {})
    printed = [float(number) for number in re.findall(r"\d\.\d+", capsys.readouterr().out)]
    promised = [float(number) for number in re.findall(r"# .*?(\d\.\d+)", code)]
    assert promised
    for number in promised:
        # The last digits depend on the instruction set.
        assert any(abs(number - other) <= 0.02 for other in printed), (number, printed)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_commands_have_the_options_shown(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ran: list[str] = []
    for module, name in (
        (cli.train, "Source"),
        (cli.predict, "hashgrad"),
        (cli.about, "files"),
        (cli.export, "hashgrad"),
        (cli.bench, "suite"),
        (cli.reproduce, "folder_for_pictures"),
    ):
        monkeypatch.setattr(module, name, Stop(ran))
    answer = caller(capsys)(*command[1:])
    assert answer.code == 0 or ran == ["reached"], answer


class Stop:
    """Stands where a command starts to work: its options have been understood by then."""

    def __init__(self, ran: list[str]) -> None:
        self.ran = ran

    def __getattr__(self, name: str) -> object:
        return self

    def __call__(self, *arguments: object, **settings: object) -> None:
        self.ran.append("reached")
        raise KeyboardInterrupt


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT))
def test_links_to_files_lead_somewhere(target: str) -> None:
    assert (README.parent / target).exists()
