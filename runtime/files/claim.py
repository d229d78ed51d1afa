"""One writer at a time: a result folder is claimed, and its next content prepared in a hidden folder beside it.

The hidden folder of ``runs/export`` is ``runs/.export.partial``. It holds two things:

    lock      locked (flock) by the process that writes; the system frees it when that process ends, however it ends
    result    what is being written, and, while one folder takes another's place, the one that goes

So whoever holds the lock may remove what a killed process left behind, and nothing else is ever removed.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgeport.runtime.errors import InputError
from edgeport.runtime.files.temporary import full_temporary_folder

_LOCK, _STAGING = "lock", "result"


@dataclass(frozen=True)
class Claim:
    """A result folder that this process alone may write to.

    Attributes:
        folder: The folder, free of symbolic links; it need not exist.
        staging: An empty folder to prepare its next content in; it goes with the claim.
    """

    folder: Path
    staging: Path


@contextmanager
def claimed_folder(folder: Path) -> Iterator[Claim]:
    """Claim a result folder while the block runs, and remove what killed processes left behind of it.

    The hidden folder lies beside the result folder, so that the two can change places. Where nothing can be made
    or moved there, it lies inside: the result folder is a mount point, or its parent may not be written to.

    Args:
        folder: The result folder; it need not exist, and is not made. Its parents are, and go again if they stay empty.

    Raises:
        InputError: Another process has claimed the folder, or it cannot be written to.
    """
    with ExitStack() as stack:
        with refusals_reported(folder):
            real = Path(os.path.realpath(folder))
            if real.exists() and not real.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            stack.callback(_remove_empty, [path for path in real.parents if not path.exists()])
            real.parent.mkdir(parents=True, exist_ok=True)
            inside = real.is_dir() and (os.path.ismount(real) or not os.access(real.parent, os.W_OK | os.X_OK))
            staging = stack.enter_context(staging_in(real if inside else real.parent, real))
            if not inside and (real / hidden_name(real)).is_dir():
                with staging_in(real, real):
                    pass  # to claim what lies inside as well, and to leave it, is to clean it
        yield Claim(real, staging)


@contextmanager
def staging_in(place: Path, folder: Path) -> Iterator[Path]:
    """Yield an empty staging folder for ``folder`` in the hidden folder in ``place``; both go when the block ends.

    Raises:
        InputError: Another process has it.
    """
    hidden = place / hidden_name(folder)
    descriptor, locked = _open_lock(hidden, folder)
    try:
        staging = hidden / _STAGING
        if locked:
            discard(staging)
        try:
            staging.mkdir()
        except FileExistsError as error:
            why = "cannot be removed" if locked else "was left behind, or another edgeport is writing there"
            raise InputError(f"cannot write to {folder}: {hidden} {why}: remove it if none is running") from error
        try:
            yield staging
        finally:
            discard(staging)
            (hidden / _LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # not empty: the next process has made its lock there already
                hidden.rmdir()
    finally:
        os.close(descriptor)


def hidden_name(folder: Path) -> str:
    """Return the name of the hidden folder of a result folder that is free of symbolic links."""
    return f".{folder.name}.partial"


def discard(tree: Path) -> None:
    """Remove a folder with all it holds, even where a folder in it is write-protected; no error if that fails."""
    with suppress(OSError):
        tree.chmod(0o700)
    for parent, names, _ in os.walk(tree):
        for path in (os.path.join(parent, name) for name in names):
            # Folders alone: a file may be a second name of one of the user's, and a link leads to one.
            if not os.path.islink(path):
                with suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(tree, ignore_errors=True)


@contextmanager
def refusals_reported(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses in the block into an InputError about ``folder``."""
    try:
        yield
    except OSError as error:
        full = full_temporary_folder(error)
        if full:
            raise InputError(full) from error
        where = f" ({error.filename})" if error.filename and Path(os.fsdecode(error.filename)) != folder else ""
        raise InputError(f"cannot write to {folder}: {error.strerror or error}{where}") from error


def _open_lock(hidden: Path, folder: Path) -> tuple[int, bool]:
    """Return the open lock file, and whether it is locked: some network file systems know no locks.

    Without a lock the staging folder itself is one, since it can be made only once; but then a killed process's is
    not distinguished from that of a running one, and the user has to look.
    """
    while True:
        hidden.mkdir(exist_ok=True)
        try:
            descriptor = os.open(hidden / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the last owner has just removed the hidden folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise InputError(
                f"another edgeport is writing to {folder}: wait until it has ended, or choose another folder with -o"
            ) from error
        except OSError:
            return descriptor, False
        if _is_still(hidden / _LOCK, descriptor):
            return descriptor, True
        os.close(descriptor)  # the last owner has removed the file that we have locked


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_empty(made: Iterable[Path]) -> None:
    for path in made:
        with suppress(OSError):
            path.rmdir()
