"""Statistics that say how far a figure can be trusted."""

import math

_Z95 = 1.959963984540054


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927. Unlike the normal
    approximation it stays within 0 and 1, and holds for shares near 1 such as accuracies.

    Args:
        successes: How many of ``count`` trials succeeded.
        count: How many trials there were, at least 1.
    """
    share, z2 = successes / count, _Z95 * _Z95
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    # At the ends the interval ends exactly there, and rounding must not put it on the wrong side of the share.
    return (centre - half if successes else 0.0), (centre + half if successes < count else 1.0)
