"""Open answers whose gold texts, one an annotator, stand in the column ``answers`` (VizWiz)."""

from typing import Any

import pandas as pd

from vlmake.errors import VlmakeError
from vlmake.extract import vqa
from vlmake.extract.vqa import extract

__all__ = ["extract", "gold"]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the annotators' texts of every row; VlmakeError where the benchmark has no such column."""
    if "answers" not in frame:
        raise VlmakeError("the benchmark has no column 'answers' with one text an annotator, which its metric needs")
    return vqa.gold(frame.assign(answer=frame["answers"]), protocol)
