"""The paper's experiments, and a ledger that proves or denies each of its claims.

`hashgrad reproduce` runs them; see `reproduce`.

Source: Spring and Shrivastava (2016), arXiv 1602.08194.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hashgrad.checks import one_of

from ..pages import document
from ..pages.page import Claim, Page, Section
from . import ablation, accuracy, asynchronous, cost, depth, scaling, stream
from .lab import Lab, NotRunError, Say
from .parts import Part, command
from .sizes import SIZES, Size

__all__ = ["PARTS", "SIZES", "Page", "Say", "reproduce"]

_SUMMARY = (
    "Spring and Shrivastava (2016) train networks that evaluate, for each input, only the few "
    "neurons with the largest activations (the active ones), found by hashing: LSH. Beside it "
    "stand the dense network (NN), the exact choice (WTA), and two kinds of dropout (VD, AD). "
    "Each of their claims is tested here; 'open' means that this run cannot tell."
)
_SIZES_SAID = {
    "quick": "quick: small networks, few examples; a smoke test, which says nothing of the paper",
    "full": "full: the paper's networks",
}

PARTS: dict[str, Callable[[Lab, Size], Part]] = {
    part.NAME: part.run for part in (accuracy, asynchronous, scaling, cost, depth, ablation, stream)
}


def reproduce(
    out: str | os.PathLike[str],
    size: str = "quick",
    only: Sequence[str] = (),
    say: Say | None = None,
    typed: str | None = None,
) -> Page:
    """Run the experiments and write `results.json`, the figures and `report.html` into a folder.

    What `results.json` of an earlier session holds is not run again: a session that was stopped
    goes on. Ctrl-C writes the report of what is there, and is raised again.

    Args:
        out: the folder; made if it is not there.
        size: `"quick"` (minutes) or `"full"` (the paper's networks, hours).
        only: parts to run, of `PARTS`; all by default. The report shows those others whose
            results are known.
        say: is told of each run that is done: a line, how many of its batch are done, of how many.
        typed: the command that a person typed, for the record.

    Returns:
        What the report shows.

    Raises:
        ValueError: an unknown size or part, or a `results.json` that is not ours.
        ModuleNotFoundError: Matplotlib is missing (`pip install 'hashgrad[report]'`).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = reproduce(folder, only=["cost"])
        >>> [section.name for section in page.sections if not section.missing]
        ['cost']
    """
    if size not in SIZES:
        raise one_of("size", size, SIZES)
    for name in only:
        if name not in PARTS:
            raise one_of("only", name, PARTS)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in PARTS if name in only or not only]
    with Lab(folder, typed or f"hashgrad reproduce --{size} --out {folder}", say, size=size) as lab:
        try:
            for name in wanted:
                _run(name, lab, SIZES[size])
        finally:
            lab.offline = True
            page = _page(lab, SIZES[size])
            document.write(page, folder)
    return page


def _run(name: str, lab: Lab, size: Size) -> Part:
    try:
        return PARTS[name](lab, size)
    except FileNotFoundError as error:  # the data is not here
        return _missing(name, str(error))
    except NotRunError:
        return _missing(name, f"Not run yet: {command(size, name)}.")


def _missing(name: str, why: str) -> Part:
    title = name.capitalize()
    return Part(Section(name=name, title=title, sentence="", missing=why), ())


def _page(lab: Lab, size: Size) -> Page:
    parts = [_run(name, lab, size) for name in PARTS]
    claims: list[Claim] = [claim for part in parts for claim in part.claims]
    if size.name != "full":
        claims = [_of_no_weight(claim) for claim in claims]
    return Page(
        title=f"hashgrad: the claims of arXiv 1602.08194, tested at the {size.name} size",
        about=_about(lab, size),
        claims=tuple(claims),
        sections=tuple(part.section for part in parts),
    )


def _of_no_weight(claim: Claim) -> Claim:
    """A claim at a size that says nothing of the paper's: what was found stays, the verdict not."""
    words = {True: "holds", False: "does not hold", None: "stays open"}
    return replace(claim, held=None, note=f"At this size it {words[claim.held]}. {claim.note}")


def _about(lab: Lab, size: Size) -> tuple[tuple[str, str], ...]:
    sessions: list[dict[str, Any]] = lab.sessions or [lab.here]
    versions = {
        ", ".join(f"{name} {version}" for name, version in sorted(session["versions"].items()))
        for session in sessions
    }
    machines = {
        f"{session['processor']}, {session['hardware_threads']} threads, {session['simd']}"
        for session in sessions
    }

    def each(name: str) -> str:
        return ", ".join(sorted({str(session[name] or "unknown") for session in sessions}))

    return (
        ("what this is", _SUMMARY),
        ("size", _SIZES_SAID[size.name]),
        ("date", each("date")),
        ("commit", each("commit")),
        ("machine", "; ".join(sorted(machines))),
        ("versions", "; ".join(sorted(versions))),
        ("results", f"{len(lab.results):,} in results.json, each with its command and seed"),
    )
