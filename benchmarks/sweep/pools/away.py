"""A cell made away from the sweep's folder: what it needs comes in as bytes, and its folder goes back as bytes.

The machines of a cluster may share no file system, so nothing here is a path of another machine.
"""

import hashlib
import io
import os
import tarfile
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from edgeport.benchmarks.sweep.cells.cell import Order, read_order
from edgeport.benchmarks.sweep.cells.process import CellProcess
from edgeport.runtime.files.output import write_whole
from edgeport.runtime.files.temporary import temporary_folder


@dataclass(frozen=True)
class Made:
    """What comes back of a cell.

    Attributes:
        failure: Why it could not be made; empty if it was.
        folder: The cell's folder, as a tar archive.
        seconds: How long it took there.
    """

    failure: str
    folder: bytes
    seconds: float


def make_away(order_line: str, teacher: bytes | None, names: list[str], *archives: bytes) -> Made:
    """Make a cell in a temporary folder of this machine.

    Args:
        order_line: The order, as ``order_text`` writes it.
        teacher: The content of the teacher's file.
        names: The names of the data sets that come along.
        archives: The content of an archive of each, as ``write_archive`` writes it.
    """
    started = time.monotonic()
    order = read_order(order_line)
    with temporary_folder() as place:
        paths = {}
        for number, (name, content) in enumerate(zip(names, archives, strict=True)):
            paths[name] = place / f"data-{number}.npz"
            paths[name].write_bytes(content)
        cell = replace(order.cell, teacher=_kept(teacher) if teacher else None)
        order = replace(order, cell=cell, folder=place / "cell", archives=paths)
        failure = _make(order)
        return Made(failure, _packed(order.folder), time.monotonic() - started)


def unpack(content: bytes, folder: Path) -> None:
    """Write what ``Made.folder`` holds to an empty folder."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        # Plain files and folders below this one, whatever the archive says.
        archive.extractall(folder, filter="data")


def _make(order: Order) -> str:
    process = CellProcess(order)
    try:
        while True:
            for event in process.events():
                if "failed" in event:
                    return str(event["failed"])
                if "done" in event:
                    return ""
    finally:
        process.end()


def _packed(folder: Path) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(folder, ".", filter=_without_partial)
    return content.getvalue()


def _without_partial(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what a process that died was writing."""
    return None if Path(member.name).name.endswith(".partial") else member


def _kept(teacher: bytes) -> Path:
    """Return where the teacher lies on this machine for all cells; its answers are computed once and kept beside it."""
    digest = hashlib.sha256(teacher).hexdigest()
    path = Path(tempfile.gettempdir(), f"edgeport-teachers-{os.getuid()}", digest, "teacher.keras")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.is_file() or path.read_bytes() != teacher:
        write_whole(path, teacher)
    return path
