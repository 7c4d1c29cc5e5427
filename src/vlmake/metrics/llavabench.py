"""LLaVA-Bench (in the wild): a response and a reference, each graded 1 to 10 by one judge."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from vlmake.metrics.base import Cell, Floats, Metric, Overall, ScoreTable, in_order, mean
from vlmake.metrics.grades import is_strict, without_verdict

CATEGORIES = ("conv", "detail", "complex")
"""The kinds of questions, in the order of the table."""

RELATIVE = "Relative Score (main)"
COLUMNS = ["split", RELATIVE, "VLM Score", "GPT4 Score"]

_UNREAD = -1.0  # VLMEvalKit's grade where the judge's reply has none; it enters its means
_LOWEST, _HIGHEST = 1.0, 10.0


class Grades(NamedTuple):
    """The grades of every row; NaN where a row has none that counts."""

    reference: Floats
    response: Floats


def grades(judged: pd.DataFrame) -> Grades:
    """Return the grades of references and responses.

    Where there are none VLMEvalKit counts -1 for both. Strictly, a row about which the judge gave no verdict has none,
    and a response that the judge could not be shown (there is none, or it is empty) has the lowest one, its reference
    none.
    """
    pairs = np.full((len(judged), 2), np.nan if is_strict(judged) else _UNREAD)
    for row, (verdict, found) in enumerate(zip(judged["extracted"], judged["found"], strict=True)):
        if found:
            pairs[row] = [float(grade) for grade in str(verdict).split()]
    if is_strict(judged):
        unanswered = ~judged["found"].to_numpy(dtype=bool) & ~without_verdict(judged)
        pairs[unanswered, 1] = _LOWEST
    return Grades(pairs[:, 0], pairs[:, 1])


def hits(judged: pd.DataFrame) -> Floats:
    """Return a tenth of the responses' grades: 0 for VLMEvalKit's -1; NaN, which no mean counts, for none."""
    return np.clip(grades(judged).response / _HIGHEST, 0.0, 1.0)


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return the row ``overall`` and one a category: relative score, and both mean grades times 10; one decimal.

    The relative score is the responses' mean grade as a percentage of the references'. Categories that no row has are
    listed as missing.

    Source: Liu et al. 2023 (arXiv 2304.08485); table as VLMEvalKit's.
    """
    both = grades(judged)
    present = [str(name) for name in in_order(judged, "category")]
    known = [name for name in CATEGORIES if name in present]
    others = [name for name in present if name not in CATEGORIES]
    splits = {"overall": np.ones(len(judged), dtype=bool)}
    splits |= {name: (judged["category"] == name).to_numpy(dtype=bool) for name in (*known, *others)}
    rows = [_row(name, Grades(both.reference[here], both.response[here])) for name, here in splits.items()]
    relative = rows[0][1]
    assert relative is None or isinstance(relative, float)
    counted = int((~np.isnan(both.response)).sum())
    missing = tuple(name for name in CATEGORIES if name not in present)
    return ScoreTable(COLUMNS, rows, Overall(RELATIVE, relative, counted), missing=missing)


def _row(name: str, both: Grades) -> list[Cell]:
    reference, response = (mean(column[~np.isnan(column)]) for column in both)
    relative = 100 * response / reference if reference else float("nan")
    return [name, round(relative, 1), round(10 * response, 1), round(10 * reference, 1)]


METRIC = Metric(hits=hits, table=table)
