"""Intervals of single proportions."""

import math
from typing import NamedTuple

Z95 = 1.959963984540054
"""The normal distribution's 97.5 % point."""


class Interval(NamedTuple):
    """Lower and upper end, 0 to 1."""

    low: float
    high: float


def wilson(share: float, n: float, z: float = Z95) -> Interval | None:
    """Return Wilson's score interval for a share of ``n`` independent trials; None for no trials.

    Args:
        share: The observed share, 0 to 1; the mean where trials score between 0 and 1 (then it is conservative).
        n: Number of trials, or the effective number where they do not count alike.
        z: Normal quantile; the default gives 95 %.

    Source: Wilson 1927, (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    """
    if n <= 0:
        return None
    square = z * z / n
    middle = share + square / 2
    half = z * math.sqrt(max(share * (1 - share), 0.0) / n + square / (4 * n))
    # At 0 and 1 one end is exact; rounding must not push it out.
    low = 0.0 if share <= 0 else max(0.0, (middle - half) / (1 + square))
    high = 1.0 if share >= 1 else min(1.0, (middle + half) / (1 + square))
    return Interval(low, high)
