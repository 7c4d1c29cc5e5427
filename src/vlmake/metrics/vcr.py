"""VCR: texts in pictures, covered in part, are restored from what is left of them."""

from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from functools import cache, lru_cache
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from vlmake.errors import VlmakeError
from vlmake.metrics.base import Floats, Metric, Overall, ScoreTable, mean, one_row

Language = Literal["en", "zh"]

_ASSISTANT = "Assistant: "
_REFUSALS = ("I can't", "I cannot", "无法", "抱歉")


class Match(NamedTuple):
    """How well a covered span was restored: 1 if its words are the same, and the Jaccard index of the word sets."""

    exact: float
    jaccard: float


_NO_MATCH = Match(0.0, 0.0)


def vcr_metric(language: Language) -> Metric:
    """Return the metric of one language's texts.

    Hits are, for every row, the share of its spans that are restored word for word. The table has one row of
    fractions, Exact_Match and Jaccard, both means over the spans of all rows, so that a row weighs as many as it has.

    Source: Zhang et al. 2024 (arXiv 2406.06462), rules as VLMEvalKit has them. Words are those of spaCy: for English
    the rules of ``spacy.blank("en")``, which en_core_web_sm uses unchanged, for Chinese the model zh_core_web_sm.
    """

    def hits(judged: pd.DataFrame) -> Floats:
        return np.array([mean([match.exact for match in row]) for row in _matches(judged, language)], dtype=np.float64)

    def table(judged: pd.DataFrame) -> ScoreTable:
        spans = [match for row in _matches(judged, language) for match in row]
        exact = mean([match.exact for match in spans])
        scores: dict[str, float | None] = {"Exact_Match": exact, "Jaccard": mean([match.jaccard for match in spans])}
        return one_row(scores, Overall("Exact_Match", exact, len(spans)))

    return Metric(hits=hits, table=table)


def _matches(judged: pd.DataFrame, language: Language) -> Iterator[list[Match]]:
    """Yield for every row how its spans were restored; a refusal or a missing answer restores none."""
    for answer, spans in zip(judged["extracted"], judged["gold"], strict=True):
        text = answer.rpartition(_ASSISTANT)[2] if isinstance(answer, str) else None
        if text is None or _refuses(text):
            yield [_NO_MATCH] * len(spans)
        else:
            yield [best_match(text, span, language) for span in spans]


def _refuses(text: str) -> bool:
    return "sorry" in text.lower() or any(refusal in text for refusal in _REFUSALS)


@lru_cache(maxsize=100_000)  # hits and the table ask alike, and protocols often see one text
def best_match(text: str, span: str, language: Language) -> Match:
    """Return how well ``text`` restores ``span``.

    Of the word n-grams of the text that have as many words as the span and share one with it, the one counts that is
    most like it by difflib's ratio of letters, the first of several.
    """
    wanted = _words(span, language)
    words = _words(text, language)
    joiner = "" if language == "zh" else " "
    windows = zip(*(words[start:] for start in range(len(wanted))), strict=False)
    shared = [(joiner.join(ngram), ngram) for ngram in windows if not set(ngram).isdisjoint(wanted)]
    best = next((ngram for letters, ngram in shared if letters == span), None) or _most_alike(shared, span)
    if not best:
        return _NO_MATCH
    return Match(float(best == wanted), len(set(best) & set(wanted)) / len(set(best) | set(wanted)))


def _most_alike(candidates: list[tuple[str, tuple[str, ...]]], span: str) -> tuple[str, ...] | None:
    """Return the candidate whose letters are most like the span's; None if they have no letter in common."""
    matcher = SequenceMatcher(None, "", span)
    best, highest = None, 0.0
    for letters, ngram in candidates:
        matcher.set_seq1(letters)
        # Both quick ratios are upper bounds of the slow one.
        if matcher.real_quick_ratio() > highest and matcher.quick_ratio() > highest:
            ratio = matcher.ratio()
            if ratio > highest:
                best, highest = ngram, ratio
    return best


@lru_cache(maxsize=20_000)
def _words(text: str, language: Language) -> tuple[str, ...]:
    return tuple(_tokenizer(language)(text))


@cache
def _tokenizer(language: Language) -> Callable[[str], list[str]]:
    """Return spaCy's splitter of words; VlmakeError where spaCy or its Chinese model is not installed."""
    try:
        import spacy  # loads torch where that is installed, so only here
    except ImportError:
        raise VlmakeError("VCR needs spaCy, which splits words: pip install 'vlmake[vcr]'") from None
    if language == "en":
        tokenizer = spacy.blank("en").tokenizer
    else:
        try:
            tokenizer = spacy.load("zh_core_web_sm").tokenizer
        except (OSError, ImportError):
            raise VlmakeError(
                "VCR in Chinese needs spaCy's model: python -m spacy download zh_core_web_sm (it is not on PyPI)"
            ) from None
    return lambda text: [token.text for token in tokenizer(text)]
