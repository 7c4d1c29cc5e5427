"""MMVP: pairs of images that encoders confuse; a pair counts only if both of its questions are answered right."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, equal_hits, mean


def group_hits(judged: pd.DataFrame) -> Floats:
    """Return 1 on the first row of a pair both of whose rows are right, 0 on other first rows, NaN on second rows.

    By index, rows 1 and 2, 3 and 4, … are pairs; a last row without a partner (it fell to a row limit) is not right.
    """
    hits = np.asarray(judged["hit"], dtype=np.float64)
    order = _by_index(judged["index"].tolist())
    firsts, seconds = order[0::2], order[1::2]
    both = np.zeros(len(firsts))
    both[: len(seconds)] = (hits[firsts[: len(seconds)]] == 1) & (hits[seconds] == 1)
    result = np.full(len(hits), np.nan)
    result[firsts] = both
    return result


def _by_index(index: list[str]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the places of the rows by index: as numbers where all are, else as texts."""
    numbers = all(text.isascii() and text.isdigit() for text in index)
    return np.array(sorted(range(len(index)), key=lambda row: int(index[row]) if numbers else index[row]), np.int64)


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row of fractions: Average (rows) and Overall (pairs).

    Source: Tong et al. 2024 (arXiv 2401.06209); names as VLMEvalKit's.
    """
    grouped = group_hits(judged)
    pairs = grouped[~np.isnan(grouped)]
    overall = mean(pairs)
    return ScoreTable(
        ["Average", "Overall"],
        [[mean(judged["hit"]), overall]],
        Overall("Overall", overall, len(pairs)),
    )


METRIC = Metric(hits=equal_hits, table=table, group_hits=group_hits)
