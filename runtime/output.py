"""Files are written whole or not at all, and nothing that a user has is lost."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeport.runtime.errors import InputError

_STAGING_PREFIX = ".partial-"


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
    held = [name for name in held if not name.startswith(_STAGING_PREFIX)]
    if held and not overwrite:
        shown = ", ".join(held[:3]) + (", ..." if len(held) > 3 else "")
        raise InputError(
            f"output folder {folder} is not empty (it holds {shown}): "
            "choose another with -o, or replace what is there with --overwrite"
        )


@contextmanager
def staged_folder(folder: Path, *, stale: Iterable[str] = ()) -> Iterator[Path]:
    """Yield an empty folder to write a result into; when the block ends well, its files move to ``folder``.

    When the block fails or is interrupted, what it wrote is removed and ``folder`` is as it was. Files of other
    names in ``folder`` are left alone.

    Args:
        folder: Where the result goes; made with its parents if it does not exist.
        stale: Names of files of an earlier result, to be removed when the new one has taken its place.

    Raises:
        InputError: The folder cannot be written: no permission, no space, read-only.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    staging = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=folder))
        yield staging
        written = sorted(path.name for path in staging.iterdir())
        for name in written:
            if (folder / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{name} is a folder there", str(folder / name))
        for name in written:
            os.replace(staging / name, folder / name)
        for name in set(stale) - set(written):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old content or the new, never a part of it.

    Raises:
        InputError: The file cannot be written.
    """
    partial = path.with_name(f"{_STAGING_PREFIX}{path.name}")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}") from error
