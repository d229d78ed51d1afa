"""Files are written whole or not at all, and nothing that a user has is lost."""

import os
from _thread import get_ident
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.claim import Claim, claimed_folder, hidden_name, refusals_reported
from edgeport.runtime.files.swap import deliver

_PARTIAL_PREFIX = ".partial-"


def check_output_folder(folder: Path, *, overwrite: bool, expected: Iterable[str] = ()) -> None:
    """Raise InputError if a result may not be written to ``folder``; call it before the long work.

    Args:
        folder: Where the result shall go; it need not exist yet.
        overwrite: Whether the user allowed to replace what is there.
        expected: Names that may be there in any case.
    """
    try:
        held = sorted({entry.name for entry in folder.iterdir()} - set(expected))
    except FileNotFoundError:
        held = []
    except OSError as error:
        raise InputError(f"cannot use {folder} as output folder: {error.strerror}") from error
    # What a killed process left behind is not the user's.
    left_behind = hidden_name(Path(os.path.realpath(folder)))
    held = [name for name in held if name != left_behind and not name.startswith(_PARTIAL_PREFIX)]
    if held and not overwrite:
        shown = ", ".join(held[:3]) + (", ..." if len(held) > 3 else "")
        raise InputError(
            f"output folder {folder} is not empty (it holds {shown}): "
            "choose another with -o, or replace what is there with --overwrite"
        )


@contextmanager
def staged_folder(folder: Path, *, record: str | None, stale: Iterable[str] = ()) -> Iterator[Path]:
    """Yield an empty folder to write a result into; when the block ends well, ``folder`` becomes that result.

    Claims ``folder`` for the while, and is ``staged_result`` in all else.

    Args:
        folder: Where the result goes; made with its parents if it does not exist.
        record: The name of the file without which the folder is no result; None if there is no such file.
        stale: Names of files of an earlier result, to be removed when the new one takes its place.

    Raises:
        InputError: Another process writes to the folder, or it cannot be written: no permission, no space, read-only.
    """
    with claimed_folder(folder) as claim, staged_result(claim, record=record, stale=stale) as staging:
        yield staging


@contextmanager
def staged_result(claim: Claim, *, record: str | None, stale: Iterable[str] = ()) -> Iterator[Path]:
    """Yield an empty folder to write the files of a result into; when the block ends well, they take their place.

    They do so in one step, together, as far as the system can (``swap.deliver`` says where it cannot, and what
    ``record`` is for then). Killed at any moment, the folder is the old one or the new one. When the block fails
    or is interrupted, what it wrote is removed and the folder is as it was. Files of other names are left alone.

    Args:
        claim: The folder; for one result.
        record: The name of the file without which the folder is no result; None if there is no such file.
        stale: Names of files of an earlier result, to be removed when the new one takes its place.

    Raises:
        InputError: The folder cannot be written: no permission, no space, read-only.
    """
    with refusals_reported(claim.folder):
        yield claim.staging
        deliver(claim, record=record, stale=stale)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old content or the new, never a part of it.

    Raises:
        InputError: The file cannot be written.
    """
    # Two that write the same file at a time must not share what they have written so far.
    partial = path.with_name(f"{_PARTIAL_PREFIX}{os.getpid()}-{get_ident()}-{path.name}")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise InputError(f"cannot write {path}: {error.strerror}") from error
