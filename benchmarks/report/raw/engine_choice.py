"""Which engine is the fastest for each file, of those that answer as its default one does; numpy alone is needed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeport.benchmarks.report.raw.record import BASELINE, KERAS, PREDICT, Measured, Report, Series
from edgeport.benchmarks.tasks.answers import ANSWERS
from edgeport.runtime.artefact.precisions import PRECISIONS, GoldenLimits
from edgeport.runtime.engines.fastest import KIND, SCHEMA

# The sign test at 5 %: of so many rounds all went the same way.
_FEWEST_ROUNDS = 6


@dataclass(frozen=True)
class EngineRun:
    """A file under one engine.

    Attributes:
        measured: The candidate.
        median_ns: The median of its calls, in nanoseconds.
        rounds_faster: In how many rounds it was faster than the default engine; None for that one itself.
        changed: How many samples it answers with another decision than the default engine.
        largest: The largest change of any answer, as a share of the range of the default engine's.
        alike: Whether that is what another engine may differ by: no decision is another one, and no value is further
            off than golden answers of this precision may be in another engine.
    """

    measured: Measured
    median_ns: float
    rounds_faster: int | None
    changed: int
    largest: float
    alike: bool


@dataclass(frozen=True)
class EngineChoice:
    """The engines of one file.

    Attributes:
        file: The file.
        threads: How many threads each may use.
        rounds: How many rounds there were.
        runs: The default engine first.
        chosen: The fastest of those that answer alike; another than the default one only if it was faster in every
            round, and there were enough of these.
    """

    file: str
    threads: int
    rounds: int
    runs: Sequence[EngineRun]
    chosen: EngineRun


def engine_choices(report: Report) -> list[EngineChoice]:
    """Return the choice for each file that was timed, with each number of threads; empty if nobody asked for one."""
    found = []
    files = [
        each
        for each in report.artefacts
        if each.timed and each.format != KERAS and not each.same_as and not each.file.startswith(BASELINE)
    ]
    for default in files if report.protocol.get("engines") else []:
        others = [each for each in report.artefacts if each.same_as == default.file and each.timed]
        for threads in dict.fromkeys(each.threads for each in default.series):
            found.append(_choice(report, default, others, threads))
    return found


def fastest_of(report: Report) -> Measured:
    """Return the artefact with the least latency; under another engine than its default one if that was chosen."""
    chosen = {choice.chosen.measured.file for choice in engine_choices(report)}
    fit = (each for each in report.artefacts if each.format != KERAS and (not each.same_as or each.file in chosen))
    return min(fit, key=lambda each: each.latency_us(50))


def engines_text(report: Report, choices: Sequence[EngineChoice]) -> str:
    """Return the text of engines.json, from which ``load(..., engine="fastest")`` takes its choice."""
    content = {
        "kind": KIND,
        "schema": SCHEMA,
        "created_utc": report.created_utc,
        "cpu": report.host["cpu_model"],
        "architecture": report.host["architecture"],
        "choices": [
            {
                "file": each.file,
                "sha256": each.chosen.measured.sha256,
                "threads": each.threads,
                "engine": each.chosen.measured.engine["name"],
                "version": each.chosen.measured.engine["version"],
                "rounds": each.rounds,
                "engines": [
                    {
                        **run.measured.engine,
                        "median_ns": run.median_ns,
                        "rounds_faster": run.rounds_faster,
                        "decisions_changed": run.changed,
                        "largest_change": run.largest,
                        "alike": run.alike,
                    }
                    for run in each.runs
                ],
            }
            for each in choices
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def _choice(report: Report, default: Measured, others: Sequence[Measured], threads: int) -> EngineChoice:
    base = _calls(default, threads)
    runs = [EngineRun(default, base.percentile_us(50) * 1e3, None, 0, 0.0, alike=True)]
    for each in others:
        calls = _calls(each, threads)
        pairs = zip(calls.launches, base.launches, strict=False)
        faster = sum(float(np.median(own)) < float(np.median(its)) for own, its in pairs)
        changed, largest = _change(report, default, each)
        alike = not changed and largest <= _limit(default)
        runs.append(EngineRun(each, calls.percentile_us(50) * 1e3, faster, changed, largest, alike))
    rounds = len(base.launches)
    fit = [run for run in runs[1:] if run.alike and run.rounds_faster == rounds >= _FEWEST_ROUNDS]
    chosen = min(fit, key=lambda run: run.median_ns, default=runs[0])
    return EngineChoice(default.file, threads, rounds, tuple(runs), chosen)


def _calls(measured: Measured, threads: int) -> Series:
    """Return the calls that count: those of the engine on one sample, where they were timed."""
    series = measured.find(threads=threads) or measured.find(PREDICT, threads=threads)
    assert series is not None
    return series


def _change(report: Report, default: Measured, other: Measured) -> tuple[int, float]:
    """Return how many samples are decided otherwise, and the largest change as a share of the default's range."""
    changed = np.zeros(report.count, bool) if report.judged else default.classes != other.classes
    largest = float(np.abs(default.confidence - other.confidence).max(initial=0.0))
    for output, first, second in zip(report.judged, default.answers, other.answers, strict=True):
        own, its = first.array, second.array
        if (own.shape, own.dtype) != (its.shape, its.dtype):
            return report.count, float("inf")
        decided = ANSWERS[output.task].decided
        if decided is not None or own.dtype.kind != "f":
            ours, theirs = (decided(each) if decided else each for each in (own, its))
            changed = changed | (ours != theirs).reshape(report.count, -1).any(axis=1)
        if own.dtype.kind == "f":
            apart = float(np.abs(own.astype(np.float64) - its).max(initial=0.0))
            # An output that hardly varies has no range to speak of.
            extent = max(float(np.ptp(own)), 0.01 * float(np.abs(own).max(initial=0.0)), 1e-30)
            largest = max(largest, apart / extent)
    return int(changed.sum()), largest


def _limit(measured: Measured) -> float:
    row = PRECISIONS.get(measured.precision)
    return (row.golden if row else GoldenLimits()).share_elsewhere
