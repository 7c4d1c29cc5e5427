"""Open answers with one gold text a row, which is taken as it stands, whatever it looks like (MTVQA)."""

from typing import Any

import pandas as pd

from vlmake.extract.answer import STRICT
from vlmake.extract.strict.vqa_peel import tidy
from vlmake.extract.vlmevalkit_view import as_text
from vlmake.extract.vqa import extract

__all__ = ["extract", "gold"]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right text of every row, as a list of one: text in brackets is no list here."""
    texts = as_text(frame["answer"])
    return [[tidy(text)] if protocol == STRICT else [text] for text in texts]
