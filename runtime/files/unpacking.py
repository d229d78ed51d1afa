"""Archives that unpack to far more than they are: known from what they say of themselves, before memory is taken."""

import zipfile
from typing import BinaryIO

from edgeport.runtime.errors import EdgeportError

# Below this nothing is refused: zeros and text are packed a thousandfold, and memory is there for so much.
_HARMLESS = 1 << 30
_MOST_TIMES = 100


def check_unpacked(
    file: BinaryIO, *, named: str, size: int, error: type[EdgeportError], harmless: int = _HARMLESS
) -> int:
    """Return how many bytes the entries of a ZIP archive have when they are unpacked; 0 if it is no ZIP archive.

    A reader stops at the size that an entry says it has, so no entry can turn out to be larger.

    Args:
        file: The archive; it is read from its start again afterwards.
        named: What to call it.
        size: How many bytes it has.
        error: What to raise.
        harmless: How many bytes may come of it in any case.

    Raises:
        EdgeportError: Of the type ``error``: they are over 100 times as many as the archive has, or overlap in it.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return 0
    finally:
        file.seek(0)
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if unpacked > max(harmless, _MOST_TIMES * size) or packed > size:
        raise error(
            f"cannot read {named}: its {size:,} bytes would unpack to {unpacked:,}, which no model or data set does"
        )
    return unpacked
