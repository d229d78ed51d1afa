"""Whether a loss is below what somebody accepts: the end of its interval decides, not whether chance explains it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgeport.benchmarks.statistics.paired_change import FEWEST, Change
from edgeport.benchmarks.tasks.metric import SHARE

# Points.
_SMALL = 0.1


@dataclass(frozen=True)
class Margin:
    """A loss beside a margin.

    Attributes:
        below: Whether the upper end of the loss's 95 % interval is below the margin.
        words: That end, for people.
    """

    below: bool
    words: str


def margin_of(change: Change, most: float) -> Margin:
    """Return whether a loss is below a margin: the test of non-inferiority by an interval, at 2.5 % on one side.

    Args:
        change: What was lost.
        most: The margin as people write it: points for a share, else in the metric's own unit.
    """
    metric = change.metric
    if not math.isfinite(change.high):
        return Margin(False, f"{change.count:,} samples are too few for an interval, at least {FEWEST} are needed")
    below = change.high * (100 if metric.unit == SHARE else 1) < most
    if change.same and not change.high:
        return Margin(below, "all answers are the same")
    if change.high < 0:
        return Margin(below, "nothing")
    # What is asked for may be less than the digits of a report show.
    small = metric.unit == SHARE and 0 < 100 * change.high < _SMALL
    shown = f"{100 * change.high:.2g}" if small else metric.shown(change.high)
    return Margin(below, f"{'at most' if below else 'up to'} {shown}")


def margin_text(change: Change, most: float) -> str:
    """Return a margin with its unit and of what it is, such as ``0.5 points of accuracy``."""
    return margin_of_metrics(most, change.metric.unit, [change.metric.name])


def margin_of_metrics(most: float, unit: str, names: Iterable[str]) -> str:
    """Return a margin for metrics of one unit, in words."""
    unit = "point" if unit == SHARE and most == 1 else unit
    return f"{most:g}{f' {unit}' if unit else ''} of {' and '.join(names)}"
