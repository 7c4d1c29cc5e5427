"""Answers to yes-or-no questions of benchmarks that spell the right ones as they like: ``yes``, ``NO``, ``是``, ``否``.

VLMEvalKit compares with the spellings ``Yes`` and ``No`` alone, so that no answer would be right there.
"""

from typing import Any

import pandas as pd

from vlmake.extract import yes_no
from vlmake.extract.answer import STRICT, Extraction
from vlmake.extract.vlmevalkit_view import as_text
from vlmake.registry.tasks import YES_NO


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row; see ``vlmake.extract.registry.Extractor``.

    VLMEvalKit knows no Chinese words for yes and no: rows with a Chinese right answer are read strictly in every
    protocol.
    """
    read = yes_no.extract(frame, protocol)
    if protocol == STRICT:
        return read
    chinese = [not answer.isascii() for answer in as_text(frame["answer"])]
    if not any(chinese):
        return read
    strictly = yes_no.extract(frame, STRICT)
    return [own if is_chinese else seen for seen, own, is_chinese in zip(read, strictly, chinese, strict=True)]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right answers as ``Yes`` and ``No``, in every protocol."""
    return [YES_NO.get(answer.strip().lower(), answer.strip()) for answer in as_text(frame["answer"])]
