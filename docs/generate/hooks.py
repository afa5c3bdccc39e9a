"""What the documentation's build adds to the pages under `docs/site`.

Pages made from the code and from the committed results, documents that stand elsewhere in the
repository, and the pictures: a line `<!-- picture: NAME -->` becomes the picture of that name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from contents import COPIES, DOCUMENTS, PAGES, PICTURES, with_site_links

ROOT = Path(__file__).parents[2]

_PICTURE = re.compile(r"^<!-- picture: (\S+) -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, and what stands elsewhere."""
    for place, make in PAGES.items():
        files.append(File.generated(config, place, content=make()))
    for source, place in DOCUMENTS.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=with_site_links(text, source, place)))
    for source, place in COPIES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the pictures in.

    Raises:
        KeyError: a page asks for a picture that there is not.
    """
    return _PICTURE.sub(lambda found: PICTURES[found[1]](), markdown)
