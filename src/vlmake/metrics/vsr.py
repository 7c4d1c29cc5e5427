"""VSR (visual spatial reasoning), asked as yes-or-no questions."""

import pandas as pd

from vlmake.metrics.base import Metric, Overall, ScoreTable, equal_hits, mean, one_row
from vlmake.metrics.confusion import yes_rates


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row: precision, recall and accuracy times 100, and F1 as a fraction, which is how VLMEvalKit has it.

    Source: Liu et al. 2023 (arXiv 2205.00363); table as VLMEvalKit's.
    """
    rates = yes_rates(judged)
    accuracy = 100 * mean(judged["hit"])
    scores: dict[str, float | None] = {
        "precision": 100 * rates.precision,
        "recall": 100 * rates.recall,
        "acc": accuracy,
        "f1_score": rates.f1,
    }
    return one_row(scores, Overall("acc", accuracy, len(judged)))


METRIC = Metric(hits=equal_hits, table=table)
