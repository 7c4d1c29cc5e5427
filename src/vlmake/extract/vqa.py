"""Answers to open questions: a short text, compared with one or several gold texts."""

import ast
from typing import Any

import pandas as pd

from vlmake.extract.answer import STRICT, Extraction, unresolved
from vlmake.extract.asked import questions
from vlmake.extract.strict.vqa import read_text
from vlmake.extract.strict.vqa_peel import tidy
from vlmake.extract.vlmevalkit_view import as_text

_LONGEST_LIST = 100_000


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row; VLMEvalKit takes the whole prediction."""
    if protocol == STRICT:
        return [read_text(text, question) for text, question in zip(frame["raw"], questions(frame), strict=True)]
    rows = zip(frame["prediction"], frame["raw"], strict=True)
    return [whole_text(seen, raw) for seen, raw in rows]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the list of right texts of every row."""
    golds = [gold_texts(answer) for answer in as_text(frame["answer"])]
    return [[tidy(text) for text in texts] for texts in golds] if protocol == STRICT else golds


def gold_texts(answer: str) -> list[str]:
    """Return the gold texts in an ``answer`` cell: the elements of a Python list of literals, else the cell itself."""
    if answer.lstrip().startswith("[") and len(answer) <= _LONGEST_LIST:
        try:
            value = ast.literal_eval(answer.strip())  # literals only: nothing is run
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return [answer]
        if isinstance(value, list) and value:
            return [str(item) for item in value]
    return [answer]


def whole_text(seen: str, raw: str | None) -> Extraction:
    """Return the whole prediction as the answer; ``seen`` is the scorer's view of it, ``raw`` the prediction's own."""
    if raw is None or not raw.strip():
        return unresolved("no_prediction" if raw is None else "empty", seen)
    return Extraction(seen, "whole_text", 0, len(seen)) if seen == raw else Extraction(seen, "whole_text")
