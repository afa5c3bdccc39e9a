"""C predictors, compiled and run: on this machine, and on others that QEMU plays."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashgrad import Network, export_c
from hashgrad.export import CExport

WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")

# Reads rows of floats; writes of each the best label, multiplications, scores and probabilities.
DRIVER = """
#include <stdio.h>
#include "model.h"
static model_scratch s;
static float x[MODEL_INPUTS], scores[MODEL_LABELS], likely[MODEL_LABELS];
int main(void) {
  while (fread(x, sizeof x, 1, stdin) == 1) {
    uint32_t spent;
    int32_t best = -1;
    model_scores(&s, x, scores);
    spent = s.multiplications;
#ifdef CLASSIFIES
    best = model_classify(&s, x);
    model_probabilities(&s, x, likely);
#endif
    fwrite(&best, sizeof best, 1, stdout), fwrite(&spent, sizeof spent, 1, stdout);
    fwrite(scores, sizeof scores, 1, stdout), fwrite(likely, sizeof likely, 1, stdout);
    if (ferror(stdout)) return 1;
  }
  return 0;
}
"""


@dataclass(frozen=True)
class Machine:
    """A compiler, what runs what it makes, and flags of its own."""

    name: str
    compiler: str
    runner: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """What is not installed; nothing if all is."""
        return " and ".join(
            tool for tool in (self.compiler, *self.runner) if not shutil.which(tool)
        )


# Here, what reads or writes beside an array, or overflows, ends the program.
HERE = Machine("x86-64", "gcc", flags=("-fsanitize=address,undefined", "-fno-sanitize-recover"))
OTHERS = (
    Machine("aarch64", "aarch64-linux-gnu-gcc", ("qemu-aarch64",), ("-static",)),
    Machine("armhf", "arm-linux-gnueabihf-gcc", ("qemu-arm",), ("-static",)),
)


@dataclass(frozen=True)
class Answers:
    """What a C predictor says of some rows."""

    best: np.ndarray
    multiplications: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray


class Predictor:
    """A network's C, compiled for a machine."""

    def __init__(self, net: Network, folder: Path, weights: str, machine: Machine = HERE) -> None:
        self.made: CExport = export_c(net, folder / "model.c", weights=weights)
        self.folder, self.machine = folder, machine
        self._labels = net.n_outputs
        (folder / "driver.c").write_text(DRIVER)
        defined = () if net.loss == "squared" else ("-DCLASSIFIES", "-DMODEL_PROBABILITIES")
        run(
            machine.compiler, *WARNINGS, "-O2", *machine.flags, *defined,
            "model.c", "driver.c", "-o", "predictor", "-lm", cwd=folder,
        )  # fmt: skip

    def __call__(self, X: np.ndarray) -> Answers:
        rows = np.ascontiguousarray(X, dtype="<f4")
        out = run(*self.machine.runner, "./predictor", cwd=self.folder, input=rows.tobytes())
        n = self._labels
        row = np.dtype([("best", "<i4"), ("spent", "<u4"), ("z", "<f4", n), ("p", "<f4", n)])
        answers = np.frombuffer(out, row)
        assert len(answers) == len(rows)
        return Answers(
            answers["best"],
            answers["spent"],
            answers["z"].reshape(len(rows), n),
            answers["p"].reshape(len(rows), n),
        )


def run(*words: str, cwd: Path, input: bytes = b"") -> bytes:  # noqa: A002
    """The standard output of a program, which must succeed and complain of nothing."""
    here = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    done = subprocess.run(words, cwd=cwd, input=input, capture_output=True, env=here)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()[:2000]
    return done.stdout
