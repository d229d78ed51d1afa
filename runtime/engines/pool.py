"""What one thread at a time may use, kept ready: interpreters, and requests of a compiled model."""

import os
import sys
import weakref
from typing import Any

try:
    # The module queue takes both from here, and brings along others which take a quarter of a megabyte.
    from _queue import Empty, SimpleQueue
except ImportError:
    from queue import Empty, SimpleQueue


class Slot:
    """A place for one interpreter or request, which is opened when it is first needed.

    A slot belongs to whoever took it from its engine's queue. One that gets lost there, since an exception may come at
    any moment (Ctrl-C, a timeout by signal), is replaced by an empty one when Python clears it away.
    """

    __slots__ = ("_engine", "below", "opened")

    def __init__(self, engine: "PooledEngine", *, below: bool = False) -> None:
        """Prepare.

        Args:
            engine: Whose slot it is.
            below: Whether it was made for a signal handler, on top of the call that has the others.
        """
        self.below = below
        # Not the engine itself: when that goes, its slots shall go and not come back.
        self._engine = weakref.ref(engine)
        self.empty()

    def __del__(self) -> None:
        engine = self._engine()
        if engine is not None:
            engine.idle.put(type(self)(engine))

    def fill(self, opened: Any) -> None:
        """Put an interpreter or a request in its place."""
        self.opened = opened

    def empty(self) -> None:
        """Let go of it."""
        self.opened = None


class PooledEngine:
    """An engine whose interpreters, or requests, are each used by one thread at a time.

    Two threads inside one get each other's answers, or an error, or abort the process. So a thread takes one that is
    idle. If there is none it opens another, up to as many as there are cores to run them, and else waits.
    """

    slot: type[Slot] = Slot

    def __init__(self, *, threads: int, first: Any) -> None:
        """Prepare.

        Args:
            threads: How many threads each of them may use.
            first: The one that is open already.
        """
        self.idle: SimpleQueue[Any] = SimpleQueue()
        self._spare: SimpleQueue[Any] = SimpleQueue()
        for _ in range(turns_at_once(threads)):
            self._spare.put(self.slot(self))
        slot = self._spare.get()
        slot.fill(first)
        self.idle.put(slot)

    def open_one(self, slot: Any) -> Any:
        """Return one more of what a slot holds, for this one."""
        raise NotImplementedError

    def take(self) -> Any:
        """Return a filled slot, which is the caller's until it is back in ``idle``."""
        try:
            slot = self.idle.get_nowait()
        except Empty:
            try:
                slot = self._spare.get_nowait()
            except Empty:
                # A signal handler that predicts while its own thread does would wait for itself.
                slot = self.slot(self, below=True) if self._is_below() else self.idle.get()
        if slot.opened is None:
            try:
                slot.fill(self.open_one(slot))
            except BaseException:
                self.give_up(slot)
                raise
        return slot

    def give_up(self, slot: Slot) -> None:
        """Give a slot back without what it held, which has failed in the middle."""
        slot.empty()
        self.idle.put(slot)

    def _is_below(self) -> bool:
        """Whether this thread is inside a call of this engine already: a handler runs on top of what it interrupts."""
        frame = sys._getframe(2).f_back  # below the call that asks
        while frame is not None:
            if frame.f_code.co_name in ("call_one", "call") and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return False


def turns_at_once(threads: int) -> int:
    """Return how many calls of so many threads each the cores can run at a time, 1 or more."""
    return max(1, _cores() // threads)


def _cores() -> int:
    # What this process may use: a container or taskset gives less than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
