"""One run by itself: `python -m hashgrad.experiments KEY`, as results.json names it."""

from __future__ import annotations

import json
import sys

from .runs import Run, train

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            f"KEY must be the one name of a run in results.json, got {len(sys.argv) - 1} words"
        )
    print(json.dumps(train(Run.from_key(sys.argv[1])), indent=1))  # noqa: T201
