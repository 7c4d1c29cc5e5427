"""Which short answer a response to a question of MATH-Vision gives: an option's letter, or an expression."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vlmake.extract.maths import options_in
from vlmake.judges.kinds import choice, short_answers

VERSION = "mathvision-1"
SCHEMA = short_answers.SCHEMA

_FORM = "a number or an expression, in plain notation or LaTeX, without words, unit or marks of maths around it"


def prompts(frame: pd.DataFrame) -> list[str | None]:
    """Return what is asked about every row; the right answer is in none."""
    return short_answers.prompts(frame, [None if _has_options(row) else _FORM for row in frame.to_dict("records")])


def read(reply: str, row: Mapping[str, Any]) -> str | None:
    """Return the letter or expression in a reply, or ``none``; None for a reply without one."""
    return (
        choice.read(reply, short_answers.with_options(row))
        if _has_options(row)
        else short_answers.read(reply, row.get("raw"), str)
    )


def reminder(row: Mapping[str, Any]) -> str:
    """Return what is said behind the prompt when a reply was no answer."""
    return choice.reminder(short_answers.with_options(row)) if _has_options(row) else short_answers.reminder(_FORM)


def answer(verdict: str, protocol: str) -> str:
    """Return the answer; empty for none."""
    return short_answers.answer(verdict, protocol)


def _has_options(row: Mapping[Any, Any]) -> bool:
    return bool(options_in(row.get("choices")))
