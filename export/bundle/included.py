"""Files of the user's own that travel along: vocabularies, thresholds, lists of names."""

from collections.abc import Sequence
from pathlib import Path

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import read_plain
from edgeport.runtime.host.terminal import steers, visible

FOLDER = "included"
# All of a bundle is packed in memory.
_MOST_BYTES = 512 << 20


def read_included(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return the content of files by their names, which become those in the bundle's folder ``included``.

    Raises:
        InputError: One is missing, unreadable or no plain file; two have the same name; a name cannot stand in a list
            of checksums; or all of them are too large.
    """
    contents: dict[str, bytes] = {}
    taken: dict[str, Path] = {}
    left = _MOST_BYTES
    for path in paths:
        name = path.name
        if path.is_dir():
            raise InputError(f"--include: got the folder {path}, expected a file: pack it first, or give its files")
        # sha256sum writes and reads such names in another way.
        if steers(name) or "\\" in name:
            raise InputError(f"--include: got '{visible(name)}', expected a name without control characters and \\")
        # The device's file system may take both for one.
        if (other := taken.get(name.casefold())) is not None:
            again = "twice" if other.resolve() == path.resolve() else f"and {other}: two files of one name"
            raise InputError(f"--include: got {path} {again}, expected each name once")
        left -= path.stat().st_size if path.exists() else 0
        if left < 0:
            raise InputError(f"--include: got more than {_MOST_BYTES:,} bytes with {path}, expected less in all")
        taken[name.casefold()], contents[name] = path, read_plain(path, most=_MOST_BYTES, error=InputError)
    return contents
