"""Captions: the whole text is the answer, compared with several gold texts."""

from typing import Any

import pandas as pd

from vlmake.extract.answer import STRICT, Extraction, unresolved
from vlmake.extract.strict.reading import core, final_text
from vlmake.extract.vlmevalkit_view import as_text
from vlmake.extract.vqa import gold_texts, whole_text


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the caption of every row; strictly, without reasoning and markup, in one line."""
    if protocol == STRICT:
        return [_final(text) for text in frame["raw"]]
    return [whole_text(seen, raw) for seen, raw in zip(frame["prediction"], frame["raw"], strict=True)]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the list of reference captions of every row."""
    return [gold_texts(answer) for answer in as_text(frame["answer"])]


def _final(prediction: str | None) -> Extraction:
    final = final_text(prediction)
    if final.problem:
        return unresolved(final.problem)
    kept = core(final.plain)
    if not kept.text:
        return unresolved("empty")
    return Extraction(" ".join(kept.text.split()), "whole_text", *kept.span(0, len(kept.text)))
