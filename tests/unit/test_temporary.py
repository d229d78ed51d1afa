"""Temporary folders: removed at the end, and those of killed runs by the next run."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edgeport.runtime.files.temporary import full_temporary_folder, temporary_folder

RUN = """
import sys, time
from edgeport.runtime.files.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "data.bin").write_bytes(bytes(1000))
    print(folder, flush=True)
    time.sleep(60)
"""
HOURS_AGO = time.time() - 10_000


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def running() -> tuple["subprocess.Popen[str]", Path]:
    """A run that holds a temporary folder, which looks as if it had for hours."""
    process = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    os.utime(folder, (HOURS_AGO, HOURS_AGO))
    return process, folder


def test_a_folder_is_gone_at_the_end_also_after_an_error(place: Path) -> None:
    def fail() -> None:
        with temporary_folder() as folder:
            assert folder.parent == place
            (folder / "a").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any(place.iterdir())


def test_what_a_killed_run_left_goes_with_the_next_and_that_of_a_living_one_stays(place: Path) -> None:
    process, folder = running()
    try:
        with temporary_folder():
            assert (folder / "data.bin").exists()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (folder / "data.bin").exists()
    with temporary_folder():
        assert not folder.exists()
    assert not any(place.iterdir())


def test_what_is_no_folder_of_a_run_or_was_made_just_now_stays(place: Path) -> None:
    young, link, other = place / "edgeport-run-young", place / "edgeport-run-link", place / "edgeport-teachers-0"
    for folder in (young, other):
        folder.mkdir()
    link.symlink_to(other)
    os.utime(other, (HOURS_AGO, HOURS_AGO))
    os.utime(link, (HOURS_AGO, HOURS_AGO), follow_symlinks=False)
    with temporary_folder():
        pass
    assert young.exists()
    assert link.is_symlink()
    assert other.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders to others")
def test_folders_of_other_users_stay(place: Path) -> None:
    theirs = place / "edgeport-run-theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    os.utime(theirs, (HOURS_AGO, HOURS_AGO))
    with temporary_folder():
        pass
    assert theirs.exists()


def test_an_error_that_is_none_of_space_is_not_taken_for_one() -> None:
    assert full_temporary_folder(PermissionError(13, "Permission denied")) == ""
    assert full_temporary_folder(OSError(28, "No space left on device")) == ""
