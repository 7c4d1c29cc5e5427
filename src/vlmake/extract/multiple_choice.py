"""Answers to multiple-choice questions: an option's letter, ``Z`` for a refusal, or unresolved."""

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from vlmake.extract.answer import MAIN, STRICT, Extraction, unresolved
from vlmake.extract.asked import questions
from vlmake.extract.strict.choice import read_choice
from vlmake.extract.vlmevalkit_view import as_text

REFUSED = "Z"
"""VLMEvalKit's letter for "none of the options"; no benchmark has it as an answer."""

_FAILED = "Failed to obtain answer via API"
_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_BLANKED = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_SHORT = 32  # characters up to which equal texts, of which answers are full, are read once
_LAST_TOKENS = 5  # a letter counts when its place is greater than the number of tokens minus this
_DECLARED = re.compile(r"answer\s+is\s+\**([ABCD])", re.IGNORECASE)
_TOKENS = {letter: re.compile(rf"(?<!\S){letter}(?!\S)") for letter in string.ascii_uppercase}


def extract(frame: pd.DataFrame, protocol: str) -> list[Extraction]:
    """Return the answer of every row; see ``vlmake.extract.registry.Extractor``."""
    options = _options(frame)
    if protocol == STRICT:
        asked = zip(frame["raw"], options, questions(frame), strict=True)
        return [read_choice(text, choices, question) for text, choices, question in asked]
    rows = zip(frame["prediction"], frame["raw"], options, strict=True)
    return [read_as_vlmevalkit(seen, raw, choices, protocol == MAIN) for seen, raw, choices in rows]


def gold(frame: pd.DataFrame, protocol: str) -> list[Any]:
    """Return the right letters: VLMEvalKit takes them from the TSV, not from the prediction file."""
    if protocol == STRICT:
        return [answer.strip().strip(".()").upper() for answer in as_text(frame["answer"])]
    return as_text(frame["answer_in_tsv"])


def read_as_vlmevalkit(text: str, raw: str | None, options: Mapping[str, str], declared: bool) -> Extraction:
    """Return the option that ``can_infer`` of VLMEvalKit returns: by letter, else by the option's text.

    Args:
        text: The prediction as the scorer sees it.
        raw: The prediction's own text; places are given when the two are equal.
        options: Letter → text, as the scorer sees it.
        declared: Whether ``answer is`` and a letter counts (main since May 2026, with no word end after the letter,
            so that ``The answer is cat`` gives C) or not (ms-vlmeval).
    """
    by_letter = _by_letter_once if len(text) <= _SHORT else _by_letter
    answer = by_letter(text, tuple(options), declared) or _by_option_text(text, options) or unresolved("none")
    return answer if text == raw else answer._replace(start=None, end=None)


def _by_letter(text: str, options: Sequence[str], declared: bool) -> Extraction | None:
    if _FAILED in text:
        return None
    for phrase in _REFUSALS:
        if phrase in text:
            start = text.index(phrase)
            return Extraction(REFUSED, "refusal_phrase", start, start + len(phrase))
    blanked = text.translate(_BLANKED)
    tokens = blanked.split()
    letters = [letter for letter in options if letter in tokens]
    if len(letters) == 1:
        if tokens.index(letters[0]) > len(tokens) - _LAST_TOKENS:
            return Extraction(letters[0], "letter_near_end", *_token_place(blanked, letters[0]))
    elif not letters and REFUSED in tokens:
        return Extraction(REFUSED, "letter_z", *_token_place(blanked, REFUSED))
    found = _DECLARED.search(text) if declared else None
    if found and found[1].upper() in options:
        return Extraction(found[1].upper(), "answer_is", *found.span(1))
    return None


_by_letter_once = lru_cache(maxsize=8192)(_by_letter)


def _by_option_text(text: str, options: Mapping[str, str]) -> Extraction | None:
    lowered = text.lower()
    if len(lowered) > 2 * sum(map(len, options.values())):
        return None
    inside = [letter for letter, option in options.items() if option.lower() in lowered]
    if len(inside) != 1:
        return None
    option = options[inside[0]].lower()
    start = lowered.index(option) if len(lowered) == len(text) else None
    return Extraction(inside[0], "option_text", start, None if start is None else start + len(option))


def _token_place(blanked: str, token: str) -> tuple[int, int]:
    """Return where a one-letter token first stands in a text that is split on blanks."""
    found = _TOKENS[token].search(blanked)
    assert found, "split and pattern see tokens alike"
    return found.span()


def _options(frame: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield the options of every row: the columns A to Z whose cell is not missing, as text."""
    letters = [letter for letter in string.ascii_uppercase if letter in frame.columns]
    texts = [
        [None if gone else text for text, gone in zip(as_text(frame[n]), frame[n].isna(), strict=True)] for n in letters
    ]
    if not letters:
        return iter([{} for _ in range(len(frame))])
    return (
        {letter: text for letter, text in zip(letters, row, strict=True) if text is not None}
        for row in zip(*texts, strict=True)
    )
