"""The environment that tflite-runtime needs for itself: an older Python and numpy than everything else has."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import edgeport.benchmarks
import edgeport.runtime
import edgeport.train
from edgeport.runtime.errors import InputError, MissingDependencyError

_PACKAGES = ("tflite-runtime==2.14.0", "numpy<2")
_NEWEST = (3, 11)


def tflite_runtime_python(folder: Path) -> Path:
    """Return the interpreter of an environment with tflite-runtime and this edgeport; made if it is not there.

    Args:
        folder: Where the environment is, or shall be.

    Raises:
        InputError: The folder holds something else.
        MissingDependencyError: It cannot be made here.
    """
    python = folder.absolute() / "bin" / "python"
    if _works(python):
        return python
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"--tflite-runtime {folder}: it holds something else: name an empty folder, or a new one")
    if sys.version_info[:2] > _NEWEST:
        raise MissingDependencyError(
            f"tflite-runtime has wheels up to Python {'.'.join(map(str, _NEWEST))}, and this is "
            f"{'.'.join(map(str, sys.version_info[:2]))}"
        )
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", *_PACKAGES])
    _link_edgeport(python)
    if not _works(python):
        raise MissingDependencyError(f"tflite-runtime was installed in {folder}, and cannot be imported there")
    return python


def _link_edgeport(python: Path) -> None:
    """Put links to the packages of this edgeport into the environment: whatever its own metadata asks for stays out."""
    (site,) = (python.parents[1] / "lib").glob("python*/site-packages")
    home = site / "edgeport"
    home.mkdir()
    for package in (edgeport.runtime, edgeport.train, edgeport.benchmarks):
        source = Path(package.__file__ or "").resolve().parent
        (home / package.__name__.rpartition(".")[2]).symlink_to(source)


def _works(python: Path) -> bool:
    command = [str(python), "-c", "import tflite_runtime.interpreter, edgeport.benchmarks.measure.candidates.openers"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _run(command: Sequence[str]) -> None:
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip() or "no reason given").splitlines()[-1]
        raise MissingDependencyError(f"no environment for tflite-runtime could be made ({said})")
