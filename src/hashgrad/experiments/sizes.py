"""How much of each experiment is run: the paper's networks in full, or all of it in minutes."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Size:
    """The numbers of a session.

    Args:
        name: what the report calls it.
        width: neurons of every hidden layer.
        sets: data sets of the accuracies.
        depths: hidden layers of the accuracies.
        shares: of the neurons kept, the paper's small one first.
        lsh_shares: further shares at which LSH alone is trained as at the smallest, to see what it
            reaches with so many multiplications.
        rates: learning rates that are tried, the same for every method.
        tuning: (training rows, examples) of the runs that pick a rate; None is all rows.
        sweep: the same of the runs over all shares.
        cells: the same of the runs at the smallest share and of the dense network.
        judged: test rows to judge by; None is all.
        seeds: runs of each cell.
        dense_seeds: runs of the dense network, which takes ten times as long.
        study: data sets of the other experiments, the first that is here.
        study_rows: training rows they use; None is all.
        study_rate: their learning rate.
        study_examples: examples of their runs.
        workers: simulated workers.
        layers: hidden layers in the study of depth.
        depth_tuning: (training rows, examples) of its runs that pick a rate.
        depth_examples: examples of its other runs.
        tables: (training rows, examples) of the runs that look up in tables, which take longer.
        stream: examples of mnist8m in the one pass.
        speed_rows: examples over which a speed is measured.
        repeats: of every speed.
    """

    name: str
    width: int
    sets: tuple[str, ...]
    depths: tuple[int, ...]
    shares: tuple[float, ...]
    lsh_shares: tuple[float, ...]
    rates: tuple[float, ...]
    tuning: tuple[int | None, int]
    sweep: tuple[int | None, int]
    cells: tuple[int | None, int]
    judged: int | None
    seeds: int
    dense_seeds: int
    study: tuple[str, ...]
    study_rows: int | None
    study_rate: float
    study_examples: int
    workers: tuple[int, ...]
    layers: tuple[int, ...]
    depth_tuning: tuple[int, int]
    depth_examples: int
    tables: tuple[int, int]
    stream: int
    speed_rows: int
    repeats: int

    @property
    def share(self) -> float:
        """The paper's share of active neurons."""
        return self.shares[0]


FULL = Size(
    name="full",
    width=1000,
    sets=("mnist", "fashion-mnist", "convex", "rectangles-image", "norb"),
    depths=(2, 3),
    shares=(0.05, 0.1, 0.25, 0.5, 0.75, 0.9),
    lsh_shares=(0.025, 0.1),
    rates=(0.01, 0.02, 0.04),
    tuning=(8_000, 16_000),
    sweep=(8_000, 32_000),
    cells=(None, 240_000),
    judged=None,
    seeds=3,
    dense_seeds=1,
    study=("mnist",),
    study_rows=None,
    study_rate=0.01,
    study_examples=180_000,
    workers=(1, 8, 56),
    layers=(1, 2, 3, 4, 5, 6, 7),
    depth_tuning=(15_000, 25_000),
    depth_examples=120_000,
    tables=(20_000, 40_000),
    stream=1_000_000,
    speed_rows=20_000,
    repeats=5,
)
QUICK = replace(
    FULL,
    name="quick",
    dense_seeds=3,
    width=200,
    shares=(0.05, 0.25, 0.9),
    tuning=(1_000, 3_000),
    sweep=(1_000, 4_000),
    cells=(2_000, 8_000),
    judged=1_000,
    study=("mnist", "digits"),
    study_rows=2_000,
    study_rate=0.02,
    study_examples=8_000,
    layers=(1, 3, 5, 7),
    depth_tuning=(2_000, 8_000),
    depth_examples=16_000,
    tables=(1_000, 2_000),
    stream=5_000,
    repeats=3,
)
SIZES = {size.name: size for size in (QUICK, FULL)}
