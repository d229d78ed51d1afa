"""Finds what an .onnx file wants from other files, and puts it inside, before an engine sees the file.

onnxruntime follows the paths in a model by itself: for a model given as bytes from the working folder, and through
hard links in any. So the model is walked here, by protobuf's wire format (protobuf.dev, "Encoding"), the files
are read once, from the model's own folder alone, and their bytes take the place of the paths. The engine gets one
piece of memory and opens nothing.

Field numbers are those of onnx.proto, IR version 13.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from edgeport.runtime.artefact.foreign.protobuf import BYTES, VARINT, BrokenMessageError, fields
from edgeport.runtime.errors import ArtefactError

# Where tensors can be: for each message the fields that lead there.
_CHILDREN = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "Sparse"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
}
# A parser merges two of these into one message, so that neither alone shows what it holds.
_SINGLE = {
    ("Model", 7), ("Training", 1), ("Training", 2), ("Attribute", 5), ("Attribute", 6), ("Attribute", 22),
    ("Sparse", 1), ("Sparse", 2),
}  # fmt: skip
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
_KEY, _VALUE = 1, 2
# What parsers of protobuf allow.
_DEEPEST = 100
_MOST_BYTES = 2**31 - 1

_Tensor = Callable[[memoryview], "bytes | None"]


def sound_content(content: bytes, *, name: str, folder: Path | None) -> bytes:
    """Return an .onnx file with the tensors inside that it keeps in other files; the same bytes if it is complete.

    The files must be plain files in the model's own folder or below: no absolute path, no ``..``, no symbolic link,
    no hard link. Each is read once.

    Args:
        content: The whole file.
        name: What to call it in an error.
        folder: The folder that the file is in; None if it was given as bytes.

    Raises:
        ArtefactError: The file is not built as an ONNX model is, a file that it names is not allowed, missing or
            too short, or the whole is larger than a model can be (2 GiB).
    """
    files: dict[str, bytes] = {}
    total = len(content)

    # Twice: the whole is measured before it is made.
    def measure(tensor: memoryview) -> None:
        nonlocal total
        entries = _external(tensor)
        if entries is None:
            return
        location = entries["location"]
        if folder is None:
            raise _refusal(name, location, "the model was given as bytes, which have no folder")
        if location not in files:
            files[location] = _read(folder, location, name, most=_MOST_BYTES - sum(map(len, files.values())))
        start, end = _part(len(files[location]), entries, name)
        total += end - start
        if total > _MOST_BYTES:
            raise _refusal(name, location, "with it the model is larger than 2 GiB")

    def fill(tensor: memoryview) -> bytes | None:
        entries = _external(tensor)
        if entries is None:
            return None
        file = files[entries["location"]]
        start, end = _part(len(file), entries, name)
        return _filled(tensor, memoryview(file)[start:end])

    _walked(content, measure, name)
    return (_walked(content, fill, name) or content) if files else content


def _walked(content: bytes, tensor: _Tensor, name: str) -> bytes | None:
    if content[4:8] == b"ORTM":
        raise ArtefactError(f"{name} is a model in onnxruntime's own format, expected ONNX: convert it again")
    try:
        return _rewritten("Model", memoryview(content), tensor, 0)
    except BrokenMessageError as error:
        raise ArtefactError(
            f"{name} is damaged, or made to do harm: {error}, so it is no ONNX file. Copy or export it again."
        ) from None


def _rewritten(kind: str, message: memoryview, tensor: _Tensor, depth: int) -> bytes | None:
    """Return a message with each tensor below it that ``tensor`` replaces; None if it replaces none."""
    if depth > _DEEPEST:
        raise BrokenMessageError(f"it is nested more than {_DEEPEST} deep")
    children, copied = _CHILDREN[kind], 0
    pieces: list[bytes | memoryview] = []
    seen: set[int] = set()
    for number, wire, tag, start, end in fields(message):
        child = children.get(number)
        if child is None:
            continue
        if wire != BYTES or ((kind, number) in _SINGLE and number in seen):
            raise BrokenMessageError(f"field {number} of a {kind} is of another type, or there twice")
        seen.add(number)
        part = message[start:end]
        new = tensor(part) if child == "Tensor" else _rewritten(child, part, tensor, depth + 1)
        if new is not None:
            pieces += [message[copied:tag], _head(number, len(new)), new]
            copied = end
    return b"".join([*pieces, message[copied:]]) if pieces else None


def _head(number: int, length: int) -> bytes:
    """Return the tag and the length that precede the bytes of a field."""
    head = bytearray()
    for value in (number << 3 | BYTES, length):
        while value > 0x7F:
            head.append(value & 0x7F | 0x80)
            value >>= 7
        head.append(value)
    return bytes(head)


def _external(tensor: memoryview) -> dict[str, str] | None:
    """Return what a tensor says about where its bytes are; None if it has them itself."""
    external, entries = False, {}
    for number, wire, _, start, end in fields(tensor):
        if number == _DATA_LOCATION:
            external = external or wire != VARINT or any(tensor[start:end])
        elif number == _EXTERNAL_DATA:
            if wire != BYTES:
                raise BrokenMessageError("an entry of external data is of another type")
            entry = {
                field: bytes(tensor[start:end][first:last]).decode("utf-8", "replace")
                for field, _, _, first, last in fields(tensor[start:end])
            }
            key = entry.get(_KEY, "")
            if key in entries:
                raise BrokenMessageError("an entry of external data is there twice")
            entries[key] = entry.get(_VALUE, "")
    if external and "location" not in entries:
        raise BrokenMessageError("a tensor is in another file without a name")
    return entries if external else None


def _filled(tensor: memoryview, data: memoryview) -> bytes:
    kept = [
        tensor[tag:end]
        for number, _, tag, _, end in fields(tensor)
        if number not in (_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION)
    ]
    return b"".join([*kept, _head(_RAW_DATA, len(data)), data])


def _part(size: int, entries: dict[str, str], name: str) -> tuple[int, int]:
    """Return where in its file, of ``size`` bytes, a tensor starts and ends."""
    location = entries["location"]
    numbers = [entries.get("offset", "0"), entries.get("length", "")]
    if not all(number.isascii() and (number.isdigit() or not number) and len(number) < 20 for number in numbers):
        raise _refusal(name, location, f"its offset or length is no number, got {' and '.join(numbers)[:60]!r}")
    offset = int(numbers[0] or 0)
    end = offset + int(numbers[1]) if numbers[1] else size
    if not offset <= end <= size:
        raise _refusal(name, location, f"got a file of {size} bytes, expected bytes {offset} to {end}")
    return offset, end


def _read(folder: Path, location: str, name: str, *, most: int) -> bytes:
    """Read one file below a folder, without following a link on the way."""
    parts = location.split("/")
    if any(part == ".." for part in parts) or location.startswith("/") or "\\" in location or "\0" in location:
        raise _refusal(name, location, "the path leads out of the model's folder, or may")
    parts = [part for part in parts if part not in ("", ".")]
    if not parts:
        raise _refusal(name, location, "the path names no file")
    opened: list[int] = []
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
        for part in parts[:-1]:
            opened.append(os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        # Without O_NONBLOCK a pipe would keep us waiting for its writer.
        opened.append(os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened[-1]))
        return _plain_content(opened[-1], name, location, most)
    except OSError as error:
        raise _refusal(name, location, f"it cannot be opened without following a link ({error.strerror})") from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _plain_content(descriptor: int, name: str, location: str, most: int) -> bytes:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise _refusal(name, location, "it is no plain file")
    if facts.st_nlink > 1:
        raise _refusal(name, location, f"it has {facts.st_nlink} names (hard links), so it may be another's")
    if facts.st_size > most:
        raise _refusal(name, location, f"got {facts.st_size} bytes, expected at most 2 GiB in all files")
    with os.fdopen(os.dup(descriptor), "rb") as file:
        # The size that it has, and not the most: that many bytes would be asked for first.
        return file.read(facts.st_size)


def _refusal(name: str, location: str, why: str) -> ArtefactError:
    return ArtefactError(
        f"{name} keeps tensors in the file {location[:100]!r}: {why}. "
        "Copy it beside the model as a plain file, or save the model as one file."
    )
