"""Open a file that nobody vouches for in a process of its own, with limits, and report how that ended.

An engine that cannot stand a file takes its whole process down, or never comes back. Here that is an answer like any
other. It is no prison: the process runs as the same user, and sees the files and the network that this user sees.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeport.runtime.artefact.formats import format_called
from edgeport.runtime.engines.installed import engine_for
from edgeport.runtime.errors import InputError, MissingDependencyError
from edgeport.runtime.files.plain_file import MOST_MODEL, open_plain
from edgeport.runtime.host.terminal import visible

OUTCOMES = ("runs", "left out", "refused", "crashed", "timed out", "too much memory")

# No folder that the caller happens to stand in may bring modules of its own: those are the empty names.
_START = (
    "import sys; sys.path[:] = [each for each in sys.path if each]; "
    "from edgeport.runtime.artefact.foreign import probe_child as c; "
)
_MOST_OUTPUT = 1 << 16
# A day, and all that a process can address.
_LONGEST, _MOST_MEMORY = 24 * 60 * 60, 1 << 47
_OUT_OF_MEMORY = ("bad_alloc", "memoryerror", "failed to allocate", "cannot allocate", "out of memory")


@dataclass(frozen=True)
class Probe:
    """How an engine got on with a file.

    Attributes:
        file: The file, as it was named.
        engine: The import name of the package that was asked to run it.
        outcome: ``runs``: it gave an answer to zeros; ``left out``: the engine is not for such files; ``refused``: it
            was turned down with an error; ``crashed``: the process died; ``timed out`` or ``too much memory``: it
            reached a limit.
        detail: The same in words, in one line.
        seconds: How long the process lived.
        peak_rss_bytes: The most memory that the process had at a time; None if it did not live to tell.
    """

    file: str
    engine: str
    outcome: str
    detail: str
    seconds: float
    peak_rss_bytes: int | None


def probe(
    path: str | os.PathLike[str],
    *,
    engine: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    seconds: float = 10.0,
    memory_bytes: int = 2 << 30,
) -> Probe:
    """Load a file without verifying it, run it once on zeros, and report how that ended; the caller survives it.

    Args:
        path: A ``.tflite`` or ``.onnx`` file, whoever made it.
        engine: The package that shall run it; by default the first one that is installed.
        shapes: The shapes of the zeros by the inputs' names; a free axis that nothing is said of has length 1.
        seconds: How long the process may live, by the clock.
        memory_bytes: How much address space it may take, numpy and the engine included.

    Raises:
        ArtefactError: There is no such file, or its name has the suffix of no format.
        InputError: A limit is not above 0, the engine does not run this format, or the file has no such input or one of
            another shape.
        MissingDependencyError: The engine is not installed.
    """
    path = Path(path)
    if not (0 < seconds <= _LONGEST and 0 < memory_bytes <= _MOST_MEMORY):
        raise InputError(
            f"limits: got {seconds:g} seconds and {memory_bytes:g} bytes, expected more than 0 and at most "
            f"{_LONGEST:,} seconds and {_MOST_MEMORY:,} bytes"
        )
    chosen = engine_for(format_called(path.name), engine)
    # The child reads it; here it is only looked at.
    with open_plain(path, most=MOST_MODEL):
        pass
    return _probed(str(path), None, chosen, shapes, seconds, int(memory_bytes))


def probe_content(
    content: bytes, *, name: str, engine: str, shapes: Mapping[str, Sequence[int]], seconds: float
) -> Probe:
    """Do what ``probe`` does with the bytes of a file, and without a limit on memory.

    Args:
        content: The whole file.
        name: What to call it.
        engine: The import name of the package that shall run it.
        shapes: The shapes of the zeros by the inputs' names.
        seconds: How long the process may live, by the clock.
    """
    return _probed(name, content, engine, shapes, seconds, _MOST_MEMORY)


def _probed(
    name: str,
    content: bytes | None,
    engine: str,
    shapes: Mapping[str, Sequence[int]] | None,
    seconds: float,
    memory_bytes: int,
) -> Probe:
    request = {
        "path": name if content is None else None,
        "engine": engine,
        "shapes": {key: list(map(int, shape)) for key, shape in (shapes or {}).items()},
        "seconds": seconds,
        "memory_bytes": memory_bytes,
        # OpenVINO reads TFLite from files alone: from a copy. Nobody else writes any.
        "file_bytes": os.stat(name).st_size if engine == "openvino" and content is None else 0,
    }
    started = time.monotonic()
    command = [sys.executable, "-c", f"{_START}c.main()", json.dumps(request)]
    code, answer, chatter = _run(command, seconds, content)
    taken = time.monotonic() - started
    said = _said(answer)
    if said.get("outcome") == "missing":
        raise MissingDependencyError(_one_line(str(said.get("detail"))))
    if said.get("outcome") == "wrong shape":
        raise InputError(_one_line(str(said.get("detail"))))
    outcome, detail = _judged(code, said, chatter, seconds, memory_bytes)
    peak = said.get("peak_rss_bytes")
    return Probe(name, engine, outcome, _one_line(detail), taken, peak if isinstance(peak, int) else None)


def _run(command: list[str], seconds: float, given: bytes | None = None) -> tuple[int | None, bytes, bytes]:
    """Return a process' exit code (None if it had to be stopped) and the ends of what it wrote to both outputs."""
    # In memory, so that nothing has to be written to a disk nor fed to a pipe.
    read = subprocess.DEVNULL if given is None else _in_memory(given)
    # One thread each: a pool of them would take address space, and time to start.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        child = subprocess.Popen(
            command,
            stdin=read,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    finally:
        if given is not None:
            os.close(read)
    try:
        ended, outputs = _watch(child, time.monotonic() + seconds)
    finally:
        # Before it is waited for, its number cannot be another's; and whatever it has started goes with it.
        os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()
    return code if ended else None, outputs[0], outputs[1]


