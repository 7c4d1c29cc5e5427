"""Open questions with about ten annotators each: an answer is right as far as annotators agree with it (TextVQA)."""

import numpy as np
import pandas as pd

from vlmake.extract.vqa_normalise import normalise_answer
from vlmake.metrics.base import Floats, Metric
from vlmake.metrics.vqa_table import open_table

ENOUGH = 3
"""How many annotators make an answer fully right."""


def hits(judged: pd.DataFrame) -> Floats:
    """Return VQA accuracy of every row, 0 to 1.

    For each annotator: the share of three *other* annotators who gave the answer, at most 1; the row is the mean over
    annotators. Texts are compared normalised. A row with one annotator is therefore 0, whatever the answer.

    Source: Antol et al. 2015 (arXiv 1505.00468), in the leave-one-out form of Singh et al. 2019 (arXiv 1904.08920).
    """
    answers, golds = judged["extracted"].tolist(), judged["gold"].tolist()
    seen = {text for text in answers if isinstance(text, str)}
    seen.update(*golds)
    normal = {text: normalise_answer(text) for text in seen}
    rows = [
        (normal.get(answer), [normal[text] for text in texts]) for answer, texts in zip(answers, golds, strict=True)
    ]
    return np.array([0.0 if answer is None else _agreement(answer, texts) for answer, texts in rows], dtype=np.float64)


def _agreement(answer: str, annotators: list[str]) -> float:
    """Return the mean over annotators of min(1, others who gave the answer / 3)."""
    agreeing = annotators.count(answer)
    others = len(annotators) - agreeing
    credit = agreeing * min(1.0, (agreeing - 1) / ENOUGH) + others * min(1.0, agreeing / ENOUGH)
    return credit / len(annotators) if annotators else 0.0


METRIC = Metric(hits=hits, table=open_table)
