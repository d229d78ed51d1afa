"""Where cells are made: the interface of everything that can run them."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeport.benchmarks.sweep.cells.cell import Cell, Order


@dataclass(frozen=True)
class Event:
    """What has become of a cell.

    Attributes:
        cell: The cell.
        what: ``started``, ``doing``, ``done`` or ``failed``.
        words: What it does, or why it failed.
        seconds: How long it took, for one that has ended.
    """

    cell: Cell
    what: str
    words: str = ""
    seconds: float = 0.0


class Pool(Protocol):
    """Something that runs cells.

    Attributes:
        words: Where they run, in a few words.
        slots: How many of them run at a time.
        resumes: Whether a cell goes on from where it was interrupted; else it begins anew.
    """

    words: str
    slots: int
    resumes: bool

    def run(self, orders: Sequence[Order]) -> Generator[Event, None, None]:
        """Yield what becomes of the cells; each ends with one ``done`` or ``failed``, with its folder complete.

        A generator that is closed, or left by an exception such as Ctrl-C, first ends what it has started.
        """
        ...
