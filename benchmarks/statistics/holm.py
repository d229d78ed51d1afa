"""The Holm-Bonferroni adjustment: many tests at once, and still at most one false alarm in twenty runs."""

from collections.abc import Sequence


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return the p-values as they count when all of them are looked at together.

    Holm, "A simple sequentially rejective multiple test procedure", 1979: the k-th smallest of m is multiplied by
    m - k + 1, and none may fall below one that was smaller before.

    Args:
        p_values: One for each test, in any order.

    Returns:
        The adjusted values in the same order, each at most 1.
    """
    adjusted, floor = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = floor
    return adjusted
