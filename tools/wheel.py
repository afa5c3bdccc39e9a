"""Builds what is published: the source distribution, and a wheel for this Python and machine.

The wheel is made from the source distribution, not from the tree: what the one lacks, the other
cannot have. On Linux auditwheel names the oldest systems that it runs on. Both are then looked
into, and refused if they are too large or hold the wrong things.

    python tools/wheel.py --out dist
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 3_000_000  # bytes of a wheel
_IN_WHEEL = ("hashgrad/__init__.py", "hashgrad/_core.pyi", "hashgrad/py.typed", "licenses/LICENSE")
_IN_SOURCE = ("CMakeLists.txt", "pyproject.toml", "core/bindings.cpp", "src/hashgrad/__init__.py")
_NOT_IN_IT = (".so.debug", ".o", ".pyc")


def build(out: Path) -> tuple[Path, Path]:
    """Build into the folder `out`; the source distribution's path, and the wheel's.

    Raises:
        subprocess.CalledProcessError: a build failed; its output has been shown.
        ValueError: what was built is too large, or holds the wrong things.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("hashgrad-*.whl"), *out.glob("hashgrad-*.tar.gz")):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        _run("-m", "build", "--outdir", str(fresh), str(ROOT))
        source, wheel = _one(fresh, "*.tar.gz"), _one(fresh, "*.whl")
        if sys.platform == "linux":
            _run("-m", "auditwheel", "repair", "--wheel-dir", str(fresh / "repaired"), str(wheel))
            wheel = _one(fresh / "repaired", "*.whl")
        check_source(source)
        check_wheel(wheel)
        return _kept(source, out), _kept(wheel, out)


def check_wheel(path: Path) -> None:
    """Raise ValueError unless the wheel is small and holds the package, and nothing but it."""
    size = path.stat().st_size
    if size >= LARGEST:
        raise ValueError(f"a wheel must have less than {LARGEST:,} bytes, {path.name} has {size:,}")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    _check_names(path, names, _IN_WHEEL)
    cores = [n for n in names if n.startswith("hashgrad/_core.") and n.endswith((".so", ".pyd"))]
    if len(cores) != 1:
        raise ValueError(f"{path.name} must hold one compiled core, got {cores}")
    strange = {name.partition("/")[0] for name in names} - {"hashgrad"}
    if any(not name.endswith((".dist-info", ".libs")) for name in strange):
        raise ValueError(f"{path.name} must hold hashgrad alone, got {sorted(strange)}")


def check_source(path: Path) -> None:
    """Raise ValueError unless the source distribution holds what a build needs."""
    with tarfile.open(path) as archive:
        _check_names(path, archive.getnames(), _IN_SOURCE)


def _check_names(path: Path, names: list[str], needed: tuple[str, ...]) -> None:
    for end in needed:
        if not any(name.endswith(end) for name in names):
            raise ValueError(f"{path.name} must hold {end}, got {len(names)} files without it")
    for name in names:
        if name.endswith(_NOT_IN_IT):
            raise ValueError(f"{path.name} must hold no {name}")


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True)


def _one(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def _kept(path: Path, out: Path) -> Path:
    return Path(shutil.move(path, out / path.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to build into")
    for path in build(parser.parse_args().out):
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
