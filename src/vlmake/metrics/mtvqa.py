"""MTVQA: questions on text in pictures, asked and answered in nine languages."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, groups, mean, one_row


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the gold text is part of the answer, both stripped, lower-cased and without full stops, else 0.

    Source: Tang et al. 2024 (arXiv 2405.11985); rule as VLMEvalKit has it.
    """
    rows = zip(judged["extracted"], judged["gold"], strict=True)
    return np.array(
        [isinstance(answer, str) and _contains(_plain(answer), golds) for answer, golds in rows], dtype=np.float64
    )


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row, values times 100: the languages (column ``category``) in file order, and Average of all rows."""
    average = 100 * mean(judged["hit"])
    scores: dict[str, float | None] = {
        str(language): 100 * mean(rows["hit"]) for language, rows in groups(judged, "category")
    }
    return one_row(scores | {"Average": average}, Overall("Average", average, len(judged)))


def _contains(plain: str, golds: list[str]) -> bool:
    return any(_plain(gold) in plain for gold in golds)


def _plain(text: str) -> str:
    return text.strip().lower().replace(".", "")


METRIC = Metric(hits=hits, table=table)
