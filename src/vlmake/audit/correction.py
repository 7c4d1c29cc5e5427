"""A score freed of the judge's errors, as far as a labelled sheet tells them (Rogan & Gladen).

A judge calls some wrong answers right and some right ones wrong. From labelled rows come the sensitivity a, the share
of right answers that it calls right, and the specificity b, the share of wrong answers that it calls wrong. If it calls
the share p of all rows right, the share that is right is (p + b - 1) / (a + b - 1).
"""

from typing import Any, NamedTuple

import numpy as np

from vlmake.audit.agreement import Estimate
from vlmake.errors import VlmakeError
from vlmake.metrics.base import Floats

METHOD = (
    "corrected: (p + b - 1) / (a + b - 1), p the share that the judge calls right, a and b its sensitivity and "
    "specificity by the labels, cut off at 0 and 1 (Rogan & Gladen 1978); 95 % interval: percentiles of 20,000 "
    "bootstrap draws of labelled and other rows together, half a row added to each cell of the sheet"
)

DRAWS = 20_000
_SEED = 0
_ADDED = 0.5  # Jeffreys' half: a rate of 1 among 20 labelled rows is not known to be 1


class Cells(NamedTuple):
    """Labelled rows by what the judge and the label come to."""

    both_right: int
    judge_alone: int
    label_alone: int
    both_wrong: int


class Tally(NamedTuple):
    """How many rows there are, and how many of them count as right."""

    rows: int
    right: int


class Corrected(NamedTuple):
    """What the sheet says of a judge's verdicts and of a score.

    ``judged`` is the share of right answers among the judged rows, ``score`` that among all rows.
    """

    sensitivity: float
    specificity: float
    judged: Estimate
    score: Estimate


def correct(sheet: Cells, judged: Tally, rest: Tally, draws: int = DRAWS, seed: int = _SEED) -> Corrected:
    """Return the corrected shares with 95 % intervals; equal arguments give equal numbers.

    The labelled rows are a plain sample of the judged ones. A draw takes the cells of the sheet from a Dirichlet
    distribution (a smooth bootstrap), and the judge's verdicts on the rows without a label and the other rows from
    binomial ones, so that a labelled row enters the errors and the observed share alike. Draws with a + b <= 1 say
    nothing: they count as 0 for the lower end and as 1 for the upper one.

    Args:
        sheet: Labelled rows by judge and label.
        judged: All rows that the judge decided, the labelled ones included, and how many it calls right.
        rest: The score's other rows: those that rules read, or nobody.
        draws: Bootstrap draws.
        seed: What they are drawn by.

    Raises:
        VlmakeError: No labelled row is right, or none is wrong; the judge is no better than chance (a + b <= 1).
    """
    if not sheet.both_right + sheet.label_alone:
        raise VlmakeError("no labelled row is right: the judge's sensitivity is not known; label more rows")
    if not sheet.both_wrong + sheet.judge_alone:
        raise VlmakeError("no labelled row is wrong: the judge's specificity is not known; label more rows")
    sensitivity = sheet.both_right / (sheet.both_right + sheet.label_alone)
    specificity = sheet.both_wrong / (sheet.both_wrong + sheet.judge_alone)
    if sensitivity + specificity <= 1:
        raise VlmakeError(
            f"sensitivity {sensitivity:.3f} and specificity {specificity:.3f} add up to no more than 1: by these labels"
            " the judge tells right from wrong no better than chance, and its score cannot be corrected"
        )
    value = min(max((judged.right / judged.rows + specificity - 1) / (sensitivity + specificity - 1), 0.0), 1.0)
    low, high = _drawn(sheet, judged, draws, np.random.default_rng(seed))
    parts = np.array([judged.rows, rest.rows]) / (judged.rows + rest.rows)
    drawn = np.random.default_rng(seed + 1).binomial(rest.rows, rest.right / max(rest.rows, 1), draws)
    others = drawn / max(rest.rows, 1)
    whole = parts[0] * value + parts[1] * rest.right / max(rest.rows, 1)
    return Corrected(
        sensitivity,
        specificity,
        _estimate(value, low, high),
        _estimate(float(whole), parts[0] * low + parts[1] * others, parts[0] * high + parts[1] * others),
    )


def _drawn(sheet: Cells, judged: Tally, draws: int, numbers: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the drawn corrected shares, once for the lower end and once for the upper one."""
    cells = numbers.dirichlet(np.array(sheet) + _ADDED, draws)
    labelled, called_right = sum(sheet), sheet.both_right + sheet.judge_alone
    without = judged.rows - labelled
    share = (judged.right - called_right) / without if without else 0.0
    observed = (labelled * (cells[:, 0] + cells[:, 1]) + numbers.binomial(without, share, draws)) / judged.rows
    sensitivity = cells[:, 0] / (cells[:, 0] + cells[:, 2])
    specificity = cells[:, 3] / (cells[:, 1] + cells[:, 3])
    better = sensitivity + specificity - 1
    known = better > 0
    corrected = np.clip((observed + specificity - 1) / np.where(known, better, 1.0), 0.0, 1.0)
    return np.where(known, corrected, 0.0), np.where(known, corrected, 1.0)


def _estimate(value: float, low: Floats, high: Floats) -> Estimate:
    """Return a value with the percentiles of its draws, which smoothing must not push past it."""
    ends = float(np.percentile(low, 2.5)), float(np.percentile(high, 97.5))
    return Estimate(value, min(ends[0], value), max(ends[1], value))


def plain(found: Corrected) -> dict[str, Any]:
    """Return the figures as JSON has them."""
    return {
        name: dict(part._asdict()) if isinstance(part, Estimate) else part for name, part in found._asdict().items()
    }
