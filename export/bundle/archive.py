"""One archive of a bundle's files: the same files are the same bytes, whoever packs them and when."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping

SUMS = "SHA256SUMS"


def sums_text(files: Mapping[str, bytes]) -> bytes:
    """Return the SHA-256 of each file, as ``sha256sum --check`` reads them."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def archive_bytes(files: Mapping[str, bytes], *, top: str) -> bytes:
    """Return the content of a .tar.gz with one folder that holds all files.

    Args:
        files: The content of each file by its path below the folder; those that end in .sh may be executed.
        top: The name of the folder.
    """
    written = io.BytesIO()
    # Neither the time nor the name of the archive is part of it.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=written, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted({top, *(f"{top}/{name}" for name in _with_folders(files))}):
            content = files.get(name.removeprefix(f"{top}/"))
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(content), 0o755 if name.endswith(".sh") else 0o644
                archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def _with_folders(files: Mapping[str, bytes]) -> set[str]:
    names = set(files)
    for name in files:
        parts = name.split("/")
        names |= {"/".join(parts[:depth]) for depth in range(1, len(parts))}
    return names
