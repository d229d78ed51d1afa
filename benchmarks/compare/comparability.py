"""Whether two benchmarks can be compared at all, what belongs to what in them, and what else differs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from edgeport.benchmarks.measure.machine.conditions import disturbances
from edgeport.benchmarks.report.raw.record import BASELINE, Measured, Report, Series

_HOST = {"cpu_model": "CPU model", "architecture": "architecture", "flags": "CPU flags"}
# More or fewer of the same calls change how narrow an interval is, and not what is measured.
_FREE_IN_PROTOCOL = {"launches", "seed", "batches", "threads"}
# Beyond this the clock, or who else computes, is so different that arithmetic does not speak for an engine any more.
_LARGEST_DRIFT = 1.2


@dataclass(frozen=True)
class Pair:
    """What was measured of one artefact before and now."""

    base: Measured
    new: Measured

    @property
    def is_reference(self) -> bool:
        """Whether it is the Keras model: it stays at home, so its latency is no one's concern."""
        return self.new.format == "keras"


@dataclass(frozen=True)
class Pairing:
    """What belongs together in two benchmarks.

    Attributes:
        pairs: What is in both; the reference first, if it is.
        missing: For each artefact that the base has alone: its file name, and why, where that is known.
        added: Files of artefacts that are new.
    """

    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def obstacles(self) -> list[str]:
        """Why nothing can be compared; empty if something can."""
        return [] if any(not pair.is_reference for pair in self.pairs) else ["artefacts: none is in both BASE and NEW"]


def pair_reports(base: Report, new: Report) -> Pairing:
    """Return what belongs together in two runs; the baselines that were measured beside them are left out."""
    return _paired(_own(base), _own(new), new.skipped)


def pair_within(report: Report) -> Pairing:
    """Return what belongs together in a run that measured the artefacts of a baseline too."""
    base = [each for each in report.artefacts if each.file.startswith(BASELINE)]
    new = _own(report)
    if not any(each.format == "keras" for each in base):
        new = [each for each in new if each.format != "keras"]
    return _paired(base, new, report.skipped)


def data_obstacles(base: Report, new: Report) -> list[str]:
    """Return why the answers of two runs cannot be compared, one line each; empty if they can."""
    found = _differing({"model": (base.model, new.model)})
    keys = {"sha256": "digest of the data", "split": "split of the data", "count": "number of samples"}
    data = _differing({words: (base.dataset.get(key), new.dataset.get(key)) for key, words in keys.items()})
    if data and base.dataset.get("name") != new.dataset.get("name"):
        data.insert(0, *_differing({"data set": (base.dataset.get("name"), new.dataset.get("name"))}))
    if not data and base.truth != new.truth:
        data = ["true classes: BASE and NEW hold other ones for the same images"]
    if not data:
        outputs = [[f"{each.name} as {each.task}" for each in report.judged] for report in (base, new)]
        data = _differing({"judged outputs": (outputs[0], outputs[1])})
        data += [] if base.groups == new.groups else ["groups: BASE and NEW have other ones of the same samples"]
    if not data and [each.targets for each in base.judged] != [each.targets for each in new.judged]:
        data = ["targets: BASE and NEW hold other ones for the same samples"]
    return found + data or _other_shapes(base, new)


def _other_shapes(base: Report, new: Report) -> list[str]:
    """Return which candidate answers with arrays of other shapes than before, a line each."""
    shapes = {
        f"shape of the answers of {pair.new.file}": tuple(
            [str(each.shape) for each in measured.answers] for measured in (pair.base, pair.new)
        )
        for pair in pair_reports(base, new).pairs
    }
    return _differing({name: (before, now) for name, (before, now) in shapes.items()})


def timing_obstacles(base: Report, new: Report, pairs: Sequence[Pair]) -> list[str]:
    """Return why the latencies of two runs cannot be compared, one line each; empty if they can."""
    found = _differing({words: (base.host.get(key), new.host.get(key)) for key, words in _HOST.items()})
    keys = sorted((base.protocol.keys() | new.protocol.keys()) - _FREE_IN_PROTOCOL)
    found += _differing({f"protocol ({key})": (base.protocol.get(key), new.protocol.get(key)) for key in keys})
    for name, report in (("BASE", base), ("NEW", new)):
        found += [f"{name} is a partial report ({report.partial})"] if report.partial else []
    found += [line for pair in pairs if not pair.is_reference for line in _untimed(pair)]
    drift = drift_between(base, new)
    if drift is not None and not 1 / _LARGEST_DRIFT <= drift <= _LARGEST_DRIFT:
        found.append(
            f"speed of the machine: its reference workload took {drift:.2f} times as long in NEW as in BASE, and "
            f"{_LARGEST_DRIFT:g} is the most that can be allowed for"
        )
    return list(dict.fromkeys(found))


def drift_between(base: Report, new: Report) -> float | None:
    """Return how many times as long the reference workload took in the new run; None if a run has none."""
    times = [[each.yardstick_ns for each in report.conditions] for report in (base, new)]
    return median(times[1]) / median(times[0]) if all(times) else None


def without_drift(series: Series, report: Report) -> list[list[int]]:
    """Return the launches as they had been if every round of the run were as fast as its median one.

    Args:
        series: The calls, in nanoseconds.
        report: The run that they are of; if it has no reference workload, the calls stay as they are.
    """
    workloads = [each.yardstick_ns for each in report.conditions]
    if len(workloads) < len(series.launches):
        return series.launches
    usual = median(workloads)
    return [
        [round(ns * usual / workload) for ns in launch]
        for launch, workload in zip(series.launches, workloads, strict=False)
    ]


