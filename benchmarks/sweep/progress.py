"""What a sweep shows while it runs: a line when a cell begins and ends, and on a terminal what runs just now."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from edgeport.benchmarks.sweep.cells.cell import RECORD, TRAIN, Cell
from edgeport.benchmarks.sweep.pools.pool import Event
from edgeport.benchmarks.sweep.results import figure_of, metric_of
from edgeport.runtime.host.terminal import visible
from edgeport.train.record import STATE


class CellProgress:
    """Shows the cells of a sweep as their events come in."""

    def __init__(self, console: Console, bars: Progress, output: Path, *, cells: int, done: int, slots: int) -> None:
        self._console, self._bars, self._output = console, bars, output
        self._cells, self._ended, self._slots = cells, done, slots
        self._seconds: list[float] = []
        self._tasks: dict[str, TaskID] = {}
        self._all = bars.add_task("cells", total=cells, completed=done)

    def on_event(self, event: Event) -> None:
        """Show one event."""
        name = event.cell.name
        if event.what == "started":
            self._console.print(f"{name}: started")
            self._tasks[name] = self._bars.add_task(name, total=event.cell.recipe.epochs, folder=self._output / name)
        elif event.what == "doing":
            if name in self._tasks:
                self._bars.update(self._tasks[name], description=f"{name} {event.words}")
        else:
            self._ended += 1
            self._seconds.append(event.seconds)
            if name in self._tasks:
                self._bars.remove_task(self._tasks.pop(name))
            self._bars.update(self._all, completed=self._ended)
            outcome = _scores(event.cell, self._output) if event.what == "done" else f"FAILED: {visible(event.words)}"
            self._console.print(
                f"{name}: {outcome}  {event.seconds:.0f} s  {self._ended} of {self._cells} cells{self._left()}"
            )

    def _left(self) -> str:
        """Return about how long the rest takes, from how long the cells took so far."""
        left = self._cells - self._ended
        if not left or not self._seconds:
            return ""
        mean = sum(self._seconds) / len(self._seconds)
        minutes = mean * left / self._slots / 60
        return f", about {max(1, round(minutes))} min left"


@contextmanager
def cell_progress(console: Console, output: Path, *, cells: int, done: int, slots: int) -> Iterator[CellProgress]:
    """Yield what shows the cells; on a terminal with a bar for each that runs."""
    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), _Epochs()
    live = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not live, refresh_per_second=2) as bars:
        yield CellProgress(console, bars, output, cells=cells, done=done, slots=slots)


class _Epochs(ProgressColumn):
    """How many epochs a cell has behind it, as the state of its training says; for all cells, how many have ended."""

    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        folder = task.fields.get("folder")
        if folder is None:
            return Text(f"{task.completed:.0f} of {task.total:.0f}")
        try:
            history = json.loads((folder / TRAIN / STATE / "history.json").read_bytes())["history"]
        except (OSError, ValueError, KeyError):
            return Text("")
        task.completed = len(history)
        last = history[-1] if history else {}
        shown = f"{last['validation_accuracy']:.2%}" if "validation_accuracy" in last else _loss(last)
        return Text(f"epoch {len(history)} of {task.total:.0f}{shown and ', '}{shown}")


def _loss(epoch: Mapping[str, float]) -> str:
    return f"validation loss {epoch['validation_loss']:.4g}" if epoch else ""


def _scores(cell: Cell, output: Path) -> str:
    """Return how the model and its integer artefact in one engine answer, in a few words."""
    record = json.loads((output / cell.name / RECORD).read_bytes())
    candidates, metric = record["contenders"], metric_of(record)
    split = "test" if "test" in candidates[0] else "validation"
    shown = [each for each in candidates if each["format"] == "keras" or each["precision"] == "int8"]
    return f"{split} {metric.name} " + ", ".join(
        f"{each['format']} {each['precision']} {metric.shown(figure_of(each[split]))}{'%' * metric.is_share}"
        for each in shown
    )
