"""Precision, recall and F1 of answering yes."""

from typing import NamedTuple

import pandas as pd


class YesRates(NamedTuple):
    """Precision, recall and F1 of the answer Yes, 0 to 1 each; 0 where undefined, as VLMEvalKit has it."""

    precision: float
    recall: float
    f1: float


def yes_rates(judged: pd.DataFrame) -> YesRates:
    """Return the rates over the rows; every answer but ``Yes`` (No, unresolved) counts as not yes."""
    gold = (judged["gold"] == "Yes").to_numpy()
    answered = (judged["extracted"] == "Yes").to_numpy()
    both = int((gold & answered).sum())
    precision = both / int(answered.sum()) if answered.any() else 0.0
    recall = both / int(gold.sum()) if gold.any() else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return YesRates(precision, recall, f1)
