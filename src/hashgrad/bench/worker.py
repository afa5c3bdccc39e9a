"""One run in a process of its own: `python -m hashgrad.bench.worker RUN SETTINGS`.

Prints one JSON object on the last line of standard output. Whatever else a library prints or warns
of goes before it, or to standard error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from . import ours, scikit, torch_mlp

RUNS: dict[str, Callable[..., Any]] = {
    "hashgrad-training": ours.training,
    "hashgrad-cost": ours.cost,
    "hashgrad-train-and-save": ours.train_and_save,
    "hashgrad-latency": ours.latency,
    "torch-training": torch_mlp.training,
    "torch-speeds": torch_mlp.speeds,
    "torch-search": torch_mlp.search,
    "torch-train-and-save": torch_mlp.train_and_save,
    "torch-latency": torch_mlp.latency,
    "scikit-learn-training": scikit.training,
}


def run(name: str, threads: int, **settings: Any) -> Any:
    """Run a contender in a new process and return what it found.

    Args:
        name: one of `RUNS`.
        threads: threads of every library in that process.
        settings: what the run takes, JSON-able.

    Raises:
        RuntimeError: the process failed; the message ends with the last lines it wrote.
    """
    environment = {**os.environ}
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[variable] = str(threads)
    words = [
        sys.executable,
        "-m",
        __spec__.name,
        name,
        json.dumps({"threads": threads, **settings}),
    ]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        end = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise RuntimeError(f"the run {name} of the benchmark failed:\n{end}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run what the command line names."""
    name, settings = sys.argv[1], json.loads(sys.argv[2])
    result = RUNS[name](**settings)
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
