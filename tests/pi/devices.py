"""A device without the device: a userland, the bundle installed in it, and its programs run by QEMU or natively."""

import hashlib
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache import made_once
from debian import Source, download, unpack, unpack_programs
from processes import StoppedError, run
from systems import EMULATOR_SUITE, EMULATORS, Device, Trial, Userland

_ANSWERS = Path(__file__).with_name("answers.py")
# Wheels of compiled packages expect these of the system. python3-pip-whl is the pip that Debian puts into a virtual
# environment, so it is the device's own pip that chooses and installs the wheels.
_LIBRARIES = ("libstdc++6", "libgcc-s1", "libgomp1", "python3-pip-whl")
_GOLDEN_SAMPLES = 50


@dataclass(frozen=True)
class Installed:
    """A device with its bundle.

    Attributes:
        device: What it is.
        root: The userland's files.
        bundle: The unpacked bundle.
        packages: The folders with what pip has installed.
    """

    device: Device
    root: Path
    bundle: Path
    packages: tuple[Path, ...]

    @property
    def precisions(self) -> dict[str, str]:
        """The precision of each artefact of the bundle."""
        manifest = json.loads((self.bundle / "artefacts" / "manifest.json").read_text("utf-8"))
        return {artefact["file"]: artefact["precision"] for artefact in manifest["artefacts"]}


def build_emulators(source: Source, build: Path) -> Path:
    """Return a folder with the QEMU programs, downloaded if it is not there yet."""

    def make(folder: Path) -> None:
        packages = download(
            source, ["qemu-user"], folder / "apt", suite=EMULATOR_SUITE, arch="amd64", alone=True
        )  # fmt: skip
        unpack_programs(packages[0], EMULATORS, folder / "bin")
        shutil.rmtree(folder / "apt")

    return made_once(build / "emulators", f"{EMULATOR_SUITE} {' '.join(EMULATORS)}", make) / "bin"


def build_userland(userland: Userland, source: Source, build: Path) -> Path:
    """Return the root folder of a userland, downloaded if it is not there yet."""
    packages = (f"python{userland.python}", *_LIBRARIES, *userland.packages)

    def make(folder: Path) -> None:
        archives = download(
            source, packages, folder / "apt", suite=userland.suite, arch=userland.debian_arch, alone=False
        )  # fmt: skip
        unpack(archives, folder / "root")
        shutil.rmtree(folder / "apt")

    return made_once(build / "userlands" / userland.name, " ".join(packages), make) / "root"


def install(device: Device, export: Path, root: Path, emulators: Path, build: Path) -> Installed:
    """Bundle an export for a device and install the bundle there, as its install.sh does.

    install.sh makes a virtual environment and runs the Python in it, which QEMU cannot do for a child process of
    another architecture without help from the kernel. So the same two calls of pip are made directly.
    """
    bundle = _unpacked_bundle(device, export, build)
    requirements = (bundle / "requirements.txt").read_bytes()
    (own,) = (bundle / "wheels").glob("edgeport-*.whl")
    others = ["--find-links", bundle / "wheels", "--requirement", bundle / "requirements.txt"]
    packages = []
    for name, key, arguments in (
        ("packages", _digest(requirements), others),
        ("edgeport", _digest(own.read_bytes()), [own]),
    ):
        folder = build / "installed" / device.name / name

        def make(partial: Path, arguments: Sequence[str | Path] = arguments) -> None:
            pip = _pip(device.userland, root)
            options = ["--isolated", "--disable-pip-version-check", "--no-input"]
            install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--no-cache-dir"]
            command = [*_python(device.userland, root, emulators), pip, *options, *install]
            command += ["--root-user-action=ignore", "--target", partial, *arguments]
            run(command, what=f"pip on {device.name}", environment=_environment())

        packages.append(made_once(folder, f"{device.userland.name} {key}", make))
    return Installed(device, root, bundle, tuple(packages))


def _unpacked_bundle(device: Device, export: Path, build: Path) -> Path:
    userland, folder = device.userland, build / "bundles" / device.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = folder / "bundle.tar.gz"
    options = ["--target", userland.target, "--arch", userland.arch, "--python", userland.python]
    options += ["--engine", *device.engines, "--with-wheels", "--samples", str(_GOLDEN_SAMPLES)]
    command = [sys.executable, "-m", "edgeport.runtime.cli", "bundle", export, *options, "-o", archive]
    run(command, what=f"edgeport bundle for {device.name}")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    archive.unlink()
    (top,) = (folder / "unpacked").iterdir()
    return top


def selftest(trial: Trial, installed: Installed, emulators: Path) -> list[dict[str, Any]]:
    """Return the checks of ``edgeport selftest`` in the bundle, as its --json has them."""
    arguments = ["-m", "edgeport.runtime.cli", "selftest", installed.bundle / "artefacts"]
    arguments += ["--engine", trial.engine, "--json"]
    printed = json.loads(_run_python(trial, installed, emulators, arguments, what="selftest", codes=(0, 1)))
    checks: list[dict[str, Any]] = printed["checks"]
    return checks


def answers(trial: Trial, installed: Installed, digits: Path, emulators: Path, build: Path) -> Path:
    """Return an .npz file with the raw answers to the digits; see answers.py."""
    path = build / "answers" / f"{trial.name.replace(' ', '-')}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    arguments = [_ANSWERS, installed.bundle / "artefacts", digits, trial.engine.replace("-", "_"), path]
    _run_python(trial, installed, emulators, arguments, what="answers")
    return path


def emulator_version(emulators: Path) -> str:
    """Return QEMU's version as it prints it."""
    first = run([emulators / EMULATORS[0], "--version"], what="QEMU").splitlines()[0]
    return first.rpartition("version ")[2]


def _run_python(
    trial: Trial,
    installed: Installed,
    emulators: Path,
    arguments: Sequence[str | Path],
    *,
    what: str,
    codes: Sequence[int] = (0,),
) -> str:
    python = _python(trial.device.userland, installed.root, emulators, emulator=trial.emulator, cpu=trial.cpu)
    paths = os.pathsep.join(map(str, installed.packages))
    return run([*python, *arguments], what=f"{what} on {trial.name}", environment=_environment(paths), codes=codes)


def _python(userland: Userland, root: Path, emulators: Path, *, emulator: str = "", cpu: str = "") -> list[str | Path]:
    """Return the command that starts a userland's own Python."""
    python = root / "usr" / "bin" / f"python{userland.python}"
    libraries = [root / place / userland.triplet for place in ("usr/lib", "lib")]
    libraries += [libraries[0] / name for name in userland.library_folders]
    found = os.pathsep.join(map(str, libraries))
    emulator = emulator or userland.emulator
    if emulator:
        chosen = ["-cpu", cpu] if cpu else []
        return [emulators / emulator, *chosen, "-E", f"LD_LIBRARY_PATH={found}", "-L", root, python]
    return [root / "lib64" / "ld-linux-x86-64.so.2", "--library-path", found, python]


def _pip(userland: Userland, root: Path) -> Path:
    wheels = sorted((root / "usr" / "share" / "python-wheels").glob("pip-*.whl"))
    if not wheels:
        raise StoppedError(f"Debian's pip for {userland.name} has moved: expected usr/share/python-wheels/pip-*.whl")
    return wheels[-1] / "pip"


def _environment(packages: str = "") -> dict[str, str]:
    """Return the few variables that a device's programs see: none of this machine's settings of Python or pip."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "PYTHONPATH": packages, "PYTHONNOUSERSITE": "1"}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
