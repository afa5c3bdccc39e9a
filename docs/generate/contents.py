"""What is made for the site, and what it takes from elsewhere in the repository."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

import benchmark_charts
import benchmarks
import commands
import hashing_pictures
import model_pictures
import parameters
import training_pictures

PAGES: dict[str, Callable[[], str]] = {
    "benchmarks.md": benchmarks.page,
    "reference/parameters.md": parameters.page,
    "reference/command-line.md": commands.page,
    "report/digits.html": model_pictures.report,
}

# Documents of the repository, and where the site has them; its other files are not in it.
DOCUMENTS = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "docs/performance.md": "project/tried.md",
}
COPIES = {"docs/results/report.html": "report/report.html"}
INSTEAD = {
    "README.md": "index.md",
    "benchmarks/results/README.md": "benchmarks.md",
    "benchmarks/results/many-labels/README.md": "benchmarks.md",
    "benchmarks/results/zen4/README.md": "benchmarks.md",
    "docs/results": "report/report.html",
}

PICTURES: dict[str, Callable[[], str]] = {
    "bucket": hashing_pictures.bucket,
    "chance": hashing_pictures.chance,
    "scan": hashing_pictures.scan,
    "step": training_pictures.step,
    "pool": training_pictures.pool,
    "threads": training_pictures.threads,
    "races": benchmark_charts.races,
    "ratios": benchmark_charts.ratios,
    "many-labels": benchmark_charts.many_labels,
    "plot": model_pictures.plot,
    "curve": model_pictures.curve,
}

_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


def with_site_links(text: str, source: str, place: str) -> str:
    """A document's text with its links leading to pages; those to other files become plain text.

    >>> with_site_links("[notes](performance.md), [it](../LICENSE)", "docs/a.md", "project/a.md")
    '[notes](tried.md), `it`'
    """

    def replaced(found: re.Match[str]) -> str:
        words, target = found.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        page = {**DOCUMENTS, **INSTEAD}.get(path)
        if page is None:
            return words if words.startswith("`") else f"`{words}`"
        return f"[{words}]({posixpath.relpath(page, posixpath.dirname(place))})"

    return _LINK.sub(replaced, text)
