"""The inside of a process that runs one artefact under MLPerf LoadGen, and under a clock of its own in between.

The parent writes one JSON line to its standard input and reads one from its standard output.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlperf_loadgen
import numpy as np

from edgeport.benchmarks.measure.candidates.candidate import Samples, count_of, mapped, picked
from edgeport.benchmarks.measure.candidates.openers import OpenedArtefact, open_artefact
from edgeport.runtime.errors import EdgeportError, InputError
from edgeport.runtime.files.temporary import temporary_folder
from edgeport.runtime.host.replies import refusal, replies

# How often each test is repeated.
_LEAST_TESTS, _MOST_TESTS = 5, 25
# Images a call for artefacts that take any number.
_OFFLINE_BATCH = 32
_WARMUP_SECONDS = 1.0

Issue = Callable[[list[int], list[int]], None]


def main() -> None:
    """Do what the one line on standard input says."""
    # LoadGen prints where it likes.
    reply = replies()
    order = json.loads(sys.stdin.readline())
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, order["cores"])
    try:
        opened = open_artefact(threads=order["threads"], **order["artefact"])
        found = _measured(opened, mapped(order["samples"]), order)
    except EdgeportError as error:
        found = refusal(error)
    reply(found)


@dataclass(frozen=True, eq=False)
class _Samples:
    """Encoded samples: LoadGen's library.

    Attributes:
        single: What a call takes for each sample: a tensor, or one for each input by its name.
        stacked: The same for all of them.
        batch: How many the artefact takes in Offline.
    """

    single: Sequence[Samples]
    stacked: Samples
    batch: int


def _measured(opened: OpenedArtefact, given: Samples, order: dict[str, Any]) -> dict[str, Any]:
    """Return what both clocks say."""
    predictor = opened.predictor
    held = predictor.spec.input.shape[0]
    if held not in (None, 1):
        raise InputError(
            f"{predictor.spec.name} takes {held} samples at a time, and LoadGen asks for one: export without --batch"
        )
    stacked = opened.encoded(given)
    single = [picked(stacked, slice(at, at + 1)) for at in range(count_of(stacked))]
    samples = _Samples(single, stacked, held or _OFFLINE_BATCH)
    queries, random = order["queries"], np.random.default_rng(0)
    run = predictor.run
    typical = _warm(run, samples)
    # Two of the three SingleStream tests, and both of Offline, run the artefact.
    tests = max(_LEAST_TESTS, min(int(order["seconds"] * 1e9 / (4 * queries * typical)), _MOST_TESTS))
    tested = (
        partial(_single_stream, run, samples, queries),
        partial(_own_single, run, samples, queries, random),
        partial(_single_stream, _answered_at_once, samples, queries),
    )
    theirs, ours, nobodys = _in_turns(tested, tests, random)
    offline = (partial(_offline, run, samples, queries), partial(_own_offline, run, samples, queries, random))
    offline_theirs, offline_ours = _in_turns(offline, tests, random)
    return {
        "engine": {"name": predictor.spec.engine, "version": predictor.spec.engine_version},
        "loadgen": theirs[0]["version"],
        "queries": queries,
        "valid": all(each["valid"] for each in (*theirs, *offline_theirs)),
        "single_stream": [[each["p50"], each["p90"]] for each in theirs],
        "own": ours,
        "idle": [[each["p50"], each["p90"]] for each in nobodys],
        "offline_batch": samples.batch,
        "offline": [each["samples_per_second"] for each in offline_theirs],
        "own_offline": offline_ours,
    }


def _answered_at_once(sample: Samples) -> None:
    """Do nothing: what a query takes then is the harness' own time."""


def _in_turns(tests: Sequence[Callable[[], Any]], count: int, random: np.random.Generator) -> list[list[Any]]:
    """Return what each test gives each time; they take turns, in an order that is shuffled every time."""
    results: list[list[Any]] = [[] for _ in tests]
    for _ in range(count):
        for index in random.permutation(len(tests)):
            results[index].append(_without_collections(tests[index]))
    return results


def _warm(run: Callable[[Samples], object], samples: _Samples) -> float:
    """Call until it is fast; return the median time of a call in ns."""
    times: list[int] = []
    deadline = time.perf_counter() + _WARMUP_SECONDS
    while len(times) < 10 or time.perf_counter() < deadline:
        started = time.perf_counter_ns()
        run(samples.single[len(times) % len(samples.single)])
        times.append(time.perf_counter_ns() - started)
    return float(np.median(times))


