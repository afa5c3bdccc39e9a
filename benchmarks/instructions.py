"""Count the instructions of every kernel under callgrind, and compare them with the counts kept.

    python benchmarks/instructions.py PROGRAM           fails where a count is a tenth off, or more
    python benchmarks/instructions.py PROGRAM --write   keeps today's counts

PROGRAM is made by the target `instructions` of CMakeLists.txt. The counts are of the AVX2 kernels:
valgrind runs no wider ones.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).with_name("results") / "instructions.json"
MOST = 0.10


def counts(program: str) -> dict[str, int]:
    """Instructions by the name of the work."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", program],
            env={**os.environ, "HASHGRAD_SIMD": "avx2"},
            check=True,
        )
        found = {}
        for path in sorted(Path(folder).glob("counts.*"), key=lambda path: int(path.suffix[1:])):
            text = path.read_text()
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
            if name and total:
                found[name[1]] = int(total[1])
    return found


def main() -> int:
    """Count, then write or compare."""
    program, *options = sys.argv[1:]
    found = counts(program)
    if options == ["--write"]:
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps({"simd": "avx2", "counts": found}, indent=1) + "\n")
        return 0
    kept = json.loads(KEPT.read_text())["counts"]
    wrong = 0
    for name in sorted(kept.keys() | found.keys()):
        was, now = kept.get(name), found.get(name)
        change = now / was - 1 if was and now else float("inf")
        wrong += abs(change) >= MOST
        print(f"{name:45} {was or '-':>12} {now or '-':>12} {change:+8.1%}")
    if wrong:
        print(
            f"{wrong} counts are off by a tenth or more: `make instructions-keep` if that is meant"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
