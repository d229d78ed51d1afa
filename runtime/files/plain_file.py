"""The one way to read a file that somebody names: a plain file, of a size that makes sense for what it is.

A named pipe would keep a reader waiting for ever, and a device such as /dev/zero never ends. Both are refused at once,
as folders are. A symbolic link to a plain file is one.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from edgeport.runtime.errors import ArtefactError, EdgeportError

# The most bytes of each kind of file. Flatbuffers and protobuf messages count theirs in 31 bits.
MOST_MODEL = 2**31 - 1
# Manifests, records and settings take some KB; a benchmark's report holds every raw sample.
MOST_JSON, MOST_REPORT = 64 << 20, 256 << 20
# Pictures without compression, at the limit on what decoding them may take.
MOST_PICTURE = 1 << 30

_KINDS = (
    (stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def read_plain(
    path: str | os.PathLike[str], *, most: int, error: type[EdgeportError] = ArtefactError, who: str = ""
) -> bytes:
    """Return the content of a plain file.

    Args:
        path: The file, as it was named.
        most: How many bytes a file of its kind has, at most.
        error: What to raise.
        who: What the message calls the file, before its name.

    Raises:
        EdgeportError: Of the type ``error``: it is missing, unreadable, no plain file, or too large.
    """
    with open_plain(path, most=most, error=error, who=who) as file:
        # None from what has a file's name and no content yet, such as /proc/kmsg.
        content = file.read() or b""
        if len(content) > most:
            raise error(_too_large(_named(path, who), len(content), most))
        return content


@contextmanager
def open_plain(
    path: str | os.PathLike[str], *, most: int, error: type[EdgeportError] = ArtefactError, who: str = ""
) -> Iterator[BinaryIO]:
    """Yield a plain file, open for reading; see ``read_plain``, whose errors those of the block become."""
    named = _named(path, who)
    try:
        # Not waiting for the writer of a pipe; not making a terminal that somebody names one's own.
        with open(path, "rb", buffering=0, opener=_opener) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                kind = next((words for test, words in _KINDS if test(facts.st_mode)), "something else")
                raise error(f"cannot read {named}: it is {kind}, and no plain file")
            if facts.st_size > most:
                raise error(_too_large(named, facts.st_size, most))
            yield file
    except OSError as refused:
        if isinstance(refused, EdgeportError):
            raise
        raise error(f"cannot read {named}: {refused.strerror or refused}") from refused
    except ValueError as refused:
        if isinstance(refused, EdgeportError) or "\0" not in os.fspath(path):
            raise
        # A name that no file can have.
        raise error(f"cannot read {named}: its name holds a NUL") from refused


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _named(path: str | os.PathLike[str], who: str) -> str:
    return f"{who} {os.fsdecode(path)}".strip()


def _too_large(named: str, got: int, most: int) -> str:
    return f"cannot read {named}: got {got:,} bytes or more, expected at most {most:,}"
