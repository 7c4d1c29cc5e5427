"""Charts: a number is right within five percent, anything else by exact match whatever the case (ChartQA)."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric
from vlmake.metrics.vqa_table import open_table

TOLERANCE = 0.05
"""Largest relative error of a right number."""


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the stripped answer is right by one of the gold texts, else 0.

    Source: Masry et al. 2022 (arXiv 2203.10244), section 5.1, after Methani et al. 2020.
    """
    rows = zip(judged["extracted"], judged["gold"], strict=True)
    return np.array(
        [
            isinstance(answer, str) and any(relaxed_match(answer.strip(), gold) for gold in golds)
            for answer, golds in rows
        ],
        dtype=np.float64,
    )


def relaxed_match(answer: str, gold: str) -> bool:
    """Return whether an answer is right by one gold text.

    Two numbers, the gold one not 0, are compared by their relative difference; NaN and infinity are numbers, and never
    close to one. Everything else is compared as text, whatever the case.
    """
    number, right = as_number(answer), as_number(gold)
    if number is not None and right:
        return abs(number - right) / abs(right) <= TOLERANCE
    return answer.lower() == gold.lower()


def as_number(text: str) -> float | None:
    """Return the number that Python reads in ``text``, a hundredth of it before a percent sign, else None.

    So ``1_000``, ``1e3`` and ``inf`` are numbers; ``1,000`` and ``$5`` are not.
    """
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


METRIC = Metric(hits=hits, table=open_table)
