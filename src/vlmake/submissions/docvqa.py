"""DocVQA's and InfographicVQA's test sets: a JSON list of ``{"questionId": 1, "answer": "text"}``.

Source: the tasks' page of the Robust Reading Competition. The server compares letters (ANLS), so the answer is handed
in as the model gave it, but for its reasoning and the blanks around it.
"""

from pathlib import Path

import pandas as pd

from vlmake.errors import VlmakeError
from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.reading import spoken_place
from vlmake.scoring.protocols import align
from vlmake.store import write_text
from vlmake.submissions.documents import json_text
from vlmake.submissions.rows import Gaps, gaps, identifiers

_COLUMNS = ("questionId", "question_id", "index")  # the first of them that the benchmark has


def write(samples: pd.DataFrame, predictions: pd.DataFrame, target: Path) -> Gaps:
    """Write the file; see ``vlmake.submissions.registry.Writer``. An answer that never came is an empty text."""
    rows = align(samples, predictions)
    column = next(name for name in _COLUMNS if name in samples.columns)
    numbers = [_number(name, column) for name in identifiers(samples, column)]
    answers = [_spoken(raw) for raw in rows["raw"]]
    entries = [
        {"questionId": number, "answer": answer.answer or ""} for number, answer in zip(numbers, answers, strict=True)
    ]
    write_text(target, json_text(entries))
    return gaps(rows, answers)


def _spoken(raw: str | None) -> Extraction:
    if raw is None:
        return unresolved("no_prediction")
    place = spoken_place(raw)
    if place is None:
        return unresolved("truncated")
    answer = raw[slice(*place)].strip()
    return Extraction(answer, "whole_text") if answer else unresolved("empty")


def _number(name: str, column: str) -> int:
    if not (name.isascii() and name.isdecimal()):
        raise VlmakeError(f"'{column}' {name!r} is no whole number, and the server knows its questions by numbers")
    return int(name)