def _in_memory(content: bytes) -> int:
    """Return the descriptor of a file that lies in memory and is read from its start."""
    descriptor = os.memfd_create("artefact")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _watch(child: "subprocess.Popen[bytes]", deadline: float) -> tuple[bool, list[bytes]]:
    """Read what a process writes, keeping the end of it, until it ends or its time is over."""
    streams = [stream.fileno() for stream in (child.stdout, child.stderr) if stream is not None]
    kept = dict.fromkeys(streams, b"")
    end = os.pidfd_open(child.pid)
    with selectors.DefaultSelector() as selector:
        try:
            for descriptor in (*streams, end):
                selector.register(descriptor, selectors.EVENT_READ)
            ended = False
            while not ended and (left := deadline - time.monotonic()) > 0:
                ready = {key.fd for key, _ in selector.select(left)}
                ended = end in ready
                for descriptor in ready - {end}:
                    if not _keep(descriptor, kept):
                        selector.unregister(descriptor)
            # What it wrote last may still be in the pipes; a child of its own may hold them open.
            for descriptor in streams:
                os.set_blocking(descriptor, False)
                for _ in range(4):
                    _keep(descriptor, kept)
        finally:
            os.close(end)
    return ended, list(kept.values())


def _keep(descriptor: int, kept: dict[int, bytes]) -> bool:
    try:
        read = os.read(descriptor, _MOST_OUTPUT)
    except BlockingIOError:
        return True
    kept[descriptor] = (kept[descriptor] + read)[-_MOST_OUTPUT:]
    return bool(read)


def _said(answer: bytes) -> dict[str, Any]:
    try:
        said = json.loads(answer)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _one_line(text: str) -> str:
    """Return words from the child for a terminal: a file may hold names that would steer it."""
    return visible(" ".join(text.split())[:500])


def _judged(
    code: int | None, said: dict[str, Any], chatter: bytes, seconds: float, memory_bytes: int
) -> tuple[str, str]:
    """Return the outcome and its detail."""
    if code is None or -code == signal.SIGXCPU:
        return "timed out", f"no answer after {seconds:g} s"
    if code == 0 and said.get("outcome") in OUTCOMES:
        return said["outcome"], str(said.get("detail", ""))
    # What LiteRT notes on every start says nothing about the end.
    lines = [line for line in chatter.decode("utf-8", "replace").splitlines() if not line.startswith("INFO:")]
    last = "\n".join(lines).strip().rpartition("\n")[2]
    # A process that nobody here has killed was killed by the system, which was short of memory.
    if -code == signal.SIGKILL or any(sign in chatter.decode("latin-1").lower() for sign in _OUT_OF_MEMORY):
        return "too much memory", f"it wanted more than the {memory_bytes / 2**20:,.0f} MiB that it may have"
    how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
    return "crashed", f"{how}: {last}" if last else how
