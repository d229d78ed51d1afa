"""Walks protobuf messages as the wire format says (protobuf.dev, "Encoding"), without a schema or a parser."""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class BrokenMessageError(Exception):
    """The bytes are no message; the text says why."""


def fields(message: memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield for each field its number, its wire type, where it starts, and where its value starts and ends."""
    position, size = 0, len(message)
    while position < size:
        tag = position
        key, position = varint(message, position)
        number, wire = key >> 3, key & 7
        start = position
        if wire == VARINT:
            _, position = varint(message, position)
        elif wire == BYTES:
            length, start = varint(message, position)
            position = start + length
        elif wire in (FIXED32, FIXED64):
            position += 4 if wire == FIXED32 else 8
        else:
            raise BrokenMessageError(f"a field has the wire type {wire}")
        if not number or position > size:
            what = "ends outside the file" if number else f"has the number {number}"
            raise BrokenMessageError(f"a field {what}")
        yield number, wire, tag, start, position


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number that is written at a position, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise BrokenMessageError("a number does not end")
