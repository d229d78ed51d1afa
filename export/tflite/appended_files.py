"""Files behind a model: a ZIP archive at the end of a .tflite file, where readers of its metadata look for them.

The archive counts its positions from the start of the whole file, as the ZIP specification (APPNOTE.TXT, 4.4.16 and
4.4.24) wants it. Python forgives other numbers, not every reader does. So whoever puts bytes in front of an archive
must correct them.
"""

import io
import struct
import zipfile
from collections.abc import Mapping

# Sizes of the end record and of a directory entry, and where in them the positions stand (APPNOTE.TXT, 4.3).
_END, _END_COUNT, _END_POSITION = 22, 10, 16
_ENTRY, _ENTRY_LENGTHS, _ENTRY_POSITION = 46, 28, 42


def append_files(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """Return a file with an archive of ``files``, by name, behind it: not compressed, the same bytes on any day."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            # Otherwise it would tell on which system the file was made.
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            opened.writestr(entry, data)
    return content + moved_archive(archive.getvalue(), by=len(content))


def moved_archive(content: bytes, *, by: int) -> bytes:
    """Return a file whose archive, if it ends with one, is right once ``by`` bytes stand in front of the file."""
    end = len(content) - _END
    if end < 0 or not content.startswith(b"PK\5\6", end):
        return content
    count, size, start = struct.unpack_from("<HII", content, end + _END_COUNT)
    if start + size != end or (count and not content.startswith(b"PK\1\2", start)):
        return content
    moved = bytearray(content)
    struct.pack_into("<I", moved, end + _END_POSITION, start + by)
    for _ in range(count):
        position = struct.unpack_from("<I", content, start + _ENTRY_POSITION)[0]
        struct.pack_into("<I", moved, start + _ENTRY_POSITION, position + by)
        start += _ENTRY + sum(struct.unpack_from("<3H", content, start + _ENTRY_LENGTHS))
    return bytes(moved)
