"""What a search for the layers that must stay in floats has found, in sentences."""

from collections.abc import Sequence

from edgeport.export.conversion.mixing import PORTS
from edgeport.export.manifest import Search

FLOAT32, INT8, MIXED = "float32", "int8", "mixed"
_LISTED = 8
_MOSTLY_FLOATS = 0.5


def search_sentences(found: Search) -> list[str]:
    """Return what was bought for what."""
    judged = f"judged by {found.trials} file{'s' * (found.trials > 1)} on {found.data}"
    if found.enough == INT8:
        return [
            f"int8 loses {found.losses[INT8]}, where less than {found.measure} is asked for: no layer must stay in "
            "floats",
            judged,
        ]
    if found.enough != MIXED:
        return [judged]
    share = "" if found.macs_in_floats is None else f", {found.macs_in_floats:.1%} of the MACs"
    int8 = f", int8 {found.losses[INT8]}" if INT8 in found.losses else ""
    lines = [
        f"{_counted(found)} in floats{share}: {_listed(found.in_floats)}",
        f"loses {found.losses[MIXED]}{int8}, where less than {found.measure} is asked for",
        f"{found.bytes[MIXED]:,} bytes{_beside({name: f'{size:,}' for name, size in found.bytes.items()})}",
    ]
    if MIXED in found.us:
        times = {name: f"{time:,.4g}" for name, time in found.us.items()}
        lines.append(f"{times[MIXED]} us a call{_beside(times)}")
    if found.macs_in_floats is not None and found.macs_in_floats > _MOSTLY_FLOATS:
        lines.append("most of it computes in floats: float16 may serve as well, and needs no calibration")
    return [*lines, judged]


def not_reached(found: Search) -> str:
    """Return how near a search came that has found nothing good enough."""
    advice = f"; {found.advice}" if found.advice else ""
    return (
        f"no layers in floats are shown to bring the loss below {found.measure}: {_counted(found)} "
        f"come nearest, {found.losses[MIXED]}{advice}"
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more, which manifest.json lists" if more > 0 else "")


def _counted(found: Search) -> str:
    return f"{len(set(found.in_floats) - {PORTS})} of {found.layers} layers"


def _beside(values: dict[str, str]) -> str:
    others = [f"{values[name]} in {name}" for name in (INT8, FLOAT32) if name in values]
    return f" ({', '.join(others)})" if others else ""
