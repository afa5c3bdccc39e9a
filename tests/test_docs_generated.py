"""The documentation leaves nothing out: parameters, commands, results, public names, pictures."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

import hashgrad
from hashgrad import advising, callbacks, datasets, export, metrics, sparsification, torch
from hashgrad.cli import app
from hashgrad.defaults import PARAMETERS

ROOT = Path(__file__).parent.parent
SITE = ROOT / "docs" / "site"


@pytest.fixture(scope="module")
def contents() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs" / "generate"))
        import contents

        yield contents
        del sys.modules["contents"]


def test_every_parameter_is_in_the_table_with_its_default(contents: ModuleType) -> None:
    page = contents.PAGES["reference/parameters.md"]()
    rows = {row.split("|")[1].strip(): row for row in page.splitlines() if row.startswith("| `")}
    for name, parameter in PARAMETERS.items():
        own_name = f"`{name}`" in rows
        member, _, shared = name.rpartition("_")
        assert own_name or f"`{shared}`" in rows, name
        row = rows[f"`{name}`" if own_name else f"`{shared}`"]
        assert parameter.help in row or not own_name
        if parameter.default is not None:
            assert f"`{parameter.default}`" in row, name
        assert member or own_name


def test_every_command_and_option_is_on_its_page(contents: ModuleType) -> None:
    page = contents.PAGES["reference/command-line.md"]()
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"## hashgrad {command.callback.__name__}\n" in page
    for flag in ("--selector", "--active", "--learning-rate", "--no-center", "-o", "--top"):
        assert f"`{flag}`" in page
    assert "| `--threads` `N` | 1 |" in page


def test_every_measure_of_the_committed_results_is_on_its_page(contents: ModuleType) -> None:
    page = contents.PAGES["benchmarks.md"]()
    measures = sys.modules["sessions"].measures()
    assert len(measures) > 10
    for row in measures.values():
        assert f"| {row['title']} |" in page
        assert f"**{row['ratio']:.3g}**" in page
        assert row["circumstances"]["date"] in page


def test_every_public_name_has_a_place_in_the_reference() -> None:
    told = {
        name
        for page in (SITE / "reference" / "api").glob("*.md")
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    public = {f"hashgrad.{name}" for name in hashgrad.__all__ if not name.startswith("__")}
    for module in (advising, callbacks, datasets, export, sparsification, torch):
        names = (name for name in module.__all__ if not hasattr(hashgrad, name))
        public |= {f"{module.__name__}.{name}" for name in names}
    public |= {f"hashgrad.metrics.{name}" for name in ("accuracy", "psp_at_k", "r2")}
    public.add("hashgrad.export.hub.HubModel")
    assert metrics
    assert public - told == set()


def test_every_picture_is_on_a_page_and_every_page_has_its_pictures(contents: ModuleType) -> None:
    texts = [path.read_text(encoding="utf-8") for path in SITE.rglob("*.md")]
    texts += [make() for make in contents.PAGES.values()]
    asked = {name for text in texts for name in re.findall(r"<!-- picture: (\S+) -->", text)}
    assert asked == set(contents.PICTURES)


def test_pictures_are_drawings_with_a_title_in_the_words_of_the_theme(contents: ModuleType) -> None:
    style = (SITE / "assets" / "extra.css").read_text(encoding="utf-8")
    for name, draw in contents.PICTURES.items():
        drawn = ElementTree.fromstring(draw())
        assert draw() == draw(), name
        shown = [svg for svg in drawn.iter("svg") if svg.get("aria-hidden") != "true"]
        assert all(svg.find("title").text for svg in shown), name
        words = {word for one in drawn.iter() for word in one.get("class", "").split()}
        colours = {f".{word} {{" for word in words if word.startswith(("fill-", "line-"))}
        variables = {f"{word}:" for word in re.findall(r"var\((--[\w-]+)\)", draw())}
        assert colours | variables, name
        assert [word for word in colours if word not in style] == []
        assert [word for word in variables if word not in style + draw()] == []


def test_documents_from_elsewhere_lead_to_pages_of_the_site(contents: ModuleType) -> None:
    for source, place in contents.DOCUMENTS.items():
        text = contents.with_site_links((ROOT / source).read_text(), source, place)
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            found = (SITE / place).parent.joinpath(target).resolve().relative_to(SITE).as_posix()
            made = {*contents.PAGES, *contents.DOCUMENTS.values(), *contents.COPIES.values()}
            assert (SITE / found).exists() or found in made, (source, target)