def _own_single(
    run: Callable[[Samples], object], samples: _Samples, count: int, random: np.random.Generator
) -> list[int]:
    """Return p50 and p90 in ns of so many calls on samples in random order, as LoadGen counts them."""
    clock, single = time.perf_counter_ns, samples.single
    times: list[int] = []
    for index in random.integers(0, len(single), count).tolist():
        started = clock()
        run(single[index])
        times.append(clock() - started)
    times.sort()
    # LoadGen's definition (loadgen/results.cc, ProcessLatencies).
    return [times[int(count * share)] for share in (0.5, 0.9)]


def _own_offline(run: Callable[[Samples], object], samples: _Samples, count: int, random: np.random.Generator) -> float:
    """Return samples per second of so many samples in random order."""
    chosen = random.integers(0, len(samples.single), count).tolist()
    started = time.perf_counter_ns()
    for at in range(0, count, samples.batch):
        run(_gathered(samples, chosen[at : at + samples.batch]))
    return count * 1e9 / (time.perf_counter_ns() - started)


def _gathered(samples: _Samples, indices: list[int]) -> Samples:
    return samples.single[indices[0]] if samples.batch == 1 else picked(samples.stacked, np.array(indices))


def _single_stream(run: Callable[[Samples], object], samples: _Samples, count: int) -> dict[str, Any]:
    """Return what LoadGen says of so many queries, one at a time."""
    # One response that is used again, and the quicker of LoadGen's two interfaces: what else the harness does in
    # Python counts as latency.
    response = mlperf_loadgen.QuerySampleResponse(0, 0, 0)
    responses, complete, single = [response], mlperf_loadgen.QuerySamplesComplete, samples.single

    def issue(ids: list[int], indices: list[int]) -> None:
        response.id = ids[0]
        run(single[indices[0]])
        complete(responses)

    summary = _loadgen(issue, mlperf_loadgen.TestScenario.SingleStream, len(single), count)
    return {**_common(summary), **{f"p{p}": summary[f"result_{p}.00_percentile_latency_ns"] for p in (50, 90)}}


def _offline(run: Callable[[Samples], object], samples: _Samples, count: int) -> dict[str, Any]:
    """Return what LoadGen says of one query of so many samples."""

    def issue(ids: list[int], indices: list[int]) -> None:
        for at in range(0, len(ids), samples.batch):
            run(_gathered(samples, indices[at : at + samples.batch]))
            done = ids[at : at + samples.batch]
            mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(each, 0, 0) for each in done])

    summary = _loadgen(issue, mlperf_loadgen.TestScenario.Offline, len(samples.single), count)
    return {**_common(summary), "samples_per_second": summary["result_samples_per_second"]}


def _common(summary: dict[str, Any]) -> dict[str, Any]:
    return {"version": summary["loadgen_version"], "valid": summary["result_validity"] == "VALID"}


def _loadgen(issue: Issue, scenario: Any, sample_count: int, count: int) -> dict[str, Any]:
    """Run one performance test and return what its log says, by key; the log goes."""
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = scenario
    settings.mode = mlperf_loadgen.TestMode.PerformanceOnly
    # So many and no more: many short tests in turns with our own clock, and not one of ten minutes.
    settings.min_query_count = settings.max_query_count = count
    settings.min_duration_ms = 0
    with temporary_folder() as folder:
        output = mlperf_loadgen.LogOutputSettings()
        output.outdir = str(folder)
        output.copy_summary_to_stdout = False
        log = mlperf_loadgen.LogSettings()
        log.log_output = output
        # Its thread for the log would take turns with the engine on one core.
        log.log_mode = mlperf_loadgen.LoggingMode.EndOfTestOnly
        log.enable_trace = False
        library = mlperf_loadgen.ConstructQSL(sample_count, sample_count, lambda which: None, lambda which: None)
        system = mlperf_loadgen.ConstructFastSUT(issue, lambda: None)
        try:
            # No file of settings is read from the current folder.
            mlperf_loadgen.StartTestWithLogSettings(system, library, settings, log, "")
        finally:
            mlperf_loadgen.DestroyFastSUT(system)
            mlperf_loadgen.DestroyQSL(library)
        return _entries(Path(folder, "mlperf_log_detail.txt").read_text(encoding="utf-8"))


def _entries(log: str) -> dict[str, Any]:
    """Return the entries of LoadGen's detailed log: a line each, ``:::MLLOG`` and JSON."""
    lines = (line.partition(" ")[2] for line in log.splitlines() if line.startswith(":::MLLOG"))
    return {entry["key"]: entry["value"] for entry in map(json.loads, lines)}


def _without_collections(test: Callable[[], Any]) -> Any:
    gc.collect()
    gc.disable()
    try:
        return test()
    finally:
        gc.enable()


if __name__ == "__main__":
    main()
