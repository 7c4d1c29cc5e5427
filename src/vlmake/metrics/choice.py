"""Multiple choice, every row on its own ("vanilla")."""

import pandas as pd

from vlmake.metrics.base import Metric, Overall, ScoreTable, equal_hits, mean
from vlmake.metrics.choice_table import accuracy_table


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return accuracy as a fraction, one row a split; columns as ``accuracy_table`` says.

    Source: VLMEvalKit's vanilla evaluation of option letters.
    """
    columns, rows = accuracy_table(judged, judged["hit"])
    return ScoreTable(columns, rows, Overall("Overall", mean(judged["hit"]), len(judged)))


METRIC = Metric(hits=equal_hits, table=table)
