"""What a person may say of a response that a judge decided, in the form in which verdicts are compared.

A verdict and a label have the same form: a letter, ``Yes`` or ``No``, a short text, a grade such as ``0.7``, or two
grades such as ``8 6.5``. ``ABSTAIN`` stands for a response that gives no answer, a judge's ``none``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vlmake.audit.labels import ABSTAIN, INSTRUCTIONS, UNLABELLED, parse_label, same_form, shortened
from vlmake.errors import VlmakeError
from vlmake.extract.maths import number_text
from vlmake.extract.mathvista import CHOICE
from vlmake.judges.base import NONE
from vlmake.judges.kinds import llavabench
from vlmake.judges.kinds.choice import LETTERS
from vlmake.judges.kinds.short_answers import with_options

Kind = Literal["choice", "yes_no", "text", "grade", "grades"]

GRADES: tuple[Kind, ...] = ("grade", "grades")
"""Kinds of verdicts that are numbers: they differ by an amount, and none is right or wrong."""

_KINDS: Mapping[str, Kind] = {"choice": "choice", "yes_no": "yes_no", "mmvet": "grade", "llavabench": "grades"}
_SHORT_ANSWERS = ("mathvista", "mathvision")
_HOW: Mapping[Kind, str] = {
    "grade": "Fill the column 'label' with a grade from 0 to 1 in tenths: how right the response is by the reference.",
    "grades": "Fill the column 'label' with two grades from 1 to 10, such as 8 6.5: the reference's, the response's.",
}
_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,6})?")


def kind_of(judging: str, row: Mapping[str, Any]) -> Kind:
    """Return what verdicts on a benchmark's row look like; VlmakeError for judging that people cannot repeat.

    Args:
        judging: How the judge was asked (``judges.registry``).
        row: The benchmark's columns, None where a cell is missing.
    """
    if judging in _SHORT_ANSWERS:
        chosen = judging != "mathvista" or row.get("question_type") == CHOICE
        return "choice" if chosen and options_of(judging, row) else "text"
    if judging not in _KINDS:
        raise VlmakeError(f"what a judge says by '{judging}' cannot be audited")
    return _KINDS[judging]


def options_of(judging: str, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the options that a row's judge chose from, by letter."""
    told = with_options(row) if judging in _SHORT_ANSWERS else row
    return {letter: told[letter] for letter in LETTERS if isinstance(told.get(letter), str)}


def instructions(kinds: Sequence[Kind]) -> tuple[str, ...]:
    """Return how a sheet with such rows is labelled."""
    graded = [_HOW[kind] for kind in dict.fromkeys(kinds) if kind in _HOW]
    return (*graded, *INSTRUCTIONS[-2:]) if graded else INSTRUCTIONS


def parse(cell: str, kind: Kind, options: Sequence[str]) -> str | None:
    """Return what a person wrote, in a verdict's form; None for a cell that is not filled in.

    Raises VlmakeError for what is no such label, without the place, which the caller adds.
    """
    if kind == "choice":
        return parse_label(cell, "multiple_choice", options)
    if kind == "yes_no":
        return parse_label(cell, "yes_no", options)
    text = cell.strip().removeprefix("'").strip()  # Excel's mark of a text
    if text in UNLABELLED:
        return None
    if kind == "text":
        return ABSTAIN if text in (ABSTAIN, "？") or text.casefold() == NONE else number_text(text) or text
    return _one_grade(text) if kind == "grade" else _two_grades(text)


def category(verdict: str, kind: Kind) -> str:
    """Return a verdict in the form in which labels are."""
    return ABSTAIN if verdict == NONE and kind not in GRADES else verdict


def as_verdict(label: str) -> str:
    """Return a label as a judge would have said it."""
    return NONE if label == ABSTAIN else label


def alike(one: str, two: str, kind: Kind) -> bool:
    """Return whether two verdicts or labels say the same.

    Texts do in any case, spacing and outer punctuation, and numbers by their value.
    """
    if one == two or kind != "text" or ABSTAIN in (one, two):
        return one == two
    numbers = [number_text(text) for text in (one, two)]
    if all(numbers):
        return float(numbers[0] or 0) == float(numbers[1] or 0)
    return same_form(one) == same_form(two)


def numbers_in(verdict: str) -> list[float]:
    """Return a verdict's grades."""
    return [float(word) for word in verdict.split()]


def _one_grade(text: str) -> str:
    grade = float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None
    if grade is None or not 0 <= grade <= 1:
        raise VlmakeError(f"'{shortened(text)}' is no grade from 0 to 1")
    return f"{grade:g}"


def _two_grades(text: str) -> str:
    words = re.split(r"\s*[;/]\s*|,\s+|\s+", text)
    grades = [float(word.replace(",", ".")) for word in words if _NUMBER.fullmatch(word)]
    fit = [grade for grade in grades if llavabench.LOWEST <= grade <= llavabench.HIGHEST]
    if not len(words) == len(fit) == 2:
        raise VlmakeError(f"'{shortened(text)}' is no pair of grades from 1 to 10, such as 8 6.5")
    return f"{fit[0]:g} {fit[1]:g}"
