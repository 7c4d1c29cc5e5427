"""Multiple choice with rotated copies of every question, all of which must be answered right (MMBench)."""

import numpy as np
import pandas as pd

from vlmake.errors import VlmakeError
from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, equal_hits, mean
from vlmake.metrics.choice_table import GROUPING, accuracy_table

ROTATION = 1_000_000
"""A rotated copy's index is the main row's plus a multiple of this."""


def group_hits(judged: pd.DataFrame) -> Floats:
    """Return 1 on a main row all of whose copies are answered right, 0 on other main rows, NaN on the copies.

    Copies that are not in the frame (a row limit) and rows without a gold answer do not count; a main row without a
    gold answer has NaN. In exact matching an answer that no rule settles is not right.

    Source: circular evaluation, Liu et al. 2023 (arXiv 2307.06281); groups as VLMEvalKit forms them.
    """
    numbers = _numbers(judged)
    mains = numbers % ROTATION
    answered = _has_gold(judged)
    wrong = mains[answered & (np.asarray(judged["hit"], dtype=np.float64) != 1)]
    result = np.where(np.isin(mains, wrong), 0.0, 1.0)
    result[(numbers != mains) | ~answered] = np.nan
    return result


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return accuracy over groups as a fraction, one row ``circular_<split>``; columns as ``accuracy_table`` says.

    The further table ``vanilla`` has the rows ``vanilla_0_<split>`` (main rows, each on its own) and
    ``vanilla_all_<split>`` (every row on its own) as well. The row names are those that VLMEvalKit gives when it
    prints all three.
    """
    hits = pd.Series(group_hits(judged), index=judged.index)
    main = hits.notna()
    own = judged[[column for column in GROUPING if column in judged]]
    columns, rows = accuracy_table(own[main], hits[main], "circular_")
    overall = Overall("Overall", mean(hits[main]), int(main.sum()))
    answered = _has_gold(judged)
    parts = [
        accuracy_table(own[main], judged["hit"][main], "vanilla_0_"),
        accuracy_table(own[answered], judged["hit"][answered], "vanilla_all_"),
        (columns, rows),
    ]
    names = list(dict.fromkeys(name for part, _ in parts for name in part))
    vanilla = [
        [dict(zip(part, row, strict=True)).get(name, np.nan) for name in names] for part, body in parts for row in body
    ]
    return ScoreTable(columns, rows, overall, {"vanilla": (names, vanilla)})


def _numbers(judged: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    try:
        return judged["index"].to_numpy(dtype=object).astype(np.int64)
    except (ValueError, OverflowError):
        odd = next((index for index in judged["index"] if not index.isdecimal()), max(judged["index"], key=len))
        raise VlmakeError(
            f"index '{odd}' is not a whole number, which circular evaluation needs; use the metric 'choice'"
        ) from None


def _has_gold(judged: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return ~judged["gold"].isin(["", "nan", "NAN"]).to_numpy(dtype=bool)


METRIC = Metric(hits=equal_hits, table=table, group_hits=group_hits)
