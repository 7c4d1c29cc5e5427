"""Open questions by exact match, whatever the case (OCRVQA)."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, in_order, in_sorted_order, mean, one_row


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the answer, stripped and lower-cased, equals one of the gold texts treated alike, else 0."""
    rows = zip(judged["extracted"], judged["gold"], strict=True)
    return np.array(
        [isinstance(answer, str) and _plain(answer) in map(_plain, golds) for answer, golds in rows], np.float64
    )


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row, values times 100: the splits and Overall where there are splits, else Overall and the categories.

    Source: VLMEvalKit's table of open questions.
    """
    overall = 100 * mean(judged["hit"])
    scores: dict[str, float | None] = {}
    if "split" in judged:
        for split in in_order(judged, "split"):
            scores[str(split)] = 100 * mean(judged.loc[judged["split"] == split, "hit"])
        scores["Overall"] = overall
    else:
        scores["Overall"] = overall
        for value in in_sorted_order(judged, "category"):
            scores[str(value)] = 100 * mean(judged.loc[judged["category"] == value, "hit"])
    return one_row(scores, Overall("Overall", overall, len(judged)))


def _plain(text: str) -> str:
    return text.strip().lower()


METRIC = Metric(hits=hits, table=table)
