"""One result folder takes another's place: what stays, who may write, and what happens where it cannot be swapped."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeport.runtime import InputError
from edgeport.runtime.files import claim, swap
from edgeport.runtime.files.claim import claimed_folder
from edgeport.runtime.files.output import check_output_folder, staged_folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An old result, and the user's own files beside it."""
    folder = tmp_path / "here" / "out"
    (folder / "notes" / "deep").mkdir(parents=True)
    for name in ("record.json", "a.bin", "old.bin", "mine.txt", "notes/deep/day.txt"):
        (folder / name).write_text(f"first {name}")
    os.symlink("../nowhere", folder / "link")
    os.utime(folder / "mine.txt", (1_000_000, 2_000_000))
    (folder / "notes").chmod(0o750)
    return folder


def replace(folder: Path) -> None:
    with staged_folder(folder, record="record.json", stale=["old.bin", "a.bin"]) as staging:
        for name in ("record.json", "a.bin", "new.bin"):
            (staging / name).write_text(f"second {name}")


def assert_old(folder: Path) -> None:
    assert names(folder) == {"record.json", "a.bin", "old.bin", "mine.txt", "notes", "link"}
    assert (folder / "record.json").read_text() == "first record.json"
    assert_mine(folder)


def assert_new(folder: Path) -> None:
    assert names(folder) == {"record.json", "a.bin", "new.bin", "mine.txt", "notes", "link"}
    for name in ("record.json", "a.bin", "new.bin"):
        assert (folder / name).read_text() == f"second {name}"
    assert_mine(folder)


