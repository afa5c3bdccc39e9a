"""Runs of the same dense network in PyTorch."""

from __future__ import annotations

import copy
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from .data import load

Settings = Mapping[str, Any]


def torch(threads: int) -> Any:
    """The package, set to so many threads.

    Raises:
        ModuleNotFoundError: it is not installed; the message says how to get it.
    """
    try:
        import torch as package
    except ModuleNotFoundError:
        raise ModuleNotFoundError("the peer needs PyTorch: pip install 'hashgrad[bench]'") from None
    package.set_num_threads(threads)
    return package


class Training:
    """One training run, step by step.

    Args:
        data: a named set.
        hidden: sizes of the hidden layers.
        how: `batch`, `optimizer` (adam or sgd, with momentum 0.9), `rate`, `epochs` (a fraction is
            allowed), `bf16` (autocast), `compile`; the rate falls linearly to zero, and the
            optimizer is fused.
        seed: of the weights and the order.
        threads: threads.
    """

    def __init__(
        self, data: str, hidden: list[int], how: Settings, seed: int, threads: int
    ) -> None:
        self.torch = package = torch(threads)
        package.manual_seed(seed)
        self.x, self.y, self.x_test, self.y_test = map(package.from_numpy, load(data))
        self.how, self.batch = how, min(how["batch"], len(self.x))
        sizes = [self.x.shape[1], *hidden, int(self.y.max()) + 1]
        parts: list[Any] = []
        for n, m in itertools.pairwise(sizes):
            parts += [package.nn.Linear(n, m), package.nn.ReLU()]
        self.model = package.nn.Sequential(*parts[:-1])
        self.optimizer = (
            package.optim.Adam(self.model.parameters(), lr=how["rate"], fused=True)
            if how["optimizer"] == "adam"
            else package.optim.SGD(
                self.model.parameters(), lr=how["rate"], momentum=0.9, fused=True
            )
        )
        self.steps_an_epoch = len(self.x) // self.batch
        self.n_steps = max(1, round(how["epochs"] * self.steps_an_epoch))
        self.schedule = package.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: max(0.0, 1 - step / self.n_steps)
        )
        self.gradients: Callable[[Any, Any], None] = self._gradients
        if how.get("compile"):
            package.compiler.reset()
            compiled = package.compile(self._loss)
            self.gradients = lambda x, y: compiled(x, y).backward()
        # The first use compiles, allocates and wakes threads; it is not timed.
        self.gradients(self.x[: self.batch], self.y[: self.batch])
        self.optimizer.zero_grad()

    def _loss(self, x: Any, y: Any) -> Any:
        with self.torch.autocast("cpu", self.torch.bfloat16, enabled=self.how["bf16"]):
            return self.torch.nn.functional.cross_entropy(self.model(x), y)

    def _gradients(self, x: Any, y: Any) -> None:
        self._loss(x, y).backward()

    def accuracy(self) -> float:
        """On the test rows, in the precision of training."""
        package, right = self.torch, 0
        with (
            package.inference_mode(),
            package.autocast("cpu", package.bfloat16, enabled=self.how["bf16"]),
        ):
            for at in range(0, len(self.x_test), 1000):
                best = self.model(self.x_test[at : at + 1000]).argmax(1)
                right += int((best == self.y_test[at : at + 1000]).sum())
        return right / len(self.x_test)

    def step(self, rows: Any) -> None:
        """Learn from one batch."""
        self.optimizer.zero_grad()
        self.gradients(self.x[rows], self.y[rows])
        self.optimizer.step()
        self.schedule.step()

    def run(
        self, judged: int, seconds: float = 1e9, target: float = 2.0
    ) -> list[tuple[float, float]]:
        """Train to the end, and judge `judged` times an epoch with the clock stopped.

        Ends early after so many `seconds` of training, or once the accuracy is `target`.

        Returns:
            Seconds and test accuracy of each time it was judged.
        """
        points: list[tuple[float, float]] = []
        spent, number = 0.0, 0
        start = time.perf_counter()
        for step in range(1, self.n_steps + 1):
            number = (step - 1) % self.steps_an_epoch
            if number == 0:
                order = self.torch.randperm(len(self.x))
            self.step(order[number * self.batch : (number + 1) * self.batch])
            if step == self.n_steps or step * judged % self.steps_an_epoch < judged:
                spent += time.perf_counter() - start
                points.append((spent, self.accuracy()))
                if spent > seconds or points[-1][1] >= target:
                    break
                start = time.perf_counter()
        return points


