"""Add a metadata entry to a .tflite file without touching a byte of the model.

A TFLite file is a flatbuffer: a root table ``Model`` whose fields point forward to everything else. Unpacking and
repacking it moves every buffer to another alignment than the converter gave it. So a new root is put in front of the
old file instead: a ``Model`` table with the same fields, whose lists of buffers and metadata are one entry longer.
The old bytes follow as they are, shifted by a multiple of 16. Only an archive at the end records that it has moved.

Field numbers are those of tensorflow/lite/schema/schema.fbs, version 3; the layout of tables and vectors is the
flatbuffers internals document.
"""

import struct
from dataclasses import dataclass

from edgeport.export.tflite.appended_files import moved_archive
from edgeport.runtime.errors import ExportError

_VERSION, _BUFFERS, _METADATA, _FIELD_COUNT = 0, 4, 6, 8
_ALIGNMENT = 16


@dataclass(frozen=True)
class _Table:
    """A flatbuffer table: where it stands, and where each of its fields stands (0 if absent)."""

    position: int
    fields: tuple[int, ...]


def add_metadata(content: bytes, name: str, data: bytes) -> bytes:
    """Return a .tflite file with one more metadata entry.

    Args:
        content: A TFLite file below 2 GiB, as the converter wrote it or as this function returned it.
        name: What the entry is called, in ASCII.
        data: The entry's buffer.

    Raises:
        ExportError: The file's root table has fields that this function does not know.
    """
    model = _root(content)
    if any(model.fields[_FIELD_COUNT:]):
        raise ExportError("the TFLite file uses a newer schema than version 3: update edgeport")
    buffers = _vector(content, model, _BUFFERS)
    metadata = _vector(content, model, _METADATA)

    # What stands in front of the old file, in this order; each size is known beforehand. A table stands behind its
    # vtable, which takes 8 bytes for both of the small tables.
    vtable = 8
    table = vtable + 4 + 2 * _FIELD_COUNT
    new_buffers = table + 4 + 4 * _FIELD_COUNT
    new_metadata = new_buffers + 4 + 4 * (len(buffers) + 1)
    entry = new_metadata + 4 + 4 * (len(metadata) + 1) + 8
    title = entry + 12
    buffer = _aligned(title + 4 + len(name) + 1, 4) + 8
    # The vector's length precedes its data, and it is the data that is aligned.
    vector = _aligned(buffer + 8 + 4, _ALIGNMENT) - 4
    shift = _aligned(vector + 4 + len(data), _ALIGNMENT)

    front = bytearray(shift)
    struct.pack_into("<I4s", front, 0, table, b"TFL3")
    struct.pack_into(
        f"<{2 + _FIELD_COUNT}H", front, vtable, 4 + 2 * _FIELD_COUNT, 4 + 4 * _FIELD_COUNT, *_present(model)
    )
    struct.pack_into("<i", front, table, table - vtable)
    for number, position in enumerate(model.fields[:_FIELD_COUNT]):
        field = table + 4 + 4 * number
        if number == _VERSION:
            front[field : field + 4] = content[position : position + 4]
        elif number in (_BUFFERS, _METADATA):
            struct.pack_into("<I", front, field, (new_buffers if number == _BUFFERS else new_metadata) - field)
        elif position:
            struct.pack_into("<I", front, field, shift + _follow(content, position) - field)
    _pack_vector(front, new_buffers, [*(shift + target for target in buffers), buffer])
    _pack_vector(front, new_metadata, [*(shift + target for target in metadata), entry])
    _pack_entry(front, entry, title, buffer_index=len(buffers))
    struct.pack_into(f"<I{len(name)}s", front, title, len(name), name.encode("ascii"))
    _pack_buffer(front, buffer, vector)
    struct.pack_into(f"<I{len(data)}s", front, vector, len(data), data)
    return bytes(front) + moved_archive(content, by=shift)


def _root(content: bytes) -> _Table:
    position = _follow(content, 0)
    vtable = position - struct.unpack_from("<i", content, position)[0]
    size = struct.unpack_from("<H", content, vtable)[0]
    offsets = struct.unpack_from(f"<{size // 2 - 2}H", content, vtable + 4)
    fields = tuple(position + offset if offset else 0 for offset in offsets)
    return _Table(position, fields + (0,) * (_FIELD_COUNT - len(fields)))


def _follow(content: bytes, position: int) -> int:
    """Return the place that the forward offset at ``position`` points to."""
    target: int = position + struct.unpack_from("<I", content, position)[0]
    return target


def _vector(content: bytes, table: _Table, field: int) -> list[int]:
    """Return the places that the elements of a vector of tables point to."""
    if not table.fields[field]:
        return []
    start = _follow(content, table.fields[field])
    count = struct.unpack_from("<I", content, start)[0]
    return [_follow(content, start + 4 + 4 * index) for index in range(count)]


def _present(model: _Table) -> list[int]:
    """Return the vtable's entries: the offset of each field in the new table, 0 for one that is absent."""
    always = (_BUFFERS, _METADATA)
    return [4 + 4 * number if model.fields[number] or number in always else 0 for number in range(_FIELD_COUNT)]


def _pack_vector(front: bytearray, position: int, targets: list[int]) -> None:
    struct.pack_into("<I", front, position, len(targets))
    for index, target in enumerate(targets):
        element = position + 4 + 4 * index
        struct.pack_into("<I", front, element, target - element)


def _pack_entry(front: bytearray, table: int, name: int, *, buffer_index: int) -> None:
    """Pack a Metadata table, {name: string, buffer: uint}, and its vtable before it."""
    struct.pack_into("<4H", front, table - 8, 8, 12, 4, 8)
    struct.pack_into("<iII", front, table, 8, name - (table + 4), buffer_index)


def _pack_buffer(front: bytearray, table: int, data: int) -> None:
    """Pack a Buffer table, {data: [ubyte]}, and its vtable before it."""
    struct.pack_into("<3H", front, table - 8, 6, 8, 4)
    struct.pack_into("<iI", front, table, 8, data - (table + 4))


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
