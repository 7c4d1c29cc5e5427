"""HallusionBench: accuracy by question, by figure and by question set."""

import numpy as np
import pandas as pd

from vlmake.errors import VlmakeError
from vlmake.metrics.base import Cell, Metric, Overall, ScoreTable, equal_hits, groups, mean

COLUMNS = ["split", "aAcc", "fAcc", "qAcc"]
_PARTS = 6  # category_subcategory_source_set_figure_question


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return rows Overall, each category, each l2-category; all values times 100.

    aAcc is the mean hit, fAcc the share of figures and qAcc the share of questions all of whose rows are right. Set,
    figure and question are parts 4, 5 and 6 of an index such as ``VS_map_1_0_0_1``; both groups lie within an
    l2-category.

    Source: Guan et al. 2023 (arXiv 2310.14566); table as VLMEvalKit's.
    """
    parts = [_parts(index) for index in judged["index"]]
    topics = judged["l2-category"].tolist() if "l2-category" in judged else [""] * len(judged)
    grouped = judged.assign(
        figure=[f"{topic}_{part[3]}_{part[4]}" for topic, part in zip(topics, parts, strict=True)],
        query=[f"{topic}_{part[3]}_{part[5]}" for topic, part in zip(topics, parts, strict=True)],
    )
    rows = [_row("Overall", grouped)]
    for column in ("category", "l2-category"):
        rows += [_row(str(name), part) for name, part in groups(grouped, column)]
    return ScoreTable(COLUMNS, rows, Overall("aAcc", 100 * mean(judged["hit"]), len(judged)))


def _parts(index: str) -> list[str]:
    parts = index.split("_")
    if len(parts) < _PARTS:
        raise VlmakeError(
            f"index '{index}' is not of HallusionBench's form (six parts joined by _, such as VS_map_1_0_0_1); "
            "choose another metric for this dataset"
        )
    return parts


def _row(name: str, rows: pd.DataFrame) -> list[Cell]:
    return [name, 100 * mean(rows["hit"]), *(100 * _all_right(rows, column) for column in ("figure", "query"))]


def _all_right(rows: pd.DataFrame, column: str) -> float:
    """Return the share of groups whose rows are all right."""
    right: dict[str, bool] = {}
    for group, hit in zip(rows[column], np.asarray(rows["hit"]) != 0, strict=True):
        right[group] = right.get(group, True) and bool(hit)
    return mean(list(right.values()))


METRIC = Metric(hits=equal_hits, table=table)
