"""What a search for a file that loses less than a margin has found, in sentences."""

import math
from collections.abc import Sequence

from edgeport.export.conversion.mixing import PORTS
from edgeport.export.manifest import Search

FLOAT32, INT8, INT16X8, MIXED = "float32", "int8", "int16x8", "mixed"
# What a search measures that is for time.
TIME = "microseconds a call"
# What int8 is called as it is without the cheaper cures that help it.
PLAIN = "plain int8"
_LISTED = 8
_MOSTLY_FLOATS = 0.5


def search_sentences(found: Search) -> list[str]:
    """Return what was bought for what."""
    if found.measure == TIME:
        return [_of_time(found), f"{found.trials + 2} files timed side by side on this CPU; another may differ"]
    made = f"{found.trials} file{'s' * (found.trials > 1)} made and judged on {found.data}"
    said = {
        INT8: _of_int8,
        INT16X8: _of_wider,
        MIXED: _of_mixed,
    }
    lines = said[found.enough](found) if found.enough else []
    # Those of an int8 file stand under it.
    cures = () if found.enough == INT8 else found.cures
    return [*lines, *cures, made]


def not_reached(found: Search) -> str:
    """Return how near a search came that has found nothing good enough."""
    advice = f"; {found.advice}" if found.advice else ""
    wide = f"; {INT16X8} loses {found.losses[INT16X8]}" if INT16X8 in found.losses else ""
    return (
        f"no layers in floats are shown to bring the loss below {found.measure}: {_counted(found)} "
        f"come nearest, {found.losses[MIXED]}{wide}{advice}"
    )


def _of_int8(found: Search) -> list[str]:
    before = f", {found.losses[PLAIN]} without cheaper cures" if PLAIN in found.losses else ""
    return [
        f"int8 loses {found.losses[INT8]}{before}, where less than {found.measure} is asked for: no layer must stay in "
        "floats"
    ]


def _of_mixed(found: Search) -> list[str]:
    share = "" if found.macs_in_floats is None else f", {found.macs_in_floats:.1%} of the MACs"
    lines = [
        f"{_counted(found)} in floats{share}: {_listed(found.in_floats)}",
        f"loses {found.losses[MIXED]}{_int8_of(found)}, where less than {found.measure} is asked for",
        *_costs(found, MIXED),
    ]
    if found.macs_in_floats is not None and found.macs_in_floats > _MOSTLY_FLOATS:
        lines.append("most of it computes in floats: float16 may serve as well, and needs no calibration")
    if found.bytes[MIXED] >= found.bytes.get(FLOAT32, math.inf):
        lines.append("it is larger than float32, which loses nothing")
    return lines


def _of_wider(found: Search) -> list[str]:
    return [
        f"{INT16X8} loses {found.losses[INT16X8]}{_int8_of(found)}, where less than {found.measure} is asked for",
        *_costs(found, INT16X8),
    ]


def _of_time(found: Search) -> str:
    others = {name: f"{time:,.4g} in {name}" for name, time in found.us.items() if name != found.enough}
    took = f"{found.us[found.enough]:,.4g} us a call ({', '.join(others.values())})"
    if found.enough == INT8:
        return f"int8 is the fastest as it is, {took}: no layer is worth floats"
    if found.enough == FLOAT32:
        return f"float32 is the fastest, {took}: integers do not pay in a model of so little work"
    return f"{_counted(found)} in floats is the fastest, {took}: {_listed(found.in_floats)}"


def _int8_of(found: Search) -> str:
    int8 = f", int8 {found.losses[INT8]}" if INT8 in found.losses else ""
    return f"{int8} ({found.losses[PLAIN]} without cheaper cures)" if PLAIN in found.losses else int8


def _costs(found: Search, precision: str) -> list[str]:
    sizes = {name: f"{size:,}" for name, size in found.bytes.items()}
    times = {name: f"{time:,.4g}" for name, time in found.us.items()}
    lines = [f"{sizes[precision]} bytes{_beside(sizes, precision)}"]
    return [*lines, f"{times[precision]} us a call{_beside(times, precision)}"] if precision in times else lines


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more, which manifest.json lists" if more > 0 else "")


def _counted(found: Search) -> str:
    return f"{len(set(found.in_floats) - {PORTS})} of {found.layers} layers"


def _beside(values: dict[str, str], precision: str) -> str:
    others = [f"{values[name]} in {name}" for name in (INT8, MIXED, INT16X8, FLOAT32) if name in values]
    others = [each for each in others if not each.endswith(f" in {precision}")]
    return f" ({', '.join(others)})" if others else ""
