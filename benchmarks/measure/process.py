"""A measuring process from the outside: started, asked, ended; whatever becomes of it is told in one line."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeport.benchmarks.measure.candidate import Candidate
from edgeport.runtime.errors import ArtefactError, EdgeportError, InputError, MissingDependencyError

_KINDS: dict[str, type[EdgeportError]] = {
    kind.__name__: kind for kind in (ArtefactError, InputError, MissingDependencyError)
}
# The answers of a large model to ten thousand images, on a small computer.
_PATIENCE_SECONDS = 3600.0


class MeasuringProcess:
    """A process that has opened one candidate; ends with its ``with`` block.

    Attributes:
        started: What it tells of its start: ``engine``, ``import_ns``, ``load_ns``, ``first_ns``.
        pid: Its process number.
    """

    def __init__(self, candidate: Candidate, *, images: Path, cores: Sequence[int]) -> None:
        """Start the process, and wait until it has answered for the first time.

        Args:
            candidate: What it opens.
            images: A ``.npy`` file of uint8 images of shape (n, height, width, channels).
            cores: The cores that it runs on.

        Raises:
            EdgeportError: It cannot be opened, or its process died.
        """
        self._name = candidate.name
        threads = str(candidate.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        # An installed package has its bytecode beside it, which an environment for development may forbid.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        spawned = time.monotonic_ns()
        self._process = subprocess.Popen(
            [candidate.python, "-m", "edgeport.benchmarks.measure.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("EDGEPORT_VERBOSE") else subprocess.DEVNULL,
            env=environment,
            # Ctrl-C is the parent's to handle.
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._unread = b""
        order = {
            "opener": candidate.opener,
            "arguments": dict(candidate.arguments),
            "threads": candidate.threads,
            "cores": list(cores),
            "images": str(images),
            "spawned_ns": spawned,
        }
        try:
            self.started = self._exchange(order)
        except BaseException:
            self._end()
            raise

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return what the process answers to a command.

        Raises:
            EdgeportError: It refuses, has died, or does not answer.
        """
        return self._exchange({"do": do, **arguments})

    def __enter__(self) -> "MeasuringProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _exchange(self, content: dict[str, Any]) -> dict[str, Any]:
        stdin = self._process.stdin
        try:
            if stdin is not None:
                stdin.write(json.dumps(content).encode() + b"\n")
                stdin.flush()
            reply: dict[str, Any] = json.loads(self._line())
        except (BrokenPipeError, ValueError) as error:
            raise ArtefactError(f"{self._name}: its process died ({self._cause()})") from error
        if "error" in reply:
            raise _KINDS.get(reply["kind"], ArtefactError)(reply["error"])
        return reply

    def _line(self) -> bytes:
        """Return the next line that the process writes; empty if it has ended."""
        stdout = self._process.stdout
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while b"\n" not in self._unread and stdout is not None:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ArtefactError(f"{self._name}: no answer in {_PATIENCE_SECONDS:.0f} s")
            more = os.read(stdout.fileno(), 1 << 16)
            if not more:
                return b""
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _cause(self) -> str:
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}; EDGEPORT_VERBOSE=1 shows what it said"

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # What was not read any more is no error.
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
