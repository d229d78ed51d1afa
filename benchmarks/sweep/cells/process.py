"""A cell's process from the outside: started, listened to, ended."""

import json
import time
from collections.abc import Iterator
from typing import Any

from edgeport.benchmarks.sweep.cells.cell import LOG, Order, order_text
from edgeport.runtime.host.json_process import JsonProcess, with_threads


class CellProcess(JsonProcess):
    """The process that makes a cell; what it and its libraries print is added to the cell's log.

    Attributes:
        order: What it makes.
        started: When it was started, by the monotonic clock, in seconds.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.started = time.monotonic()
        order.folder.mkdir(parents=True, exist_ok=True)
        threads = order.shared.threads
        # TensorFlow takes as many threads as there are cores, too, unless it is limited.
        environment = with_threads(threads) | {
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # The log is UTF-8 in every locale, and nothing that is printed can end the work.
            "PYTHONIOENCODING": "utf-8:backslashreplace",
        }
        with (order.folder / LOG).open("ab") as log:
            super().__init__("edgeport.benchmarks.sweep.cells.worker", environment=environment, log=log)
        # The pipe stays open: see worker.
        self.send(json.loads(order_text(order)))

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what the process has reported since the last call; waits for it if there is nothing.

        The last event is ``done`` or ``failed``, with the reason.
        """
        answers = self.read()
        yield from [{"failed": self._reason()}] if answers is None else answers

    def _reason(self) -> str:
        cause = self.cause()
        if cause == "SIGKILL":
            return "its process was killed (SIGKILL): by hand, or for want of memory"
        return f"its process died ({cause})"
