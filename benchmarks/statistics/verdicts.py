"""What the paired statistics mean, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeport.benchmarks.statistics.holm import holm_adjusted
from edgeport.benchmarks.statistics.paired import (
    SIGNIFICANCE,
    Paired,
    loss_interval,
    paired_answers,
    smallest_loss,
)
from edgeport.benchmarks.statistics.paired_change import FEWEST, Change
from edgeport.benchmarks.tasks.metric import SHARE, UP, ZERO

NO_LOSS, LOSS, GAIN = "no detectable loss", "significant loss", "significant gain"
TOO_FEW = "too few images"
# A test that cannot see half a point says nothing: it is more than float to int8 commonly costs.
BLIND_ABOVE = 0.005
# The same of a figure that is no share, such as a mean error: a part of the reference's own.
_BLIND_PART = 0.05


@dataclass(frozen=True)
class Verdict:
    """A judgement on a model's accuracy against its reference's.

    Attributes:
        kind: ``no detectable loss``, ``significant loss``, ``significant gain`` or ``too few images``.
        sentence: The same for people, with the figures that it rests on.
    """

    kind: str
    sentence: str


@dataclass(frozen=True)
class ClassLoss:
    """A class that a model recognises significantly worse than its reference does.

    Attributes:
        label: Its label.
        count: Images of it.
        paired: What became of them.
        p_value: The McNemar p-value, adjusted by Holm for the number of classes.
    """

    label: str
    count: int
    paired: Paired
    p_value: float


def accuracy_verdict(paired: Paired) -> Verdict:
    """Judge a model's accuracy against its reference's on the same images.

    What is significant is judged by the exact McNemar test at 5 %. If nothing is, the images are too few to tell
    when even the smallest loss that the test could have seen is above BLIND_ABOVE, half a point.
    """
    p_value, seen = paired.p_value, smallest_loss(paired)
    counts = f"{paired.right_to_wrong:,} of {paired.count:,} images lost, {paired.wrong_to_right:,} won"
    if p_value < SIGNIFICANCE:
        low, high = loss_interval(paired)
        if paired.loss < 0:
            low, high = -high, -low
        kind = LOSS if paired.loss > 0 else GAIN
        size = f"{_points(abs(paired.loss))} points, 95 % interval {_points(low)} to {_points(high)}"
        return Verdict(kind, f"{kind}: {counts} ({size}; {_p(p_value)})")
    if seen > paired.count:
        return Verdict(TOO_FEW, f"{TOO_FEW} to tell: {counts} ({_p(p_value)}); no loss can be seen on so few")
    visible = f"a loss of {seen:,} images ({_points(seen / paired.count)} points)"
    if seen / paired.count > BLIND_ABOVE:
        return Verdict(TOO_FEW, f"{TOO_FEW} to tell: {counts} ({_p(p_value)}); only {visible} or more can be seen")
    return Verdict(NO_LOSS, f"{NO_LOSS}: {counts} ({_p(p_value)}); {visible} would have been seen")


def change_verdict(change: Change) -> Verdict:
    """Judge any figure of a model against its reference's on the same samples.

    If the change is not significant, the samples are too few to tell where even the smallest loss that could have been
    seen is above half a point (of a share, or 0.005 of R2), or above 5 % of the reference's figure (of an error).
    """
    metric = change.metric
    unit = " points" if metric.unit == SHARE else ""
    figures = f"{metric.name} {metric.shown(change.reference)} \u2192 {metric.shown(change.other)}"
    if change.same:
        return Verdict(NO_LOSS, f"{NO_LOSS}: {figures}; all {change.count:,} answers are the same")
    interval = f"95 % interval {metric.shown(change.low)} to {metric.shown(change.high)}"
    if change.significant:
        kind, low, high = (LOSS, change.low, change.high) if change.loss > 0 else (GAIN, -change.high, -change.low)
        interval = f"95 % interval {metric.shown(low)} to {metric.shown(high)}"
        return Verdict(kind, f"{kind}: {figures} ({metric.shown(abs(change.loss))}{unit}, {interval})")
    if not np.isfinite(change.detectable):
        return Verdict(TOO_FEW, f"too few samples to tell: {figures}, of {change.count:,} (at least {FEWEST} needed)")
    if not change.detectable:
        return Verdict(NO_LOSS, f"{NO_LOSS}: {figures}; no draw of the {change.count:,} samples loses any")
    visible = f"a loss of {metric.shown(change.detectable)}{unit}"
    if change.detectable > blind_above(change):
        return Verdict(TOO_FEW, f"too few samples to tell: {figures} ({interval}); only {visible} or more can be seen")
    return Verdict(NO_LOSS, f"{NO_LOSS}: {figures} ({interval}); {visible} would have been seen")


def blind_above(change: Change) -> float:
    """Return above which detectable loss a test says nothing, in the metric's own unit."""
    if change.metric.better == ZERO:
        return float("inf")
    return BLIND_ABOVE if change.metric.better == UP else _BLIND_PART * abs(change.reference)


def class_losses(
    truth: npt.NDArray[np.integer],
    reference: npt.NDArray[np.integer],
    other: npt.NDArray[np.integer],
    labels: Sequence[str],
) -> list[ClassLoss]:
    """Return the classes that lost significantly, those with the greatest loss first.

    Each class that has images is tested by itself, at 5 % over all of them after Holm.

    Args:
        truth: The true class of each image, of shape (n,), from 0 to ``len(labels) - 1``.
        reference: The reference's answers, of shape (n,).
        other: The other model's answers, of shape (n,).
        labels: The name of each class.
    """
    tested = [
        (label, paired_answers(truth[of_class], reference[of_class], other[of_class]))
        for index, label in enumerate(labels)
        if (of_class := truth == index).any()
    ]
    adjusted = holm_adjusted([paired.p_value for _, paired in tested])
    losses = [
        ClassLoss(label, paired.count, paired, p_value)
        for (label, paired), p_value in zip(tested, adjusted, strict=True)
        if p_value < SIGNIFICANCE and paired.loss > 0
    ]
    return sorted(losses, key=lambda each: (-each.paired.loss, each.p_value))


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def _p(p_value: float) -> str:
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"
