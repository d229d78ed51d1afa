"""The folder for temporary files: it is often a small one in memory, and a system does not say that it was that one."""

import errno
import os
import tempfile

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
