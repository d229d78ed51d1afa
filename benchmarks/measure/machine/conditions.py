"""The machine while something is measured: what else it did, and whether that was too much to believe the times."""

import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeport.benchmarks.measure.machine.host import usable_cores
from edgeport.benchmarks.measure.machine.sensors import ROOT, busy_clock_mhz, temperature_c, text_of, throttled_bits
from edgeport.benchmarks.report.raw.record import Condition

# What other processes, or the hypervisor, may take before the run counts as disturbed, in cores: on average over the
# run, and in any one round. A desktop at rest takes some hundredths.
MOST_OTHERS = 0.1
MOST_OTHERS_ONCE = 0.3
MOST_STOLEN = 0.02
# By how much the slowest round may exceed the fastest: on a machine at rest the reference workload repeats within 3 %.
MOST_DRIFT = 0.10
MOST_CLOCK_CHANGE = 0.05
# In degrees Celsius; a Raspberry Pi begins to slow down here, and most others soon after.
HOT_C = 80.0
# Own CPU time, in seconds, that the system's counters cannot have missed.
_OWN_IN_VAIN = 0.1
# Raspberry Pi documentation, "vcgencmd: get_throttled": bits of now; those since the start are 16 places up.
_THROTTLING = ("under-voltage", "a capped clock", "throttling", "the soft temperature limit")
_SINCE_START = 16


@dataclass(frozen=True)
class Snapshot:
    """The machine at one moment; what is counted is counted from some moment in the past.

    Attributes:
        taken_s: When, by a clock that runs evenly.
        busy_s: CPU time that was used, by anything, on the cores that this process may run on; None if the system does
            not tell.
        stolen_s: CPU time that the hypervisor kept from those cores.
        own_s: CPU time of this process, of its children that have ended, and of those that it knows.
        frequency_mhz: Of the cores that the processes it knows run on, read while they are busy.
        temperature_c: Of the processor.
        throttled: See ``sensors.throttled_bits``.
    """

    taken_s: float
    busy_s: float | None
    stolen_s: float | None
    own_s: float
    frequency_mhz: float | None = None
    temperature_c: float | None = None
    throttled: int | None = None


def snapshot(pids: Sequence[int], *, root: Path = ROOT) -> Snapshot:
    """Return the machine as it is now.

    Args:
        pids: The measuring processes that are alive; they are children of this one.
        root: Where /proc and /sys are.
    """
    # The clock is read before the counters, and 20 ms a core of this process' own work after them.
    taken = time.monotonic()
    counted = _counted(usable_cores(), root)
    return Snapshot(
        taken_s=taken,
        busy_s=counted and counted[0],
        stolen_s=counted and counted[1],
        own_s=_own_seconds(pids, root),
        frequency_mhz=busy_clock_mhz(_cores_of(pids), root=root),
        temperature_c=temperature_c(root=root),
        throttled=throttled_bits(),
    )


def condition(before: Snapshot, after: Snapshot, *, yardstick_ns: int) -> Condition:
    """Return what the machine did between two snapshots.

    Args:
        before: The first one; processes that have been started since need not be named to it.
        after: The second one.
        yardstick_ns: The median time of the reference workload meanwhile.
    """
    seconds = max(after.taken_s - before.taken_s, 1e-3)
    busy, stolen = _between(before.busy_s, after.busy_s), _between(before.stolen_s, after.stolen_s)
    own = after.own_s - before.own_s
    if not busy and own >= _OWN_IN_VAIN:
        # Some sandboxes have counters that stand still.
        busy = stolen = None
    return Condition(
        seconds=round(seconds, 3),
        others_busy=None if busy is None else round(max(0.0, busy - own) / seconds, 3),
        stolen=None if stolen is None else round(stolen / seconds, 3),
        yardstick_ns=yardstick_ns,
        frequency_mhz=after.frequency_mhz,
        temperature_c=after.temperature_c,
        throttled=after.throttled,
    )


def disturbances(conditions: Sequence[Condition], host: Mapping[str, Any]) -> list[str]:
    """Return why the times of a run are in doubt, a sentence each; none if the machine was calm.

    Args:
        conditions: The machine during each round.
        host: See ``host.host_facts``.
    """
    judges = (_others, _stolen, _drift, _clock, _heat, _throttling)
    return [sentence for judge in judges for sentence in judge(conditions, host)]


def _others(conditions: Sequence[Condition], host: Mapping[str, Any]) -> Iterator[str]:
    busy = [(each.others_busy, number) for number, each in enumerate(conditions, 1) if each.others_busy is not None]
    if not busy:
        return
    mean, (most, number) = _mean(conditions, "others_busy"), max(busy)
    if mean > MOST_OTHERS or most > MOST_OTHERS_ONCE:
        yield (
            f"Other processes used {mean:.2f} cores on average and up to {most:.2f} (round {number} of "
            f"{len(conditions)}), expected at most {MOST_OTHERS:g} and {MOST_OTHERS_ONCE:g}: end them and measure again"
        )


