"""Cells as tasks of a Ray cluster that is already there; imported only when a sweep asks for it."""

import io
import os
import shutil
import socket
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeport.benchmarks.sweep.cells.cell import RECORD, Order, Shared, order_text
from edgeport.benchmarks.sweep.pools.away import Made, make_away, unpack
from edgeport.benchmarks.sweep.pools.dataset_archive import write_archive
from edgeport.benchmarks.sweep.pools.pool import Event
from edgeport.runtime.engines.quiet import quiet_stderr
from edgeport.runtime.errors import InputError
from edgeport.runtime.files.output import staged_folder
from edgeport.train.datasets.dataset import Dataset
from edgeport.train.datasets.named import DATASETS, load_dataset

# Read when Ray is imported: nobody has asked edgeport's users whether they want to be counted.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import RayError, RayTaskError

# A worker that dies takes its cell with it: it is made again, elsewhere if need be.
_RETRIES = 2
_WAIT_SECONDS = 1.0
_PATIENCE_SECONDS = 10.0


class RayPool:
    """Runs cells as tasks of a Ray cluster; see Pool."""

    resumes = False

    def __init__(self, address: str, shared: Shared, dataset: Dataset) -> None:
        """Connect to the cluster.

        Args:
            address: Where it is, for ``ray.init``.
            shared: What the cells have in common.
            dataset: Their data set.

        Raises:
            InputError: There is no cluster, it is too small, or what calibrates is no data set, which alone can travel.
        """
        data = {shared.dataset: dataset}
        if shared.calibration not in data:
            data[shared.calibration] = load_dataset(shared.calibration, data_dir=shared.data_dir)
        self._names = {name: _plain(name) for name in data}
        self._threads = shared.threads
        _connect(address)
        self.slots = int(ray.cluster_resources().get("CPU", 0) // shared.threads)
        if not self.slots:
            ray.shutdown()
            raise InputError(f"--ray: the cluster at {address} has no {shared.threads} free cores, which a cell needs")
        self.words = f"{self.slots} at a time on the Ray cluster at {address}"
        self._archives = {self._names[name]: ray.put(_archive(each)) for name, each in data.items()}

    def run(self, orders: Sequence[Order]) -> Generator[Event, None, None]:
        """See Pool.run. A cluster reports cells when they have ended; what is interrupted there begins anew."""
        task = ray.remote(make_away).options(num_cpus=self._threads, max_retries=_RETRIES)
        teachers = {path: ray.put(path.read_bytes()) for path in {each.cell.teacher for each in orders} if path}
        pending: dict[Any, Order] = {}
        with ExitStack() as stack:
            stack.callback(ray.shutdown)
            stack.callback(_cancel, pending)
            for order in orders:
                teacher = teachers[order.cell.teacher] if order.cell.teacher else None
                line = order_text(self._travelling(order))
                pending[task.remote(line, teacher, list(self._archives), *self._archives.values())] = order
            while pending:
                ready, _ = ray.wait(list(pending), timeout=_WAIT_SECONDS)
                for reference in ready:
                    yield _received(pending.pop(reference), reference)

    def _travelling(self, order: Order) -> Order:
        """Return an order with names for data sets that any machine can look up among those that come along."""
        shared = replace(
            order.shared,
            dataset=self._names[order.shared.dataset],
            calibration=self._names[order.shared.calibration],
            data_dir=None,
        )
        return replace(order, shared=shared)


def _connect(address: str) -> None:
    _check_reachable(address)
    # Ray greets on standard output, and its C++ part warns.
    with redirect_stdout(io.StringIO()), quiet_stderr():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError, OSError, RayError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"--ray: got {address}, expected the address of a running cluster: {reason}") from error


def _check_reachable(address: str) -> None:
    """Raise InputError if nobody listens at an address with a port, for which Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"--ray: got {address}, expected the address of a running cluster: {reason}") from error


def _received(order: Order, reference: Any) -> Event:
    try:
        made: Made = ray.get(reference)
    except RayTaskError as error:
        cause = error.cause or error
        return Event(order.cell, "failed", f"{type(cause).__name__} on the cluster: {' '.join(str(cause).split())}")
    except RayError as error:
        return Event(order.cell, "failed", f"{1 + _RETRIES} workers were lost over it ({type(error).__name__})")
    # What an interrupted process has left there is of another attempt.
    shutil.rmtree(order.folder, ignore_errors=True)
    with staged_folder(order.folder, record=None if made.failure else RECORD) as folder:
        unpack(made.folder, folder)
    return Event(order.cell, "failed" if made.failure else "done", made.failure, made.seconds)


def _cancel(pending: Mapping[Any, Order]) -> None:
    for reference in pending:
        # Their processes end with their workers.
        ray.cancel(reference, force=True)


def _archive(dataset: Dataset) -> bytes:
    content = io.BytesIO()
    write_archive(content, dataset)
    return content.getvalue()


def _plain(name: str) -> str:
    """Return a name that no machine takes for a path."""
    return name if name in DATASETS else Path(name).name.replace(".", "-")