def training(
    data: str, hidden: list[int], how: Settings, seed: int, threads: int, judged: int = 4
) -> dict[str, Any]:
    """Train, and judge four times an epoch; the clock runs over the training loop alone.

    Returns:
        `points`: seconds and test accuracy.
    """
    return {"points": Training(data, hidden, how, seed, threads).run(judged)}


def speeds(
    data: str, hidden: list[int], trials: list[Settings], seed: int, threads: int, seconds: float
) -> list[dict[str, Any]]:
    """Training examples a second of each trial, over about so many seconds."""
    found = []
    for how in trials:
        run = Training(data, hidden, {"rate": 1e-3, "epochs": 1000, **how}, seed, threads)
        rows = run.torch.randperm(len(run.x))
        for _ in range(2):
            run.step(rows[: run.batch])
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            at = steps % run.steps_an_epoch * run.batch
            run.step(rows[at : at + run.batch])
            steps += 1
        rate = steps * run.batch / (time.perf_counter() - start)
        found.append({**how, "examples_per_second": rate})
    return found


def search(
    data: str,
    hidden: list[int],
    trials: list[Settings],
    seed: int,
    threads: int,
    target: float,
    slack: float = 1.25,
) -> list[dict[str, Any]]:
    """Train each trial until it is at the target, or has taken `slack` times the best so far.

    Returns:
        Of each trial, its settings, `seconds` to the target (None if it did not get there), and the
        `final` accuracy.
    """
    found: list[dict[str, Any]] = []
    best = 1e9
    for how in trials:
        points = Training(data, hidden, how, seed, threads).run(4, slack * best, target)
        spent, last = points[-1]
        seconds = spent if last >= target else None
        found.append({**how, "seconds": seconds, "final": last})
        best = min(best, seconds or 1e9)
    return found


def train_and_save(
    data: str, hidden: list[int], how: Settings, seed: int, threads: int, path: str
) -> dict[str, Any]:
    """Train the network and save its weights, for latencies."""
    run = Training(data, hidden, how, seed, threads)
    points = run.run(1)
    run.torch.save(run.model.state_dict(), path)
    return {"accuracy": points[-1][1]}


def latency(data: str, hidden: list[int], path: str, rows: int, threads: int) -> dict[str, Any]:
    """Median seconds of single predictions in inference mode: float32, bfloat16, int8, compiled."""
    how = {"batch": 1, "optimizer": "sgd", "rate": 0.0, "epochs": 0, "bf16": False}
    run = Training(data, hidden, how, 0, threads)
    package = run.torch
    run.model.load_state_dict(package.load(path))
    run.model.eval()
    found = {}
    for name in ("float32", "bfloat16", "int8", "float32 compiled", "bfloat16 compiled"):
        model, dtype = copy.deepcopy(run.model), package.float32
        if name.startswith("bfloat16"):
            model, dtype = model.to(package.bfloat16), package.bfloat16
        if name == "int8":
            model = _quantized(package, model)
        if name.endswith("compiled"):
            package.compiler.reset()
            model = package.compile(model, dynamic=False)
        each = [run.x_test[row : row + 1].to(dtype) for row in range(rows)]
        times = []
        with package.inference_mode():
            for row in each[: rows // 10]:
                int(model(row).argmax())
            for row in each:
                start = time.perf_counter()
                int(model(row).argmax())
                times.append(time.perf_counter() - start)
            whole = getattr(model, "_orig_mod", model)  # compiled for single rows
            right = (whole(run.x_test.to(dtype)).argmax(1) == run.y_test).float().mean()
        found[name] = {"seconds": statistics.median(times), "accuracy": float(right)}
    return found


def _quantized(package: Any, model: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this interface will move to another package
        return package.ao.quantization.quantize_dynamic(
            model, {package.nn.Linear}, dtype=package.qint8
        )
