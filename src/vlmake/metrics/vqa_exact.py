"""Open questions by exact match, whatever the case (OCRVQA)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric
from vlmake.metrics.vqa_table import open_table


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the answer, stripped and lower-cased, equals one of the gold texts treated alike, else 0.

    Source: exact match of Mishra et al. 2019 (OCR-VQA, ICDAR); case, outer blanks and the best of several gold texts as
    VLMEvalKit has them.
    """
    return np.array([any(matches) for matches in exact_matches(judged)], dtype=np.float64)


def exact_matches(judged: pd.DataFrame) -> Iterator[list[bool]]:
    """Yield for every row which of its gold texts the answer equals, both stripped and lower-cased."""
    for answer, golds in zip(judged["extracted"], judged["gold"], strict=True):
        plain = _plain(answer) if isinstance(answer, str) else None
        yield [_plain(gold) == plain for gold in golds]


def _plain(text: str) -> str:
    return text.strip().lower()


METRIC = Metric(hits=hits, table=open_table)