def assert_mine(folder: Path) -> None:
    for name in ("mine.txt", "notes/deep/day.txt"):
        assert (folder / name).read_text() == f"first {name}"
    assert (folder / "mine.txt").stat().st_mtime == 2_000_000
    assert (folder / "notes").stat().st_mode & 0o777 == 0o750
    assert os.readlink(folder / "link") == "../nowhere"
    assert names(folder.parent) == {"out"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refuse(number: int) -> Callable[..., None]:
    def refused(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


def test_the_users_files_and_the_folder_itself_stay(out: Path) -> None:
    out.chmod(0o2770)
    before = [(path, path.lstat().st_ino) for path in (out, out / "mine.txt", out / "notes", out / "link")]
    with (out / "mine.txt").open("a") as opened:
        replace(out)
        assert_new(out)
        opened.write(", and more")
    assert (out / "mine.txt").read_text() == "first mine.txt, and more"
    assert [(path, path.lstat().st_ino) for path, _ in before] == before
    assert out.stat().st_mode & 0o7777 == 0o2770


def test_a_folder_that_one_stands_in_is_replaced_under_ones_feet(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(out)
    replace(Path())
    assert Path("a.bin").read_text() == "second a.bin"
    assert Path.cwd() == out
    assert_new(out)


def test_a_reader_sees_the_old_result_or_the_new_one_at_every_step(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watched(function: Callable[..., object]) -> Callable[..., object]:
        def watching(*arguments: object, **options: object) -> object:
            for when in (0, 1):
                printed = {(out / name).read_text().split()[0] for name in ("record.json", "a.bin", "mine.txt")}
                printed |= {name for name in names(out) if name in ("old.bin", "new.bin")}
                seen.append(tuple(sorted(printed)))
                if not when:
                    answer = function(*arguments, **options)
            return answer

        return watching

    for name in ("rename", "link", "replace", "unlink", "rmdir", "mkdir"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    monkeypatch.setattr(swap, "_exchange", watched(swap._exchange))
    replace(out)
    assert set(seen) == {("first", "old.bin"), ("first", "new.bin", "second")}
    assert seen == sorted(seen, key=lambda printed: "new.bin" in printed)


def test_a_new_folder_is_made_in_one_step_and_is_readable_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_exchange", refuse(errno.ENOSYS))
    monkeypatch.setattr(swap, "_replace_one_by_one", refuse(errno.ENOSYS))
    (tmp_path / "usual").mkdir()
    replace(tmp_path / "deep" / "out")
    assert names(tmp_path / "deep") == {"out"}
    assert names(tmp_path / "deep" / "out") == {"record.json", "a.bin", "new.bin"}
    assert (tmp_path / "deep" / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_to_the_folder_stays_a_link(out: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.symlink(out, tmp_path / "elsewhere" / "results")
    replace(tmp_path / "elsewhere" / "results")
    assert (tmp_path / "elsewhere" / "results").is_symlink()
    assert names(tmp_path / "elsewhere") == {"results"}
    assert_new(out)


def test_a_file_is_not_swapped_for_a_folder(out: Path) -> None:
    with pytest.raises(InputError, match="Not a directory"), claimed_folder(out / "mine.txt"):
        pytest.fail("the long work would begin")
    assert_old(out)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError(errno.ENOSPC, "no space")])
def test_a_failure_leaves_an_old_result_as_it_was(error: BaseException | type[BaseException], out: Path) -> None:
    def fail() -> None:
        with staged_folder(out, record="record.json", stale=["old.bin"]) as staging:
            (staging / "a.bin").write_text("half")
            raise error

    with pytest.raises((ValueError, KeyboardInterrupt)):
        fail()
    assert_old(out)


def test_a_disk_that_is_full_at_the_end_loses_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.ENOSPC))
    with pytest.raises(InputError, match="No space left"):
        replace(out)
    assert_old(out)


def test_without_hard_links_files_are_copied(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    replace(out)
    assert_new(out)


def test_the_new_folder_stays_if_the_old_one_cannot_be_given_back(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, calls = swap._exchange, []

    def once(*paths: Path) -> None:
        calls.append(paths)
        (exchange if len(calls) == 1 else refuse(errno.EIO))(*paths)

    monkeypatch.setattr(swap, "_exchange", once)
    out.chmod(0o2750)
    replace(out)
    assert len(calls) == 2
    assert out.stat().st_mode & 0o7777 == 0o2750
    assert_new(out)


OBSTACLES = {
    "an old system": (swap, "_exchange", refuse(errno.ENOSYS)),
    "a network file system": (swap, "_exchange", refuse(errno.EINVAL)),
    "a mount point of the same file system": (swap, "_exchange", refuse(errno.EBUSY)),
    "a folder of a container's image": (swap, "_exchange", refuse(errno.EXDEV)),
    "a sub-folder that may not be read": (swap, "_carry_over", refuse(errno.EACCES)),
    "a mount point": (os.path, "ismount", lambda path: Path(path).name == "out"),
    "a mount point inside": (os.path, "ismount", lambda path: Path(path).name == "deep"),
    "a parent that may not be written to": (os, "access", lambda path, mode: Path(path).name != "here"),
    "a system without renameat2": (swap.ctypes, "CDLL", lambda *arguments, **options: object()),
}


@pytest.fixture(params=OBSTACLES)
def obstacle(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*OBSTACLES[request.param])


@pytest.mark.usefixtures("obstacle")
def test_where_folders_cannot_be_swapped_the_record_goes_first_and_comes_last(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    rename = os.replace

    def watched(source: Path, target: Path) -> None:
        rename(source, target)
        seen.append((target.name, (out / "record.json").exists(), (out / "old.bin").exists()))

    monkeypatch.setattr(os, "replace", watched)
    replace(out)
    assert seen == [("a.bin", False, True), ("new.bin", False, True), ("record.json", True, False)]
    assert_new(out)


def hold(folder: Path) -> "subprocess.Popen[str]":
    """Start a process that writes to a folder and does not end."""
    code = f"""
import time
from pathlib import Path
from edgeport.runtime.files.output import staged_folder
with staged_folder(Path({str(folder)!r}), record="record.json") as staging:
    (staging / "half.bin").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("inside", [False, True])
def test_the_second_writer_is_reported_and_a_killed_one_is_cleaned_up(
    inside: bool, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold(out)
    try:
        with pytest.raises(InputError, match=r"another edgeport is writing to .*out"):
            replace(out)
        assert names(out.parent) == {"out", ".out.partial"}
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert names(out.parent / ".out.partial") == {"lock", "result"}
    if inside:
        os.rename(out.parent / ".out.partial", out / ".out.partial")
    replace(out)
    assert_new(out)


def test_what_was_left_behind_inside_does_not_count_as_the_users(tmp_path: Path) -> None:
    (tmp_path / "out" / ".out.partial" / "result").mkdir(parents=True)
    check_output_folder(tmp_path / "out", overwrite=False)


def test_a_folder_of_the_users_under_the_hidden_name_is_not_removed(out: Path) -> None:
    hidden = out.parent / ".out.partial"
    hidden.mkdir()
    (hidden / "mine.txt").write_text("mine")
    replace(out)
    assert (hidden / "mine.txt").read_text() == "mine"
    assert names(hidden) == {"mine.txt"}


def test_two_folders_do_not_stand_in_each_others_way(out: Path) -> None:
    with claimed_folder(out), claimed_folder(out.parent / "other"):
        pass
    with claimed_folder(out):
        pass
    assert_old(out)


def test_without_locks_the_second_writer_has_to_look(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim.fcntl, "flock", refuse(errno.ENOLCK))
    with claimed_folder(out), pytest.raises(InputError, match=r"\.out\.partial was left behind, or another edgeport"):
        replace(out)
    replace(out)
    assert_new(out)


def test_a_write_protected_sub_folder_stays_and_its_second_name_goes(out: Path) -> None:
    (out / "notes" / "deep").chmod(0o555)
    replace(out)
    assert (out / "notes" / "deep").stat().st_mode & 0o777 == 0o555
    assert_new(out)
