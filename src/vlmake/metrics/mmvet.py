"""MM-Vet: open answers graded 0 to 1, by the capabilities that a question needs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vlmake.metrics.base import Cell, Floats, Metric, Overall, ScoreTable, mean
from vlmake.metrics.grades import cells, is_strict, without_verdict

CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")
"""Recognition, reading, knowledge, language generation, spatial awareness, maths: the order of the table."""

COLUMNS = ["Category", "tot", "acc"]


def hits(judged: pd.DataFrame) -> Floats:
    """Return the grades.

    Answers without a grade are 0. Strictly, those about which the judge gave no verdict are NaN, which no mean counts.
    """
    grades = np.array(
        [float(grade) if found else 0.0 for grade, found in zip(judged["extracted"], judged["found"], strict=True)],
        dtype=np.float64,
    )
    return np.where(without_verdict(judged), np.nan, grades) if is_strict(judged) else grades


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row a capability and Overall: how many answers count, and their mean grade times 100.

    ``more["fine"]`` has one row a combination of capabilities, as they appear first. A capability that no row needs has
    an empty cell (VLMEvalKit makes no table then) and is listed as missing.

    Source: Yu et al. 2023 (arXiv 2308.02490); tables as VLMEvalKit's.
    """
    grades = judged["hit"].to_numpy(dtype=np.float64)
    categories = [category if isinstance(category, str) else "" for category in cells(judged, "category")]
    needed = [_needed(category, is_strict(judged)) for category in categories]
    members = {name: [name in names for names in needed] for name in CAPABILITIES}
    joined = [category.replace(",", "_") for category in categories]
    combinations = {name: [name == other for other in joined] for name in dict.fromkeys(joined) if name}
    everything = {"Overall": [True] * len(judged)}
    counted = grades[~np.isnan(grades)]
    return ScoreTable(
        COLUMNS,
        _rows(members | everything, grades),
        Overall("Overall", 100 * mean(counted), len(counted)),
        {"fine": (COLUMNS, _rows(combinations | everything, grades))},
        tuple(name for name, rows in members.items() if not any(rows)),
    )


def _needed(category: str, strict: bool) -> list[str]:
    """Return the capabilities that a category lists; VLMEvalKit finds their names anywhere in it."""
    listed = [name.strip() for name in category.split(",")]
    return [name for name in CAPABILITIES if (name in listed if strict else name in category)]


def _rows(members: dict[str, list[bool]], grades: Floats) -> list[list[Cell]]:
    return [[name, *_count(grades[np.array(rows, dtype=bool)])] for name, rows in members.items()]


def _count(grades: Floats) -> Sequence[Cell]:
    known = grades[~np.isnan(grades)]
    return len(known), 100 * mean(known)


METRIC = Metric(hits=hits, table=table)
