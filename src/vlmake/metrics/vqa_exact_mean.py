"""Open questions by exact match, as the share of the gold texts that are met (GQA)."""

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric, mean
from vlmake.metrics.vqa_exact import exact_matches
from vlmake.metrics.vqa_table import open_table


def hits(judged: pd.DataFrame) -> Floats:
    """Return the share of the gold texts that the answer equals, both stripped and lower-cased.

    Source: Hudson and Manning 2019 (arXiv 1902.09506); the mean over gold texts is VLMEvalKit's.
    """
    return np.array([mean(matches) for matches in exact_matches(judged)], dtype=np.float64)


METRIC = Metric(hits=hits, table=open_table)
