"""Results are written whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgeport.runtime import InputError
from edgeport.runtime.files.output import check_output_folder, staged_folder, write_whole


def test_a_result_appears_at_the_end_and_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "old.txt").write_text("stale")
    (tmp_path / "a.txt").write_text("old")
    with staged_folder(tmp_path, record=None, stale=["old.txt", "a.txt", "never.txt"]) as staging:
        (staging / "a.txt").write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"mine.txt": "mine", "a.txt": "new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_everything_as_it_was(error: type[BaseException], tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"

    def fail() -> None:
        with staged_folder(folder, record=None) as staging:
            (staging / "a.txt").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert not (tmp_path / "deep").exists()


def test_a_full_folder_needs_permission(tmp_path: Path) -> None:
    check_output_folder(tmp_path / "new", overwrite=False)
    check_output_folder(tmp_path, overwrite=False)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match=r"mine\.txt.*--overwrite"):
        check_output_folder(tmp_path, overwrite=False)
    check_output_folder(tmp_path, overwrite=True)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Not a directory"):
        check_output_folder(tmp_path / "file", overwrite=True)


def test_a_full_disk_is_one_error_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    code = f"""
import resource
from pathlib import Path
from edgeport.runtime import InputError
from edgeport.runtime.files.output import staged_folder, write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
def stage(path, content):
    with staged_folder(path.parent, record=None) as staging:
        (staging / path.name).write_bytes(content)
for write in (write_whole, stage):
    try:
        write(Path({str(tmp_path / "a.bin")!r}), b"x" * 5000)
    except InputError as error:
        print(error)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.count("cannot write") == 2
    assert printed.count("File too large") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_a_folder_in_the_way_of_a_file_stops_before_anything_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "b.txt").mkdir()

    def write() -> None:
        with staged_folder(tmp_path, record=None) as staging:
            (staging / "a.txt").write_text("new")
            (staging / "b.txt").write_text("new")

    with pytest.raises(InputError, match=r"b\.txt is a folder there"):
        write()
    assert (tmp_path / "a.txt").read_text() == "old"


def test_write_whole_replaces(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        write_whole(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1
