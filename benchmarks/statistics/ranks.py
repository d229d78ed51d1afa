"""How ranks fall by chance alone: exact chances that hold whatever the distribution of the noise."""

from functools import cache

import numpy as np

_HALF_TAIL = 0.025


@cache
def signed_rank_cut(pairs: int) -> int:
    """Return which averages of two differences bound a 95 % interval of their centre.

    Of the n (n + 1) / 2 averages of any two of n differences (each with itself, too), sorted, the interval of Hodges
    and Lehmann runs from number k to number k from the end: the largest k with P(W < k) <= 2.5 %, where W is
    Wilcoxon's signed-rank statistic.

    Args:
        pairs: How many differences there are, n.

    Returns:
        k, counted from 1; 0 if there are too few pairs for any such interval, that is, fewer than 6.
    """
    chances = np.ones(1)
    for rank in range(1, pairs + 1):  # each rank is added or not, as a fair coin falls
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    return int(np.searchsorted(np.cumsum(chances), _HALF_TAIL, side="right"))
