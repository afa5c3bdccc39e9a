"""Where runs are carried out, and what they found is kept: nothing is run twice, nothing is lost.

Results go to `results.json` as they come, a line each, within five seconds. A session that was
stopped goes on from that file; a result is used again whatever the commit it came from, which it
names.
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hashgrad import _core
from hashgrad.atomic import write_atomically
from hashgrad.bench.suite import circumstances

from . import runs
from .runs import Run

RESULTS = "results.json"
Result = dict[str, Any]
Say = Callable[[str, int, int], None]  # a line; how many of a batch of runs are done, of how many
_SAVE_SECONDS = 5.0  # between two writings of the file, while runs end one after another


class NotRunError(Exception):
    """A result is asked for that is not there, of a lab that runs nothing any more."""


class Lab:
    """Carries out runs, several at a time, and remembers what came of them.

    Args:
        folder: where `results.json` lies; it is read if it is there.
        command: what the person typed, kept with each result.
        say: is told of each run that is done, in a line, and how far its batch is.
        processes: runs at a time; each takes one thread.
        size: of the session; a folder holds results of one.

    Raises:
        ValueError: `results.json` is there but is not one of ours, or of another size.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        say: Say | None = None,
        processes: int | None = None,
        size: str = "quick",
    ) -> None:
        self.path, self.size = folder / RESULTS, size
        self.say = say or silence
        self.offline = False  # whether only what is known already is given out
        self.processes = processes or _core.hardware_threads()
        self.command = command
        self.sessions: list[Result] = []
        self.results: dict[str, Result] = {}
        self._saved = 0.0
        self._pool: Any = None  # of processes, as soon as it is needed
        if self.path.exists():
            self.sessions, self.results = _read(self.path, size)
        self.here: Result = {**circumstances(), "command": command}

    def train(self, wanted: Iterable[Run], part: str) -> dict[Run, Result]:
        """The results of training runs, of those not known by carrying them out.

        Args:
            wanted: the runs, in any order; equal ones are carried out once.
            part: what they belong to, for the lines that are said.
        """
        listed = list(dict.fromkeys(wanted))
        missing = [run for run in listed if run.key not in self.results]
        if missing and self.offline:
            raise NotRunError(missing[0].key)
        together = [run for run in missing if run.threads == 1]
        alone = [run for run in missing if run.threads > 1]
        try:
            for number, (run, result) in enumerate(self._carry_out(together, alone), start=1):
                self._keep(run.key, run.command, run.seed, result)
                found = f"{result['accuracy']:.2%} in {result['seconds']:.1f} s"
                self.say(f"{part}  {run}: {found}", number, len(missing))
        finally:
            if missing:
                self.save()
        return {run: self.results[run.key]["result"] for run in listed}

    def measure(
        self, name: str, settings: Mapping[str, Any], how: Callable[..., Result], part: str
    ) -> Result:
        """What a function finds, alone on the machine; once for these settings and machine."""
        where = {"processor": self.here["processor"], "cores": self.here["hardware_threads"]}
        key = json.dumps({"measure": name, **where, **settings}, sort_keys=True)
        if key not in self.results:
            if self.offline:
                raise NotRunError(key)
            start = time.perf_counter()
            result = how(**settings)
            result.setdefault("seconds", time.perf_counter() - start)
            self._keep(key, self.command, int(settings.get("seed", 0)), result)
            self.save()
            self.say(f"{part}  {name} in {time.perf_counter() - start:.1f} s", 1, 1)
        found: Result = self.results[key]["result"]
        return found

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes, and whatever they are at."""
        if self._pool:
            self._pool.terminate()
            self._pool.join()
            self._pool = None

    def save(self) -> None:
        """Write all results to the file, whole or not at all."""
        head = json.dumps({"size": self.size, "sessions": self.sessions}, sort_keys=True)
        lines = (
            json.dumps(
                found if _key_in(found) == key else {"key": key, **found},
                sort_keys=True, separators=(",", ":"),
            )
            for key, found in sorted(self.results.items())
        )  # fmt: skip
        text = f'{head[:-1]}, "results": [\n' + ",\n".join(lines) + "\n]}\n"
        write_atomically(self.path, [text.encode()])
        self._saved = time.monotonic()

    def _keep(self, key: str, command: str, seed: int, result: Result) -> None:
        if self.here not in self.sessions:  # a session that finds nothing new leaves no trace
            self.sessions.append(self.here)
        self.results[key] = {
            "command": command,
            "seed": seed,
            "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "session": self.sessions.index(self.here),  # its commit, versions, machine
            "result": _rounded(result),
        }
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self.save()

    def _carry_out(self, together: list[Run], alone: list[Run]) -> Iterable[tuple[Run, Result]]:
        processes = min(self.processes, len(together))
        if processes > 1:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = context.Pool(self.processes, _leave_ctrl_c_to_the_parent)
            keys = [run.key for run in together]
            for key, result in self._pool.imap_unordered(_train_by_key, keys):
                yield Run.from_key(key), result
        else:
            for run in together:
                yield run, runs.train(run)
        for run in alone:
            yield run, runs.train(run)


def silence(line: str, done: int, total: int) -> None:
    """Say nothing."""


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _train_by_key(key: str) -> tuple[str, Result]:
    return key, runs.train(Run.from_key(key))


def _key_in(found: Result) -> str:
    """The key that a result's command names; none where the command is that of a whole session."""
    name, _, key = str(found["command"]).partition(" '")
    return key[:-1] if name == runs.PROGRAM else ""


def _rounded(value: Any) -> Any:
    """The same with six digits of every number that is not whole: no measurement has more."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, (list, tuple)) else value


def _read(path: Path, size: str) -> tuple[list[Result], dict[str, Result]]:
    try:
        kept = json.loads(path.read_text())
        sessions, results = list(kept["sessions"]), {}
        for found in kept["results"]:
            found["result"], sessions[found["session"]]["commit"]
            results[found.pop("key", "") or _key_in(found)] = found
    except (ValueError, KeyError, TypeError, IndexError):
        raise ValueError(
            f"{path} must be a file that `hashgrad reproduce` wrote, or not be there: move it away"
        ) from None
    if kept.get("size", size) != size:
        raise ValueError(
            f"--out must name a folder of its own for each size, got {str(path.parent)!r}, which "
            f"holds a {kept['size']} session"
        )
    return sessions, results
