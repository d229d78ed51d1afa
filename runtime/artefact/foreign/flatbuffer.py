"""A bounds-checked walk of a flatbuffer, driven by a table of tables: nothing outside the file is ever followed.

The layout is that of the flatbuffers internals document: a table begins with the signed distance back to its vtable,
which says where in the table each field stands; offsets to strings, vectors and other tables are unsigned and point
forward.
"""

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from edgeport.runtime.artefact.foreign.tflite_schema import Fields, fields_of, members_of
from edgeport.runtime.errors import ArtefactError

# A table's fields by name: numbers, text as bytes, vectors of numbers as memory views, tables, lists of tables.
Record = Mapping[str, Any]
_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8}
_OFFSET = 4
_fields_of = lru_cache(fields_of)
_members_of = lru_cache(members_of)


class Walk:
    """One reading of one file; every table and vector is read once, wherever it is used.

    What is visited is paid for from a budget of a few times the file's size. Parts that overlap, so that a small file
    would be a lot of work, exhaust it.
    """

    def __init__(self, content: bytes, *, name: str) -> None:
        self._content = memoryview(content)
        self._name = name
        self._size = len(content)
        self._budget = 4 * len(content)
        self._seen: dict[tuple[Any, int], Any] = {}

    def root(self, table: str, identifier: bytes) -> Record:
        """Return the root table.

        Raises:
            ArtefactError: Anything in the file points outside of it, or is not built as the schema says.
        """
        if self._size < 8 or self._content[4:8] != identifier:
            raise self.refusal(f"it does not carry the identifier {identifier.decode()}")
        return self._table(_fields_of(table), self._target(0))

    def refusal(self, what: str) -> ArtefactError:
        """Return the error that says what is wrong with the file."""
        return ArtefactError(f"{self._name} is damaged, or made to do harm: {what}. Copy or export it again.")

    def spend(self, amount: int) -> None:
        """Pay for work that is about to be done, in bytes of the file that would justify it."""
        self._budget -= amount
        if self._budget < 0:
            raise self.refusal("its parts overlap")

    def _number(self, code: str, position: int) -> Any:
        size = _SIZES[code]
        if position < 0 or position + size > self._size or position % size:
            raise self.refusal(f"a number at byte {position} is outside the file or not aligned")
        return struct.unpack_from(f"<{code}", self._content, position)[0]

    def _target(self, position: int) -> int:
        target: int = position + self._number("I", position)
        if target == position or target + _OFFSET > self._size or target % _OFFSET:
            raise self.refusal(f"the offset at byte {position} leads outside the file or is not aligned")
        return target

    def _once(self, kind: Any, position: int, read: Callable[[], Any]) -> Any:
        key = (kind, position)
        if key not in self._seen:
            self._seen[key] = read()
        return self._seen[key]

    def _table(self, fields: Fields, position: int) -> Record:
        record: Record = self._once(fields, position, lambda: self._read_table(fields, position))
        return record

    def _read_table(self, fields: Fields, position: int) -> Record:
        self.spend(_OFFSET)
        vtable = position - self._number("i", position)
        length, size = self._number("H", vtable), self._number("H", vtable + 2)
        if length < 4 or length % 2 or vtable + length > self._size or size < 4 or position + size > self._size:
            raise self.refusal(f"the table at byte {position} has no sound vtable")
        record: dict[str, Any] = {}
        present = struct.unpack_from(f"<{length // 2 - 2}H", self._content, vtable + 4)
        for (name, kind), offset in zip(fields, present, strict=False):
            if not offset or kind == "-":
                continue
            if offset + _SIZES.get(kind, _OFFSET) > size:
                raise self.refusal(f"a field of the table at byte {position} is outside of it")
            # The type of a union stands in the field before it.
            member = record.get(f"{name}_type", 0)
            record[name] = self._field(kind, position + offset, member)
        return record

    def _field(self, kind: str, position: int, member: int) -> Any:
        if kind in _SIZES:
            return self._number(kind, position)
        target = self._target(position)
        if kind == "s":
            return self._once(kind, target, lambda: self._text(target))
        if kind.startswith("["):
            return self._once(kind, target, lambda: self._vector(kind[1:-1], target))
        if kind.startswith("<"):
            # A member that is not in the table of tables may have any fields; engines of its time know them.
            members = _members_of(kind[1:-1])
            return self._table(members[member - 1] if 0 < member <= len(members) else (), target)
        return self._table(_fields_of(kind), target)

    def _text(self, position: int) -> bytes:
        text = self._vector("B", position)
        end = position + _OFFSET + len(text)
        if end >= self._size or self._content[end]:
            raise self.refusal(f"the text at byte {position} does not end")
        return bytes(text[:256])

    def _vector(self, kind: str, position: int) -> Any:
        count = self._number("I", position)
        start, size = position + _OFFSET, _SIZES.get(kind, _OFFSET)
        if count * size > self._size - start:
            raise self.refusal(f"the list at byte {position} has {count} entries, more than the file can hold")
        if kind in _SIZES:
            numbers: Any = self._content[start : start + count * size]
            return numbers.cast(kind)
        self.spend(count * size)
        if kind == "s":
            return [self._text(self._target(start + size * index)) for index in range(count)]
        fields = _fields_of(kind)
        return [self._table(fields, self._target(start + size * index)) for index in range(count)]
