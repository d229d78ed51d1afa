"""Programs that are run: all can be ended at once, and one that fails says what it was and why."""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_running: set["subprocess.Popen[str]"] = set()
_lock = threading.Lock()
_ended = threading.Event()


class StoppedError(Exception):
    """What keeps the comparison from being made at all, in one line."""


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    codes: Sequence[int] = (0,),
) -> str:
    """Run a program to its end and return what it wrote to stdout.

    Args:
        command: The program and its arguments.
        what: What it is for, for the message.
        folder: Where it runs.
        environment: All of its environment variables; those of this process by default.
        codes: The exit codes that are no failure.

    Raises:
        StoppedError: It ended with another exit code, with the last lines that it wrote.
    """
    with _lock:
        if _ended.is_set():
            raise StoppedError(f"{what} was not begun: all was ended")
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            env=environment,
        )
        _running.add(process)
    try:
        stdout, stderr = process.communicate()
    finally:
        with _lock:
            _running.discard(process)
    if process.returncode not in codes:
        last = " | ".join((stderr.strip() or stdout.strip()).splitlines()[-3:])
        raise StoppedError(f"{what} failed (exit code {process.returncode}): {last or 'it said nothing'}")
    return stdout


def end_all() -> None:
    """End every program that runs, and begin no other."""
    with _lock:
        _ended.set()
        for process in _running:
            process.terminate()
