"""Open answers whose gold texts, one an annotator, stand in the column ``answers`` (VizWiz)."""

from typing import Any

import pandas as pd

from vlmake.extract import vqa
from vlmake.extract.vqa import extract

__all__ = ["extract", "gold"]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the annotators' texts of every row: those of ``answers``, where a benchmark has it, else of ``answer``."""
    return vqa.gold(frame.assign(answer=frame["answers"]) if "answers" in frame else frame, protocol)
