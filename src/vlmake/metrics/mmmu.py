"""MMMU: college-level multiple choice with some open questions."""

from typing import Any

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric
from vlmake.metrics.choice import table

_DECIMALS = 2


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the letter is the right one, or an open answer equals a right text; else 0.

    Open texts are compared whatever their case, numbers rounded to two decimals.

    Source: Yue et al. 2024 (arXiv 2311.16502), whose evaluation rounds numbers so; table as VLMEvalKit's.
    """
    return np.array([_is_right(*pair) for pair in zip(judged["extracted"], judged["gold"], strict=True)], np.float64)


def _is_right(answer: Any, gold: Any) -> bool:
    if not isinstance(gold, list):
        return bool(answer == gold)
    return isinstance(answer, str) and any(_plain(answer) == _plain(text) for text in gold)


def _plain(text: str) -> str | float:
    try:
        return round(float(text.replace(",", "").removeprefix("$").removesuffix("%")), _DECIMALS)
    except ValueError:
        return " ".join(text.lower().split())


METRIC = Metric(hits=hits, table=table)
