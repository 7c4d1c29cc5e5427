"""GMAI-MMBench: medical multiple choice, also by clinical task, department and granularity of perception."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Cell, Metric, Overall, ScoreTable, equal_hits, in_sorted_order, mean
from vlmake.metrics.choice_table import accuracy_table

COLUMNS = ("clinical vqa task", "department", "perceptual granularity")
"""Columns by which further tables are made."""


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return accuracy as a fraction as for plain multiple choice, and a further table for each of ``COLUMNS``.

    A further table has one row a split: Overall, then the column's values, sorted. Columns that are absent have none.

    Source: Chen et al. 2024 (arXiv 2408.03361); tables as VLMEvalKit's.
    """
    columns, rows = accuracy_table(judged, judged["hit"])
    more = {name: _by(judged, name) for name in COLUMNS if name in judged}
    missing = tuple(name for name in COLUMNS if name not in judged)
    return ScoreTable(columns, rows, Overall("Overall", mean(judged["hit"]), len(judged)), more, missing)


def _by(judged: pd.DataFrame, column: str) -> tuple[list[str], list[list[Cell]]]:
    hits = np.asarray(judged["hit"], dtype=np.float64)
    values = in_sorted_order(judged, column)
    splits = in_sorted_order(judged, "split") or ["none"]
    rows: list[list[Cell]] = []
    for split in splits:
        here = (judged["split"] == split).to_numpy() if "split" in judged else np.ones(len(judged), bool)
        cells = [mean(hits[here & (judged[column] == value).to_numpy()]) for value in values]
        rows.append([str(split), mean(hits[here]), *cells])
    return ["split", "Overall", *map(str, values)], rows


METRIC = Metric(hits=equal_hits, table=table)
