"""Answers to yes-or-no questions: ``Yes``, ``No`` or unresolved."""

import re
from typing import Any

import pandas as pd

from vlmake.extract.answer import STRICT, Extraction, unresolved
from vlmake.extract.asked import questions
from vlmake.extract.strict.yes_no import read_yes_no
from vlmake.extract.vlmevalkit_view import as_text
from vlmake.extract.vqa_text import strip_punctuation

UNKNOWN = "Unknown"
"""What VLMEvalKit writes for an answer that is neither; it equals no gold answer."""

_WORDS = {
    "Yes": re.compile(r"(?<![^\W_])yes(?![^\W_])", re.IGNORECASE),
    "No": re.compile(r"(?<![^\W_])no(?![^\W_])", re.IGNORECASE),
}
_STRICT_GOLD = {"yes": "Yes", "no": "No"}


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row; see ``vlmake.extract.registry.Extractor``."""
    if protocol == STRICT:
        return [read_yes_no(text, question) for text, question in zip(frame["raw"], questions(frame), strict=True)]
    return [read_as_vlmevalkit(seen, raw) for seen, raw in zip(frame["prediction"], frame["raw"], strict=True)]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right answers: as the benchmark spells them for VLMEvalKit, ``Yes`` or ``No`` for strict."""
    answers = as_text(frame["answer"])
    if protocol != STRICT:
        return answers
    return [_STRICT_GOLD.get(answer.strip().rstrip(".").lower(), answer.strip()) for answer in answers]


def read_as_vlmevalkit(text: str, raw: str | None) -> Extraction:
    """Return Yes when the lower-cased text, stripped of punctuation, has the word yes and not no; and the reverse.

    Args:
        text: The prediction as the scorer sees it.
        raw: The prediction's own text; the place is looked up there when the two are equal.

    Source: ``YOrN_Extraction`` of VLMEvalKit (equal in both releases).
    """
    words = set(strip_punctuation(text.lower()).split())
    yes, no = "yes" in words, "no" in words
    if yes == no:
        return unresolved("both_words" if yes else "no_word", UNKNOWN)
    answer = "Yes" if yes else "No"
    place = _WORDS[answer].search(text) if text == raw else None
    return Extraction(answer, "word", *(place.span() if place else (None, None)))
