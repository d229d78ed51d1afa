"""Cells in processes of this machine."""

import selectors
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence

from edgeport.benchmarks.sweep.cells.cell import Order
from edgeport.benchmarks.sweep.cells.process import CellProcess
from edgeport.benchmarks.sweep.pools.pool import Event

# A cell that is interrupted writes the best model so far.
_PATIENCE_SECONDS = 30.0


class LocalPool:
    """Runs cells in processes of this machine, some at a time; see Pool."""

    resumes = True

    def __init__(self, jobs: int) -> None:
        self.slots = jobs
        self.words = f"{jobs} at a time on this machine"

    def run(self, orders: Sequence[Order]) -> Generator[Event, None, None]:
        """See Pool.run."""
        waiting = deque(orders)
        running: list[CellProcess] = []
        try:
            with selectors.DefaultSelector() as selector:
                while waiting or running:
                    while waiting and len(running) < self.slots:
                        process = CellProcess(waiting.popleft())
                        running.append(process)
                        selector.register(process, selectors.EVENT_READ, process)
                        yield Event(process.order.cell, "started")
                    for key, _ in selector.select():
                        process = key.data
                        for event in _events(process):
                            if event.what != "doing":
                                selector.unregister(process)
                                running.remove(process)
                                process.end()
                            yield event
        except (KeyboardInterrupt, GeneratorExit):
            _put_down(running)
            raise
        finally:
            for process in running:
                process.end()


def _events(process: CellProcess) -> Iterator[Event]:
    cell = process.order.cell
    for event in process.events():
        seconds = time.monotonic() - process.started
        if "stage" in event:
            yield Event(cell, "doing", event["stage"])
        elif "failed" in event:
            yield Event(cell, "failed", event["failed"], seconds)
            return
        else:
            yield Event(cell, "done", "", seconds)
            return


def _put_down(running: Sequence[CellProcess]) -> None:
    """Let cells put down what they have; whoever presses Ctrl-C again does not want to wait."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    try:
        for process in running:
            process.interrupt()
        for process in running:
            process.ended(within=deadline - time.monotonic())
    except KeyboardInterrupt:
        return
