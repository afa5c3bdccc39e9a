"""Tests a wheel as its users get it: installed in a clean environment, without a compiler.

The environment is made anew. Compilers are hidden behind commands that fail, and dependencies are
taken as wheels alone. Then the tests run on the package that was installed: never on the sources.

    python tools/wheel_test.py dist              all that needs no compiler, and the doctests
    python tools/wheel_test.py dist --quick      a minute's worth, with few dependencies
    python tools/wheel_test.py --here --quick    on the package that this Python has (cibuildwheel)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "wheel-test"
HIDDEN = ("cc", "c++", "gcc", "g++", "clang", "clang++", "cmake", "ninja", "make")
QUICK_NEEDS = ("pytest>=8", "hypothesis>=6.100")  # of the extra `test`: the rest is large
# A part of each layer of the package: kernels, core, network, files, estimators, command line.
QUICK = (
    "core_kernels", "core_simd", "core_hashing", "core_threads", "core_determinism",
    "network_fit", "network_predict", "network_resume", "files", "datasets_named",
    "estimators", "estimators_errors", "estimators_examples", "imports", "cli_train", "cli_predict",
)  # fmt: skip


def clean_environment(wheel: Path, quick: bool) -> Path:
    """A new virtual environment in which the wheel is installed; the path of its Python."""
    venv.create(PLACE / "venv", clear=True, with_pip=True)
    python = PLACE / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = [str(wheel), *QUICK_NEEDS] if quick else [f"{wheel}[test]"]
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]
    subprocess.run([python, *install, *wanted], check=True, env=without_compiler())
    return python


def without_compiler() -> dict[str, str]:
    """This process's environment, in which every compiler fails, and no setting of ours is left."""
    hidden = PLACE / "no-compiler"
    hidden.mkdir(parents=True, exist_ok=True)
    for name in HIDDEN:
        command = hidden / name
        command.write_text(f"#!/bin/sh\necho '{name}: there is no compiler here' >&2\nexit 1\n")
        command.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HASHGRAD_", "PYTHON"))}
    failing = {"CC": str(hidden / "cc"), "CXX": str(hidden / "c++")}
    return kept | failing | {"PATH": os.pathsep.join([str(hidden), os.environ["PATH"]])}


def run_tests(python: Path, quick: bool, env: dict[str, str]) -> int:
    """Run the tests on the package that this Python has; pytest's exit status.

    Raises:
        ValueError: that package is this tree's, not an installed one.
    """
    where = subprocess.run(
        [python, "-c", "import hashgrad; print(hashgrad.__file__)"],
        check=True, capture_output=True, text=True, env=env, cwd=PLACE if PLACE.exists() else None,
    ).stdout.strip()  # fmt: skip
    if Path(where).is_relative_to(ROOT / "src"):
        raise ValueError(f"the installed package must be tested, got {where}")
    print(f"testing {where}", flush=True)
    tests = [str(ROOT / "tests" / f"test_{name}.py") for name in QUICK]
    # The package by name: pytest finds it where it is installed, with its doctests.
    everything = ["-m", "not compiler", str(ROOT / "tests"), "--pyargs", "hashgrad"]
    what = ["-m", "not slow and not compiler", *tests] if quick else everything
    command = [python, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), *what]
    return subprocess.run(command, env=env, cwd=ROOT, check=False).returncode


def the_wheel(folder: Path) -> Path:
    """The one wheel of a folder; ValueError if there is another number of them."""
    wheels = sorted(folder.glob("hashgrad-*.whl"))
    if len(wheels) != 1:
        raise ValueError(f"{folder} must hold one wheel of hashgrad, got {len(wheels)}")
    return wheels[0].resolve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where the wheel lies")
    parser.add_argument("--quick", action="store_true", help="a minute's worth of tests")
    parser.add_argument("--here", action="store_true", help="test what this Python has installed")
    options = parser.parse_args()
    if options.here == (options.folder is not None):
        parser.error("give either a folder or --here")
    began = time.perf_counter()
    if options.here:
        python, env = Path(sys.executable), dict(os.environ)
    else:
        python, env = (
            clean_environment(the_wheel(options.folder), options.quick),
            without_compiler(),
        )
    status = run_tests(python, options.quick, env)
    print(f"{time.perf_counter() - began:.0f} s, installing included")
    sys.exit(status)


if __name__ == "__main__":
    main()
