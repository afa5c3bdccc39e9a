"""Part 7: one pass over MNIST8M, streamed: millions of examples that never lie in memory.

Source: Spring and Shrivastava (2016), section 6 (the data set); Loosli, Canu and Bottou (2007).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from hashgrad import SGD, Dense, Network, datasets
from hashgrad.memory import peak_memory_bytes

from ..pages.page import Claim, Section, Table
from .lab import Lab, Result
from .methods import selector
from .parts import DEPTH, Part, command, percent, why_missing
from .sizes import Size

NAME = "stream"
BLOCK = 10_000  # examples in memory at a time
MANY = 1_000_000  # examples that show something
ALLOWED = 2**30  # bytes of the process, at its peak


def run(lab: Lab, size: Size) -> Part:
    """One pass, in a process of its own, so that its peak of memory is its own."""
    absent = why_missing("mnist")
    if absent:
        raise FileNotFoundError(absent)
    settings = {
        "examples": size.stream,
        "width": size.width,
        "share": size.share,
        "rate": size.study_rate,
        "seed": 0,
    }
    found = lab.measure("one pass over mnist8m", settings, apart, NAME)
    rows = (
        ("examples, each seen once", f"{found['examples']:,}"),
        ("test accuracy on MNIST's 10,000", percent(found["accuracy"], 2)),
        ("multiplications, of dense", percent(found["multiplications_fraction"], 2)),
        ("seconds of training", f"{found['training_seconds']:.1f}"),
        ("seconds of making the examples", f"{found['making_seconds']:.1f}"),
        ("peak memory of the process, MiB", f"{found['peak_bytes'] / 2**20:,.0f}"),
    )
    return Part(
        Section(
            name=NAME,
            title="MNIST8M as a stream",
            sentence=(
                f"{DEPTH} × {size.width}, LSH at {percent(size.share, 0)}, constant rate "
                f"{size.study_rate:g}, one thread; digits are deformed and shifted as they are "
                f"asked for, {BLOCK:,} at a time."
            ),
            tables=(Table("One pass", "In a process of its own.", ("what", "figure"), rows),),
        ),
        (
            Claim(
                text="Millions of examples can be streamed on a small machine.",
                paper="8.1 million examples (MNIST8M)",
                ours=(
                    f"{found['examples']:,} examples at a peak of "
                    f"{found['peak_bytes'] / 2**20:,.0f} MiB, accuracy "
                    f"{percent(found['accuracy'], 2)}"
                ),
                held=found["peak_bytes"] <= ALLOWED if found["examples"] >= MANY else None,
                command=command(size, NAME),
                note=f"Held: under 1 GiB, Python included, for {MANY:,} examples or more.",
            ),
        ),
    )


def apart(**settings: float) -> Result:
    """What `one_pass` finds in a process of its own.

    Raises:
        RuntimeError: the process failed; the message ends with the last lines it wrote.
    """
    words = [sys.executable, "-m", __name__, json.dumps(settings)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        end = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise RuntimeError(f"the pass over mnist8m failed:\n{end}")
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


def one_pass(examples: int, width: int, share: float, rate: float, seed: int) -> Result:
    """Train on so many examples of the stream, once each, and judge on MNIST's test rows."""
    hidden = [Dense(width, active=selector("LSH", share, {})) for _ in range(DEPTH)]
    net = Network(784, [*hidden, Dense(10)], optimizer=SGD(rate), threads=1, seed=seed)
    making, start = 0.0, time.perf_counter()
    for x, y in datasets.mnist8m_stream(examples, seed=seed, block=BLOCK):
        making += time.perf_counter() - start
        net.partial_fit(x, y)
        if net.interrupted:
            raise KeyboardInterrupt
        start = time.perf_counter()
    test = datasets.load("mnist", train_size=1)
    accuracy = net.evaluate(test.x_test, test.y_test)["accuracy"]
    report = net.report().to_dict()
    return {
        "examples": report["examples"],
        "accuracy": accuracy,
        "multiplications_fraction": report["multiplications_fraction"],
        "making_seconds": making,
        "training_seconds": net._state.seconds,
        "peak_bytes": peak_memory_bytes(),
    }


if __name__ == "__main__":
    print(json.dumps(one_pass(**json.loads(sys.argv[1]))))  # noqa: T201
