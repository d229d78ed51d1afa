"""The folder for temporary files: it is often a small one in memory, and a system does not say that it was that one.

What a killed run leaves there would stay until the next start of the machine, and fill it. So each folder is locked as
long as its run lives, and whoever makes the next one removes those that nobody holds any more.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "edgeport-run-"
# A run makes its folder first, and then locks it.
_YOUNG_SECONDS = 60.0
_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.ENOENT, None}
# Less than this is what numpy and the engines' tools trip over.
_LEAST_BYTES = 1 << 20


def full_temporary_folder(error: OSError) -> str:
    """Return in a line that temporary files have no space, if that is what an error comes from; else an empty text.

    What numpy writes ends in an error without a number, and a full folder for temporary files is to ``tempfile`` none
    that can be used, so the space that is left there decides.
    """
    if error.errno not in _OF_SPACE:
        return ""
    try:
        folder = tempfile.gettempdir()
        facts = os.statvfs(folder)
    except OSError as none:
        return f"cannot write temporary files ({none.strerror}): name a folder with space in TMPDIR"
    if facts.f_bavail * facts.f_frsize >= _LEAST_BYTES:
        return ""
    return f"cannot write temporary files to {folder}: no space is left there; name another folder in TMPDIR"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder, which is removed at the end; before that, those that killed runs of this user have left."""
    _remove_forsaken(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            # On a file system without locks it is removed by nobody else, or by a run that starts in a minute.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            yield Path(name)
        finally:
            os.close(descriptor)


def _remove_forsaken(place: Path) -> None:
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
                _remove_if_forsaken(entry)


def _remove_if_forsaken(entry: os.DirEntry[str]) -> None:
    # Another run may remove it at the same time.
    with suppress(OSError):
        facts = entry.stat(follow_symlinks=False)
        if facts.st_uid != os.getuid() or time.time() - facts.st_mtime < _YOUNG_SECONDS:
            return
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(entry.path)
        finally:
            os.close(descriptor)
