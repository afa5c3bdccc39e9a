"""What the large benchmarks share: contenders by turns, arguments, results as JSON."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from peers import SAMPLERS, Settings, grid, in_words

import hashgrad
from hashgrad import LSH
from hashgrad.bench.suite import circumstances

OURS = "hashgrad"


def halves_are_faster() -> bool:
    """Whether PyTorch's products of bfloat16 take less time than those of float32."""
    times: dict[Any, float] = {}
    for number in (torch.float32, torch.bfloat16) * 5:
        a, b = torch.ones(512, 128, dtype=number), torch.ones(128, 2048, dtype=number)
        began = time.perf_counter()
        a @ b
        taken = time.perf_counter() - began
        times[number] = min(taken, times.get(number, taken))
    return times[torch.bfloat16] < times[torch.float32]


HALVES = halves_are_faster()


def pooled(n_outputs: int, wrong: int = 4, **more: Any) -> LSH:
    """Outputs that a batch shares: its labels and each example's best `wrong` ones."""
    chosen: dict[str, Any] = {
        "bits": 8, "bucket": 128, "probes": 2, "rehash_every": 1024, "rebuild_every": 200_000,
        "candidates": 400,
    } | more  # fmt: skip
    return LSH(
        wrong / n_outputs, pooled=True, rank=128, tables=16, code="bits", lookup="tables",
        **chosen,
    )  # fmt: skip


def peak_mebibytes() -> float:
    """The most memory that this process has held."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def alone(run: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own, so that its peak of memory is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(run, *arguments).result()


def add_arguments(
    parser: argparse.ArgumentParser,
    peers: Mapping[str, Settings],
    **choices: Sequence[Any],
) -> None:
    """Add what both benchmarks take; `choices` are rates, batches and negatives to tune over."""
    parser.add_argument("--tune", action="store_true", help="a table of peers over a grid")
    parser.add_argument("--only", nargs="+", choices=[OURS, *peers])
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--query-every", type=int, default=0, help="of so many examples of ours one asks; 0: none"
    )
    parser.add_argument("--json", type=Path)
    chosen = parser.add_argument_group("the grid of --tune")
    for name, values in choices.items():
        chosen.add_argument(f"--{name}", type=type(values[0]), nargs="+", default=values)
    chosen.add_argument("--corrections", nargs="+", default=["others"])
    chosen.add_argument("--optimizers", nargs="+", default=["adam"])


def hold(
    asked: argparse.Namespace,
    peers: Mapping[str, Settings],
    run_ours: Callable[..., Any],
    run_peer: Callable[..., Any],
    line: Callable[[str, dict[str, Any]], str],
) -> None:
    """Run the contenders, each alone, print a line of each and keep the results."""
    if asked.tune:
        for name in asked.only or SAMPLERS:
            for how in grid(
                peers[name],
                correction=asked.corrections, optimizer=asked.optimizers, batch=asked.batches,
                negatives=asked.negatives, rate=asked.rates,
            ):  # fmt: skip
                print(line(in_words(how), alone(run_peer, asked, how)), flush=True)
        return
    told = {name: value for name, value in vars(asked).items() if name != "json"}
    result: dict[str, Any] = {
        **circumstances(), "command": " ".join(sys.argv), "hashgrad": hashgrad.__version__,
        "arguments": told, "contenders": {},
    }  # fmt: skip
    for name in asked.only or [OURS, *peers]:
        found = alone(run_ours, asked) if name == OURS else alone(run_peer, asked, peers[name])
        print(line(name, found), flush=True)
        result["contenders"][name] = found
        if asked.json:
            asked.json.write_text(json.dumps(result, indent=1) + "\n")
