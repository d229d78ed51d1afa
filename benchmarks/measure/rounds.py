"""Measure candidates side by side: rounds of fresh processes, timed in turns on the same cores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeport.benchmarks.measure.candidate import Candidate
from edgeport.benchmarks.measure.machine.conditions import condition, snapshot
from edgeport.benchmarks.measure.machine.host import usable_cores
from edgeport.benchmarks.measure.process import MeasuringProcess
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, PREDICT, Condition, Series, Start
from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.tensors.arrays import FloatArray, Pixels

OnStep = Callable[[str], None]
_REFERENCE_WORKLOAD = Candidate(
    "reference workload", "edgeport.benchmarks.measure.machine.reference_workload:open_reference_workload"
)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a candidate answers.

    Attributes:
        engine: ``name`` and ``version`` of what runs it.
        values: float32 of shape (n, classes).
    """

    engine: Mapping[str, str]
    values: FloatArray


@dataclass(frozen=True, eq=False)
class Timings:
    """What was timed of some candidates.

    Attributes:
        series: The timed calls of each candidate, by its name.
        starts: The starts of each candidate, by its name.
        conditions: The machine meanwhile, one entry a round.
        partial: Why it ended before its time; empty if it did not.
    """

    series: dict[str, list[Series]] = field(default_factory=dict)
    starts: dict[str, list[Start]] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    partial: str = ""


def answers_of(
    candidates: Sequence[Candidate], images: Pixels, *, on_step: OnStep = lambda what: None
) -> Iterator[tuple[Candidate, Answers | EdgeportError]]:
    """Yield each candidate with its answers, or with why it cannot run here; each runs in a process of its own.

    Args:
        candidates: What to ask.
        images: uint8 of shape (n, height, width, channels).
        on_step: Called with a few words before each candidate.
    """
    with _shared(images) as (path, folder):
        for each in candidates:
            on_step(f"answers of {each.name}")
            to = folder / "answers.npy"
            try:
                with MeasuringProcess(each, images=path, cores=_cores_for(each.threads)) as process:
                    process.ask("answers", to=str(to))
                    engine = process.started["engine"]
            except EdgeportError as error:
                yield each, error
            else:
                yield each, Answers(engine, np.load(to, allow_pickle=False))


def time_candidates(
    candidates: Sequence[Candidate],
    images: Pixels,
    *,
    protocol: Protocol,
    ways: Sequence[tuple[str, int]] = ((ENGINE_CALL, 1), (PREDICT, 1)),
    on_step: OnStep = lambda what: None,
) -> Timings:
    """Time candidates in rounds of fresh processes; what an interrupted run has measured so far is returned.

    Args:
        candidates: What to time.
        images: uint8 of shape (n, height, width, channels).
        protocol: How.
        ways: What to time, and images a call: see ``report.TIMED``.
        on_step: Called with a few words before each round.

    Raises:
        EdgeportError: A candidate cannot run here: in the first round. Later, the run is partial.
        KeyboardInterrupt: Ctrl-C before the first round has ended.
    """
    found = Timings()
    partial = ""
    random = np.random.default_rng(protocol.seed)
    with _shared(images[: max(batch for _, batch in ways)]) as (path, _):
        for number in range(protocol.launches):
            on_step(f"latency, round {number + 1} of {protocol.launches}")
            part = [each for each in candidates if each.launches is None or number < each.launches]
            try:
                one = _round(part, path, protocol, ways, random)
            except (KeyboardInterrupt, EdgeportError) as error:
                if not number:
                    raise
                why = "interrupted" if isinstance(error, KeyboardInterrupt) else f"ended ({error})"
                partial = f"{why} after {number} of {protocol.launches} rounds"
                break
            _add(found, one, part, ways)
    return Timings(found.series, found.starts, found.conditions, partial)


@dataclass(frozen=True, eq=False)
class _Round:
    samples: Mapping[tuple[str, str, int], list[int]]
    starts: Mapping[str, Start]
    condition: Condition


def _round(
    candidates: Sequence[Candidate],
    images: Path,
    protocol: Protocol,
    ways: Sequence[tuple[str, int]],
    random: np.random.Generator,
) -> _Round:
    """Start every candidate, one after the other, and time them in turns."""
    measured = [*candidates, _REFERENCE_WORKLOAD]
    with ExitStack() as stack:
        processes: dict[str, MeasuringProcess] = {}
        before = snapshot([])
        for index in random.permutation(len(measured)):
            each = measured[index]
            cores = _cores_for(each.threads)
            processes[each.name] = stack.enter_context(MeasuringProcess(each, images=images, cores=cores))
        turns = [(each.name, what, batch) for each in candidates for what, batch in ways]
        turns.append((_REFERENCE_WORKLOAD.name, ENGINE_CALL, 1))
        calls = {
            turn: protocol.calls_within(
                processes[turn[0]].ask("warm", what=turn[1], batch=turn[2], seconds=protocol.warmup_seconds)[
                    "median_ns"
                ]
            )
            for turn in turns
        }
        samples: dict[tuple[str, str, int], list[int]] = {turn: [] for turn in turns}
        for _ in range(protocol.turns):
            for index in random.permutation(len(turns)):
                name, what, batch = turn = turns[index]
                told = processes[name].ask(
                    "turn", what=what, batch=batch, calls=calls[turn], warmup=min(protocol.warmup_calls, calls[turn])
                )
                samples[turn] += told["ns"]
        after = snapshot([process.pid for process in processes.values()])
        starts = {each.name: _start(processes[each.name], each.threads) for each in candidates}
    workload_ns = int(np.median(samples.pop((_REFERENCE_WORKLOAD.name, ENGINE_CALL, 1))))
    return _Round(samples, starts, condition(before, after, yardstick_ns=workload_ns))


def _start(process: MeasuringProcess, threads: int) -> Start:
    memory = process.ask("memory")
    told = process.started
    return Start(told["import_ns"], told["load_ns"], told["first_ns"], memory["peak"], memory["steady"], threads)


def _add(found: Timings, one_round: _Round, candidates: Sequence[Candidate], ways: Sequence[tuple[str, int]]) -> None:
    """Add what one round has measured to what was found before."""
    found.conditions.append(one_round.condition)
    for each in candidates:
        series = found.series.setdefault(each.name, [Series(what, batch, each.threads, []) for what, batch in ways])
        for one in series:
            one.launches.append(one_round.samples[each.name, one.what, one.batch])
        found.starts.setdefault(each.name, []).append(one_round.starts[each.name])


@contextmanager
def _shared(images: Pixels) -> Iterator[tuple[Path, Path]]:
    """Yield a file with the images, and a folder for answers."""
    with temporary_folder() as folder:
        path = folder / "images.npy"
        np.save(path, images, allow_pickle=False)
        yield path, folder


def _cores_for(threads: int) -> list[int]:
    """Return the last cores: the first one often serves the machine's interrupts.

    Raises:
        InputError: There are fewer than threads.
    """
    cores = usable_cores()
    if threads > len(cores):
        raise InputError(f"--threads: got {threads}, and this process may use {len(cores)} cores: take that or fewer")
    return cores[-threads:]
