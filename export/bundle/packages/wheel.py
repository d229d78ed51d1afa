"""edgeport's own wheel, written from the edgeport that runs: no build tools, no network, no source tree."""

import base64
import hashlib
import io
import itertools
import zipfile
from collections.abc import Mapping
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from edgeport.export.bundle import device
from edgeport.runtime.errors import ExportError

_LAYERS = ("runtime", "train", "export", "benchmarks")
# Where edgeport is edited in place, what measures edgeport itself lies beside it.
_LAB = "lab"
# What a package holds; the build tools have the same list in pyproject.toml.
_FILES = ("*.py", "py.typed", "*.js", "page/*", "templates/*")
_RECORDS = ("METADATA", "entry_points.txt", "top_level.txt", "licenses/LICENSE")
# The earliest time that a ZIP file can hold: wheels of the same content are the same bytes.
_THEN = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644


def own_wheel() -> tuple[str, bytes]:
    """Return the file name and the content of edgeport's wheel.

    It holds the modules that are imported here, whether edgeport was installed from a wheel or is edited in place.

    Raises:
        ExportError: edgeport runs without having been installed, so its version and dependencies are unknown.
    """
    # An editable install leaves a second, lesser account of itself in the source tree, which may be found first.
    installed = next((each for each in distributions(name="edgeport") if each.read_text("METADATA")), None)
    if installed is None:
        raise ExportError("edgeport does not know its own dependencies: install it with pip, then bundle again")
    stem = f"edgeport-{installed.version}"
    files = modules()
    for name in _RECORDS:
        text = installed.read_text(name)
        if text is not None:
            files[f"{stem}.dist-info/{name}"] = text.encode()
    files[f"{stem}.dist-info/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: edgeport ({installed.version})\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    ).encode()
    record = f"{stem}.dist-info/RECORD"
    files[record] = _record(files, record)
    return f"{stem}-py3-none-any.whl", _zip(files)


def modules() -> dict[str, bytes]:
    """Return the content of every file of the packages, by its path in a wheel."""
    files = {}
    for layer in _LAYERS:
        spec = find_spec(f"edgeport.{layer}")
        if spec is None or not spec.submodule_search_locations:
            raise ExportError(f"edgeport.{layer} is not installed: install edgeport again, then bundle")
        root = Path(spec.submodule_search_locations[0])
        # A folder without __init__.py is no package of ours, and lies in nobody else's wheel.
        packages = [path.parent for path in root.rglob("__init__.py") if _LAB not in path.relative_to(root).parts]
        for package in packages:
            texts = package.parts[-len(device.PLACE) :] == device.PLACE
            patterns = ("*",) if texts else _FILES
            for path in itertools.chain.from_iterable(map(package.glob, patterns)):
                if path.is_file():
                    files[f"edgeport/{layer}/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    return files


def _record(files: Mapping[str, bytes], itself: str) -> bytes:
    lines = [f"{name},sha256={_digest(files[name])},{len(files[name])}" for name in sorted(files)]
    return "".join(f"{line}\n" for line in [*lines, f"{itself},,"]).encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    # Stored, not deflated: the archive around it is compressed, and better so.
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _THEN)
            entry.create_system = 3
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name])
    return written.getvalue()
