"""onnxruntime-web, as npm installs it: of one version, which is the one that was tested."""

import os
import shutil
import subprocess
from pathlib import Path

from edgeport.runtime.errors import ExportError, MissingDependencyError
from edgeport.runtime.files.temporary import temporary_folder

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# Of its many builds the one that computes on the CPU: the module, what loads the engine, and the engine.
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_SECONDS = 300


def onnxruntime_web() -> dict[str, bytes]:
    """Return the files of onnxruntime-web by name, got with npm from wherever npm is set up to get packages.

    Raises:
        MissingDependencyError: There is no npm.
        ExportError: npm could not install it.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise MissingDependencyError(f"--target web needs npm, which has {PACKAGE}: sudo apt install npm")
    with temporary_folder() as folder:
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder))
        command = [npm, "install", *options, f"{PACKAGE}@{VERSION}"]
        try:
            ended = subprocess.run(
                command,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=_SECONDS,
                env={**os.environ, "npm_config_yes": "true"},
            )
        except subprocess.TimeoutExpired:
            raise ExportError(f"npm did not get {PACKAGE} {VERSION} within {_SECONDS} s: try again") from None
        place = Path(folder) / "node_modules" / PACKAGE / "dist"
        if ended.returncode or not all((place / name).is_file() for name in FILES):
            said = " ".join((ended.stderr or ended.stdout).split())[:300]
            raise ExportError(f"npm could not install {PACKAGE} {VERSION}: {said or 'it did not say why'}")
        return {name: (place / name).read_bytes() for name in FILES}
