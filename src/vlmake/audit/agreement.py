"""Agreement of labels with what was read, for all rows, from a stratified sample: shares and Cohen's kappa.

Every number is an estimate for the rows that the sample was drawn from: a labelled row counts with its weight, its
stratum's rows over its labelled rows.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vlmake.metrics.base import Floats
from vlmake.scoring.intervals import wilson

METHOD = (
    "shares: stratified estimate (Cochran 1977, 5.2), Wilson's 95 % interval (1927) at the effective sample size (rows "
    "over largest weight, corrected for the finite population); kappa: Cohen 1960, chance agreement taken as fixed, "
    "the interval's ends from those of the agreement"
)


class Estimate(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class Kappa(NamedTuple):
    """Cohen's kappa; the ends are None as the value is where chance alone gives full agreement."""

    value: float | None
    low: float | None
    high: float | None


def label_weights(strata: Sequence[int], sizes: Sequence[int]) -> Floats:
    """Return each labelled row's weight: its stratum's rows over its labelled rows.

    Args:
        strata: The stratum of every labelled row.
        sizes: Rows of every stratum.
    """
    labelled = Counter(strata)
    return np.array([sizes[stratum] / labelled[stratum] for stratum in strata], dtype=np.float64)


def share(hits: Sequence[bool], weights: Floats) -> Estimate:
    """Return the share of rows that are hits, with a 95 % interval.

    The estimate is Σ wᵢhᵢ / Σ wᵢ, which is Σ (N_h/N) p_h over the strata (Cochran 1977, Sampling Techniques, 5.2).

    The interval is Wilson's at the effective sample size n' = Σw / max w. It needs no variance within strata, which one
    row a stratum cannot give, and is never too narrow for lack of it: with p(1-p) concave, the estimator's variance
    Σ (N_h/N)² p_h(1-p_h)/n_h is at most p(1-p)/n'. With equal weights n' is the sample's size. Replacing n by n' in an
    interval for a proportion is Korn & Graubard's way (1998, Survey Methodology 24, 193). The finite population's
    correction n'(N-1)/(N-n') (Cochran 1977, 2.6) makes the interval a point when every row is labelled.

    Args:
        hits: Whether each labelled row is a hit; at least one row.
        weights: As ``label_weights`` returns them.
    """
    total = float(weights.sum())
    value = float(weights @ np.asarray(hits, dtype=np.float64)) / total
    effective = effective_size(weights)
    if effective >= total:
        return Estimate(value, value, value)
    interval = wilson(value, effective * (total - 1) / (total - effective))
    assert interval, "there is a row"
    return Estimate(value, interval.low, interval.high)


def effective_size(weights: Floats) -> float:
    """Return the size of a plain sample that says no more than this one: Σw / max w."""
    return float(weights.sum() / weights.max())


def kappa(first: Sequence[str], second: Sequence[str], weights: Floats) -> Kappa:
    """Return Cohen's kappa (p_o - p_e) / (1 - p_e) between two readings of the same rows.

    Categories are the answers themselves, no answer being one of them. The 95 % interval takes p_e as fixed, as Cohen's
    standard error does, and puts the ends of p_o's interval (``share``) in its place; so it does not shrink to a point
    at full agreement.

    Source: Cohen 1960, Educational and Psychological Measurement 20, 37-46.
    """
    total = weights.sum()
    chance = sum(
        float(weights[[one == category for one in first]].sum() * weights[[one == category for one in second]].sum())
        for category in sorted(set(first) & set(second))
    ) / float(total * total)
    if chance >= 1 - 1e-12:
        return Kappa(None, None, None)
    agreement = share([one == two for one, two in zip(first, second, strict=True)], weights)
    return Kappa(*((part - chance) / (1 - chance) for part in agreement))


def plain(estimate: Estimate | Kappa) -> dict[str, float | None]:
    """Return an estimate as JSON has it."""
    return dict(estimate._asdict())
