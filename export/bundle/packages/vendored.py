"""The wheels of a device's packages, fetched by pip on the workstation, for devices without a network."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from edgeport.export.bundle.packages.targets import System
from edgeport.runtime.errors import ExportError, MissingDependencyError
from edgeport.runtime.files.temporary import temporary_folder

# manylinux2014 by its later name: the oldest tag that any of the packages uses.
_OLDEST_GLIBC = 17


def download_wheels(pins: Sequence[str], system: System) -> dict[str, bytes]:
    """Return the wheel of each package for a system, by its file name.

    Args:
        pins: ``name==version`` of every package, those they need included.
        system: What they are for.

    Raises:
        ExportError: pip could not fetch one.
        MissingDependencyError: The Python that runs has no pip.
    """
    with temporary_folder() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        command += ["--disable-pip-version-check", "--no-input", *_wheels_for(system), *pins]
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if ended.returncode:
            if "No module named pip" in ended.stderr:
                raise MissingDependencyError("--with-wheels needs pip: python -m ensurepip, or bundle without it")
            raise ExportError(f"pip cannot fetch the wheels for {system}: {_cause(ended.stderr)}")
        wheels = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    if len(wheels) != len(pins):
        raise ExportError(f"pip fetched {len(wheels)} wheels for {system}, expected {len(pins)}: try again")
    return wheels


def _wheels_for(system: System) -> list[str]:
    """Return pip's options: it takes each platform tag as it stands, so all that run on the system are named."""
    short = f"cp{system.python.replace('.', '')}"
    platforms = [f"manylinux_2_{minor}_{system.arch}" for minor in range(system.glibc, _OLDEST_GLIBC - 1, -1)]
    platforms += [f"manylinux2014_{system.arch}", f"linux_{system.arch}"]
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", system.python]
    for abi in (short, "abi3", "none"):
        options += ["--abi", abi]
    for platform in platforms:
        options += ["--platform", platform]
    return options


def _cause(stderr: str) -> str:
    if os.strerror(errno.ENOSPC) in stderr:
        return f"no space is left in {tempfile.gettempdir()}, or for pip's cache: name another folder in TMPDIR"
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    # Before a traceback of its own, whose last line says more.
    errors = [line for line in errors if line != "Exception:"]
    lines = errors or [line for line in stderr.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
