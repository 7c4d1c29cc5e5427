"""The table of multiple-choice benchmarks: one row a split, one column an ability."""

from typing import Any

import numpy as np
import pandas as pd

from vlmake.metrics.base import Cell, in_sorted_order, mean

NO_SPLIT = "none"
"""The only row's name where a benchmark has no splits."""

GROUPING = ("split", "l2-category", "category")
"""The columns by which the table is divided."""

SHORT_NAMES = {
    "coarse_perception": "CP",
    "finegrained_perception (instance-level)": "FP-S",
    "finegrained_perception (cross-instance)": "FP-C",
    "logic_reasoning": "LR",
    "relation_reasoning": "RR",
    "attribute_reasoning": "AR",
}
"""MMBench's abbreviations of its six abilities."""


def accuracy_table(
    rows: pd.DataFrame, hits: "pd.Series[float]", prefix: str = ""
) -> tuple[list[str], list[list[Cell]]]:
    """Return columns and rows: split, Overall, then l2-categories and categories, each sorted; fractions.

    A cell without samples is NaN. A category that has the name of an l2-category overwrites it, as in VLMEvalKit.

    Args:
        rows: What to count, with ``split``, ``l2-category`` and ``category`` where the benchmark has them.
        hits: How right each of the rows is.
        prefix: Put before every split's name.
    """
    values = np.asarray(hits, dtype=np.float64)
    members = _members(rows, "split") if "split" in rows else {NO_SPLIT: np.ones(len(rows), bool)}
    columns: dict[str, list[Cell]] = {
        "split": [f"{prefix}{split}" for split in members],
        "Overall": [mean(values[member]) for member in members.values()],
    }
    for column in GROUPING[1:]:
        abilities = _members(rows, column)
        for ability in in_sorted_order(rows, column):
            name = SHORT_NAMES.get(ability, str(ability))
            columns[name] = [mean(values[member & abilities[ability]]) for member in members.values()]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _members(rows: pd.DataFrame, column: str) -> "dict[Any, np.ndarray[Any, np.dtype[np.bool_]]]":
    """Return which rows have which value of a column, values in order of first appearance, missing ones left out."""
    if column not in rows:
        return {}
    codes, values = pd.factorize(rows[column])
    return {value: codes == code for code, value in enumerate(values.tolist())}
