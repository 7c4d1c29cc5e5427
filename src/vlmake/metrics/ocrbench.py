"""OCRBench: a thousand questions on reading, counted by whether the answer contains the text."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, groups

MATHS = "Handwritten Mathematical Expression Recognition"

GROUPS = {
    "Text Recognition": (
        *("Regular Text Recognition", "Irregular Text Recognition", "Artistic Text Recognition"),
        *("Handwriting Recognition", "Digit String Recognition", "Non-Semantic Text Recognition"),
    ),
    **{name: (name,) for name in ("Scene Text-centric VQA", "Doc-oriented VQA", "Key Information Extraction", MATHS)},
}
"""The table's groups and the categories that each counts."""


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where one of the gold texts is part of the answer, else 0.

    Both are lower-cased and stripped, line breaks as blanks; in handwritten maths both keep their case and lose every
    blank and line break instead.

    Source: Liu et al. 2023 (arXiv 2305.07895).
    """
    categories = judged["category"].tolist() if "category" in judged else [None] * len(judged)
    rows = zip(judged["extracted"], judged["gold"], categories, strict=True)
    return np.array(
        [isinstance(answer, str) and _contains(answer, golds, category == MATHS) for answer, golds, category in rows],
        dtype=np.float64,
    )


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row of counts: the groups that have rows, Final Score (all that is right), Final Score Norm (a tenth).

    A category that is none of OCRBench's ten stands under its own name. ``missing`` names those of the ten that no row
    has. Source: VLMEvalKit's table.
    """
    by_category = {str(name): float(rows["hit"].sum()) for name, rows in groups(judged, "category")}
    known = {category for members in GROUPS.values() for category in members}
    counted = {name: [category for category in members if category in by_category] for name, members in GROUPS.items()}
    counted |= {category: [category] for category in by_category if category not in known}
    scores: dict[str, float | None] = {
        name: int(sum(by_category[category] for category in present)) for name, present in counted.items() if present
    }
    final = int(judged["hit"].sum())
    missing = tuple(category for members in GROUPS.values() for category in members if category not in by_category)
    return ScoreTable(
        [*scores, "Final Score", "Final Score Norm"],
        [[*scores.values(), final, final / 10]],
        Overall("Final Score", final, len(judged)),
        missing=missing,
    )


def _contains(answer: str, golds: list[str], maths: bool) -> bool:
    plain = _formula(answer) if maths else _line(answer)
    return any((_formula(gold) if maths else _line(gold)) in plain for gold in golds)


def _line(text: str) -> str:
    return text.lower().strip().replace("\n", " ")


def _formula(text: str) -> str:
    return text.strip().replace("\n", " ").replace(" ", "")


METRIC = Metric(hits=hits, table=table)
