"""Train the same network twice, on all of its neurons and on the 5 % that hashing finds.

Real MNIST where there is a folder `$HASHGRAD_DATA/mnist`; else `rectangles`, generated here, with
the sizes of the paper: 12,000 images to learn from, 50,000 to be judged by.

    make demo
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hashgrad import LSH, All, Dense, Network, datasets
from hashgrad.load_average import busy, load_average
from hashgrad.progress import default_progress
from hashgrad.selectors import Selector

HIDDEN = (1000, 1000)
FRACTION = 0.05
GLANCE = 2000  # test rows for the accuracy after each epoch; the table's is on all of them


@dataclass(frozen=True)
class Outcome:
    """What one training gave, and what it cost."""

    name: str
    accuracy: float
    multiplications: float  # share of the full matrices'
    seconds: float
    recall: float  # share of the neurons kept that an exact selection would keep


def choose_data() -> tuple[str, int]:
    """The data set to use, and for how many epochs: together some two minutes on two cores."""
    folder = os.environ.get("HASHGRAD_DATA")
    if folder and Path(folder, "mnist").is_dir():
        return "mnist", 3
    return "rectangles", 5


def train(name: str, selector: Selector, data: datasets.Dataset, epochs: int) -> Outcome:
    """Train one network from the same seed as the other, and judge it on all test rows."""
    hidden = [Dense(n, active=selector) for n in HIDDEN]
    network = Network(data.n_features, [*hidden, Dense(data.n_outputs)], threads=0, seed=0)
    glance = data.x_test[:GLANCE], data.y_test[:GLANCE]
    network.fit(
        data.x_train, data.y_train, epochs=epochs, validation=glance, progress=default_progress()
    )
    return Outcome(
        name,
        network.evaluate(data.x_test, data.y_test)["accuracy"],
        network.report().to_dict()["multiplications_fraction"],
        network.history[-1]["seconds"],
        network.history[-1]["selection_recall"],
    )


def show(console: Console, outcomes: list[Outcome]) -> None:
    """Both outcomes side by side."""
    table = Table("", "test accuracy", "multiplications", "training")
    for column in table.columns[1:]:
        column.justify = "right"
    for outcome in outcomes:
        table.add_row(
            outcome.name,
            f"{outcome.accuracy:.2%}",
            f"{outcome.multiplications:.1%}",
            f"{outcome.seconds:.1f} s",
        )
    console.print(table)


def main() -> None:
    """Run the demonstration."""
    console = Console(highlight=False)
    load = load_average()
    name, epochs = choose_data()
    data = datasets.load(name)
    console.print(f"{data!r}\n")
    outcomes = []
    for label, selector in (
        (f"hashed, {FRACTION:.0%} of the neurons", LSH(FRACTION)),
        ("dense, all neurons", All()),
    ):
        console.print(f"[bold]{label}[/bold]")
        outcomes.append(train(label, selector, data, epochs))
    console.print()
    show(console, outcomes)
    hashed, dense = outcomes
    console.print(
        f"For each image, locality-sensitive hashing picked {FRACTION:.0%} of each hidden layer's "
        f"1,000 neurons, of which {hashed.recall:.0%} are truly among those that answer it most "
        "strongly; all others were left out, forward and backward. Multiplications are shares of "
        "what full matrices take, with hashing, re-ranking and the tables' upkeep counted in; the "
        "dense network stays below 100% because it skips most zeros as well. Here hashing took "
        f"{hashed.multiplications / dense.multiplications:.0%} of the dense network's "
        f"multiplications and {hashed.seconds / dense.seconds:.0%} of its time, and its accuracy "
        f"differs by {100 * (hashed.accuracy - dense.accuracy):+.2f} points."
    )
    if crowded := busy(load, threads=0):
        console.print(crowded)


if __name__ == "__main__":
    main()
