"""POPE: precision, recall, F1 and accuracy of answering yes, for each way the objects were sampled."""

import pandas as pd

from vlmake.metrics.base import Cell, Metric, Overall, ScoreTable, equal_hits, groups, mean
from vlmake.metrics.confusion import yes_rates

COLUMNS = ["split", "Overall", "acc", "precision", "recall"]


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return row ``Overall`` and one a category; ``Overall`` the column is F1, all times 100.

    A ``category`` such as ``adversarial,random`` is split at its commas and the row counts once for each part, in the
    row ``Overall`` too, as VLMEvalKit has it.

    Source: Li et al. 2023 (arXiv 2305.10355); table as VLMEvalKit's.
    """
    parted = judged
    if "category" in judged:
        parts = [value.split(",") if isinstance(value, str) else [value] for value in judged["category"].tolist()]
        parted = judged.assign(category=pd.Series(parts, index=judged.index, dtype=object)).explode("category")
        parted = parted.reset_index(drop=True)
    rows = [_row("Overall", parted), *(_row(str(name), part) for name, part in groups(parted, "category"))]
    return ScoreTable(COLUMNS, rows, Overall("Overall", 100 * yes_rates(parted).f1, len(parted)))


def _row(name: str, rows: pd.DataFrame) -> list[Cell]:
    rates = yes_rates(rows)
    return [name, 100 * rates.f1, 100 * mean(rows["hit"]), 100 * rates.precision, 100 * rates.recall]


METRIC = Metric(hits=equal_hits, table=table)
