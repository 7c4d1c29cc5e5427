"""The table of open questions: one row of percentages."""

import pandas as pd

from vlmake.metrics.base import Overall, ScoreTable, in_order, in_sorted_order, mean, one_row


def open_table(judged: pd.DataFrame) -> ScoreTable:
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


def overall_table(judged: pd.DataFrame) -> ScoreTable:
    """Return the table whose only cell is Overall, times 100, whatever splits and categories there are."""
    overall = 100 * mean(judged["hit"])
    return one_row({"Overall": overall}, Overall("Overall", overall, len(judged)))
