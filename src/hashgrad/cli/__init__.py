"""The command line `hashgrad`: one module of this folder for each of its commands.

Bad input ends with one line on standard error and exit code 2, Ctrl-C with exit code 130.
`HASHGRAD_TRACEBACK=1` shows where an error came from.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from hashgrad import __version__

from . import about, advise, bench, export, predict, report, reproduce, train, wording

__all__ = ["app", "main"]

UNHEARD = 1  # Typer's own answer to a closed pipe
BAD_INPUT = 2
INTERRUPTED = 130

# Typer's own error about how a command was called; Typer exports only this class below it.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_ERRORS = (
    *(ValueError, TypeError, OSError, ImportError),
    *(MemoryError, ArithmeticError, RuntimeError),
)

app = typer.Typer(
    name="hashgrad",
    help="Neural networks that train and predict on the few neurons each input needs.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    train.train,
    predict.evaluate,
    predict.predict,
    advise.advise,
    advise.sparsify,
    about.info,
    report.report,
    export.export,
    bench.bench,
    reproduce.reproduce,
    about.doctor,
):
    app.command()(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hashgrad {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version),
    ] = False,
) -> None:
    """Neural networks that train and predict on the few neurons each input needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for bad input, 130 after Ctrl-C.

    Args:
        arguments: the words after `hashgrad`; the process's own by default.

    Example:
        >>> main(["--version"])  # doctest: +ELLIPSIS
        hashgrad ...
        0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=words, prog_name="hashgrad", standalone_mode=False, obj=words)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads our output has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the last flush, at exit
        return UNHEARD
    except _UsageError as error:
        return _complain(error.format_message())  # type: ignore[attr-defined]
    except _ERRORS as error:
        if os.environ.get("HASHGRAD_TRACEBACK"):
            raise
        return _complain(wording.in_options(_in_words(error), _options_of(words)))
    return code if isinstance(code, int) else 0


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _options_of(words: Sequence[str]) -> dict[str, str]:
    """The options of the command that these words call."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    called = next((word for word in words if word in commands), None)
    return {} if called is None else wording.options_of(commands[called])


def _complain(message: str) -> int:
    if message.strip():  # Typer has shown the help already where there is nothing to say
        print(f"hashgrad: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return BAD_INPUT
