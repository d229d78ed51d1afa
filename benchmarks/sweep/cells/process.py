"""A cell's process from the outside: started, listened to, ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from edgeport.benchmarks.sweep.cells.cell import LOG, Order, order_text

# TensorFlow, OpenMP and OpenBLAS take as many threads as there are cores, unless they are told.
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class CellProcess:
    """The process that makes a cell; what it and its libraries print is added to the cell's log.

    Attributes:
        order: What it makes.
        started: When it was started, by the monotonic clock, in seconds.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.started = time.monotonic()
        order.folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | dict.fromkeys(_THREADS, str(order.shared.threads)) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        with (order.folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edgeport.benchmarks.sweep.cells.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                # Ctrl-C is the parent's to handle.
                start_new_session=True,
            )
        self._unread = b""
        assert self._process.stdin is not None
        # One that has died already is told of by its output, which ends. The pipe stays open: see cell_worker.
        with suppress(BrokenPipeError):
            self._process.stdin.write(order_text(order).encode() + b"\n")
            self._process.stdin.flush()

    def fileno(self) -> int:
        """Return the descriptor that can be read from when the process has something to tell."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def told(self) -> Iterator[dict[str, Any]]:
        """Yield what the process has told since the last call; waits for it if it has told nothing.

        The last thing that it tells is ``done`` or ``failed``, with the reason.
        """
        more = os.read(self.fileno(), 1 << 16)
        if not more:
            yield {"failed": self._cause()}
            return
        *lines, self._unread = (self._unread + more).split(b"\n")
        yield from map(json.loads, lines)

    def interrupt(self) -> None:
        """Ask the process to put down what it has and end."""
        self._signal(signal.SIGINT)

    def ended(self, *, within: float) -> bool:
        """Return whether the process ends within so many seconds."""
        try:
            self._process.wait(max(0.0, within))
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End the process and whatever it has started, at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        # The process leads its group; while it has not been waited for, its number cannot be another's.
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _cause(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "its process was killed (SIGKILL): by hand, or for want of memory"
        return f"its process died ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"
