"""Several processes that do the same work beside each other, until a signal ends them all."""

import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType

_READY = b"."


def run_workers(
    count: int, work: Callable[[int, Callable[[], None]], int], *, started: Callable[[], None] = lambda: None
) -> int:
    """Run some work in so many processes until SIGTERM or Ctrl-C, and return the exit code.

    The first begins alone, so that what it cannot do is said once. A process that ends by itself ends the others:
    whatever has started them starts them anew, all of them.

    Args:
        count: How many processes.
        work: Given the place of its process, from 0 on, and what to call when its work has begun, returns an exit code.
            It ends by SIGTERM. Nothing may have started a thread before, since the processes are forked.
        started: Called here when all of them have been: what this process holds for them can be let go.

    Returns:
        0 if they were ended by a signal; else the code of the one that ended first, or 1 if that was 0.
    """
    children: set[int] = set()
    ending = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ending
        ending = True
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    for place in range(count):
        reads, writes = os.pipe()
        child = os.fork()
        if not child:
            os.close(reads)
            _child(place, work, writes)
        children.add(child)
        os.close(writes)
        begun = os.read(reads, 1)
        os.close(reads)
        if ending or not begun:
            break
    started()
    code = 0
    while children:
        child, status = os.wait()
        children.discard(child)
        if not ending:
            code = abs(os.waitstatus_to_exitcode(status)) or 1
            end(signal.SIGTERM, None)
    return code


def _child(place: int, work: Callable[[int, Callable[[], None]], int], writes: int) -> None:
    """Do the work in a forked process, which never returns to what its parent was doing."""
    code = 70

    def begun() -> None:
        os.write(writes, _READY)

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        code = work(place, begun)
    finally:
        os._exit(code)
