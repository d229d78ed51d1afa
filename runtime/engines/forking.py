"""Survive fork(): a child has its parent's engines, but none of the threads that they wait for."""

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """Something that must open its engine again in a forked child."""

    def after_fork(self) -> object:
        """Forget the engine, and return it."""
        ...


_ALIVE: WeakSet[Forked] = WeakSet()


def survive_fork(forked: Forked) -> None:
    """See to it that ``after_fork`` is called in every child that this process forks."""
    _ALIVE.add(forked)


def _after_fork() -> None:
    for forked in list(_ALIVE):
        _immortalise(forked.after_fork())


def _immortalise(engine: object) -> None:
    """Never take this object down, not even at exit: its destructor would wait for threads that are not there."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
