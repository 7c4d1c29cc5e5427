"""Answers to MATH-Vision's questions: an option's letter, or a mathematical expression.

Rules read what is plain; a judge takes the rest out of the prediction (``vlmake.judges.kinds.mathvision``).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vlmake.extract.answer import MAIN, STRICT, Extraction, unresolved
from vlmake.extract.asked import questions
from vlmake.extract.left_to_judge import OPEN, left_open
from vlmake.extract.maths import options_in, read_bare
from vlmake.extract.multiple_choice import read_as_vlmevalkit
from vlmake.extract.strict.choice import read_choice
from vlmake.extract.vlmevalkit_view import as_text
from vlmake.metrics.grades import cells
from vlmake.metrics.math_equality import equal


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row, unresolved where a judge has to read it.

    VLMEvalKit takes ("prefetches") a letter that ``can_infer`` finds in the prediction, and the whole prediction where
    it equals the right answer. Strictly a number or a box that the whole prediction is counts as read whether it is
    right or wrong, and letters are read as in plain multiple choice.
    """
    options = [options_in(cell) for cell in cells(frame, "choices")]
    if protocol == STRICT:
        strict = zip(frame["raw"], options, questions(frame), strict=True)
        return [_read(raw, choices, question) for raw, choices, question in strict]
    golds = as_text(frame["answer"])
    free = [row for row, choices in enumerate(options) if not choices]
    texts = frame["prediction"].tolist()
    alike = equal([(texts[row], golds[row]) for row in free], protocol)
    right = {row for row, same in zip(free, alike, strict=True) if same}
    rows = enumerate(zip(texts, frame["raw"], options, strict=True))
    return [
        _chosen(text, raw, choices, protocol == MAIN)
        if choices
        else Extraction(text, "right_answer")
        if row in right
        else left_open(raw)
        for row, (text, raw, choices) in rows
    ]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right answers as text: a letter where there are options."""
    if protocol == STRICT:
        return [text.strip() for text in as_text(frame["answer"])]
    return list(as_text(frame["answer"]))


def _chosen(text: str, raw: str | None, options: Mapping[str, str], declared: bool) -> Extraction:
    answer = read_as_vlmevalkit(text, raw, options, declared)
    return answer if answer.found else left_open(raw)


def _read(raw: str | None, options: Mapping[str, str], question: str | None) -> Extraction:
    nothing = left_open(raw)
    if raw is None or nothing.rule != OPEN:
        return nothing
    answer = read_choice(raw, options, question) if options else read_bare(raw)
    return answer if answer is not None and answer.found else unresolved(OPEN)
