"""How far two readings in numbers are apart: grades of a judge and of a person, or of two judges."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vlmake.audit.agreement import Kappa, plain
from vlmake.audit.judge_labels import numbers_in
from vlmake.audit.shown import table_lines
from vlmake.metrics.base import Floats
from vlmake.scoring.intervals import Z95

METHOD = "differences: means of rows, ± 1.96 standard errors; correlation: Pearson's, interval by Fisher's z (1921)"
NO_CORRECTION = (
    "grades are no share of right and wrong verdicts: sensitivity and specificity do not exist, and a score of grades"
    " cannot be corrected"
)
_FIGURES = ("mean_absolute_difference", "mean_difference", "correlation")
_NAMES: Mapping[int, Sequence[str]] = {1: ("grade",), 2: ("reference's grade", "response's grade")}


def differences(one: Sequence[str], two: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return, by grade's name, how two readings of the same rows differ; every number with its 95 % interval.

    ``mean_absolute_difference`` is that of ``|one - two|``, ``mean_difference`` that of ``one - two``. A correlation
    is None for less than three rows, and where a reading never varies; its ends are for less than four.

    Args:
        one: Verdicts or labels of one reading, at least one.
        two: Those of the other one.
    """
    first, second = (np.array([numbers_in(text) for text in texts], dtype=np.float64) for texts in (one, two))
    return {
        name: {
            "mean_absolute_difference": _mean(np.abs(mine - others), low=0.0),
            "mean_difference": _mean(mine - others),
            "correlation": plain(correlation(mine, others)),
        }
        for name, mine, others in zip(_NAMES[first.shape[1]], first.T, second.T, strict=True)
    }


def correlation(one: Floats, two: Floats) -> Kappa:
    """Return Pearson's correlation with the interval of Fisher's z: tanh(atanh r ± 1.96 / √(n - 3))."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(two) == 0:
        return Kappa(None, None, None)
    value = float(np.clip(np.corrcoef(one, two)[0, 1], -1, 1))
    if len(one) < 4:
        return Kappa(value, None, None)
    if abs(value) == 1:
        return Kappa(value, value, value)
    half = Z95 / math.sqrt(len(one) - 3)
    return Kappa(value, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half))


def _mean(values: Floats, low: float = -math.inf) -> dict[str, float | None]:
    value = float(values.mean())
    if len(values) < 2:
        return {"value": value, "low": None, "high": None}
    half = Z95 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return {"value": value, "low": max(low, value - half), "high": value + half}


def lines(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield differences as a table for a terminal."""
    cells: list[tuple[str, ...]] = [("", "mean absolute difference", "mean difference", "correlation")]
    for name, figures in found.items():
        cells.append((name, *(_shown(figures[key]) for key in _FIGURES)))
    yield from table_lines(cells)


def _shown(figure: Mapping[str, float | None]) -> str:
    if figure["value"] is None:
        return "none: too few rows, or one grade"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