def _stolen(conditions: Sequence[Condition], host: Mapping[str, Any]) -> Iterator[str]:
    mean = _mean(conditions, "stolen")
    if mean > MOST_STOLEN:
        yield (
            f"The hypervisor kept {mean:.2f} cores from this machine on average, expected at most {MOST_STOLEN:g}: "
            "others compute on the same host"
        )


def _drift(conditions: Sequence[Condition], host: Mapping[str, Any]) -> Iterator[str]:
    times = [each.yardstick_ns / 1e3 for each in conditions if each.yardstick_ns > 0]
    if times and max(times) > (1 + MOST_DRIFT) * min(times):
        yield (
            f"A fixed piece of arithmetic took {min(times):.1f} us in one round and {max(times):.1f} us in "
            f"another, expected within {MOST_DRIFT:.0%}: the machine did not keep its speed"
        )


def _clock(conditions: Sequence[Condition], host: Mapping[str, Any]) -> Iterator[str]:
    clocks = [each.frequency_mhz for each in conditions if each.frequency_mhz]
    if not clocks or max(clocks) <= (1 + MOST_CLOCK_CHANGE) * min(clocks):
        return
    governor = host.get("governor")
    cure = (
        f"; the governor is {governor}, and performance would keep it" if governor not in (None, "performance") else ""
    )
    yield (
        f"The clock of the measured cores was between {min(clocks):,.0f} and {max(clocks):,.0f} MHz, expected within "
        f"{MOST_CLOCK_CHANGE:.0%}{cure}"
    )


def _heat(conditions: Sequence[Condition], host: Mapping[str, Any]) -> Iterator[str]:
    hottest = max((each.temperature_c for each in conditions if each.temperature_c is not None), default=0.0)
    if hottest >= HOT_C:
        yield f"The processor reached {hottest:.0f} degrees Celsius, expected less than {HOT_C:.0f}: cool it better"


def _throttling(conditions: Sequence[Condition], host: Mapping[str, Any]) -> Iterator[str]:
    masks = [each.throttled for each in conditions if each.throttled is not None]
    if not masks:
        return
    seen = [sum(1 for mask in masks if mask >> bit & 1) for bit in range(len(_THROTTLING))]
    for name, count in zip(_THROTTLING, seen, strict=True):
        if count:
            yield f"The firmware reported {name} at the end of {count} of {len(masks)} rounds"
    # What has happened between two looks is only in the bits since the start.
    began, since = masks[0] >> _SINCE_START, masks[-1] >> _SINCE_START
    for bit, name in enumerate(_THROTTLING):
        if since >> bit & 1 and not seen[bit]:
            when = "before or during the first round" if began >> bit & 1 else "during the run"
            yield f"The firmware reports {name} since the machine was started, {when}"


def _mean(conditions: Sequence[Condition], name: str) -> float:
    """Return the mean over the time of the run of what was seen of it; 0 if nothing was."""
    seen = [(float(getattr(each, name)), each.seconds) for each in conditions if getattr(each, name) is not None]
    seconds = sum(each for _, each in seen)
    return sum(value * each for value, each in seen) / seconds if seconds else 0.0


def _between(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def _counted(cores: Iterable[int], root: Path) -> tuple[float, float] | None:
    """Return the seconds that some cores were busy, and that were stolen from them: proc(5), /proc/stat."""
    text = text_of(root / "proc/stat")
    names = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in (text or "").splitlines()]
    rows = [[int(field) for field in fields[1:]] for fields in lines if fields and fields[0] in names]
    if not rows:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    # user, nice, system, (idle, iowait), irq, softirq, steal; guests are counted in user and nice.
    busy = sum(sum(row[:3]) + sum(row[5:7]) for row in rows)
    return busy / tick, sum(sum(row[7:8]) for row in rows) / tick


def _own_seconds(pids: Sequence[int], root: Path) -> float:
    """Return the CPU time of this process, its ended children, and living ones with their ended children."""
    tick = os.sysconf("SC_CLK_TCK")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    for pid in pids:
        # A program's name, in parentheses, may hold anything.
        _, _, fields = (text_of(root / f"proc/{pid}/stat") or "").rpartition(") ")
        seconds += sum(map(int, fields.split()[11:15])) / tick
    return seconds


def _cores_of(pids: Sequence[int]) -> list[int]:
    cores: set[int] = set()
    for pid in pids:
        try:
            cores |= os.sched_getaffinity(pid)
        except (AttributeError, ProcessLookupError):
            continue
    return sorted(cores)
