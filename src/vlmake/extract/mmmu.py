"""Answers to MMMU: multiple choice, and some open questions that VLMEvalKit turns into a choice.

A row without an option A is open. VLMEvalKit gives it the options A (the right answer) and B ("Other Answers"), and A
is right; strictly it is answered by a text.
"""

import string
from typing import Any

import pandas as pd

from vlmake.extract import multiple_choice
from vlmake.extract.answer import STRICT, Extraction
from vlmake.extract.asked import questions
from vlmake.extract.strict.vqa import read_text
from vlmake.extract.strict.vqa_peel import tidy
from vlmake.extract.vlmevalkit_view import as_text
from vlmake.extract.vqa import gold_texts

OTHER = "Other Answers"


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row; see ``vlmake.extract.registry.Extractor``."""
    if protocol != STRICT:
        return multiple_choice.extract(_as_choice(frame), protocol)
    letters = multiple_choice.extract(frame, protocol)
    rows = zip(letters, _is_open(frame), frame["raw"], questions(frame), strict=True)
    return [read_text(text, question) if is_open else letter for letter, is_open, text, question in rows]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right letter of every row; strictly, the list of right texts of an open one."""
    if protocol != STRICT:
        letters = multiple_choice.gold(frame, protocol)
        return [letter if len(letter) == 1 and letter in string.ascii_uppercase else "A" for letter in letters]
    rows = zip(multiple_choice.gold(frame, protocol), _is_open(frame), as_text(frame["answer"]), strict=True)
    return [[tidy(text) for text in gold_texts(answer)] if is_open else letter for letter, is_open, answer in rows]


def _is_open(frame: pd.DataFrame) -> list[bool]:
    return frame["A"].isna().tolist() if "A" in frame else [True] * len(frame)


def _as_choice(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the two options that VLMEvalKit gives to open questions."""
    is_open = pd.Series(_is_open(frame), index=frame.index)
    if not is_open.any():
        return frame
    empty = pd.Series([None] * len(frame), index=frame.index, dtype=object)
    first, second = ((frame[name].astype(object) if name in frame else empty) for name in "AB")
    return frame.assign(A=first.where(~is_open, frame["answer"]), B=second.where(~is_open, OTHER))
