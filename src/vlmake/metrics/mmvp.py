"""MMVP: pairs of images that encoders confuse; a pair counts only if both of its questions are answered right."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, equal_hits, mean


def group_hits(judged: pd.DataFrame) -> Floats:
    """Return 1 on the first row of a pair both of whose rows are right, 0 on other first rows, NaN on second rows.

    Rows 1 and 2, 3 and 4, … in the benchmark's order are pairs; a last row without a partner (the other fell to a row
    limit) is not right.
    """
    hits = np.asarray(judged["hit"], dtype=np.float64)
    result = np.full(len(hits), np.nan)
    pairs = len(hits) // 2
    result[0 : 2 * pairs : 2] = (hits[0 : 2 * pairs : 2] == 1) & (hits[1 : 2 * pairs : 2] == 1)
    if len(hits) % 2:
        result[-1] = 0.0
    return result


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row of fractions: split ``none``, Average (rows) and Overall (pairs).

    Source: Tong et al. 2024 (arXiv 2401.06209); names as VLMEvalKit's.
    """
    grouped = group_hits(judged)
    pairs = grouped[~np.isnan(grouped)]
    overall = mean(pairs)
    return ScoreTable(
        ["split", "Average", "Overall"],
        [["none", mean(judged["hit"]), overall]],
        Overall("Overall", overall, len(pairs)),
    )


METRIC = Metric(hits=equal_hits, table=table, group_hits=group_hits)
