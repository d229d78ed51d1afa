"""A process that runs one of our modules, is sent lines of JSON, and answers in such, by ``processes.replies``.

Whatever becomes of it, an engine's death by a signal included, is an answer like any other. The one process that is
started otherwise is the probe's (``runtime.artefact.foreign.probing``): nobody vouches for what that runs, so it has
limits, and what it writes is bounded and not waited for.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import IO, Any

from edgeport.runtime.errors import ArtefactError, EdgeportError, InputError, MissingDependencyError

_KINDS: dict[str, type[EdgeportError]] = {
    kind.__name__: kind for kind in (ArtefactError, InputError, MissingDependencyError)
}


class JsonProcess:
    """The process from the outside; ends with its ``with`` block.

    It leads a group of its own: Ctrl-C is the parent's to handle, and what it has started ends with it.

    Attributes:
        pid: Its process number.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        log: IO[bytes] | None = None,
    ) -> None:
        """Start the process.

        Args:
            module: What it runs.
            arguments: The words after that.
            python: The interpreter, which may be that of another environment.
            environment: All its variables; by default those of this process.
            log: Where all that it prints goes. By default its last line stands in ``cause``; with the variable
                EDGEPORT_VERBOSE it is shown.
        """
        shown = log is None and bool(os.environ.get("EDGEPORT_VERBOSE"))
        self._errors = None if log is not None or shown else tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [python, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log if log is not None else self._errors,
            env=environment,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._unread = b""
        self._received: deque[dict[str, Any]] = deque()

    def __enter__(self) -> "JsonProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def send(self, content: Mapping[str, Any]) -> None:
        """Send one line; that a process has died shows in its answer."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(content).encode() + b"\n")
            self._process.stdin.flush()

    def fileno(self) -> int:
        """Return the descriptor that can be read from when there is something to ``read``."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def read(self) -> list[dict[str, Any]] | None:
        """Return the answers that have come since the last call; waits if none has; None if the process has ended."""
        more = os.read(self.fileno(), 1 << 16)
        if not more:
            return None
        *lines, self._unread = (self._unread + more).split(b"\n")
        return [json.loads(line) for line in lines]

    def receive(self, *, within: float | None = None) -> dict[str, Any] | None:
        """Return the next answer; None if the process has ended.

        Args:
            within: How many seconds to wait; None for as long as it takes.

        Raises:
            TimeoutError: There was none.
        """
        deadline = None if within is None else time.monotonic() + within
        while not self._received:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self], [], [], left)[0]:
                raise TimeoutError
            answers = self.read()
            if answers is None:
                return None
            self._received.extend(answers)
        return self._received.popleft()

    def ask(self, content: Mapping[str, Any], *, name: str, within: float) -> dict[str, Any]:
        """Send one line and return what the process answers to it.

        Args:
            content: What to send.
            name: What the process works on, for errors.
            within: How many seconds it may take.

        Raises:
            EdgeportError: It refuses, has died, or does not answer.
        """
        self.send(content)
        try:
            answer = self.receive(within=within)
        except TimeoutError:
            raise ArtefactError(f"{name}: no answer in {within:.0f} s") from None
        if answer is None:
            raise ArtefactError(f"{name}: its process died ({self.cause()})")
        return answer_of(answer)

    def cause(self) -> str:
        """Return how the process has ended: the signal, or the exit code and the last line that it printed."""
        code = self._process.wait()
        if code < 0:
            return signal.Signals(-code).name
        said = self.said().splitlines()
        return f"exit code {code}: {said[-1]}" if said else f"exit code {code}"

    def said(self) -> str:
        """Return what the process has printed, where that is neither shown nor logged."""
        if self._errors is None:
            return ""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def interrupt(self) -> None:
        """Do to the process and what it has started what Ctrl-C would."""
        self._signal(signal.SIGINT)

    def ended(self, *, within: float) -> bool:
        """Return whether the process ends within so many seconds."""
        try:
            self._process.wait(max(0.0, within))
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End the process and what it has started, at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._errors):
            if file is not None:
                # What was not read any more is no error.
                with suppress(BrokenPipeError):
                    file.close()

    def _signal(self, number: signal.Signals) -> None:
        # While it has not been waited for, its number cannot be another's.
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def answer_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer, or raise the error that it is."""
    if "error" in answer:
        raise _KINDS.get(answer["kind"], ArtefactError)(answer["error"])
    return answer


def with_threads(threads: int) -> dict[str, str]:
    """Return the variables of this process, with so many threads for OpenMP and OpenBLAS, which take all cores else."""
    return os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
