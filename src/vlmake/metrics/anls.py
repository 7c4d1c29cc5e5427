"""Documents: answers by how few letters must change to make them right (DocVQA, InfoVQA)."""

import numpy as np
import pandas as pd
from rapidfuzz.distance import Levenshtein

from vlmake.metrics.base import Floats, Metric
from vlmake.metrics.vqa_table import open_table

THRESHOLD = 0.5
"""Similarities below this count as 0: the answer is another one, not a misread one."""


def hits(judged: pd.DataFrame) -> Floats:
    """Return the average normalised Levenshtein similarity (ANLS) of every row: that to its closest gold text, or 0.

    Source: Biten et al. 2019 (arXiv 1905.13648); distances as VLMEvalKit has them.
    """
    rows = zip(judged["extracted"], judged["gold"], strict=True)
    return np.array(
        [_similarity(distances(answer, golds)) if isinstance(answer, str) else 0.0 for answer, golds in rows],
        dtype=np.float64,
    )


def distances(answer: str, golds: list[str]) -> list[float]:
    """Return the normalised edit distance to each gold text, 0 to 1.

    Edits are counted on lower-cased texts with white space collapsed, and divided by the length of the longer text as
    it was before, upper-cased. Two empty texts have distance 0.
    """
    plain = " ".join(answer.lower().split())
    length = len(answer.upper())
    found = []
    for gold in golds:
        longer = max(len(gold.upper()), length)
        edits = Levenshtein.distance(" ".join(gold.lower().split()), plain)
        found.append(edits / longer if longer else 0.0)
    return found


def _similarity(found: list[float]) -> float:
    similarity = 1 - min(found, default=1.0)
    return similarity if similarity >= THRESHOLD else 0.0


METRIC = Metric(hits=hits, table=open_table)
