"""What metrics of graded answers share: whose protocol it is, who found an answer, and which rows have no grade."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from vlmake.extract.answer import STRICT

JUDGE = "judge"
"""The rule of an answer that comes from a judge's verdict."""

NO_VERDICT = ("judge_unreadable", "judge_refused", "judge_error")
"""Rules of rows about which a judge was asked and gave no verdict: that says nothing of the answer."""

Flags = npt.NDArray[np.bool_]


def protocol_of(judged: pd.DataFrame) -> str:
    """Return the protocol of a judged frame, the same in every row; the strict one for no rows."""
    return str(judged["protocol"].iloc[0]) if len(judged) else STRICT


def is_strict(judged: pd.DataFrame) -> bool:
    """Return whether a judged frame is counted strictly."""
    return protocol_of(judged) == STRICT


def without_verdict(judged: pd.DataFrame) -> Flags:
    """Return which rows a judge was asked about in vain."""
    return judged["rule"].isin(NO_VERDICT).to_numpy(dtype=bool)


def found_by_rules(judged: pd.DataFrame) -> Flags:
    """Return which rows rules settled without a judge."""
    return judged["found"].to_numpy(dtype=bool) & (judged["rule"] != JUDGE).to_numpy(dtype=bool)


def cells(frame: pd.DataFrame, name: str) -> list[Any]:
    """Return a column's cells, None where one is missing; all None where the frame has no such column."""
    if name not in frame:
        return [None] * len(frame)
    return [None if gone else cell for cell, gone in zip(frame[name].tolist(), frame[name].isna(), strict=True)]
