"""MATH-Vision: mathematical questions about pictures, by subject."""

import numpy as np
import pandas as pd

from vlmake.extract.answer import MAIN
from vlmake.extract.maths import as_read_again, options_in
from vlmake.extract.multiple_choice import read_as_vlmevalkit
from vlmake.extract.vlmevalkit_view import as_text
from vlmake.metrics.base import Floats, Metric, ScoreTable
from vlmake.metrics.grades import cells, is_strict, protocol_of
from vlmake.metrics.math_equality import equal
from vlmake.metrics.mathvista import OVERALL, counted


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the answer is right, else 0.

    A letter where there are options, as ``can_infer`` reads the answer in VLMEvalKit; else the expressions are equal
    (``vlmake.metrics.math_equality``, by the protocol's rule).

    Source: Wang et al. 2024 (arXiv 2402.14804).
    """
    options = [options_in(cell) for cell in cells(judged, "choices")]
    answers = [text if found else None for text, found in zip(judged["extracted"], judged["found"], strict=True)]
    if is_strict(judged):
        read = [str(text).strip() if text is not None else "" for text in answers]
    else:
        declared = protocol_of(judged) == MAIN
        seen = as_text(pd.Series(as_read_again(answers)))
        read = [
            "" if not answer else (read_as_vlmevalkit(text, None, choices, declared).answer or "") if choices else text
            for answer, text, choices in zip(answers, seen, options, strict=True)
        ]
    pairs = list(zip(read, judged["gold"].tolist(), strict=True))
    free = [row for row, choices in enumerate(options) if not choices]
    right = np.array([bool(answer) and answer.lower() == gold.lower() for answer, gold in pairs], dtype=np.float64)
    right[free] = equal([pairs[row] for row in free], protocol_of(judged))
    return right


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row for all and one a subject, sorted: rows, those that rules settled, right ones, both shares.

    Shares are times 100. Source: VLMEvalKit, which sorts ``Overall`` among the subjects.
    """
    named = [[OVERALL] if name is None else [OVERALL, str(name)] for name in cells(judged, "category")]
    made = counted("Subject", named, judged)
    return ScoreTable(made.columns, sorted(made.rows, key=lambda row: str(row[0])), made.overall)


METRIC = Metric(hits=hits, table=table)
