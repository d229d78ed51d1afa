"""Put a new result in the place of an old one: in one step where the system can, else with its record last."""

import ctypes
import errno
import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeport.runtime.files.claim import Claim, hidden_name, staging_in

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# The system, the file system or this one folder cannot be exchanged: it is old or foreign, a mount point, holds
# one, came with the image of a container, or somebody else's files in it may not be linked.
_CANNOT_SWAP = {
    errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES,
}  # fmt: skip
_CANNOT_LINK = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.EMLINK}
_CANNOT_SYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM, errno.EACCES}


@dataclass(frozen=True)
class FolderChange:
    """What becomes different in a result folder.

    Attributes:
        written: The names of the new result's files.
        stale: The names of files of an earlier result, to be removed.
        record: The name of the file without which the folder is no result; None if there is no such file.
    """

    written: frozenset[str]
    stale: frozenset[str]
    record: str | None


def deliver(claim: Claim, *, record: str | None, stale: Iterable[str] = ()) -> None:
    """Make what ``claim.staging`` holds the content of ``claim.folder``; other files in that stay.

    A process that is killed at any moment, or a power cut, leaves the old folder or the new one, whole:

    1. The new files reach the disk. If there is no old folder, the staging folder is renamed, and that is all.
    2. The user's other files get a second name (hard link) in the staging folder.
    3. The two folders change places in one step (Linux, renameat2).
    4. The old folder, out of sight now, gets the new files; then the two change places again.

    The fourth step gives back the folder that was there, so its owner, mode and attributes stay, and so do the
    user's files and sub-folders themselves, and a shell that stands in it is not left in a removed folder.

    Where folders cannot change places (a mount point such as a Docker volume, a parent that may not be written to,
    a network file system, a sub-folder that may not be read), files are replaced one by one: the record is removed
    first and put in place last. Killed in between, the folder holds no result, and never a mixture that passes
    for one.

    Args:
        claim: The folder.
        record: The name of the file without which the folder is no result.
        stale: Names of files of an earlier result, to be removed.

    Raises:
        OSError: The file system refuses; the folder is as it was, unless its files were replaced one by one.
    """
    staging, folder = claim.staging, claim.folder
    written = frozenset(os.listdir(staging))
    for name in sorted(written):
        if _is_folder(folder / name):
            raise IsADirectoryError(errno.EISDIR, f"{name} is a folder there", str(folder))
    change = FolderChange(written, frozenset(name for name in stale if not _is_folder(folder / name)) - written, record)
    for name in written:
        _sync(staging / name)
    _sync(staging)
    if not folder.exists():
        os.rename(staging, folder)
        _sync(folder.parent)
    elif staging.is_relative_to(folder):
        _replace_one_by_one(staging, folder, change)
    else:
        try:
            _carry_over(folder, staging, leave_out=change.written | change.stale | {hidden_name(folder)})
            _exchange(staging, folder)
        except OSError as error:
            if error.errno not in _CANNOT_SWAP:
                raise
            _replace_from_afar(staging, folder, change)
        else:
            _give_back(staging, folder, change)


def _give_back(old: Path, folder: Path, change: FolderChange) -> None:
    """Bring the old folder, out of sight at ``old``, up to date, and let it change places with the new one."""
    _sync(folder.parent)
    _sync(old.parent)
    # What fails here is no failure: the new folder is in place, whole, and can stay there.
    with suppress(OSError):
        for name in change.written | change.stale:
            (old / name).unlink(missing_ok=True)
        for name in change.written:
            _link(folder / name, old / name)
        _sync(old)
        _exchange(old, folder)
        _sync(folder.parent)
        _sync(old.parent)


def _replace_from_afar(staging: Path, folder: Path, change: FolderChange) -> None:
    """Replace files one by one by those of a staging folder that may be on another file system."""
    with staging_in(folder, folder) as near:
        for name in change.written:
            shutil.copy2(staging / name, near / name)
            _sync(near / name)
        _replace_one_by_one(near, folder, change)


def _replace_one_by_one(staging: Path, folder: Path, change: FolderChange) -> None:
    """Replace files by those of a staging folder inside, so that a folder with a record is a whole result."""
    record = change.record
    if record is not None:
        (folder / record).unlink(missing_ok=True)
        _sync(folder)
    for name in sorted(change.written - {record}):
        os.replace(staging / name, folder / name)
    for name in change.stale:
        (folder / name).unlink(missing_ok=True)
    _sync(folder)
    if record is not None and record in change.written:
        os.replace(staging / record, folder / record)
        _sync(folder)


def _carry_over(source: Path, target: Path, *, leave_out: Collection[str] = ()) -> None:
    """Give every file below ``source`` a second name below ``target``, and the folders the same mode and times."""
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.name in leave_out:
                continue
            second = target / entry.name
            if not entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):  # the user has removed it in this moment
                    _link(Path(entry.path), second)
            elif os.path.ismount(entry.path):
                # Its content must neither be copied nor be in a folder that is going to be removed.
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), entry.path)
            else:
                second.mkdir()
                _carry_over(Path(entry.path), second)
    facts = source.stat()
    with suppress(OSError):  # only root may give folders away
        os.chown(target, facts.st_uid, facts.st_gid)
    shutil.copystat(source, target)
    _sync(target)


def _link(source: Path, target: Path) -> None:
    """Give a file, or a symbolic link, a second name; copy it where there are no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        shutil.copy2(source, target, follow_symlinks=False)
        if not target.is_symlink():
            _sync(target)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places in one step; raises OSError where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk, where the file system can tell."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
