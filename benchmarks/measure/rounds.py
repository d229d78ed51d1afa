"""Measure candidates side by side: rounds of fresh processes, timed in turns on the same cores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeport.benchmarks.measure.candidates.candidate import Candidate, Samples, picked
from edgeport.benchmarks.measure.candidates.process import MeasuringProcess
from edgeport.benchmarks.measure.machine.conditions import condition, snapshot
from edgeport.benchmarks.measure.machine.host import usable_cores
from edgeport.benchmarks.measure.protocol import Protocol
from edgeport.benchmarks.report.raw.record import ENGINE_CALL, PREDICT, Condition, Series, Start
from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.tensors.arrays import Tensor

OnStep = Callable[[str], None]
_REFERENCE_WORKLOAD = Candidate(
    "reference workload", "edgeport.benchmarks.measure.machine.reference_workload:open_reference_workload"
)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a candidate answers.

    Attributes:
        engine: ``name`` and ``version`` of what runs it.
        outputs: An array for each output by its name, which is empty where an engine has no names.
    """

    engine: Mapping[str, str]
    outputs: Mapping[str, Tensor]

    @property
    def values(self) -> Tensor:
        """The first output; most models have no other."""
        return next(iter(self.outputs.values()))


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
    candidates: Sequence[Candidate], samples: Samples, *, on_step: OnStep = lambda what: None
) -> Iterator[tuple[Candidate, Answers | EdgeportError]]:
    """Yield each candidate with its answers, or with why it cannot run here; each runs in a process of its own.

    Args:
        candidates: What to ask.
        samples: See ``Opened.answers``.
        on_step: Called with a few words before each candidate.
    """
    with _shared(samples) as (paths, folder):
        for each in candidates:
            on_step(f"answers of {each.name}")
            try:
                with MeasuringProcess(each, samples=paths, cores=_cores_for(each.threads)) as process:
                    names = process.ask("answers", to=str(folder))["outputs"]
                    engine = process.started["engine"]
            except EdgeportError as error:
                yield each, error
            else:
                outputs = (np.load(folder / f"{place}.npy", allow_pickle=False) for place in range(len(names)))
                yield each, Answers(engine, dict(zip(names, outputs, strict=True)))


def time_candidates(
    candidates: Sequence[Candidate],
    samples: Samples,
    *,
    protocol: Protocol,
    ways: Sequence[tuple[str, int]] = ((ENGINE_CALL, 1), (PREDICT, 1)),
    on_step: OnStep = lambda what: None,
) -> Timings:
    """Time candidates in rounds of fresh processes; what an interrupted run has measured so far is returned.

    Args:
        candidates: What to time.
        samples: See ``Opened.answers``.
        protocol: How.
        ways: What to time, and samples a call: see ``report.TIMED``.
        on_step: Called with a few words before each round.

    Raises:
        EdgeportError: A candidate cannot run here: in the first round. Later, the run is partial.
        KeyboardInterrupt: Ctrl-C before the first round has ended.
    """
    found = Timings()
    partial = ""
    random = np.random.default_rng(protocol.seed)
    with _shared(picked(samples, slice(max(batch for _, batch in ways)))) as (paths, _):
        for number in range(protocol.launches):
            on_step(f"latency, round {number + 1} of {protocol.launches}")
            part = [each for each in candidates if each.launches is None or number < each.launches]
            try:
                one = _round(part, paths, protocol, ways, random)
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
    paths: Path | Mapping[str, Path],
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
            processes[each.name] = stack.enter_context(MeasuringProcess(each, samples=paths, cores=cores))
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
                reply = processes[name].ask(
                    "turn", what=what, batch=batch, calls=calls[turn], warmup=min(protocol.warmup_calls, calls[turn])
                )
                samples[turn] += reply["ns"]
        after = snapshot([process.pid for process in processes.values()])
        starts = {each.name: _start(processes[each.name], each.threads) for each in candidates}
    workload_ns = int(np.median(samples.pop((_REFERENCE_WORKLOAD.name, ENGINE_CALL, 1))))
    return _Round(samples, starts, condition(before, after, yardstick_ns=workload_ns))


def _start(process: MeasuringProcess, threads: int) -> Start:
    memory = process.ask("memory")
    start = process.started
    return Start(start["import_ns"], start["load_ns"], start["first_ns"], memory["peak"], memory["steady"], threads)


def _add(found: Timings, one_round: _Round, candidates: Sequence[Candidate], ways: Sequence[tuple[str, int]]) -> None:
    """Add what one round has measured to what was found before."""
    found.conditions.append(one_round.condition)
    for each in candidates:
        series = found.series.setdefault(each.name, [Series(what, batch, each.threads, []) for what, batch in ways])
        for one in series:
            one.launches.append(one_round.samples[each.name, one.what, one.batch])
        found.starts.setdefault(each.name, []).append(one_round.starts[each.name])


@contextmanager
def _shared(samples: Samples) -> Iterator[tuple[Path | dict[str, Path], Path]]:
    """Yield the file of the samples, or one for each input by its name, and a folder for answers."""
    with temporary_folder() as folder:
        arrays = samples if isinstance(samples, Mapping) else {"": samples}
        paths = {name: folder / f"input{place}.npy" for place, name in enumerate(arrays)}
        for name, path in paths.items():
            np.save(path, arrays[name], allow_pickle=False)
        yield paths if isinstance(samples, Mapping) else paths[""], folder


def _cores_for(threads: int) -> list[int]:
    """Return the last cores: the first one often serves the machine's interrupts.

    Raises:
        InputError: There are fewer than threads.
    """
    cores = usable_cores()
    if threads > len(cores):
        raise InputError(f"--threads: got {threads}, and this process may use {len(cores)} cores: take that or fewer")
    return cores[-threads:]
