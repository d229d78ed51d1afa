"""The latency of a sweep's artefacts, side by side, when nothing else of the sweep runs any more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeport.benchmarks.measure.candidates.candidate import Samples, artefact_candidate
from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.measure.machine.host import host_facts
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.measure.rounds import time_candidates
from edgeport.benchmarks.report.raw.record import ENGINE_CALL
from edgeport.benchmarks.sweep.cells.cell import EXPORT
from edgeport.benchmarks.sweep.results import Latencies, Timed

# Enough for intervals: six pairs of processes bear one.
PROTOCOL = Protocol(launches=8)


def time_cells(
    output: Path,
    cells: Sequence[Mapping[str, Any]],
    samples: Samples,
    *,
    earlier: Latencies | None = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> Latencies | None:
    """Time the artefacts of one cell of each model; what decides the time is the model, not its weights.

    Args:
        output: The folder of the sweep.
        cells: The records of its cells; the first one of each model is taken.
        samples: What is answered: an array for models of one input, or one for each by its name.
        earlier: What was timed before: it holds if it was the same files, in the same way.
        on_step: Called with a few words before each round of processes.

    Returns:
        What was timed; None if there is nothing to time.

    Raises:
        KeyboardInterrupt: Ctrl-C before anything was timed.
    """
    chosen = {cell["model"]: cell for cell in reversed(cells)}
    wanted = [
        Timed(cell["model"], cell["recipe"], cell["seed"], each["file"], each["format"], each["precision"],
              each["sha256"], [])
        for cell in reversed(chosen.values())
        for each in cell["contenders"]
        if each["format"] != "keras"
    ]  # fmt: skip
    if not wanted:
        return None
    protocol = asdict(PROTOCOL)
    if earlier is not None and not earlier.partial and earlier.protocol == protocol and _same(earlier.timed, wanted):
        return earlier
    candidates = [
        artefact_candidate(
            f"{each.model}/{each.file}",
            output / each.model / each.recipe / f"seed-{each.seed}" / EXPORT / each.file,
        )
        for each in wanted
    ]
    host = host_facts()
    timings = time_candidates(candidates, samples, protocol=PROTOCOL, ways=((ENGINE_CALL, 1),), on_step=on_step)
    for each, candidate in zip(wanted, candidates, strict=True):
        each.launches.extend(timings.series[candidate.name][0].launches)
    doubts = tuple(disturbances(timings.conditions, host))
    return Latencies(host, protocol, doubts, timings.partial, tuple(wanted))


def _same(first: Sequence[Timed], second: Sequence[Timed]) -> bool:
    """Whether the files are the same, each in its place."""
    return [(each.model, each.sha256) for each in first] == [(each.model, each.sha256) for each in second]
