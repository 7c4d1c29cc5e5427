"""Answers that no rule reads: every one is left to a judge, who grades it."""

from typing import Any

import pandas as pd

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.vlmevalkit_view import as_text

OPEN = "left_to_judge"
"""The rule of an answer that waits for a judge."""


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return every row unresolved: there is no prediction, it is empty, or a judge has to read it."""
    return [left_open(raw) for raw in frame["raw"]]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the reference answers as text; None where the benchmark has none."""
    return list(as_text(frame["answer"])) if "answer" in frame else [None] * len(frame)


def left_open(raw: str | None) -> Extraction:
    """Return what stands for an answer before a judge has read it."""
    if not isinstance(raw, str):
        return unresolved("no_prediction")
    return unresolved(OPEN if raw.strip() else "empty")
