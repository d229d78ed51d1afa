"""The word that clients of a server must know, in a file that they and the server read."""

import os
from pathlib import Path

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.plain_file import read_plain

_SHORTEST, _LONGEST = 16, 512
_OTHERS = 0o006


def read_token(path: Path) -> str:
    """Return the one word in a file; raises InputError if it cannot be read, or is too short to be one."""
    token = read_plain(path, most=4096, error=InputError).decode("ascii", "replace").strip()
    if not (_SHORTEST <= len(token) <= _LONGEST and all("!" <= letter <= "~" for letter in token)):
        raise InputError(
            f"{path}: got {len(token)} characters, expected one word of {_SHORTEST} to {_LONGEST} letters, digits and "
            "signs of ASCII"
        )
    return token


def is_open_to_others(path: Path) -> bool:
    """Return whether any user of this machine can read or change a file."""
    return bool(os.stat(path).st_mode & _OTHERS)
