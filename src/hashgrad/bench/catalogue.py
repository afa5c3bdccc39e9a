"""The measures that `hashgrad bench` knows, with what is asked of each, and hashgrad's settings.

hashgrad's settings, like those of PyTorch, were picked on what is measured.
"""

from __future__ import annotations

from .measures import (
    AgainstFloor,
    AgainstScikitLearn,
    Choices,
    Latency,
    Measure,
    Threads,
    TimeToAccuracy,
    Widths,
)

_NARROW, _WIDE = (1000, 1000), (4000, 4000)
_QUICK_HOW = {"batch": 32, "optimizer": "adam", "rate": 3e-3, "epochs": 8, "bf16": False}


def _listed(*measures: Measure) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


FULL = _listed(
    TimeToAccuracy(
        "mnist-1000", "MNIST to 97.5 %, 2 × 1000", asked=1.5, aim=3,
        ours={"kept": [70, 300], "known": 0.9, "rate": 0.04, "epochs": 1},
    ),
    TimeToAccuracy(
        "fashion-1000", "Fashion-MNIST to the peer's best less 0.5, 2 × 1000", asked=1.5, aim=3,
        data="fashion-mnist", ours={"kept": [150, 1000], "known": 0.9, "rate": 0.02, "epochs": 13},
    ),
    TimeToAccuracy(
        "mnist-4000", "MNIST to 97.5 %, 2 × 4000", asked=3, aim=8, hidden=_WIDE,
        ours={"kept": [50, 100], "known": 0.9, "rate": 0.03, "epochs": 2},
    ),
    TimeToAccuracy(
        "mnist-8000", "MNIST to 97.5 %, 2 × 8000", asked=5, aim=20, hidden=(8000, 8000),
        ours={"kept": [50, 100], "known": 0.9, "rate": 0.03, "epochs": 2},
    ),
    AgainstScikitLearn(
        "scikit-learn", "MNIST to MLPClassifier's accuracy of 10 epochs, 2 × 1000", asked=8,
        aim=20, ours={"kept": [70, 300], "known": 0.95, "rate": 0.03, "epochs": 5},
    ),
    Latency(
        "latency-1000", "one prediction, 2 × 1000", asked=4, aim=8,
        ours={"kept": [50, 200], "known": 0.95, "epochs": 6},
        peer={"batch": 256, "optimizer": "adam", "rate": 2e-3, "epochs": 4, "bf16": True},
    ),
    Latency(
        "latency-4000", "one prediction, 2 × 4000", asked=20, aim=50, hidden=_WIDE,
        ours={"kept": [32, 100], "known": 0.95, "epochs": 6, "layouts": ["auto", "input"]},
        peer={"batch": 512, "optimizer": "adam", "rate": 1e-3, "epochs": 2, "bf16": True},
    ),
    Threads(
        "threads", "2 threads against 1, 2 × 1000, as in the first row", asked=1.85, aim=1.95,
        ours={"kept": [70, 300], "known": 0.9, "rate": 0.04, "epochs": 1},
    ),
    Threads(
        "threads-every", "2 threads against 1, 2 × 1000, every example learned from", asked=1.85,
        aim=1.95, ours={"kept": 50},
    ),
    Widths(
        "widths", "one example, 8000 wide against 1000 wide, 50 active", asked=4, aim=2, below=True,
        ours={"kept": 50},
    ),
    AgainstFloor(
        "floor", "one example, its floor against its time, 2 × 1000", asked=0.4, aim=0.6,
        ours={"kept": 50},
    ),
    Choices(
        "auto", "what is planned, against the best of four fixed ways, four networks", asked=0.9,
        aim=1,
        shapes=(
            ("mnist", (1000, 1000), 50), ("mnist", (300, 300), 30), ("mnist", (4000, 4000), 50),
            ("fashion-mnist", (1000, 1000), 200),
        ),
        ways=(("neuron", "scan"), ("input", "exact")),
    ),
)  # fmt: skip

# Seconds in all: every kind of measure once, on a small set that is always there.
_TINY = {"kept": 16, "candidates": 1.5, "rate": 0.03, "epochs": 12}
QUICK = _listed(
    TimeToAccuracy(
        "digits", "digits to 90 %, 2 × 64", asked=0.001, aim=1, data="digits", hidden=(64, 64),
        ours=_TINY, peer={"how": _QUICK_HOW, "target": 0.9},
    ),
    AgainstScikitLearn(
        "digits-scikit-learn", "digits to MLPClassifier's accuracy of 2 epochs, 2 × 64",
        asked=0.001, aim=1, data="digits", hidden=(64, 64), ours=_TINY, epochs=2,
    ),
    Latency(
        "digits-latency", "one prediction, 2 × 64", asked=0.001, aim=1, data="digits",
        hidden=(64, 64), ours=_TINY, peer=_QUICK_HOW, within=0.1, rows=100,
    ),
    Threads(
        "digits-threads", "2 threads against 1, 2 × 64", asked=0.001, aim=1, data="digits",
        hidden=(64, 64), ours=_TINY,
    ),
    Widths(
        "digits-widths", "one example, 128 wide against 64 wide", asked=100, aim=1, below=True,
        data="digits", widths=(64, 128), ours=_TINY,
    ),
    AgainstFloor(
        "digits-floor", "one example, its floor against its time, 2 × 64", asked=0.001, aim=1,
        data="digits", hidden=(64, 64), ours=_TINY,
    ),
    Choices(
        "digits-auto", "what is planned, against the best fixed way", asked=0.001, aim=1,
        shapes=(("digits", (64,), 16),),
    ),
)  # fmt: skip
