"""Answers to MathVista's questions: an option's letter, a whole number, a decimal, a list, a short text.

Rules read what is plain; a judge takes the rest out of the prediction (``vlmake.judges.kinds.mathvista``).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vlmake.extract.answer import MAIN, STRICT, Extraction, unresolved
from vlmake.extract.asked import questions
from vlmake.extract.left_to_judge import OPEN, left_open
from vlmake.extract.maths import as_read_again, literal_list, number_text, options_in, read_bare
from vlmake.extract.multiple_choice import read_as_vlmevalkit
from vlmake.extract.strict.choice import read_choice
from vlmake.metrics.grades import cells

CHOICE = "multi_choice"
"""The ``question_type`` whose answer is an option's letter; the others are free, by ``answer_type``."""

NUMBERS: Mapping[str, type[int] | type[float]] = {"integer": int, "float": float}
"""The ``answer_type`` of numbers, and Python's reader of them."""

LIST = "list"


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row, unresolved where a judge has to read it.

    VLMEvalKit takes ("prefetches") a letter that ``can_infer`` finds in the prediction, and a number that the whole
    prediction is, if it is the right one and not 0. Strictly a number, a box or a list that the whole prediction is
    counts as read whether it is right or wrong, and letters are read as in plain multiple choice.
    """
    options = [options_in(cell) for cell in cells(frame, "choices")]
    types = list(zip(cells(frame, "question_type"), cells(frame, "answer_type"), strict=True))
    if protocol == STRICT:
        strict = zip(frame["raw"], types, options, questions(frame), strict=True)
        return [_read(raw, kind, choices, question) for raw, kind, choices, question in strict]
    seen = zip(frame["prediction"], as_read_again(frame["prediction"].tolist()), strict=True)
    rows = zip(seen, frame["raw"], types, options, cells(frame, "answer"), strict=True)
    return [
        _chosen(text, raw, choices, protocol == MAIN) if kind[0] == CHOICE else _right_number(value, raw, kind[1], gold)
        for (text, value), raw, kind, choices, gold in rows
    ]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right letter of questions with options, else the answer's cell; None where it is missing."""
    rows = zip(*(cells(frame, name) for name in ("question_type", "answer", "answer_option", "choices")), strict=True)
    return [_gold(*row) for row in rows]


def _gold(question_type: Any, answer: Any, letter: Any, choices: Any) -> Any:
    if question_type != CHOICE:
        return answer
    if letter is not None:
        return letter
    named = [other for other, option in options_in(choices).items() if option == str(answer)]
    return named[0] if len(named) == 1 else None


def _chosen(text: str, raw: str | None, options: Mapping[str, str], declared: bool) -> Extraction:
    answer = read_as_vlmevalkit(text, raw, options, declared)
    return answer if answer.found else left_open(raw)


def _right_number(value: Any, raw: str | None, answer_type: Any, gold: Any) -> Extraction:
    """Return the number that the whole prediction is, if it is the right one; 0 is falsy and taken for no answer."""
    if (read := NUMBERS.get(answer_type)) is not None:
        try:
            number = read(value)
            if number and number == read(gold):
                return Extraction(str(number), "right_number")
        except (ValueError, TypeError, OverflowError):
            pass
    return left_open(raw)


def _read(raw: str | None, kind: tuple[Any, Any], options: Mapping[str, str], question: str | None) -> Extraction:
    nothing = left_open(raw)
    if raw is None or nothing.rule != OPEN:
        return nothing
    if kind[0] == CHOICE:
        answer = read_choice(raw, options, question) if options else nothing
        return answer if answer.found else unresolved(OPEN)
    bare = read_bare(raw)
    if kind[1] in NUMBERS:
        number = number_text(bare.answer) if bare and bare.answer else None
        return bare._replace(answer=number) if bare and number else nothing
    if kind[1] == LIST:
        text = bare.answer if bare and bare.answer else raw.strip()
        return Extraction(text, "list", confidence="high") if literal_list(text) else nothing
    return nothing
