"""MathVista: mathematical questions about pictures, by task and by skill."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from vlmake.extract.answer import MAIN
from vlmake.extract.maths import as_read_again, literal_list, number_text, options_in
from vlmake.extract.mathvista import CHOICE, LIST, NUMBERS
from vlmake.extract.multiple_choice import read_as_vlmevalkit
from vlmake.extract.strict.vqa_peel import tidy
from vlmake.metrics.base import Cell, Floats, Metric, Overall, ScoreTable
from vlmake.metrics.grades import cells, found_by_rules, is_strict, protocol_of

OVERALL = "Overall"
COLUMNS = ("tot", "prefetch", "hit", "prefetch_rate", "acc")


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the answer is right, else 0.

    Strictly: letters equal; whole numbers equal; decimals equal when both are rounded to ``precision``, which is the
    benchmark's own rule; lists equal element by element; texts equal without case, markup and blanks around them, and
    an option's text for its letter.

    VLMEvalKit: letters by ``can_infer``, numbers as Python's ``int`` and ``float`` read them, without rounding. Texts
    and lists are never right there: what it compares is a variable that nothing was put into.

    Source: Lu et al. 2023 (arXiv 2310.02255).
    """
    names = ("question_type", "answer_type", "choices", "precision")
    columns = (cells(judged, name) for name in names)
    if is_strict(judged):
        rows = zip(judged["extracted"], judged["found"], judged["gold"], *columns, strict=True)
        right = [bool(found) and _is_right(answer, gold, *row) for answer, found, gold, *row in rows]
    else:
        texts = [text if found else None for text, found in zip(judged["extracted"], judged["found"], strict=True)]
        main = protocol_of(judged) == MAIN
        seen = zip(texts, as_read_again(texts), judged["gold"], *columns, strict=True)
        right = [bool(text) and _is_right_in_vlmevalkit(value, gold, main, *row) for text, value, gold, *row in seen]
    return np.array(right, dtype=np.float64)


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row for all, one a skill and one a task: rows, those that rules settled, right ones, both shares.

    Rows are in order of appearance, a question's skills before its task. Shares are times 100. Source: VLMEvalKit.
    """
    tasks, skills = (cells(judged, name) for name in ("task", "skills"))
    named = [[OVERALL, *_skills(skill), *_some(task)] for task, skill in zip(tasks, skills, strict=True)]
    return counted("Task&Skill", named, judged)


def counted(title: str, named: Sequence[Sequence[str]], judged: pd.DataFrame) -> ScoreTable:
    """Return the table whose rows each count the samples of that name; ``named`` has the names of every sample."""
    counts: dict[str, list[int]] = {OVERALL: [0, 0, 0]}
    prefetched, right = found_by_rules(judged), judged["hit"].to_numpy(dtype=np.float64) == 1
    for names, by_rule, hit in zip(named, prefetched, right, strict=True):
        for name in names:
            row = counts.setdefault(name, [0, 0, 0])
            row[0] += 1
            row[1] += int(by_rule)
            row[2] += int(hit)
    rows: list[list[Cell]] = [
        [name, total, fetched, hit, _share(fetched, total), _share(hit, total)]
        for name, (total, fetched, hit) in counts.items()
    ]
    return ScoreTable([title, *COLUMNS], rows, Overall("acc", _share(counts[OVERALL][2], len(judged)), len(judged)))


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float("nan")


def _some(cell: Any) -> list[str]:
    return [] if cell is None else [str(cell)]


def _skills(cell: Any) -> list[str]:
    listed = literal_list(cell) if isinstance(cell, str) else None
    return _some(cell) if listed is None else [str(skill) for skill in listed]


def _is_right_in_vlmevalkit(
    value: Any, gold: Any, declared: bool, question_type: Any, answer_type: Any, choices: Any, precision: Any
) -> bool:
    if question_type == CHOICE:
        text = value if isinstance(value, str) else "nan" if pd.isna(value) else str(value)
        read = read_as_vlmevalkit(text, None, options_in(choices), declared)
        return read.found and read.answer == gold
    if (number := NUMBERS.get(answer_type)) is None:
        return False
    try:
        return number(value) == number(gold)
    except (ValueError, TypeError, OverflowError):
        return False


def _is_right(answer: str, gold: Any, question_type: Any, answer_type: Any, choices: Any, precision: Any) -> bool:
    if gold is None or not answer:
        return False
    if question_type == CHOICE:
        return _letter(answer, choices) == str(gold).strip()
    if answer_type in NUMBERS:
        numbers = [number_text(answer), number_text(str(gold))]
        values = [float(number) for number in numbers if number is not None]
        if len(values) < len(numbers) or not all(map(math.isfinite, values)):
            return False
        return (
            _rounded(values[0], precision) == _rounded(values[1], precision)
            if answer_type == "float"
            else (values[0] == values[1])
        )
    if answer_type == LIST:
        return _same_list(answer, str(gold))
    return _folded(answer) == _folded(str(gold))


def _rounded(value: float, precision: Any) -> float:
    digits = number_text(str(precision)) if precision is not None else None
    return round(value, int(float(digits))) if digits is not None else value


def _letter(answer: str, choices: Any) -> str | None:
    options = options_in(choices)
    if answer.strip() in options:
        return answer.strip()
    named = [letter for letter, option in options.items() if _folded(option) == _folded(answer)]
    return named[0] if len(named) == 1 else None


def _same_list(answer: str, gold: str) -> bool:
    given, right = literal_list(answer), literal_list(gold)
    if given is None or right is None or len(given) != len(right):
        return False
    return all(_same_element(one, other) for one, other in zip(given, right, strict=True))


def _same_element(one: Any, other: Any) -> bool:
    numbers = [number_text(str(value)) for value in (one, other)]
    known = [float(number) for number in numbers if number is not None]
    return known[0] == known[1] if len(known) == len(numbers) else _folded(str(one)) == _folded(str(other))


def _folded(text: str) -> str:
    return " ".join(tidy(text).split()).casefold()


METRIC = Metric(hits=hits, table=table)
