"""The normal distribution and Student's, for devices that have numpy alone."""

import math
from functools import cache

_HALF_TAIL = 0.025


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal variable is at most ``z``."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def student_cdf(t: float, freedom: int) -> float:
    """Return the probability that Student's t is at most ``t``.

    Abramowitz and Stegun, "Handbook of mathematical functions", 26.7.3 and 26.7.4: for whole degrees of freedom it
    is a finite sum.

    Args:
        t: Where.
        freedom: Degrees of freedom, a whole number from 1.
    """
    angle = math.atan2(abs(t), math.sqrt(freedom))
    sine, cosine2 = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term, total = 1.0, 1.0
    if odd:
        term = total = math.cos(angle) if freedom > 1 else 0.0
    for step in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine2 * (step - 1) / step
        total += term
    within = 2.0 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + math.copysign(within, t) / 2.0


@cache
def student_t95(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t: 12.71 for one degree of freedom, towards 1.96 for many."""
    low, high = 1.9, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if student_cdf(middle, freedom) > 1 - _HALF_TAIL else (middle, high)
    return (low + high) / 2