def shared_series(pair: Pair) -> list[tuple[Series, Series]]:
    """Return the calls that were timed in the same way in both, the main way first."""
    found = [
        (series, other)
        for series in pair.base.series
        if (other := pair.new.find(series.what, batch=series.batch, threads=series.threads)) is not None
    ]
    main = pair.base.find()
    return sorted(found, key=lambda both: both[0] is not main)


def notes_on_answers(base: Report, new: Report, pairs: Sequence[Pair]) -> list[str]:
    """Return what else differs between two runs, and could be why their answers or times do."""
    notes = []
    if (base.created_utc, base.artefacts) == (new.created_utc, new.artefacts):
        notes.append("BASE and NEW are the same run, in which no comparison can find anything")
    elif all(pair.base.sha256 == pair.new.sha256 for pair in pairs):
        notes.append(
            "All files are the same (by SHA-256): what differs comes from the machine, the engines or edgeport"
        )
    facts = {key: (base.host.get(key), new.host.get(key)) for key in ("governor", "os", "python")}
    facts["edgeport"] = (base.edgeport.get("version"), new.edgeport.get("version"))
    for pair in pairs:
        for key, (before, now) in _engines(pair).items():
            facts[key] = (before, now)
    return notes + [f"Also different: {line}" for line in _differing(facts)]


def notes_on_timing(base: Report, new: Report, pairs: Sequence[Pair]) -> list[str]:
    """Return what one must know of the two machines to believe a ratio of latencies."""
    notes = [note for name, report in (("BASE", base), ("NEW", new)) for note in disturbance_notes(report, name)]
    drift = drift_between(base, new)
    if drift is None:
        notes.append(
            "No reference workload was timed in both: the ratios hold whatever drift there was between the two runs"
        )
    elif abs(math.log(drift)) > math.log(1.02):
        notes.append(
            f"The machine itself was {abs(drift - 1):.0%} {'slower' if drift > 1 else 'faster'} in NEW, "
            "by its reference workload: the ratios are without that"
        )
    return notes + unshared_notes(pairs)


def unshared_notes(pairs: Sequence[Pair]) -> list[str]:
    """Return which ways of timing are in the base alone, and so not judged."""
    alone = [
        way_of(series)
        for pair in pairs
        if not pair.is_reference
        for series in pair.base.series
        if pair.new.find(series.what, batch=series.batch, threads=series.threads) is None
    ]
    return [f"Timed in BASE alone, and not judged: {', '.join(dict.fromkeys(alone))}"] if alone else []


def disturbance_notes(report: Report, name: str) -> list[str]:
    """Return what disturbed the machine during a run."""
    return [f"Disturbed machine in {name}: {each}" for each in disturbances(report.conditions, report.host)]


def way_of(series: Any) -> str:
    """Return how something was timed, in words, for what has ``what``, ``batch`` and ``threads``."""
    images = f", {series.batch} images" if series.batch > 1 else ""
    return f"{series.what}{images}, {series.threads} thread{'s' if series.threads > 1 else ''}"


def _own(report: Report) -> list[Measured]:
    return [each for each in report.artefacts if not each.file.startswith(BASELINE)]


def _paired(base: Sequence[Measured], new: Sequence[Measured], skipped: Sequence[Mapping[str, str]]) -> Pairing:
    before = {_key(each): each for each in base}
    now = {_key(each): each for each in new}
    reasons = {each["file"]: f" ({each['reason']})" for each in skipped}
    return Pairing(
        pairs=tuple(Pair(before[key], now[key]) for key in before if key in now),
        missing=tuple(f"{key}{reasons.get(key, '')}" for key in before if key not in now),
        added=tuple(key for key in now if key not in before),
    )


def _key(measured: Measured) -> str:
    """Return what a candidate is found by: its file, but for the reference, which may be called anything."""
    return "the Keras model" if measured.format == "keras" else measured.file.removeprefix(BASELINE)


def _untimed(pair: Pair) -> list[str]:
    """Return why the main way in which the base was timed is not in the new run."""
    main = pair.base.find() or next(iter(pair.base.series), None)
    if main is None or pair.new.find(main.what, batch=main.batch, threads=main.threads) is not None:
        return []
    if not pair.new.timed:
        return [f"{pair.new.file} was timed in BASE, and not in NEW"]
    threads = [sorted({series.threads for series in each.series}) for each in (pair.base, pair.new)]
    if main.threads not in threads[1]:
        return _differing({"threads": (_list(threads[0]), _list(threads[1]))})
    return [f"{pair.new.file} was timed in BASE in a way ({way_of(main)}) that is not in NEW"]


def _engines(pair: Pair) -> dict[str, tuple[str, str]]:
    names = [f"{each.engine.get('name', '')} {each.engine.get('version', '')}" for each in (pair.base, pair.new)]
    return {f"engine of {pair.new.format}": (names[0], names[1])}


def _differing(facts: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [
        f"{name}: BASE has {_list(before)}, NEW has {_list(now)}"
        for name, (before, now) in facts.items()
        if before != now
    ]


def _list(value: Any) -> str:
    if value is None:
        return "none"
    return (", ".join(map(str, value)) or "none") if isinstance(value, (list, tuple)) else str(value)
