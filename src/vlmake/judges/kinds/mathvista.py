"""Which short answer a response to a question of MathVista gives: a letter, a number, a list, a short text."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vlmake.extract.maths import literal_list, number_text, options_in
from vlmake.extract.mathvista import CHOICE, LIST, NUMBERS
from vlmake.judges.kinds import choice, short_answers

VERSION = "mathvista-1"
SCHEMA = short_answers.SCHEMA

_NUMBER = "one number in digits, without unit, words or marks between thousands"
_FORMS = {
    "integer": _NUMBER,
    "float": f"{_NUMBER}, with the decimals that the response gives",
    LIST: "a list in brackets, such as [2007, 2008], in the order of the response",
}
_TEXT = "a few words, as the response has them, without a sentence around them"


def prompts(frame: pd.DataFrame) -> list[str | None]:
    """Return what is asked about every row; the right answer and its option are in none."""
    forms = [None if _has_options(row) else _form(row) for row in frame.to_dict("records")]
    return short_answers.prompts(frame, forms)


def read(reply: str, row: Mapping[str, Any]) -> str | None:
    """Return the letter, number, list or text in a reply, or ``none``; None for a reply that is none of its kind."""
    if _has_options(row):
        return choice.read(reply, short_answers.with_options(row))
    if row.get("answer_type") in NUMBERS:
        return short_answers.read(reply, row.get("raw"), number_text)
    if row.get("answer_type") == LIST:
        return short_answers.read(reply, row.get("raw"), lambda text: text if literal_list(text) is not None else None)
    return short_answers.read(reply, row.get("raw"), str)


def reminder(row: Mapping[str, Any]) -> str:
    """Return what is said behind the prompt when a reply was no answer of the question's kind."""
    return choice.reminder(short_answers.with_options(row)) if _has_options(row) else short_answers.reminder(_form(row))


def answer(verdict: str, protocol: str) -> str:
    """Return the answer; empty for none."""
    return short_answers.answer(verdict, protocol)


def _has_options(row: Mapping[Any, Any]) -> bool:
    return row.get("question_type") == CHOICE and bool(options_in(row.get("choices")))


def _form(row: Mapping[Any, Any]) -> str:
    return _FORMS.get(str(row.get("answer_type")), _TEXT)
