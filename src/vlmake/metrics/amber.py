"""AMBER (discriminative part): accuracy by kind of hallucination."""

from dataclasses import replace

import numpy as np
import pandas as pd

from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, groups, mean, one_row

CLASSES = {
    "discriminative-attribute-state": "Attribute",
    "discriminative-attribute-number": "Attribute",
    "discriminative-attribute-action": "Attribute",
    "discriminative-hallucination": "Existence",
    "discriminative-relation": "Relation",
    "relation": "Relation",
}


def hits(judged: pd.DataFrame) -> Floats:
    """Return 1 where the extracted answer is the gold answer whatever their case: AMBER's are in lower case."""
    pairs = zip(judged["extracted"], judged["gold"], strict=True)
    return np.array([str(answer).lower() == str(gold).lower() for answer, gold in pairs], dtype=np.float64)


def table(judged: pd.DataFrame) -> ScoreTable:
    """Return one row: accuracy*100 of each class in file order, then their unweighted mean ``Avg ACC``.

    Categories outside the three classes keep their own name.

    Source: Wang et al. 2023 (arXiv 2311.07397); classes and mean as VLMEvalKit has them.
    """
    scores: dict[str, float | None] = {}
    if "category" in judged:
        named = judged.assign(kind=[CLASSES.get(str(value), value) for value in judged["category"].tolist()])
        scores = {str(kind): 100 * mean(rows["hit"]) for kind, rows in groups(named, "kind")}
    average = mean(list(scores.values()) or 100 * judged["hit"])
    missing = tuple(kind for kind in dict.fromkeys(CLASSES.values()) if kind not in scores)
    return replace(one_row(scores | {"Avg ACC": average}, Overall("Avg ACC", average, len(judged))), missing=missing)


METRIC = Metric(hits=hits, table=table)
