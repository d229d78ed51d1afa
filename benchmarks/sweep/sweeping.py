"""The stage: which cells are to be made, what becomes of them, and the files that say so."""

import hashlib
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.sweep.cells.cell import Cell, Order, Shared, differences, identity_of
from edgeport.benchmarks.sweep.cells.definitions import definitions_of, own_definition
from edgeport.benchmarks.sweep.cells.record import read_identity, read_record
from edgeport.benchmarks.sweep.pools.pool import Event, Pool
from edgeport.benchmarks.sweep.results import Latencies, Results
from edgeport.benchmarks.sweep.sweep_data import SweepData
from edgeport.benchmarks.sweep.sweep_file import SweepFile
from edgeport.export.verification.calibration import load_calibration
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import check_output_folder, write_whole
from edgeport.runtime.files.plain_file import MOST_MODEL, read_plain
from edgeport.runtime.host.machine import version_of
from edgeport.runtime.host.terminal import visible

# The sweep's file as it was when the folder was last written to; it distinguishes a sweep's folder from any other.
COPY = "sweep.toml"
_TOOLS = ("edgeport", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Attributes:
        orders: What is to be made.
        finished: The cells that are there already.
        begun: How many of the orders go on from where they were interrupted.
    """

    orders: tuple[Order, ...]
    finished: tuple[Cell, ...]
    begun: int


def check_folder(output: Path) -> None:
    """Raise InputError if a sweep may not be written to a folder: it holds something else."""
    if not (output / COPY).is_file():
        try:
            check_output_folder(output, overwrite=False)
        except InputError as error:
            # A sweep replaces its own cells, and nothing else.
            raise InputError(f"{output} is no folder of a sweep, and not empty: choose another with -o") from error


def plan_work(sweep: SweepFile, output: Path, data: SweepData, *, overwrite: bool) -> Work:
    """Return what is left to do in the folder of a sweep, and note there what the sweep is.

    Args:
        sweep: What is to be there in the end.
        output: The folder.
        data: What its cells learn.
        overwrite: Whether cells are made anew whose model, recipe or data have changed since.

    Raises:
        InputError: A cell has changed and ``overwrite`` is not given, a cell is damaged, or a model or the calibration
            samples do not fit the data set.
    """
    own = {cell.model: own_definition(cell.start) for cell in sweep.cells if cell.start}
    named = list(dict.fromkeys(cell.model for cell in sweep.cells if not cell.start))
    definitions = own | _named_definitions(named, data)
    samples = _Digests(data, sweep.shared)
    teachers = {cell.teacher: _digest(cell.teacher) for cell in sweep.cells if cell.teacher}
    orders, finished, changed = [], [], []
    begun = 0
    for cell in sweep.cells:
        identity = identity_of(
            cell,
            sweep.shared,
            definition=definitions[cell.model],
            dataset_sha256=samples.learned(cell),
            calibration_sha256=samples.calibrated(cell),
            teacher_sha256=teachers[cell.teacher] if cell.teacher else None,
        )
        folder = output / cell.name
        before = read_identity(folder)
        if before is not None and differences(before, identity):
            changed.append((cell, differences(before, identity)))
            before = None
        if before is not None and read_record(folder) is not None:
            finished.append(cell)
        else:
            begun += before is not None
            orders.append(Order(cell, sweep.shared, identity, folder.resolve(), {}))
    if changed and not overwrite:
        cell, what = changed[0]
        others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise InputError(
            f"{output} holds {cell.name}{others} with another {', '.join(what)}: choose another folder with -o, or "
            "make these cells anew with --overwrite"
        )
    for cell, _ in changed:
        shutil.rmtree(output / cell.name)
    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / COPY, sweep.text.encode())
    return Work(tuple(orders), tuple(finished), begun)


def run_cells(work: Work, pool: Pool, *, on_event: Callable[[Event], None]) -> list[dict[str, Any]]:
    """Make all cells, and return those that failed: ``model``, ``recipe``, ``seed`` and ``reason``."""
    failed = []
    with closing(pool.run(work.orders)) as events:
        for event in events:
            on_event(event)
            if event.what == "failed":
                cell = event.cell
                failed.append(
                    {"model": cell.model, "recipe": cell.recipe_name, "seed": cell.seed, "reason": visible(event.words)}
                )
    return failed


def records_of(sweep: SweepFile, output: Path) -> list[Mapping[str, Any]]:
    """Return the records of the cells that have ended, in the order of the sweep."""
    records = (read_record(output / cell.name) for cell in sweep.cells)
    return [record for record in records if record is not None]


def results_of(
    sweep: SweepFile,
    data: SweepData,
    records: Sequence[Mapping[str, Any]],
    failed: Sequence[Mapping[str, Any]],
    latency: Latencies | None,
) -> Results:
    """Return everything that a sweep has found."""
    return Results(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={"python": platform.python_version(), **{name: version_of(name) for name in _TOOLS}},
        host=host_facts(),
        sweep=sweep.text,
        dataset={**data.facts, "name": visible(data.facts["name"])},
        cells=tuple(records),
        failed=tuple(failed),
        latency=latency,
    )


class _Digests:
    """The digests of what cells learn and are calibrated on, each taken once."""

    def __init__(self, data: SweepData, shared: Shared) -> None:
        self._data, self._shared = data, shared
        self._learned: dict[str, str] = {}
        self._calibrated: dict[tuple[Input, ...], str] = {}

    def learned(self, cell: Cell) -> str:
        """Return the digest of what a cell learns."""
        key = cell.model if self._data.is_compiled(cell) else ""
        if key not in self._learned:
            self._learned[key] = self._data.sha256_of(cell)
        return self._learned[key]

    def calibrated(self, cell: Cell) -> str:
        """Return the digest of what its quantizer sees; raises InputError if it is not for such a model."""
        inputs = self._data.inputs_of(cell)
        if inputs not in self._calibrated:
            shared = self._shared
            calibration = load_calibration(shared.calibration, inputs=inputs, data_dir=shared.data_dir)
            self._calibrated[inputs] = calibration.facts["sha256"]
        return self._calibrated[inputs]


def _named_definitions(named: Sequence[str], data: SweepData) -> dict[str, str]:
    """Return the digests of the models that edgeport knows, which classify images."""
    classes = data.classes
    if not named or classes is None:
        return {}
    if not classes.is_pixels:
        raise InputError(f"models: got {named[0]} for {classes.name}, which has no images: expected models of your own")
    return definitions_of(named, image_shape=classes.image_shape, class_count=len(classes.labels))


def _digest(path: Path) -> str:
    return hashlib.sha256(read_plain(path, most=MOST_MODEL, error=InputError, who="the teacher")).hexdigest()
