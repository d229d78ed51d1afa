"""A process that is killed while it replaces a result folder leaves the old folder or the new one.

The killing is done by this file as a program of its own: it forks its victims, which costs a millisecond instead
of an interpreter's start, and has no threads that a fork would lose.
"""

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from edgeport.runtime.files import swap
from edgeport.runtime.files.output import staged_folder

KILLS, FILES = 50, 30
MINE = {"mine.txt": "mine", "notes/deep/day.txt": "sunny"}


def replace(folder: Path) -> None:
    """Replace the folder by its next generation, in which some files have other names."""
    earlier = json.loads((folder / "manifest.json").read_text()) if (folder / "manifest.json").exists() else {}
    generation = earlier.get("generation", 0) + 1
    names = [f"{number}.bin" if number % 3 else f"{number}.{generation % 2}.bin" for number in range(FILES)]
    digests = {}
    with staged_folder(folder, record="manifest.json", stale=earlier.get("files", ())) as staging:
        for name in names:
            content = f"{generation} {name} ".encode() * 50
            (staging / name).write_bytes(content)
            digests[name] = hashlib.sha256(content).hexdigest()
        (staging / "manifest.json").write_text(json.dumps({"generation": generation, "files": digests}))


def what_it_holds(folder: Path, *, debris: bool) -> str:
    """Return "whole", "none" or "torn"; ``debris`` allows files that the manifest does not name.

    Where files are replaced one by one, a kill can lose the manifest, and with it the old names.
    """
    if any((folder / name).read_text() != text for name, text in MINE.items()):
        return "torn"
    if not (folder / "manifest.json").exists():
        return "none"
    digests = json.loads((folder / "manifest.json").read_text())["files"]
    names = {path.name for path in folder.iterdir()}
    expected = {*digests, "manifest.json", "mine.txt", "notes"}
    if not expected <= names or (names > expected and not debris):
        return "torn"
    same = all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == message for name, message in digests.items())
    return "whole" if same else "torn"


def kill_again_and_again(folder: Path, *, exchange: bool, seed: int) -> dict[str, int]:
    # A kill loses nothing that the kernel has been given. Without the waits for the disk, a victim spends its time
    # at the steps that could tear a folder.
    swap._sync = lambda path: None
    if not exchange:
        swap._exchange = refuse
    for name, text in MINE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    started = time.monotonic()
    for _ in range(3):
        replace(folder)
    several = time.monotonic() - started  # so that a victim is in its first, second or third on a slow machine too
    moments = random.Random(seed)
    seen = {"whole": 0, "none": 0, "torn": 0, "cut short": 0, "left over": 0}
    for _ in range(KILLS):
        victim = os.fork()
        if not victim:
            while True:
                replace(folder)
        time.sleep(moments.uniform(0, several))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        seen[what_it_holds(folder, debris=not exchange)] += 1
        seen["cut short"] += (folder.parent / ".out.partial").exists()
        replace(folder)
        seen["left over"] += what_it_holds(folder, debris=not exchange) != "whole" or bool(
            set(folder.parent.iterdir()) - {folder}
        )
        seen["left over"] += (folder / ".out.partial").exists()
    return seen


def refuse(one: Path, other: Path) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def kill_in_a_process(folder: Path, *, exchange: bool) -> dict[str, int]:
    command = [sys.executable, __file__, str(folder), "exchange" if exchange else "one by one"]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr
    return json.loads(printed.stdout)


def test_fifty_kills_tear_no_folder(tmp_path: Path) -> None:
    seen = kill_in_a_process(tmp_path / "here" / "out", exchange=True)
    assert (seen["whole"], seen["none"], seen["torn"], seen["left over"]) == (KILLS, 0, 0, 0)
    assert seen["cut short"] > KILLS / 2


def test_fifty_kills_leave_no_mixture_that_passes_for_a_result_where_folders_cannot_be_exchanged(
    tmp_path: Path,
) -> None:
    seen = kill_in_a_process(tmp_path / "here" / "out", exchange=False)
    assert (seen["whole"] + seen["none"], seen["torn"], seen["left over"]) == (KILLS, 0, 0)
    assert seen["cut short"] > KILLS / 2


if __name__ == "__main__":
    print(json.dumps(kill_again_and_again(Path(sys.argv[1]), exchange=sys.argv[2] == "exchange", seed=0)))
