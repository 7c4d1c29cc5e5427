"""Plain yes-or-no accuracy, overall and by category."""

import pandas as pd

from vlmake.metrics.base import Metric, Overall, ScoreTable, equal_hits, in_sorted_order, mean, one_row


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row, values times 100: Overall, then the categories and the l2-categories, each sorted.

    Source: VLMEvalKit's default rating of yes-or-no benchmarks. An l2-category that has the name of a category
    overwrites it there, and so it does here.
    """
    overall = 100 * mean(judged["hit"])
    scores: dict[str, float | None] = {"Overall": overall}
    for column in ("category", "l2-category"):
        for value in in_sorted_order(judged, column):
            scores[str(value)] = 100 * mean(judged.loc[judged[column] == value, "hit"])
    return one_row(scores, Overall("Overall", overall, len(judged)))


METRIC = Metric(hits=equal_hits, table=table)
